import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressToWords } from '../base/address.ts';
import type { KmAddressKey } from '../kernel/gen/layout.gen.ts';
import { OnDemand } from './on-demand.ts';

test('pods’ own addresses and unknown ones are asked for, and the latter are taken out of the table', () => {
  const held: [KmAddressKey, bigint][] = ['10.96.0.1', 'fd00::1'].map((a) => [{ addr: addressToWords(a) }, 1n]);
  const asked: (readonly string[])[] = [];
  const onDemand = new OnDemand({
    unknown: { entries: () => held, remove: (keys) => held.splice(0, keys.length) },
    own: () => ['10.244.0.2'],
    demand: (addresses) => asked.push(addresses),
  });
  onDemand.poll();
  onDemand.poll();
  assert.deepEqual(asked, [['10.244.0.2', '10.96.0.1', 'fd00::1'], ['10.244.0.2']]);
});
