import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { SourceStatus } from '../api/types.ts';
import { xdsMetrics } from './xds-metrics.ts';

test('metrics of a control plane, and none without one', async () => {
  const registry = new Registry();
  let sources: SourceStatus[] = [];
  xdsMetrics(registry, () => sources);
  const lines = async () =>
    (await registry.metrics())
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !line.includes('_apply_'));
  assert.deepEqual(await lines(), []);
  const type = { typeUrl: '', answered: true, version: '', nonce: '', lastPush: null, lastNack: null };
  const types = [{ ...type, type: 'CDS', resources: 7, refused: 1, acks: 3, nacks: 2 }];
  const status = { name: 'xds', location: 'a:1', synced: true, objects: 7, lastChange: null, error: null };
  sources = [{ ...status, xds: { connected: true, streams: 1, types } }];
  const wanted = [
    'kmesh_xds_connected{control_plane="a:1"} 1',
    'kmesh_xds_resources{control_plane="a:1",type="CDS",state="in_force"} 7',
    'kmesh_xds_resources{control_plane="a:1",type="CDS",state="refused"} 1',
    'kmesh_xds_responses_total{control_plane="a:1",type="CDS",answer="ack"} 3',
    'kmesh_xds_responses_total{control_plane="a:1",type="CDS",answer="nack"} 2',
  ];
  assert.deepEqual(await lines(), wanted);
  assert.deepEqual(await lines(), wanted, 'a second scrape counts nothing twice');
});
