import { type Command, Option } from 'commander';
import type { CheckResult } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { addClusterFlags, type ClusterOptions, clusterClient } from './cluster-context.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';
import { type Colour, paint, printable, wantsColour } from './style.ts';

const marks: Record<CheckResult['result'], readonly [string, Colour]> = {
  success: ['√', 'green'],
  warning: ['‼', 'yellow'],
  error: ['×', 'red'],
};

interface CheckOptions extends ClusterOptions {
  readonly cluster?: true;
  readonly pre?: true;
  readonly output: string;
}

/** Adds `kmeshctl check`. Marks and JSON are those of `linkerd check`. */
export function addCheck(program: Command, context: Context): void {
  const check = program.command('check');
  addClusterFlags(check)
    .summary('check this machine or a cluster, and the mesh there, with hints')
    .description(
      'Check this machine and the mesh on it, or with --cluster a Kubernetes cluster and its agents. The exit code is 1 when a ' +
        'check failed (×); warnings (‼) are fine.',
    )
    .option('--cluster', 'check a Kubernetes cluster: version, CRDs, and the agent of each node')
    .option('--pre', 'whether this machine can run kmesh-daemon, or --cluster can get it')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .addHelpText(
      'after',
      `
Examples:
  # Before the first start
  kmeshctl check --pre

  # Before the installation in a cluster, and after it
  kmeshctl check --cluster --pre
  kmeshctl check --cluster

  # What is wrong, for a script
  kmeshctl check -o json | jq '.categories[].checks[] | select(.result == "error")'`,
    )
    .action(async (options: CheckOptions, command: Command) => {
      const results = await resultsOf(options, context, command);
      const success = !results.some(({ result }) => result === 'error');
      if (options.output === 'json') await printData(context, 'json', { success, categories: byCategory(results) });
      else context.stdout.write(checkReport(results, success, wantsColour(context.stdout, context.env)));
      context.finish(success ? 0 : 1);
    });
}

async function resultsOf(options: CheckOptions, context: Context, command: Command): Promise<readonly CheckResult[]> {
  const { cluster, pre, namespace, name } = options;
  if (!cluster) return pre ? await context.preChecks() : await daemonChecks(context, command);
  const { clusterChecks } = await import('../install/checks.ts');
  const client = await clusterClient(options, context);
  try {
    return await clusterChecks(client, { namespace, name, pre: pre === true });
  } finally {
    client.close();
  }
}

/** Reaching the daemon is the first check; when it fails there are no others. */
async function daemonChecks(context: Context, command: Command): Promise<readonly CheckResult[]> {
  const client = clientOf(context, command);
  const reach = { category: 'kmesh-daemon', description: `admin API answers at ${client.address}` };
  try {
    const results = await client.list<CheckResult>('/checks');
    return [{ ...reach, result: 'success', error: null, hint: null }, ...results];
  } catch (error) {
    if (!(error instanceof KmError)) throw error;
    const hint = 'is kmesh-daemon running in this network namespace? `kmeshctl check --pre` checks the machine';
    return [{ ...reach, result: 'error', error: `${error.code} ${error.message}`, hint }];
  }
}

function byCategory(results: readonly CheckResult[]): readonly { categoryName: string; checks: readonly object[] }[] {
  const groups = Map.groupBy(results, ({ category }) => category);
  return [...groups].map(([categoryName, members]) => ({
    categoryName,
    checks: members.map(({ description, hint, error, result }) => ({ description, hint, error, result })),
  }));
}

function checkReport(results: readonly CheckResult[], success: boolean, colour: boolean): string {
  const lines: string[] = [];
  const mark = (result: CheckResult['result']): string => {
    const [sign, hue] = marks[result];
    return paint(hue, sign, colour);
  };
  for (const [category, members] of Map.groupBy(results, (result) => result.category)) {
    lines.push(category, '-'.repeat(category.length));
    for (const { result, description, error, hint } of members) {
      lines.push(`${mark(result)} ${printable(description)}`);
      if (result === 'success') continue;
      for (const detail of [error, hint]) {
        if (detail !== null) lines.push(...detail.split('\n').map((line) => `    ${printable(line)}`));
      }
    }
    lines.push('');
  }
  lines.push(`Status check results are ${mark(success ? 'success' : 'error')}`);
  return `${lines.join('\n')}\n`;
}
