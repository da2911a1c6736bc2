import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { StatusReport } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import type { AdminClient } from './client.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';
import { statusReport } from './status-report.ts';
import { wantsColour } from './style.ts';
import { parseDuration } from './units.ts';

interface StatusOptions {
  readonly wait?: true;
  readonly timeout: string;
  readonly output: string;
}

const pollMs = 250;

const requiredFields = [
  'version',
  'mode',
  'ready',
  'pending',
  'sources',
  'problems',
  'counts',
  'kernel',
  'maps',
] as const satisfies readonly (keyof StatusReport)[];

/** Adds `kmeshctl status`. */
export function addStatus(program: Command, context: Context): void {
  program
    .command('status')
    .summary('show whether the mesh is up and does what its sources say')
    .description(
      'Show whether the mesh is up. The exit code is 0 only when the daemon is ready, the kernel holds what the sources say, ' +
        'and no object has an error.',
    )
    .option('--wait', 'wait until it is so, also for a daemon that is still to start')
    .option('--timeout <duration>', 'how long to wait, such as 30s or 1m30s', '30s')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json', 'yaml']).default('table'))
    .addHelpText(
      'after',
      `
Examples:
  # What is wrong?
  kmeshctl status

  # In a script, after starting the daemon
  kmeshctl status --wait --timeout 1m`,
    )
    .action(async (options: StatusOptions, command: Command) => {
      const timeoutMs = parseDuration(options.timeout);
      const client = clientOf(context, command);
      const report = options.wait ? await waitUntilHealthy(client, timeoutMs) : await readStatus(client);
      if (options.output === 'table') {
        const colour = wantsColour(context.stdout, context.env);
        context.stdout.write(statusReport(report, { nowMs: context.now(), colour }));
      } else {
        await printData(context, options.output, report);
      }
      const bad = whyNot(report);
      if (bad !== null && options.wait) throw new KmError('KM6006', `not healthy after ${options.timeout}: ${bad}`);
      context.finish(bad === null ? 0 : 1);
    });
}

function readStatus(client: AdminClient): Promise<StatusReport> {
  return client.get<StatusReport>('/status', requiredFields);
}

/** The first healthy report, or the last one when time is up; throws the last error when no report came at all. */
async function waitUntilHealthy(client: AdminClient, timeoutMs: number): Promise<StatusReport> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let report: StatusReport | null = null;
    let failure: unknown = null;
    try {
      report = await readStatus(client);
      if (whyNot(report) === null) return report;
    } catch (error) {
      const willPass = error instanceof KmError && (error.code === 'KM6001' || error.code === 'KM6002');
      if (!willPass) throw error;
      failure = error;
    }
    const left = deadline - performance.now();
    if (left <= 0) {
      if (report !== null) return report;
      throw failure;
    }
    await delay(Math.min(pollMs, left));
  }
}

/** What keeps the exit code from 0; null: nothing. */
function whyNot(report: StatusReport): string | null {
  if (!report.ready) return `pending: ${report.pending.join(', ')}`;
  if (!report.kernel.inSync) return 'the kernel differs from the sources';
  const errors = report.problems.filter(({ severity }) => severity === 'error').length;
  return errors === 0 ? null : `${errors} object(s) with errors`;
}
