import { Argument, type Command, Option } from 'commander';
import type { StatusReport } from '../api/types.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';

/** Adds `kmeshctl dump`. */
export function addDump(program: Command, context: Context): void {
  program
    .command('dump')
    .summary('dump what the daemon knows, or what the kernel holds')
    .description('Dump the model of the daemon, or with --bpf the tables of the kernel.')
    .addArgument(
      new Argument('[mode]', 'mode of the daemon (default: the one it runs in)').choices([
        'kernel-native',
        'dual-engine',
      ]),
    )
    .option('--bpf', "the kernel's tables instead of the model")
    .addOption(new Option('-o, --output <format>', 'output format').choices(['json', 'yaml']).default('json'))
    .addHelpText(
      'after',
      `
Examples:
  # The model, as the sources gave it
  kmeshctl dump

  # The tables that the kernel decides by
  kmeshctl dump kernel-native --bpf -o yaml`,
    )
    .action(async (given: string | undefined, options: { bpf?: true; output: string }, command: Command) => {
      const client = clientOf(context, command);
      const mode = given ?? (await client.get<StatusReport>('/status', ['mode'])).mode;
      const path = `/debug/config_dump/${options.bpf ? 'bpf/' : ''}${encodeURIComponent(mode)}`;
      await printData(context, options.output, await client.get<object>(path, []));
    });
}
