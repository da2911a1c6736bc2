import { type Command, Option } from 'commander';
import type { LoggerItem } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';
import { table } from './table.ts';

interface LogOptions {
  readonly set: readonly string[];
  readonly output: string;
}

/** Adds `kmeshctl log`. */
export function addLog(program: Command, context: Context): void {
  program
    .command('log')
    .description("show or set the levels of the daemon's loggers")
    .argument('[logger]', 'only this logger')
    .addOption(
      new Option('--set <name:level>', 'set the level of a logger (again for more)')
        .argParser((value: string, all: readonly string[]) => [...all, value])
        .default([], 'none'),
    )
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json', 'yaml']).default('table'))
    .addHelpText(
      'after',
      `
Examples:
  # All loggers and their levels
  kmeshctl log

  # See more for a while
  kmeshctl log --set default:debug --set publish:warn`,
    )
    .action(async (logger: string | undefined, options: LogOptions, command: Command) => {
      const changes = options.set.map(parseChange);
      if (changes.length > 0 && logger !== undefined) {
        throw new KmError('KM6005', 'give a logger to show, or --set NAME:LEVEL, not both');
      }
      const client = clientOf(context, command);
      for (const change of changes) {
        await client.post('/debug/loggers', change);
        if (options.output === 'table') context.stdout.write(`logger/${change.name} set to ${change.level}\n`);
      }
      if (changes.length > 0 && options.output === 'table') return;
      const query = logger === undefined ? '' : `?name=${encodeURIComponent(logger)}`;
      const items = await client.list<LoggerItem>(`/debug/loggers${query}`);
      if (options.output !== 'table') await printData(context, options.output, { items });
      else
        context.stdout.write(
          table(
            ['NAME', 'LEVEL'],
            items.map(({ name, level }) => [name, level]),
          ),
        );
    });
}

function parseChange(text: string): LoggerItem {
  const colon = text.lastIndexOf(':');
  const [name, level] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon <= 0 || level === '') throw new KmError('KM6005', `--set ${JSON.stringify(text)} is not NAME:LEVEL`);
  return { name, level };
}
