/** The program kmesh-daemon. */
import { hostname } from 'node:os';
import { Command, CommanderError } from 'commander';
import { KmError } from '../base/errors.ts';
import { probeFeatures } from '../kernel/features.ts';
import { openLibbpf } from '../kernel/libbpf.ts';
import { type RunningDaemon, startDaemon } from './daemon.ts';
import { OwnDaemonSet } from './own-daemonset.ts';
import { addFlags, cniDefaults, type Settings, settingsOf } from './settings.ts';
import { type UninstallOptions, uninstall } from './uninstall.ts';
import { versionInfo } from './version.ts';

const exitUsage = 64;

const stdout = (text: string): void => {
  process.stdout.write(text);
};
const accessLog = { write: stdout, keepsUp: (): boolean => !process.stdout.writableNeedDrain };
const stderr = (text: string): void => {
  process.stderr.write(text);
};

// A reader of the access log that goes away must not take the mesh's daemon with it.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const program = new Command('kmesh-daemon')
  .description('Keeps the mesh inside the Linux kernel as its sources say.')
  .exitOverride()
  .configureOutput({ writeOut: stdout, writeErr: stderr });

const run = addFlags(program.command('run', { isDefault: true }), hostname())
  .description('run the daemon (default)')
  .action(async (options: Record<string, unknown>) => {
    const settings = settingsOf(options);
    const own = OwnDaemonSet.of(settings, process.env);
    const daemon = await startDaemon(settings, { accessLog, stderr }, checks);
    // So that a later no is known for one.
    void own?.isGone();
    const stop = (): void => {
      end(daemon, settings, own).then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
run.exitOverride();

program
  .command('version')
  .description('print the version')
  .option('-o, --output <format>', 'json')
  .exitOverride()
  .action((options: { output?: string }) => {
    const info = versionInfo();
    stdout(
      options.output === 'json'
        ? `${JSON.stringify(info, null, 2)}\n`
        : `kmesh-daemon ${info.version} (${info.gitCommit})\n`,
    );
  });

program
  .command('check-kernel')
  .description('say what this kernel has and lacks, a line each')
  .option('-o, --output <format>', 'json')
  .exitOverride()
  .action((options: { output?: string }) => {
    const items = checks();
    if (options.output === 'json') stdout(`${JSON.stringify({ items }, null, 2)}\n`);
    else
      for (const c of items)
        stdout(`${c.result.padEnd(8)} ${c.description}${c.error === null ? '' : `: ${c.error}`}\n`);
    process.exitCode = items.some((c) => c.result === 'error') ? 1 : 0;
  });

program
  .command('uninstall')
  .description('take everything of the mesh off this machine: hooks, programs, maps, pins, the CNI plugin')
  .option('--bpf-fs-path <dir>', 'where programs and maps are pinned', '/sys/fs/bpf/kmesh')
  .option('--cni-etc-path <dir>', 'CNI configuration of the node', cniDefaults.etc)
  .option('--cni-bin-path <dir>', 'CNI plugins of the node', cniDefaults.bin)
  .option('--run-path <dir>', 'directory of the socket for the CNI plugin', cniDefaults.run)
  .exitOverride()
  .action((options: UninstallOptions) => {
    for (const line of uninstall(options)) stdout(`removed ${line}\n`);
  });

async function end(daemon: RunningDaemon, settings: Settings, own: OwnDaemonSet | null): Promise<void> {
  const leaving = own !== null && (await own.isGone());
  await daemon.stop(leaving);
  if (!leaving) return;
  for (const line of uninstall(settings)) stderr(`removed ${line}\n`);
}

function checks() {
  return probeFeatures(openLibbpf());
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    process.exit(error.exitCode === 0 ? 0 : exitUsage);
  }
  stderr(
    `kmesh-daemon: ${error instanceof KmError ? error.line() : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
}

program.parseAsync().catch(fail);
