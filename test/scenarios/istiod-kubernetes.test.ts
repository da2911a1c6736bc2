/**
 * The stock istiod on the real kube-apiserver, and the daemon at its port with TLS, as in a cluster: the root certificate from
 * the ConfigMap, a token that the API server has issued, objects by the API.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ApiObject } from '../../src/source/kubernetes/testing.ts';
import { httpLoad, manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Istiod, istiodMissing } from '../lab/istiod.ts';
import { ControlPlane, hasRealServer } from '../lab/kubernetes/control-plane.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const names = ['red', 'green', 'blue'] as const;
const vip = '10.96.0.10';
const root = process.getuid?.() === 0;
const missing = hasRealServer ? istiodMissing() : 'kube-apiserver is not built; make test-lab builds it';
const skip = root ? (missing ?? false) : 'not root';
if (typeof skip === 'string') process.stderr.write(`istiod on kube-apiserver is left out: ${skip}\n`);

const core = (kind: string, name: string, ns?: string, rest: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, ...(ns === undefined ? {} : { namespace: ns }) },
  ...rest,
});

const service = core('Service', 'web', 'shop', {
  spec: { clusterIP: vip, selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

const slice = (hosts: readonly Host[]): ApiObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: hosts.map(({ name, ip4 }) => ({
    addresses: [ip4],
    conditions: { ready: true },
    nodeName: 'node1',
    targetRef: { kind: 'Pod', name, namespace: 'shop' },
  })),
});

const subset = (v1: number, v2: number): readonly ApiObject[] => [
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { host: 'web', subsets: ['v1', 'v2'].map((name) => ({ name, labels: { version: name } })) },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      hosts: ['web'],
      http: [
        {
          route: [
            { destination: { host: 'web', subset: 'v1' }, weight: v1 },
            { destination: { host: 'web', subset: 'v2' }, weight: v2 },
          ],
        },
      ],
    },
  },
];

describe('the stock istiod on the real kube-apiserver, by TLS with a token', { skip }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let api: ControlPlane;
  let istiod: Istiod;
  let client: Host;
  let servers: Host[];
  let token: string;

  /** As the kubelet would have it; red is v1. */
  const run = async (host: Host): Promise<void> => {
    const labels = { app: 'web', version: host.name === 'red' ? 'v1' : 'v2' };
    const metadata = { name: host.name, namespace: 'shop', labels };
    const common = { apiVersion: 'v1', kind: 'Pod', metadata };
    await api.apply({
      ...common,
      spec: { nodeName: 'node1', serviceAccountName: 'web', containers: [{ name: 'c', image: 'x' }] },
    });
    const conditions = [{ type: 'Ready', status: 'True' }];
    const status = { phase: 'Running', podIP: host.ip4, podIPs: [{ ip: host.ip4 }], conditions };
    await api.applyAt(`/api/v1/namespaces/shop/pods/${host.name}/status`, { ...common, status });
  };
  const becomes = async (wanted: string): Promise<void> => {
    let said = '';
    const same = async () => {
      said = Object.keys((await manyConnections(client, [vip, '80', '60'])).answers)
        .sort()
        .join();
      return said === wanted;
    };
    await until(`${wanted} answer`, same, 20_000 * patience, async () => `${said}\n${mesh.daemon.stderr}`);
  };
  const start = async (mode: string): Promise<void> => {
    await mesh.start(['--mesh-controller', istiod.secureAddress, '--mode', mode], undefined, {
      XDS_ROOT_CA: join(lab.directory, 'root-cert.pem'),
      AUTH_TOKEN: token,
      // In a cluster the daemon reaches it by this name.
      ALT_XDS_HOSTNAME: 'istiod.istio-system.svc',
      POD_NAMESPACE: 'kmesh-system',
      SERVICE_ACCOUNT: 'kmesh',
    });
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
    api = new ControlPlane(lab);
    await api.start();
    await api.installCrds('istio.io');
    await api.installCrds('gateway.networking.k8s.io');
    const namespaces = ['istio-system', 'kmesh-system', 'shop'];
    await api.apply(...namespaces.map((name) => core('Namespace', name)));
    await api.applyAt('/api/v1/nodes/node1', core('Node', 'node1'));
    for (const [ns, name] of [
      ['kmesh-system', 'kmesh'],
      ['shop', 'web'],
    ] as const) {
      await api.applyAt(`/api/v1/namespaces/${ns}/serviceaccounts/${name}`, core('ServiceAccount', name, ns));
    }
    await api.apply(service);
    for (const one of servers) await run(one);
    await api.apply(slice(servers));
    istiod = new Istiod(lab, api.adminKubeconfig);
    await istiod.start();
    token = join(lab.directory, 'istio-token');
    writeFileSync(token, await api.token('kmesh-system', 'kmesh', 'istio-ca'), { mode: 0o600 });
    // istiod gives every namespace its root certificate.
    const path = '/api/v1/namespaces/kmesh-system/configmaps/istio-ca-root-cert';
    let certificate = '';
    await until('istiod has published its root certificate', async () => {
      const { data } = await api.read<{ readonly data?: Readonly<Record<string, string>> }>(path);
      certificate = data?.['root-cert.pem'] ?? '';
      return certificate !== '';
    });
    writeFileSync(join(lab.directory, 'root-cert.pem'), certificate);
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
  });
  after(() => lab?.close());

  test('the workload API: balanced, and changes of the API server arrive', async () => {
    await start('dual-engine');
    await becomes('blue,green,red');
    const [red, green] = servers;
    assert.ok(red && green);
    await api.remove(core('Pod', 'blue', 'shop'));
    await api.apply(slice([red, green]));
    await becomes('green,red');
    await mesh.settled();
  });

  test('Envoy’s resources: a canary of VirtualService and DestinationRule', async () => {
    await mesh.daemon.kill('SIGTERM');
    await api.apply(...subset(80, 20));
    await start('kernel-native');
    await becomes('green,red');
    const split = async () => (await mesh.ctl('get', 'routes', '-A', '-o', 'json')).stdout.includes('80%');
    await until('the weights are in force', split, 20_000 * patience);
    const load = await httpLoad(client, vip, 80, [{ from: names, path: '/' }], ['--requests', '5000']);
    assert.equal(load.failed, 0);
    const share = (load.answers['red'] ?? 0) / load.requests;
    assert.ok(Math.abs(share - 0.8) < 0.02, `${share}`);
    await mesh.settled();
  });

  test('without the token istiod refuses, and what was in force stays', async () => {
    writeFileSync(token, 'not a token');
    await istiod.stop();
    await istiod.start();
    const refused = /WARN xds: the stream ended; .*UNAUTHENTICATED/;
    await mesh.daemon.line(refused, { stream: 'stderr', timeoutMs: 30_000 * patience });
    assert.equal((await manyConnections(client, [vip, '80', '60'])).failures, 0);
    // It is read anew for each stream.
    writeFileSync(token, await api.token('kmesh-system', 'kmesh', 'istio-ca'));
    await mesh.settled();
    await until(
      'connected again',
      async () => {
        return (await mesh.status()).sources.some(({ xds }) => xds?.connected === true);
      },
      30_000 * patience,
    );
  });
});
