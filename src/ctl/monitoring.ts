import { Argument, type Command, Option } from 'commander';
import { KmError } from '../base/errors.ts';
import type { AdminClient } from './client.ts';
import { type Context, clientOf } from './context.ts';

const switches = ['enable', 'disable'];
const formats = ['text', 'json'];

/** Adds `kmeshctl accesslog`. */
export function addAccessLog(program: Command, context: Context): void {
  program
    .command('accesslog')
    .summary("turn the daemon's access log on or off")
    .description(
      "Turn the daemon's access log on or off. It has one line a connection and one a request, written at its end.",
    )
    .addArgument(new Argument('<state>', 'wanted state').choices(switches))
    .addOption(new Option('--format <format>', 'format of its lines (default: as it is)').choices(formats))
    .addHelpText(
      'after',
      `
Examples:
  # One JSON object a line
  kmeshctl accesslog enable --format json

  # No more lines
  kmeshctl accesslog disable`,
    )
    .action(async (state: string, options: { format?: string }, command: Command) => {
      await setAccessLog(context, clientOf(context, command), state, options.format);
    });
}

interface MonitoringOptions {
  readonly accesslog?: string;
  readonly metrics?: string;
  readonly all?: string;
}

/** Adds `kmeshctl monitoring`. */
export function addMonitoring(program: Command, context: Context): void {
  const option = (flags: string, description: string) => new Option(flags, description).choices(switches);
  program
    .command('monitoring')
    .summary('turn metrics and access log on or off')
    .description('Turn on or off what the kernel measures for the daemon: metrics and access log.')
    .addOption(option('--accesslog <state>', 'the access log: enable or disable'))
    .addOption(option('--metrics <state>', 'the metrics: enable or disable'))
    .addOption(option('--all <state>', 'both: enable or disable').conflicts(['accesslog', 'metrics']))
    .addHelpText(
      'after',
      `
Examples:
  # Measure nothing
  kmeshctl monitoring --all disable

  # Metrics without the access log
  kmeshctl monitoring --metrics enable --accesslog disable`,
    )
    .action(async (options: MonitoringOptions, command: Command) => {
      const metrics = options.metrics ?? options.all;
      const accessLog = options.accesslog ?? options.all;
      if (metrics === undefined && accessLog === undefined) {
        throw new KmError('KM6005', 'say what to turn on or off: --accesslog, --metrics or --all');
      }
      const client = clientOf(context, command);
      if (metrics !== undefined) {
        await client.post(`/monitoring?enable=${metrics === 'enable'}`);
        context.stdout.write(`metrics ${metrics}d\n`);
      }
      if (accessLog !== undefined) await setAccessLog(context, client, accessLog);
    });
}

async function setAccessLog(context: Context, client: AdminClient, state: string, format?: string): Promise<void> {
  const query = new URLSearchParams({
    enable: String(state === 'enable'),
    ...(format === undefined ? {} : { format }),
  });
  await client.post(`/accesslog?${query}`);
  context.stdout.write(`accesslog ${state}d${format === undefined ? '' : ` (${format})`}\n`);
}
