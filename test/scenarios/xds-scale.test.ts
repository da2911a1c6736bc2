/**
 * Ten thousand services of ten endpoints from a control plane, then a thousand endpoint changes a second. `make bench` has
 * the figures; these are the bounds.
 */
import assert from 'node:assert/strict';
import { test as nodeTest } from 'node:test';
import { xdsFigures } from '../bench/xds-scale.ts';
import { patience } from '../lab/patience.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);
/** `make test-lab` takes the whole of it. */
const churnSeconds = process.env['KMESH_LONG'] === undefined ? 5 : 30;
const megabytes = 300;

for (const mode of ['dual-engine', 'kernel-native'] as const) {
  test(`10 000 services of 10 endpoints, ${mode}: read, and 1 000 changes a second for ${churnSeconds} s`, async (t) => {
    const seen = await xdsFigures(mode, churnSeconds);
    t.diagnostic(JSON.stringify(seen, (_, value) => (typeof value === 'number' ? Number(value.toFixed(2)) : value)));
    // On a machine that has other work as well the daemon waits its turn.
    assert.ok(seen.seconds - seen.waited <= 10 * patience, `first sync took ${seen.seconds} s`);
    assert.ok(seen.loaded <= megabytes, `${seen.loaded} MB after loading`);
    assert.ok(seen.churned <= megabytes, `${seen.churned} MB after the changes`);
    assert.equal(seen.changes, churnSeconds * 1000);
    assert.ok(seen.churnSeconds <= churnSeconds + 2 * patience, `the changes took ${seen.churnSeconds} s`);
    assert.ok(seen.churnCpu <= 1, `${seen.churnCpu} CPUs`);
    assert.ok(seen.requests > churnSeconds * 50, `${seen.requests} requests`);
    assert.deepEqual([seen.failed, seen.nacks], [0, 0]);
  });
}
