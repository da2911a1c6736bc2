/** Broken and hostile pushes of a control plane: each is answered or told, and real traffic does not notice any. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  HttpConnectionManagerSchema,
  ListenerSchema,
  RouteConfigurationSchema,
} from '../../src/source/xds/gen/messages.gen.ts';
import { anyOf, socket } from '../../src/source/xds/testing.ts';
import { deltaPushes, type Hostile, service, sotwPushes, web, workload } from '../../src/source/xds/testing-hostile.ts';
import { httpLoadCommand, loadResult } from '../lab/clients.ts';
import { LabControlPlane } from '../lab/control-plane.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import type { LabProcess } from '../lab/process.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const names = ['red', 'green'] as const;
const vip = '10.96.0.10';
const timeoutMs = 30_000 * patience;
const base64 = ({ value }: Any): string => Buffer.from(value).toString('base64');

const cluster = 'outbound|80||web.shop.svc.cluster.local';
const toWeb = { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: cluster } } };
const routes = {
  name: '80',
  virtualHosts: [
    {
      name: 'web',
      domains: [vip, 'web.shop.svc.cluster.local'],
      routes: [{ match: { pathSpecifier: { case: 'prefix', value: '/' } }, action: toWeb }],
    },
  ],
};
const manager = anyOf(HttpConnectionManagerSchema, {
  routeSpecifier: { case: 'rds', value: { routeConfigName: '80' } },
} as never);
const clusters = [
  anyOf(ClusterSchema, {
    ...{ name: cluster, clusterDiscoveryType: { case: 'type', value: 3 }, edsClusterConfig: {} },
  } as never),
];
const listeners = [
  anyOf(ListenerSchema, {
    ...{ name: '0.0.0.0_80', address: socket('0.0.0.0', 80) },
    filterChains: [{ filters: [{ name: 'http', configType: { case: 'typedConfig', value: manager } }] }],
  } as never),
];

/** What the control plane says that is good, and what it says besides. */
const modes = {
  'dual-engine': {
    pushes: deltaPushes(vip),
    good: (servers: readonly Host[]): readonly (readonly [string, Any])[] => [
      [web, service(vip)],
      ...servers.map(({ name, ip4 }) => {
        const uid = `Kubernetes//Pod/shop/${name}`;
        const services = { [web]: { ports: [{ servicePort: 80, targetPort: 8080 }] } };
        return [
          uid,
          workload({ uid, name, addresses: [Uint8Array.from(ip4.split('.').map(Number))], services }),
        ] as const;
      }),
    ],
  },
  'kernel-native': {
    pushes: sotwPushes({ clusters, listeners, cluster, routes }),
    good: (servers: readonly Host[]): readonly (readonly [string, Any])[] => [
      ...clusters.map((one) => [cluster, one] as const),
      ...listeners.map((one) => ['0.0.0.0_80', one] as const),
      ['80', anyOf(RouteConfigurationSchema, routes as never)],
      [
        cluster,
        anyOf(ClusterLoadAssignmentSchema, {
          clusterName: cluster,
          endpoints: [
            {
              lbEndpoints: servers.map(({ ip4 }) => ({
                hostIdentifier: { case: 'endpoint', value: { address: socket(ip4, 8080) } },
              })),
            },
          ],
        } as never),
      ],
    ],
  },
} as const;

const all = Object.values(modes).flatMap(({ pushes }) => pushes);

nodeTest('there are at least forty of them', () => {
  assert.ok(all.length >= 40, String(all.length));
});

for (const mode of ['dual-engine', 'kernel-native'] as const) {
  const { pushes, good } = modes[mode];
  describe(`${mode}: hostile pushes`, { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
    let lab: Lab;
    let mesh: TestMesh;
    let plane: LabControlPlane;
    let running: readonly LabProcess[];

    const told = (pattern: RegExp): number =>
      mesh.daemon.stderr.split('\n').filter((line) => pattern.test(line)).length;
    const put = (servers: readonly Host[]): void => {
      for (const [name, any] of good(servers)) plane.put({ name, typeUrl: any.typeUrl, value: base64(any) });
    };

    before(async () => {
      lab = await Lab.create();
      const client = await lab.pod('client');
      const servers = await Promise.all(names.map((name) => lab.pod(name)));
      await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
      plane = await LabControlPlane.start(lab);
      put(servers);
      await plane.push();
      mesh = meshOf(lab);
      mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
      await mesh.start(['--mesh-controller', plane.address, '--mode', mode]);
      await mesh.settled();
      const cases = [{ from: names, path: '/' }];
      running = [
        client.spawn(httpLoadCommand(vip, 80, cases, ['--until-eof', '--connections', '2', '--rate', '100']), {
          holdInput: true,
        }),
        client.spawn(httpLoadCommand(vip, 80, cases, ['--until-eof', '--new', '--rate', '50']), { holdInput: true }),
      ];
      for (const one of running) await one.line(/^ready$/);
    });
    after(() => lab?.close());

    const push = async ({ steps, nack, log, ends }: Hostile): Promise<void> => {
      const before = log === undefined ? 0 : told(log);
      const streams = plane.process.stdout.match(/^stream /gm)?.length ?? 0;
      await plane.push(...steps);
      if (nack !== undefined) {
        const answer = new RegExp(`^answer ${nack.nonce} (.*)`);
        const [, said = ''] = await plane.process.line(answer, { timeoutMs });
        assert.match(said, /^NACK /);
        assert.match(said, nack.text);
        await mesh.daemon.line(nack.text, { stream: 'stderr', timeoutMs });
      }
      if (log !== undefined)
        await until(
          `the log tells: ${log}`,
          async () => told(log) > before,
          timeoutMs,
          async () => mesh.daemon.stderr,
        );
      if (ends === true) await plane.process.line(new RegExp(`^stream ${streams + 1}$`), { timeoutMs });
    };

    for (const one of pushes) test(one.what, () => push(one));

    test('no request has failed, and the control plane is still followed', async () => {
      const connected = async () => (await mesh.status()).sources.some(({ xds }) => xds?.connected === true);
      await until('connected', connected, timeoutMs);
      for (const one of running) {
        one.endInput();
        const { errors, failed, misrouted, requests } = await loadResult(one);
        assert.deepEqual([errors, failed, misrouted], [{}, 0, 0]);
        assert.ok(requests > 50, String(requests));
      }
      // One endpoint less.
      const [red] = await mesh.get<{ readonly address: string }>('endpoints');
      assert.equal((await mesh.get('endpoints')).length, 2);
      put([...lab.pods.values()].filter(({ ip4 }) => ip4 === red?.address));
      if (mode === 'dual-engine') {
        const gone = [...lab.pods.values()].find(
          ({ name, ip4 }) => names.some((n) => n === name) && ip4 !== red?.address,
        );
        plane.drop(`Kubernetes//Pod/shop/${gone?.name}`);
      }
      await plane.push();
      await until('it is followed', async () => (await mesh.get('endpoints')).length === 1, timeoutMs);
    });
  });
}
