import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { addressToWords } from '../base/address.ts';
import {
  type KmFlow,
  type KmFlowKey,
  kmFlowFlags,
  kmHalfState,
  kmWireState,
  mapTypes,
} from '../kernel/gen/layout.gen.ts';
import { openLibbpf } from '../kernel/libbpf.ts';
import { typedMaps } from '../kernel/map.ts';
import { loadObjects } from '../kernel/object.ts';
import { rootOnly } from '../kernel/testing.ts';
import { flowGraceNs, sweepFlows } from './flow-sweep.ts';
import { root } from './version.ts';

const key = (server: string, clientPort: number, serverPort: number): KmFlowKey => ({
  client: addressToWords('10.0.0.1'),
  server: addressToWords(server),
  clientPort,
  serverPort,
});

test('what connections have left behind goes after a minute, and nothing else', { skip: rootOnly() }, () => {
  const loaded = loadObjects(openLibbpf(), { objects: [join(root, 'build', 'bpf', 'splice.bpf.o')] });
  try {
    const { km_flow, km_wire, km_answers, km_flow_blank } = mapTypes;
    const maps = typedMaps(loaded.maps, { km_flow, km_wire, km_answers, km_flow_blank });
    const tables = { flows: maps.km_flow, answers: maps.km_answers, wires: maps.km_wire };
    const blank: KmFlow | undefined = km_flow.value.decode(new DataView(new ArrayBuffer(km_flow.value.size)), 0);
    assert.ok(blank !== undefined);
    const now = 10n * flowGraceNs;
    const half = {
      ...blank.victim,
      state: kmHalfState.OPEN,
      addr: addressToWords('10.0.0.9'),
      port: 8080,
      wirePort: 1024,
    };
    const closed = (closedNs: bigint): KmFlow => ({ ...blank, flags: kmFlowFlags.CLOSED, closedNs });
    const service = '10.96.0.1';
    const old = closed(now - flowGraceNs - 1n);
    const flags = old.flags | kmFlowFlags.ANSWERS;
    maps.km_flow.set(key(service, 1, 80), { ...old, flags, half: [half, ...blank.half.slice(1)] });
    const answers = km_answers.value.decode(new DataView(new ArrayBuffer(km_answers.value.size)), 0);
    for (const port of [1, 2]) maps.km_answers.set(key(service, port, 80), answers);
    maps.km_flow.set(key(service, 2, 80), closed(now - flowGraceNs + 1n));
    maps.km_flow.set(key(service, 3, 80), { ...blank, closedNs: 1n });
    const wire = { flow: key(service, 1, 80), half: 0, state: kmWireState.LIVE, inside: 0, closingNs: 0n };
    maps.km_wire.set(key('10.0.0.9', 1024, 8080), wire);
    maps.km_wire.set(key('10.0.0.9', 1025, 8080), wire);
    maps.km_wire.set(key('10.0.0.9', 1026, 8080), { ...wire, state: kmWireState.CLOSING, closingNs: 1n });
    maps.km_wire.set(key('10.0.0.9', 1027, 8080), { ...wire, state: kmWireState.CLOSED, closingNs: now });

    assert.deepEqual(sweepFlows(tables, now), { flows: 1, wires: 2 });

    assert.deepEqual([...maps.km_flow.keys()].map(({ clientPort }) => clientPort).sort(), [2, 3]);
    assert.deepEqual(
      [...maps.km_answers.keys()].map(({ clientPort }) => clientPort),
      [2],
    );
    assert.deepEqual([...maps.km_wire.keys()].map(({ clientPort }) => clientPort).sort(), [1025, 1027]);
    assert.deepEqual(sweepFlows(tables, now), { flows: 0, wires: 0 });
  } finally {
    loaded.close();
  }
});
