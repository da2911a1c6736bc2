import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressToWords } from '../base/address.ts';
import { kmFlowKey } from '../kernel/gen/layout.gen.ts';
import { rawMap } from '../kernel/map.ts';
import { BpfAttr, bpfCommand } from '../kernel/syscall.ts';
import { rootOnly } from '../kernel/testing.ts';
import { flowsOf } from './flows.ts';

test('connections are found by the address of their client', { skip: rootOnly() }, () => {
  const hash = new BpfAttr().u32(0, 1).u32(4, kmFlowKey.size).u32(8, 64).u32(12, 100).call(bpfCommand.MAP_CREATE);
  assert.ok(hash >= 0);
  const map = rawMap(hash, 'km_flow');
  const flows = flowsOf(map);
  assert.equal(flows.isEmpty(), true);
  assert.equal(flows.hasFlows(['10.0.0.1']), false);
  const typed = map.as({ key: kmFlowKey, value: { size: 64, encode: () => undefined, decode: () => null } });
  for (const client of ['10.0.0.1', 'fd00::7']) {
    const key = {
      client: addressToWords(client),
      server: addressToWords('10.96.0.1'),
      clientPort: 40_000,
      serverPort: 80,
    };
    typed.set(key, null);
  }
  assert.equal(flows.isEmpty(), false);
  assert.equal(flows.hasFlows(['10.0.0.1']), true);
  assert.equal(flows.hasFlows(['10.0.0.2', 'fd00::7']), true);
  assert.equal(flows.hasFlows(['10.0.0.2', 'fd00::8', '10.96.0.1']), false);
  assert.equal(flows.hasFlows([]), false);
  map.close();
});

test('without a table there are none', () => {
  const flows = flowsOf(null);
  assert.equal(flows.isEmpty(), true);
  assert.equal(flows.hasFlows(['10.0.0.1']), false);
});
