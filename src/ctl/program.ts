import { Command } from 'commander';
import { addCheck } from './check.ts';
import { addCompletion } from './completion.ts';
import type { Context } from './context.ts';
import { addDump } from './dump.ts';
import { addExplain } from './explain.ts';
import { addGet } from './get.ts';
import { addInstall, addUninstall } from './install.ts';
import { addLog } from './log.ts';
import { addAccessLog, addMonitoring } from './monitoring.ts';
import { addObserve } from './observe.ts';
import { addStatus } from './status.ts';
import { addVersion } from './version.ts';

/** Width of the help where there is no terminal. */
const plainWidth = 100;

/** The command tree of kmeshctl. Wrong usage throws commander's CommanderError after saying what is wrong. */
export function buildProgram(context: Context): Command {
  const program = new Command('kmeshctl')
    .description('kmeshctl shows and steers the mesh that kmesh-daemon runs on this machine.')
    .version(context.version, '-V, --version', 'show the version of kmeshctl')
    .option('--admin-address <host:port>', 'admin API of the daemon (env KMESH_ADMIN_ADDRESS, else localhost:15200)')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      getOutHelpWidth: () => context.stdout.columns ?? plainWidth,
      getErrHelpWidth: () => context.stderr.columns ?? plainWidth,
    })
    .showHelpAfterError('(add --help for flags and examples)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Exit codes: 0 all is well, 1 failure, 64 wrong usage, 65 data that is not understood.

Examples:
  # Is the mesh up?
  kmeshctl status

  # What does it serve?
  kmeshctl get services -A`,
    );
  // Sub-commands take over the settings above when they are added.
  addStatus(program, context);
  addGet(program, context);
  addExplain(program, context);
  addObserve(program, context);
  addCheck(program, context);
  addInstall(program, context);
  addUninstall(program, context);
  addDump(program, context);
  addLog(program, context);
  addAccessLog(program, context);
  addMonitoring(program, context);
  addVersion(program, context);
  addCompletion(program, context);
  return program;
}
