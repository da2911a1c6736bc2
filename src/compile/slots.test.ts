import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idOf } from './ids.ts';
import { maxSequence, type Slot, slotsOf, type Weighted } from './slots.ts';

const endpoints = (...weights: number[]): Weighted[] => weights.map((weight, i) => ({ id: BigInt(i + 1), weight }));

/** With ids as they are: hashes. */
const hashed = (weights: readonly number[]): Weighted[] =>
  weights.map((weight, i) => ({ id: idOf(`endpoint ${i}`), weight }));

/** The exact share of each endpoint that the slots give. */
function shares(slots: readonly Slot[]): number[] {
  const sums: number[] = [];
  for (const s of slots) {
    const p = (s.threshold + 1) / 2 ** 32;
    sums[Number(s.endpoint) - 1] = (sums[Number(s.endpoint) - 1] ?? 0) + p;
    sums[Number(s.alias) - 1] = (sums[Number(s.alias) - 1] ?? 0) + 1 - p;
  }
  return sums.map((s) => s / slots.length);
}

test('no endpoint gives no slot', () => {
  assert.deepEqual(slotsOf([], 'random'), []);
});

test('equal weights give one plain slot an endpoint for both policies', () => {
  for (const policy of ['random', 'round-robin'] as const) {
    const slots = slotsOf(endpoints(7, 7, 7), policy);
    assert.deepEqual(
      slots.map((s) => s.endpoint),
      [1n, 2n, 3n],
    );
    assert.ok(slots.every((s) => s.threshold === 0xffffffff));
  }
});

for (const weights of [
  [8, 1, 1],
  [1, 2],
  [1, 1000000],
  [3, 5, 7, 11, 13],
  [100, 1, 100, 1],
  [1, 1, 2],
]) {
  test(`random: the alias table holds the weights ${weights.join(':')}`, () => {
    const total = weights.reduce((a, b) => a + b, 0);
    const slots = slotsOf(endpoints(...weights), 'random');
    assert.equal(slots.length, weights.length);
    shares(slots).forEach((share, i) => {
      assert.ok(Math.abs(share - (weights[i] ?? 0) / total) < 1e-8, `endpoint ${i}: ${share}`);
    });
  });
}

test('round robin: weights 8:1:1 come 8, 1 and 1 times a round of 10', () => {
  const slots = slotsOf(endpoints(80, 10, 10), 'round-robin');
  assert.equal(slots.length, 10);
  assert.deepEqual(
    [1n, 2n, 3n].map((id) => slots.filter((s) => s.endpoint === id).length),
    [8, 1, 1],
  );
});

test('round robin: a light endpoint is spread out, not bunched', () => {
  const ids = slotsOf(endpoints(5, 1, 1), 'round-robin').map((s) => s.endpoint);
  assert.equal(ids.length, 7);
  const second = ids.indexOf(2n);
  assert.ok(Math.abs(second - ids.indexOf(3n)) > 1);
});

test('round robin: a sum of weights beyond the longest sequence is scaled, and no endpoint is lost', () => {
  const slots = slotsOf(endpoints(1_000_003, 999_983, 1), 'round-robin');
  assert.ok(slots.length <= maxSequence + 1);
  assert.deepEqual(new Set(slots.map((s) => s.endpoint)), new Set([1n, 2n, 3n]));
});

for (const weights of [
  [1, 1],
  [1, 1, 1, 1, 1, 1, 1],
  [5, 3, 1],
  [100, 1],
]) {
  test(`maglev: ${weights.join(':')} fill a table of at least 100 slots each by their weights`, () => {
    const all = hashed(weights);
    const slots = slotsOf(all, 'maglev');
    const total = weights.reduce((a, b) => a + b, 0);
    assert.ok(slots.length >= 100 * weights.length && slots.length <= 1021);
    for (const { id, weight } of all) {
      const share = slots.filter((s) => s.endpoint === id).length / slots.length;
      assert.ok(Math.abs(share - weight / total) <= 2 / slots.length, `${id}: ${share}`);
    }
    assert.deepEqual(slotsOf([...all].reverse(), 'maglev'), slots, 'the order of the endpoints does not matter');
  });
}

test('maglev: an endpoint that goes leaves nearly all other slots as they are', () => {
  const all = hashed(Array.from({ length: 20 }, () => 1));
  const [before, after] = [all, all.slice(1)].map((some) => slotsOf(some, 'maglev'));
  const kept = before?.filter((s, i) => s.endpoint !== all[0]?.id && s.endpoint !== after?.[i]?.endpoint).length ?? 0;
  assert.equal(before?.length, after?.length);
  assert.ok(kept < 0.1 * (before?.length ?? 0), `${kept} of ${before?.length} moved`);
});

test('maglev: the largest table has room for a thousand endpoints, and one alone needs none', () => {
  const slots = slotsOf(hashed(Array.from({ length: 1000 }, () => 1)), 'maglev');
  assert.equal(slots.length, 65_537);
  assert.equal(new Set(slots.map((s) => s.endpoint)).size, 1000);
  assert.equal(slotsOf(endpoints(3), 'maglev').length, 1);
});
