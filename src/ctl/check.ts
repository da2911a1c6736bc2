import { type Command, Option } from 'commander';
import type { CheckResult } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { type Context, clientOf } from './context.ts';
import { printData } from './output.ts';
import { type Colour, paint, printable, wantsColour } from './style.ts';

const marks: Record<CheckResult['result'], readonly [string, Colour]> = {
  success: ['√', 'green'],
  warning: ['‼', 'yellow'],
  error: ['×', 'red'],
};

/** Adds `kmeshctl check`. Marks and JSON are those of `linkerd check`. */
export function addCheck(program: Command, context: Context): void {
  program
    .command('check')
    .summary('check this machine and the mesh on it, with hints')
    .description(
      'Check this machine and the mesh on it. The exit code is 1 when a check failed (×); warnings (‼) are fine.',
    )
    .option('--pre', 'check whether this machine can run kmesh-daemon; needs no daemon')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .addHelpText(
      'after',
      `
Examples:
  # Before the first start
  kmeshctl check --pre

  # What is wrong, for a script
  kmeshctl check -o json | jq '.categories[].checks[] | select(.result == "error")'`,
    )
    .action(async (options: { pre?: true; output: string }, command: Command) => {
      const results = options.pre ? await context.preChecks() : await daemonChecks(context, command);
      const success = !results.some(({ result }) => result === 'error');
      if (options.output === 'json') await printData(context, 'json', { success, categories: byCategory(results) });
      else context.stdout.write(checkReport(results, success, wantsColour(context.stdout, context.env)));
      context.finish(success ? 0 : 1);
    });
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
