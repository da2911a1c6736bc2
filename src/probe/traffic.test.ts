import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KmTraffic, type KmTrafficKey, kmDirection, kmReason } from '../kernel/gen/layout.gen.ts';
import { event } from './testing.ts';
import { Traffic } from './traffic.ts';

const { source, destination, cluster } = event();
const key: KmTrafficKey = { source, destination, cluster, direction: kmDirection.OUTBOUND, reason: kmReason.NONE };
const closed = (change: Partial<KmTraffic> = {}): KmTraffic => ({
  closed: 2n,
  failed: 0n,
  sentBytes: 100n,
  receivedBytes: 200n,
  retransmits: 0n,
  durationUs: 5n,
  ...change,
});

test('a row is what was closed and what is open', () => {
  const [row] = new Traffic().rows([[key, closed()]], [event()]);
  assert.deepEqual(
    [row?.opened, row?.closed, row?.sentBytes, row?.receivedBytes, row?.retransmits],
    [3, 2, 174, 334, 1],
  );
});

test('a pair whose first connection is still open has a row', () => {
  const [row] = new Traffic().rows([], [event()]);
  assert.deepEqual([row?.opened, row?.closed, row?.sentBytes], [1, 0, 74]);
});

test('no figure goes down when a connection closes between the two readings', () => {
  const traffic = new Traffic();
  traffic.rows([[key, closed()]], [event()]);
  const [row] = traffic.rows([[key, closed()]], []);
  assert.deepEqual([row?.opened, row?.sentBytes], [3, 174]);
  const [later] = traffic.rows([[key, closed({ closed: 3n, sentBytes: 180n })]], []);
  assert.deepEqual([later?.opened, later?.closed, later?.sentBytes], [3, 3, 180]);
});
