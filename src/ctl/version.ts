import { type Command, Option } from 'commander';
import type { VersionInfo } from '../api/types.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';

/** Adds `kmeshctl version`. */
export function addVersion(program: Command, context: Context): void {
  program
    .command('version')
    .description('show the versions of kmeshctl and of kmesh-daemon')
    .option('--client', 'only that of kmeshctl; asks no daemon')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json', 'yaml']).default('table'))
    .addHelpText(
      'after',
      `
Examples:
  # Both versions
  kmeshctl version

  # The commit that the daemon was built from
  kmeshctl version -o json | jq -r .daemonVersion.gitCommit`,
    )
    .action(async (options: { client?: true; output: string }, command: Command) => {
      const clientVersion = { version: context.version };
      if (options.output === 'table') context.stdout.write(`client version: v${clientVersion.version}\n`);
      const daemon = options.client ? null : await clientOf(context, command).get<VersionInfo>('/version', ['version']);
      if (options.output !== 'table') {
        await printData(context, options.output, {
          clientVersion,
          ...(daemon === null ? {} : { daemonVersion: daemon }),
        });
      } else if (daemon !== null) {
        context.stdout.write(`kmesh-daemon version: v${daemon.version}\n`);
      }
    });
}
