import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotSpace } from './slot-space.ts';

test('runs are handed out one after the other and refused when none is long enough', () => {
  const space = new SlotSpace(10);
  assert.equal(space.take(4), 0);
  assert.equal(space.take(4), 4);
  assert.equal(space.take(4), null);
  assert.equal(space.take(2), 8);
  assert.equal(space.used, 10);
});

test('given back runs join their neighbours', () => {
  const space = new SlotSpace(12);
  for (let i = 0; i < 3; i++) space.take(4);
  space.give({ first: 0, length: 4 });
  space.give({ first: 8, length: 4 });
  assert.equal(space.take(8), null);
  space.give({ first: 4, length: 4 });
  assert.equal(space.take(12), 0);
});

test('what another daemon left taken stays taken', () => {
  const space = new SlotSpace(10, [
    { first: 6, length: 2 },
    { first: 0, length: 3 },
  ]);
  assert.equal(space.used, 5);
  assert.equal(space.take(3), 3);
  assert.equal(space.take(3), null);
  assert.equal(space.take(2), 8);
});

test('ten thousand random takes and gives never overlap and end with all free', () => {
  const space = new SlotSpace(5000);
  const owner = new Int32Array(5000);
  const runs: { first: number; length: number; id: number }[] = [];
  let seed = 42;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  for (let id = 1; id <= 10_000; id++) {
    if (runs.length > 0 && random(2) === 0) {
      const [run] = runs.splice(random(runs.length), 1);
      if (run === undefined) continue;
      for (let i = run.first; i < run.first + run.length; i++) {
        assert.equal(owner[i], run.id);
        owner[i] = 0;
      }
      space.give(run);
      continue;
    }
    const length = 1 + random(30);
    const first = space.take(length);
    if (first === null) continue;
    for (let i = first; i < first + length; i++) {
      assert.equal(owner[i], 0);
      owner[i] = id;
    }
    runs.push({ first, length, id });
  }
  for (const run of runs) space.give(run);
  assert.equal(space.used, 0);
  assert.equal(space.take(5000), 0);
});
