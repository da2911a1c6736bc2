import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { fixtureTrouble } from '../api/fixture.ts';
import { assertGolden, type Lab, startLab } from './testing.ts';

/** Golden file, command line, exit code. */
const plain = [
  ['get-services', 'get services -n shop', 0],
  ['get-services-wide', 'get services -n shop -o wide', 0],
  ['get-services-all', 'get services -A', 0],
  ['get-services-name', 'get services -A -o name', 0],
  ['get-workloads', 'get workloads -n shop', 0],
  ['get-workloads-wide', 'get workloads -n shop -o wide', 0],
  ['get-workloads-all', 'get workloads -A', 0],
  ['get-workloads-name', 'get workloads -n shop -o name', 0],
  ['get-endpoints', 'get endpoints -n shop', 0],
  ['get-endpoints-wide', 'get endpoints -n shop -o wide', 0],
  ['get-endpoints-all', 'get endpoints -A', 0],
  ['get-endpoints-name', 'get endpoints -A -o name', 0],
  ['get-listeners', 'get listeners -n shop', 0],
  ['get-listeners-wide', 'get listeners -n shop -o wide', 0],
  ['get-listeners-all', 'get listeners -A', 0],
  ['get-listeners-name', 'get listeners -A -o name', 0],
  ['get-routes', 'get routes -n shop', 0],
  ['get-routes-wide', 'get routes -n shop -o wide', 0],
  ['get-routes-all', 'get routes -A', 0],
  ['get-routes-name', 'get routes -A -o name', 0],
  ['get-clusters', 'get clusters -n shop', 0],
  ['get-clusters-wide', 'get clusters -n shop -o wide', 0],
  ['get-clusters-all', 'get clusters -A', 0],
  ['get-clusters-name', 'get clusters -A -o name', 0],
  ['explain', 'explain --from frontend -n shop --to http://reviews:9080/ -H end-user:alice', 0],
  ['explain-balanced', 'explain --from frontend -n shop --to http://reviews:9081/', 0],
  ['explain-unserved', 'explain --from frontend -n shop --to elsewhere/x', 0],
  ['get-connections', 'get connections -n shop', 0],
  ['get-connections-wide', 'get connections -n shop -o wide', 0],
  ['get-connections-all', 'get connections -A', 0],
  ['get-connections-name', 'get connections -A -o name', 0],
  ['get-maps-name', 'get maps -o name', 0],
  ['get-sources', 'get sources', 0],
  ['get-sources-name', 'get sources -o name', 0],
  ['get-two-kinds', 'get svc,wl -n shop', 0],
  ['status-ok', 'status', 0],
  ['check-ok', 'check', 0],
  ['version', 'version', 0],
  ['version-json', 'version -o json', 0],
  ['log', 'log', 0],
  ['dump', 'dump', 0],
  ['dump-bpf-yaml', 'dump kernel-native --bpf -o yaml', 0],
  ['dump-yaml', 'dump -o yaml', 0],
  ['help', '--help', 0],
] as const;

/** The same while things are wrong. */
const troubled = [
  ['status-problems', 'status', 1],
  ['check-all-marks', 'check', 1],
  ['check-all-marks-json', 'check -o json', 1],
  ['get-maps', 'get maps', 0],
  ['get-maps-wide', 'get maps -o wide', 0],
  ['get-maps-all', 'get maps -A', 0],
] as const;

describe('golden files', () => {
  let lab: Lab;
  before(async () => {
    lab = await startLab();
  });
  afterEach(() => lab.backend.reset());
  after(() => lab.server.stop());

  /** The port of this run must not be in a file. */
  const stable = (text: string) => text.replaceAll(`127.0.0.1:${lab.server.port}`, '127.0.0.1:15200');

  for (const [name, line, code] of plain) {
    test(`kmeshctl ${line}`, async () => {
      const ran = await lab.ctl(line);
      assert.deepEqual({ code: ran.code, stderr: ran.stderr }, { code, stderr: '' });
      assertGolden(name, stable(ran.stdout));
    });
  }

  for (const [name, line, code] of troubled) {
    test(`kmeshctl ${line}, in trouble`, async () => {
      lab.backend.set(fixtureTrouble);
      const ran = await lab.ctl(line);
      assert.deepEqual({ code: ran.code, stderr: ran.stderr }, { code, stderr: '' });
      assertGolden(name, stable(ran.stdout));
    });
  }

  test('kmeshctl status, before the daemon is ready', async () => {
    const [source] = (await lab.backend.status()).sources;
    assert.ok(source !== undefined);
    lab.backend.set({
      pending: ['first read of source files', 'kernel tables'],
      source: { ...source, synced: false, objects: 0, lastChange: null, error: 'no such directory' },
    });
    const ran = await lab.ctl('status');
    assert.equal(ran.code, 1);
    assertGolden('status-not-ready', ran.stdout);
  });

  test('kmeshctl status, with a control plane', async () => {
    const [source] = (await lab.backend.status()).sources;
    assert.ok(source !== undefined);
    const type = {
      answered: true,
      resources: 120,
      refused: 0,
      version: '2026-11-24/7',
      nonce: 'n7',
      acks: 7,
      nacks: 0,
    };
    const { lastChange: lastPush } = source;
    const types = [
      { ...type, type: 'CDS', typeUrl: 'clusters', lastPush, lastNack: null },
      { ...type, type: 'RDS', typeUrl: 'routes', lastPush, refused: 1, nacks: 2, lastNack: '80: not supported' },
    ];
    const xds = { connected: true, streams: 1, types };
    lab.backend.set({ source: { ...source, name: 'xds', location: 'istiod.istio-system.svc:15012', xds } });
    assertGolden('status-xds', (await lab.ctl('status')).stdout);
    assertGolden('get-sources-xds', (await lab.ctl('get sources -o wide')).stdout);
  });

  test('kmeshctl status at a terminal', async () => {
    lab.backend.set(fixtureTrouble);
    assertGolden('status-colour', (await lab.ctl('status', { tty: true })).stdout);
  });

  test('kmeshctl status, with a source that subscribes', async () => {
    const at = '2026-08-03T11:58:00Z';
    const watched = { state: 'watching', objects: 0, version: '48211', lastHeard: at, error: null };
    const refused = 'pods is forbidden: User "kmesh" cannot list resource "pods" in API group "" at the cluster scope';
    lab.backend.set({
      source: {
        ...{
          name: 'kubernetes',
          location: 'https://10.96.0.1:443',
          synced: true,
          objects: 2,
          lastChange: at,
          error: null,
        },
        resources: [
          { ...watched, name: 'Service', objects: 2 },
          { ...watched, name: 'Pod', state: 'forbidden', version: null, lastHeard: null, error: refused },
          { ...watched, name: 'HTTPRoute', state: 'absent', version: null },
        ],
      },
    });
    assertGolden('status-subscriptions', (await lab.ctl('status')).stdout);
    assertGolden('get-sources-kubernetes', (await lab.ctl('get sources')).stdout);
  });

  test('every file in golden/ is one of a test', () => {
    const tested = [...plain, ...troubled].map(([name]) => `${name}.txt`);
    const others = ['not-ready', 'colour', 'subscriptions', 'xds'].map((name) => `status-${name}.txt`);
    const sources = ['xds', 'kubernetes'].map((name) => `get-sources-${name}.txt`);
    const all = [...tested, ...others, ...sources].sort();
    assert.deepEqual(readdirSync(new URL('golden/', import.meta.url)).sort(), all);
  });
});
