import assert from 'node:assert/strict';
import { test } from 'node:test';
import { passes, single, table } from './row.ts';
import { quantile, ratios, summary } from './statistics.ts';

test('quantiles lie between the samples, whatever their order', () => {
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.equal(quantile([5, 1, 9], 0.5), 5);
  assert.deepEqual(summary([5, 1, 2, 3, 4]), { median: 3, low: 2, high: 4, samples: 5 });
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('ratios are those of one round each', () => {
  assert.deepEqual(ratios([1, 9], [2, 3]), [0.5, 3]);
});

test('a figure that is not a number misses its budget, and one without a budget neither passes nor misses', () => {
  const row = { name: 'x', unit: 'ratio', measured: single(Number.NaN), budget: { atLeast: 0.9 } } as const;
  assert.equal(passes(row), false);
  assert.equal(passes({ ...row, measured: single(0.9) }), true);
  assert.equal(passes({ ...row, measured: single(0.9), budget: { atMost: 0.8 } }), false);
  assert.equal(passes({ name: 'x', unit: 'ms', measured: single(1) }), null);
  assert.match(table([row]), /^x +>= 0\.900 +NaN .*MISSED$/m);
});
