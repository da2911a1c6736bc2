/**
 * The agent of a Kubernetes node: it finds its pods' network namespaces by their addresses and their processes, tells the API
 * server what is enrolled, and leaves other nodes' pods and a pod's own wishes about namespaces alone.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { WorkloadItem } from '../../src/api/types.ts';
import type { Host } from '../lab/host.ts';
import { ControlPlane, hasRealServer } from '../lab/kubernetes/control-plane.ts';
import { serviceOf } from '../lab/kubernetes/objects.ts';
import { Lab } from '../lab/lab.ts';
import { meshOf, patience, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const why = hasRealServer
  ? process.getuid?.() !== 0 && process.env['CI'] === undefined
  : 'no kube-apiserver (make test-lab builds it): NOT RUN';
const label = 'istio.io/dataplane-mode';
const web = '10.96.0.20';

interface PodObject {
  readonly metadata: { readonly uid: string; readonly annotations?: Readonly<Record<string, string>> };
}

describe('the agent of a Kubernetes node', { skip: why }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let api: ControlPlane;
  let client: Host;
  let second: Host;
  /** As the container runtime of the node keeps namespaces. */
  let directory: string;

  const path = (name: string): string => `/api/v1/namespaces/shop/pods/${name}`;
  const keep = (host: Host): void => symlinkSync(host.netnsPath, join(directory, `cni-${host.name}`));
  interface Options {
    readonly node?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly hostNetwork?: boolean;
  }
  const pod = async (name: string, ip: string, options: Options = {}): Promise<string> => {
    const { node = 'n1', labels = {}, annotations = {}, hostNetwork = false } = options;
    const spec = { nodeName: node, hostNetwork, containers: [{ name: 'app', image: 'none' }] };
    const metadata = { name, namespace: 'shop', labels, annotations };
    await api.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
    const conditions = [{ type: 'Ready', status: 'True' }];
    const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions };
    await api.applyAt(`${path(name)}/status`, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop' },
      status,
    });
    return (await api.read<PodObject>(path(name))).metadata.uid;
  };
  const item = async (name: string): Promise<WorkloadItem | undefined> =>
    (await mesh.get<WorkloadItem>('workloads')).find((w) => w.name === name);
  const becomes = (name: string, state: RegExp): Promise<void> =>
    until(`${name} is ${state}`, async () => state.test((await item(name))?.mesh ?? ''), 10_000 * patience);
  const annotated = async (name: string): Promise<boolean> =>
    (await api.read<PodObject>(path(name))).metadata.annotations?.['kmesh.net/redirection'] === 'enabled';
  const served = async (host: Host): Promise<string> =>
    (await host.exec(['curl', '-sS', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', `http://${web}/`])).stdout;
  const start = () => {
    const flags = ['--node-agent', '--node-name', 'n1', '--netns-path', directory, '--kubeconfig', api.kubeconfig];
    return mesh.start(flags);
  };

  before(async () => {
    lab = await Lab.create();
    [client, second] = [await lab.pod('client'), await lab.pod('second')];
    const server = await lab.pod('server');
    await startNginx(server, { port: 8080 });
    directory = join(lab.directory, 'netns');
    mkdirSync(directory);
    api = new ControlPlane(lab);
    await api.start();
    const watched = {
      apiGroups: ['', 'discovery.k8s.io'],
      resources: ['namespaces', 'nodes', 'pods', 'services', 'endpointslices'],
    };
    await api.grant({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'kmesh' },
      rules: [
        { ...watched, verbs: ['list', 'watch'] },
        { apiGroups: [''], resources: ['pods/status'], verbs: ['patch'] },
      ],
    });
    await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { [label]: 'Kmesh' } } });
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'shop' } };
    await api.applyAt('/api/v1/namespaces/shop/serviceaccounts/default', account);
    await api.apply(...serviceOf('web', web, server.ip4));
    mesh = meshOf(lab);
    await start();
  });
  after(() => lab?.close());

  test('a pod is found by its address, enrolled and annotated; one that is known later too', async () => {
    keep(client);
    await pod('client', client.ip4);
    await becomes('client', /^enrolled$/);
    assert.equal(await served(client), '200');
    assert.equal((await item('client'))?.netns, join(directory, 'cni-client'));
    await until('it is annotated', () => annotated('client'), 10_000 * patience);
    await pod('second', second.ip4);
    await becomes('second', /^pending: its network namespace was not found/);
    assert.equal(await annotated('second'), false);
    keep(second);
    await becomes('second', /^enrolled$/);
  });

  test('who gives itself another pod’s address does not get its place: processes tell whose is whose', async () => {
    const thief = await lab.pod('thief');
    const victim = await lab.pod('victim');
    await lab.node.exec([
      'nsenter',
      `--net=${thief.netnsPath}`,
      'ip',
      'addr',
      'add',
      `${victim.ip4}/32`,
      'dev',
      'eth0',
    ]);
    keep(thief);
    keep(victim);
    const uid = await pod('victim', victim.ip4);
    await becomes('victim', /^pending: 2 network namespaces on this node may be its/);
    assert.equal(await served(thief), '000');
    const cgroup = join(lab.cgroup, 'kubepods', 'besteffort', `pod${uid}`, 'container');
    mkdirSync(cgroup, { recursive: true });
    // It is put into the lab's cgroup first.
    const process = victim.spawn(['sh', '-c', 'echo here; exec sleep 600']);
    await process.line(/^here$/);
    writeFileSync(join(cgroup, 'cgroup.procs'), String(process.pid));
    await becomes('victim', /^enrolled$/);
    assert.equal((await item('victim'))?.netns, join(directory, 'cni-victim'));
    assert.deepEqual([await served(thief), await served(victim)], ['000', '200']);
  });

  test('pods of other nodes, of the node’s network, and what a pod says of its namespace do not count', async () => {
    const other = await lab.pod('other');
    keep(other);
    await pod('other', other.ip4, { node: 'n2' });
    await becomes('other', /^on node n2$/);
    await pod('hostly', '192.0.2.1', { hostNetwork: true });
    await becomes('hostly', /^host network: not enrolled$/);
    const chosen = await lab.pod('chosen');
    await pod('chosen', '192.0.2.2', { annotations: { 'kmesh.net/netns': chosen.netnsPath } });
    await becomes('chosen', /^pending: its network namespace was not found/);
    for (const host of [other, chosen]) assert.equal(await served(host), '000');
    for (const name of ['other', 'hostly', 'chosen']) assert.equal(await annotated(name), false);
  });

  test('the label none opts out, live; what was enrolled is known again after a restart', async () => {
    const set = (mode: string) => pod('second', second.ip4, { labels: { [label]: mode } });
    await set('none');
    await becomes('second', /^not enrolled$/);
    await until('its annotation is gone', async () => !(await annotated('second')), 10_000 * patience);
    assert.equal(await served(second), '000');
    await mesh.daemon.kill('SIGKILL');
    assert.equal(await served(client), '200');
    await set('Kmesh');
    await start();
    await becomes('second', /^enrolled$/);
    await until('it is annotated', () => annotated('second'), 10_000 * patience);
    assert.equal(await served(second), '200');
  });

  test('a pod whose namespace goes is enrolled no more, and the next one of its name is', async () => {
    rmSync(join(directory, 'cni-second'));
    lab.removePod('second');
    await becomes('second', /^pending: its network namespace (is gone|was not found)/);
    second = await lab.pod('second');
    keep(second);
    await pod('second', second.ip4);
    await becomes('second', /^enrolled$/);
    assert.equal(await served(second), '200');
    await mesh.settled();
  });

  test('the kubelet can ask whether it is ready', async () => {
    const get = (path: string) => lab.node.output(['curl', '-sS', '-m', '5', `http://127.0.0.1:15200${path}`]);
    assert.equal(await get('/readyz'), 'ready');
    assert.equal(await get('/healthz'), 'ok');
  });
});
