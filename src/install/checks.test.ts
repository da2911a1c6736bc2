import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { CheckResult } from '../api/types.ts';
import { nodeMetrics } from '../probe/node-metrics.ts';
import { agentSays } from './checks.ts';

const check = (description: string, result: CheckResult['result']): CheckResult => ({
  ...{ category: 'kernel', description, result, hint: null, error: result === 'success' ? null : 'no' },
});

async function says(checks: readonly CheckResult[], chained: boolean | null): Promise<string[]> {
  const registry = new Registry();
  nodeMetrics(registry, { checks: () => checks, cniChained: () => chained });
  const results = agentSays('node n1', await registry.metrics());
  return results.map(({ result, description }) => `${result} ${description}`);
}

test('what an agent says in its metrics is understood', async () => {
  const chained = 'pods start under the mesh (CNI plugin chained)';
  assert.deepEqual(await says([check('kernel has "BTF"', 'success'), check('tcx', 'warning')], true), [
    'success the kernel has what Kmesh needs',
    'warning tcx',
    `success ${chained}`,
  ]);
  assert.deepEqual(await says([check('ring buffer', 'error')], false), ['error ring buffer', `error ${chained}`]);
  assert.deepEqual(await says([], null), [`warning ${chained}`]);
});
