/** The real istiod steers real requests, in both modes, from the same objects. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { RouteItem, SourceItem } from '../../src/api/types.ts';
import { httpLoad, manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Istiod, istioctlProgram, istiodMissing } from '../lab/istiod.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const names = ['red', 'green', 'blue'] as const;
const version = { red: 'v1', green: 'v2', blue: 'v2' } as const;
const vip = '10.96.0.10';
const root = process.getuid?.() === 0;
const skip = root ? (istiodMissing() ?? false) : 'not root';
if (typeof skip === 'string') process.stderr.write(`istiod's scenarios are left out: ${skip}\n`);

const base = `
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Node
metadata: {name: node1, labels: {topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: z1}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: ${vip}, clusterIPs: [${vip}], selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
`;

const podOf = (host: Host, ready = true): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${host.name}, namespace: shop, labels: {app: web, version: ${version[host.name as keyof typeof version]}}}
spec: {nodeName: node1, serviceAccountName: web, containers: [{name: c, image: x}]}
status: {phase: Running, podIP: ${host.ip4}, podIPs: [{ip: ${host.ip4}}], conditions: [{type: Ready, status: "${ready ? 'True' : 'False'}"}]}
`;

const slice = (hosts: readonly Host[]): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
${hosts
  .map(
    ({ name, ip4 }) =>
      `- {addresses: [${ip4}], conditions: {ready: true}, nodeName: node1, targetRef: {kind: Pod, name: ${name}, namespace: shop}}`,
  )
  .join('\n')}
`;

const subsets = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web.shop.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`;

const to = (subset: string, weight: number): string =>
  `{destination: {host: web.shop.svc.cluster.local, subset: ${subset}}, weight: ${weight}}`;
const canary = (v1: number, v2: number): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.svc.cluster.local]
  http:
  - {match: [{headers: {x-canary: {exact: "yes"}}}], route: [${to('v2', 100)}]}
  - {route: [${to('v1', v1)}, ${to('v2', v2)}]}
`;

const httpRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: web}]
  rules: [{matches: [{path: {type: PathPrefix, value: /open}}], backendRefs: [{name: web, port: 80}]}]
`;

for (const mode of ['kernel-native', 'dual-engine'] as const) {
  describe(`the real istiod, ${mode}`, { skip }, () => {
    let lab: Lab;
    let mesh: TestMesh;
    let istiod: Istiod;
    let client: Host;
    let servers: Host[];

    const endpoints = (hosts: readonly Host[]): void => {
      istiod.write('10-pods.yaml', file(...hosts.map((host) => podOf(host))));
      istiod.write('20-slice.yaml', slice(hosts));
    };
    const answerers = async (): Promise<string> => {
      const { answers } = await manyConnections(client, [vip, '80', '60']);
      return Object.keys(answers).sort().join();
    };
    const becomes = async (wanted: string, asked: () => Promise<string>): Promise<number> => {
      const from = performance.now();
      let said = '';
      const same = async () => {
        said = await asked();
        return said === wanted;
      };
      await until(`it becomes ${wanted}`, same, 10_000, async () => `${said}\n${mesh.daemon.stderr}`);
      return performance.now() - from;
    };
    /** How many changes were applied within so many seconds, cumulative. */
    const applied = async (): Promise<ReadonlyMap<string, number>> => {
      const lines = await mesh.metric('kmesh_xds_apply_duration_seconds_bucket');
      return new Map(lines.map((line) => [/le="([^"]+)"/.exec(line)?.[1] ?? '', Number(line.split(' ')[1])]));
    };
    /** At least so many changes are made, and half of them are in the kernel 20 ms after their push. */
    const fast = async (t: TestContext, changes: number, make: () => Promise<void>): Promise<void> => {
      const before = await applied();
      await make();
      const seen = [...(await applied())].map(([le, count]) => [le, count - (before.get(le) ?? 0)] as const);
      t.diagnostic(`pushes in the kernel: ${seen.map(([le, count]) => `<= ${le} s: ${count}`).join(', ')}`);
      const all = seen.at(-1)?.[1] ?? 0;
      const bound = patience === 1 ? '0.02' : '0.25';
      const soon = seen.find(([le]) => le === bound)?.[1] ?? Number.NaN;
      assert.ok(all >= changes && soon * 2 >= all, `${soon} of ${all} changes took at most ${bound} s`);
    };
    const curl = async (path: string, ...flags: readonly string[]): Promise<string> =>
      (await client.output(['curl', '-sS', '-m', '5', ...flags, `http://${vip}${path}`])).split(' ')[0]?.trim() ?? '';

    before(async () => {
      lab = await Lab.create();
      client = await lab.pod('client');
      servers = await Promise.all(names.map((name) => lab.pod(name)));
      await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
      istiod = new Istiod(lab);
      istiod.write('00-base.yaml', base);
      endpoints(servers);
      await istiod.start();
      mesh = meshOf(lab);
      mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
      await mesh.start(['--mesh-controller', istiod.address, '--mode', mode]);
      await mesh.settled();
    });
    after(() => lab?.close());

    test('a service is balanced over its pods', async () => {
      await becomes('blue,green,red', answerers);
    });

    test('a pod that goes takes its connections with it, and gets some when it is back: each within a second', async (t) => {
      const waits: number[] = [];
      await fast(t, 20, async () => {
        for (let i = 0; i < 10; i++) {
          endpoints(servers.slice(0, 2));
          waits.push(await becomes('green,red', answerers));
          endpoints(servers);
          waits.push(await becomes('blue,green,red', answerers));
        }
      });
      t.diagnostic(`ms from the file to 60 connections that go so: ${waits.map(Math.round).join(', ')}`);
      assert.ok(Math.max(...waits) < 1000 * patience, waits.join());
    });

    test('kmeshctl get sources tells what istiod was asked for', async () => {
      const types = mode === 'kernel-native' ? ['CDS', 'EDS', 'LDS', 'RDS'] : ['WDS', 'WADS'];
      const items = await mesh.get<SourceItem>('sources');
      assert.deepEqual(
        items.map(({ source, subscription, state, nacks }) => [source, subscription, state, nacks]),
        [['files', null, 'watching', null], ...types.map((type) => ['xds', type, 'SYNCED', 0])],
      );
      for (const { acks, version } of items.slice(1)) assert.ok((acks ?? 0) > 0 && version !== '');
    });

    if (mode === 'kernel-native') {
      test('canary of 80 to 20 and a header, by VirtualService and DestinationRule', async (t) => {
        istiod.write('30-subsets.yaml', subsets);
        istiod.write('31-canary.yaml', canary(80, 20));
        const green = async () => ((await curl('/', '-H', 'x-canary: yes')) === 'red' ? 'v1' : 'v2');
        // Each of many: before the route is there a request may go to v2 by chance.
        await becomes('v2,v2,v2,v2,v2,v2,v2,v2', async () => {
          const all = [];
          for (let i = 0; i < 8; i++) all.push(await green());
          return all.join();
        });
        const load = await httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--requests', '5000']);
        assert.equal(load.failed, 0);
        const share = (load.answers['red'] ?? 0) / load.requests;
        assert.ok(Math.abs(share - 0.8) < 0.02, `${share}`);
        await fast(t, 10, async () => {
          for (let i = 0; i < 10; i++) {
            const weights = i % 2 === 0 ? [70, 30] : [80, 20];
            istiod.write('31-canary.yaml', canary(weights[0] ?? 0, weights[1] ?? 0));
            await becomes(`${weights[1]}%`, async () => {
              const actions = (await mesh.get<RouteItem>('routes')).map(({ action }) => action.join());
              return actions.find((one) => one.includes(`${weights[1]}%`)) === undefined ? '' : `${weights[1]}%`;
            });
          }
        });
      });

      test('a subset that goes with its routes: no request fails', async () => {
        const running = httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--seconds', '3']);
        istiod.write('31-canary.yaml', null);
        istiod.write('30-subsets.yaml', null);
        await becomes('blue,green,red', answerers);
        assert.equal((await running).failed, 0);
      });

      test('an HTTPRoute', async () => {
        istiod.write('32-route.yaml', httpRoute);
        const status = () => curl('/closed', '-o', '/dev/null', '-w', '%{http_code}');
        await becomes('404', status);
        assert.match(await curl('/open'), /^(red|green|blue)$/);
        istiod.write('32-route.yaml', null);
        await becomes('200', status);
      });

      test('istiod’s log has the text of a NACK', async () => {
        const mirrored = canary(100, 0).replace('- {route:', '- {mirror: {host: web.shop.svc.cluster.local}, route:');
        istiod.write('30-subsets.yaml', subsets);
        istiod.write('31-canary.yaml', mirrored);
        const nack = /ADS:RDS: ACK ERROR .*request_mirror_policies: not supported/;
        await Promise.any([
          istiod.process.line(nack, { stream: 'stdout' }),
          istiod.process.line(nack, { stream: 'stderr' }),
        ]);
        istiod.write('31-canary.yaml', null);
        istiod.write('30-subsets.yaml', null);
        await mesh.settled();
      });
    } else {
      test('a pod that is not ready gets nothing', async () => {
        const [red, green, blue] = servers;
        assert.ok(red && green && blue);
        istiod.write('10-pods.yaml', file(podOf(red, false), podOf(green), podOf(blue)));
        istiod.write('20-slice.yaml', slice([green, blue]));
        await becomes('blue,green', answerers);
        endpoints(servers);
        await becomes('blue,green,red', answerers);
      });

      test('istioctl reads the daemon’s config dump', {
        skip: existsSync(istioctlProgram) ? false : 'not built',
      }, async () => {
        const dump = join(lab.directory, 'dump.json');
        await lab.node.output(['curl', '-sS', '-m', '5', '-o', dump, 'http://127.0.0.1:15200/config_dump']);
        const show = (what: string) => lab.node.output([istioctlProgram, 'zc', what, '-f', dump]);
        const [red] = servers;
        assert.match(await show('workload'), new RegExp(`^shop +red +${red?.ip4} +node1 +None +TCP$`, 'm'));
        assert.match(await show('service'), new RegExp(`^shop +web +${vip} +None +3/3$`, 'm'));
      });
    }

    test('istiod is killed and comes back with a changed world: the difference is applied', async () => {
      await istiod.stop();
      assert.equal((await manyConnections(client, [vip, '80', '60'])).failures, 0);
      endpoints(servers.slice(1));
      await istiod.start();
      await becomes('blue,green', answerers);
      endpoints(servers);
      await becomes('blue,green,red', answerers);
      await mesh.settled();
    });
  });
}
