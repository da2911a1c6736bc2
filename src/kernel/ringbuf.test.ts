import assert from 'node:assert/strict';
import { test } from 'node:test';
import { u64 } from './codec.ts';
import { probeFeatures } from './features.ts';
import { openLibbpf } from './libbpf.ts';
import { loadObjects } from './object.ts';
import { RingBuffer } from './ringbuf.ts';
import { rootOnly, testObject } from './testing.ts';
import { testRun } from './testrun.ts';

const skip = rootOnly();

function setUp() {
  const loaded = loadObjects(openLibbpf(), { objects: [testObject('maps')], constants: { km_test_big: 10n ** 15n } });
  const map = loaded.maps.get('km_test_ring');
  const record = loaded.programs.get('km_test_record');
  const counter = loaded.maps.get('km_test_percpu')?.as({
    key: { ...u64, size: 4, encode: (value, view, offset) => view.setUint32(offset, Number(value), true) },
    value: { size: 16, encode: () => {}, decode: (view, offset) => view.getUint32(offset + 8, true) },
  });
  assert.ok(map && record && counter);
  const write = (length: number, count = 1) => testRun(record, new Uint8Array(length), count);
  return { loaded, map, write, lost: () => counter.getSum(0n) ?? 0, ring: new RingBuffer(map) };
}

test('records come once each, in order, over many turns of the buffer', { skip }, () => {
  const { loaded, ring, write, lost } = setUp();
  const seen: number[] = [];
  const lengths = new Set<number>();
  for (let round = 0; round < 300; round++) {
    const length = round % 2 === 0 ? 64 : 256;
    for (let i = 0; i < 7; i++) write(length);
    ring.drain((view, offset, size) => {
      seen.push(view.getUint32(offset, true));
      lengths.add(size);
      assert.equal(view.getUint32(offset + 4, true), length);
      assert.equal(view.getBigUint64(offset + 8, true), 10n ** 15n);
    });
    assert.equal(ring.fill(), 0);
  }
  const expected = Array.from({ length: 2100 }, (_, i) => i).filter((i) => i % 5 !== 4);
  assert.deepEqual(seen, expected, 'discarded records are passed over');
  assert.deepEqual([...lengths], [16, 300]);
  assert.equal(lost(), 0);
  ring.close();
  loaded.close();
});

test('a full buffer loses new records, which the program counts; draining makes room', { skip }, () => {
  const { loaded, map, ring, write, lost } = setUp();
  write(64, 1000);
  // 16 bytes and a header of 8 each.
  const room = Math.floor(map.info.maxEntries / 24);
  assert.ok(ring.fill() > map.info.maxEntries - 48);
  assert.ok(Math.abs(1000 - lost() - room) <= 1);
  assert.equal(
    ring.drain(() => {}, 10),
    10,
    'a budget is kept',
  );
  assert.ok(ring.drain(() => {}) > 100);
  assert.equal(ring.fill(), 0);
  write(64, 4);
  assert.ok(ring.drain(() => {}) >= 3);
  ring.close();
  assert.equal(
    ring.drain(() => assert.fail('closed')),
    0,
  );
  loaded.close();
});

test('a handler that throws loses its record only, and another reader goes on behind it', { skip }, () => {
  const { loaded, map, ring, write } = setUp();
  write(64, 3);
  assert.throws(
    () =>
      ring.drain(() => {
        throw new RangeError('handler');
      }),
    RangeError,
  );
  ring.close();
  const second = new RingBuffer(map);
  const numbers: number[] = [];
  second.drain((view, offset) => numbers.push(view.getUint32(offset, true)));
  assert.deepEqual(numbers, [1, 2]);
  second.close();
  loaded.close();
});

test('the feature probe has one line each and finds here what the tests above used', { skip }, () => {
  const results = probeFeatures(openLibbpf());
  for (const { description, result, hint, error } of results) {
    assert.equal(result === 'success', hint === null && error === null, description);
    assert.equal(`${hint}${error}`.includes('\n'), false, description);
  }
  assert.deepEqual(
    results.filter(({ result }) => result === 'error'),
    [],
  );
  assert.ok(results.some(({ description }) => description === 'ring buffer'));
});
