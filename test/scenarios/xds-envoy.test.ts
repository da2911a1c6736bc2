/** Kernel-native mode: a control plane speaks Envoy's resources, and requests of enrolled pods go where its routes say. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  HttpConnectionManagerSchema,
  ListenerSchema,
  RouteConfigurationSchema,
} from '../../src/source/xds/gen/messages.gen.ts';
import { anyOf, socket } from '../../src/source/xds/testing.ts';
import { httpLoad } from '../lab/clients.ts';
import { LabControlPlane } from '../lab/control-plane.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const names = ['red', 'green', 'blue'] as const;
const host = 'web.shop.svc.cluster.local';
const vip = '10.96.0.10';
const cluster = (subset: string): string => `outbound|80|${subset}|${host}`;

const prefix = (value: string) => ({ pathSpecifier: { case: 'prefix', value } });
const route = (to: object, match: object = prefix('/')) => ({ match, action: { case: 'route', value: to } });
const toCluster = (subset: string) => ({ clusterSpecifier: { case: 'cluster', value: cluster(subset) } });
const toWeighted = (weights: Readonly<Record<string, number>>) => ({
  clusterSpecifier: {
    case: 'weightedClusters',
    value: { clusters: Object.entries(weights).map(([subset, weight]) => ({ name: cluster(subset), weight })) },
  },
});

describe('Envoy’s resources', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let plane: LabControlPlane;
  let client: Host;
  let servers: Host[];

  const addCluster = (subset: string, members: readonly Host[]): void => {
    const name = cluster(subset);
    const init = { name, clusterDiscoveryType: { case: 'type', value: 3 }, edsClusterConfig: {} };
    plane.set(ClusterSchema, name, init as never);
    plane.set(ClusterLoadAssignmentSchema, name, {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: members.map(({ ip4 }) => ({
            hostIdentifier: { case: 'endpoint', value: { address: socket(ip4, 8080) } },
          })),
        },
      ],
    } as never);
  };
  const removeCluster = (subset: string): void => {
    plane.remove(ClusterSchema, cluster(subset)).remove(ClusterLoadAssignmentSchema, cluster(subset));
  };
  const routes = (...list: readonly object[]): void => {
    const virtualHosts = [{ name: `${host}:80`, domains: [host, vip], routes: list }];
    plane.set(RouteConfigurationSchema, '80', { name: '80', virtualHosts } as never);
  };
  const curl = async (path: string, ...flags: readonly string[]): Promise<string> => {
    const said = await client.output(['curl', '-sS', '-m', '5', ...flags, `http://${vip}${path}`]);
    return said.split(' ')[0]?.trim() ?? '';
  };
  const becomes = async (wanted: string, ...asked: readonly string[]): Promise<void> => {
    const [path = '/', ...flags] = asked;
    let said = '';
    const same = async () => {
      said = await curl(path, ...flags);
      return said === wanted;
    };
    await until(
      `${asked.join(' ')} is answered by ${wanted}`,
      same,
      10_000,
      async () => `${said}\n${mesh.daemon.stderr}`,
    );
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
    const [red, green, blue] = servers;
    assert.ok(red && green && blue);
    plane = await LabControlPlane.start(lab);
    addCluster('', servers);
    addCluster('v1', [red]);
    addCluster('v2', [green]);
    const manager = anyOf(HttpConnectionManagerSchema, {
      routeSpecifier: { case: 'rds', value: { routeConfigName: '80' } },
    } as never);
    plane.set(ListenerSchema, '0.0.0.0_80', {
      name: '0.0.0.0_80',
      address: socket('0.0.0.0', 80),
      filterChains: [{ filters: [{ name: 'http', configType: { case: 'typedConfig', value: manager } }] }],
    } as never);
    routes(route(toCluster('')));
    await plane.push();
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
    await mesh.start(['--mesh-controller', plane.address, '--mode', 'kernel-native']);
    await mesh.settled();
  });
  after(() => lab?.close());

  test('without routes of its own every request goes to any endpoint', async () => {
    const load = await httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--requests', '300']);
    assert.deepEqual([load.failed, load.misrouted, load.connections], [0, 0, 1]);
    assert.deepEqual(Object.keys(load.answers).sort(), [...names].sort());
  });

  test('a header, a path, a direct answer', async () => {
    const canary = [{ name: 'x-canary', headerMatchSpecifier: { case: 'exactMatch', value: 'yes' } }];
    const gone = { case: 'directResponse', value: { status: 410 } };
    routes(
      route(toCluster('v2'), { ...prefix('/'), headers: canary }),
      { match: prefix('/gone'), action: gone },
      route(toCluster('v1')),
    );
    await plane.push();
    await becomes('green', '/', '-H', 'x-canary: yes');
    assert.equal(await curl('/'), 'red');
    assert.equal(await curl('/gone', '-o', '/dev/null', '-w', '%{http_code}'), '410');
  });

  test('a canary of 80 to 20', async () => {
    routes(route(toWeighted({ v1: 80, v2: 20 })));
    await plane.push();
    await until('both answer', async () => {
      const load = await httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--requests', '100']);
      return (load.answers['green'] ?? 0) > 0 && load.answers['blue'] === undefined;
    });
    const load = await httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--requests', '5000']);
    assert.equal(load.failed, 0);
    const share = (load.answers['green'] ?? 0) / load.requests;
    // Standard deviation 0.57 %.
    assert.ok(Math.abs(share - 0.2) < 0.02, `${share}`);
  });

  test('a new subset and its route come, the old ones go: no request fails meanwhile', async () => {
    const running = httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--seconds', '3']);
    const [, , blue] = servers;
    assert.ok(blue);
    addCluster('v3', [blue]);
    removeCluster('v1');
    removeCluster('v2');
    routes(route(toCluster('v3')));
    await plane.push();
    await becomes('blue', '/');
    const load = await running;
    assert.equal(load.failed, 0, JSON.stringify(load.errors));
    assert.equal(await curl('/'), 'blue');
    const { problems } = await mesh.status();
    assert.deepEqual(
      problems.filter((p) => p.severity === 'error'),
      [],
    );
  });

  test('what the mesh cannot do is refused by name, and the last good route stays', async () => {
    routes(route({ ...toCluster('v3'), requestMirrorPolicies: [new Uint8Array()] }));
    await plane.push();
    await plane.process.line(
      /^NACK RDS 80: virtual_hosts\[0\]\.routes\[0\]\.route\.request_mirror_policies: not supported/,
    );
    assert.equal(await curl('/'), 'blue');
    routes(route(toCluster('v3')));
    await plane.push();
    await mesh.settled();
  });

  test('kmeshctl shows where routes come from, and the control plane’s types', async () => {
    const listed = await mesh.ctl('get', 'routes', '-A', '-o', 'json');
    assert.match(listed.stdout, /xds:\/\/127\.0\.0\.1:15010/);
    const { sources } = await mesh.status();
    const types = sources.find(({ name }) => name === 'xds')?.xds?.types ?? [];
    assert.deepEqual(
      types.map(({ type, answered }) => [type, answered]),
      [
        ['CDS', true],
        ['EDS', true],
        ['LDS', true],
        ['RDS', true],
      ],
    );
  });
});
