/** The real istiod steers real requests, in both modes, from the same objects. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { httpLoad, manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Istiod, istiodMissing } from '../lab/istiod.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
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

    test('a pod that goes takes its connections with it, and gets some when it is back', async (t) => {
      endpoints(servers.slice(0, 2));
      const gone = await becomes('green,red', answerers);
      endpoints(servers);
      const back = await becomes('blue,green,red', answerers);
      t.diagnostic(`seen after ${gone.toFixed(0)} ms and ${back.toFixed(0)} ms`);
    });

    if (mode === 'kernel-native') {
      test('canary of 80 to 20 and a header, by VirtualService and DestinationRule', async () => {
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
    }

    test('from a push to the kernel: half of the changes in 20 ms, on a machine that has other work in 50', async (t) => {
      const buckets = await mesh.metric('kmesh_xds_apply_duration_seconds_bucket');
      const upTo = (le: string): number =>
        Number(buckets.find((line) => line.includes(`le="${le}"`))?.split(' ')[1] ?? Number.NaN);
      t.diagnostic(buckets.map((line) => line.replace(/^.*le="([^"]+)"} /, '<= $1: ')).join(', '));
      assert.ok(upTo('0.05') * 2 >= upTo('+Inf') && upTo('+Inf') > 0);
    });

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
