/** kmeshctl install, check and uninstall with a real API server. No kubelet is there: the test says what the agents do. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { ControlPlane, hasRealServer } from '../lab/kubernetes/control-plane.ts';
import { Lab } from '../lab/lab.ts';
import { meshOf, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const why = !hasRealServer
  ? 'no kube-apiserver (make test-lab builds it): NOT RUN'
  : process.getuid?.() !== 0 && process.env['CI'] === undefined;

const daemonSet = '/apis/apps/v1/namespaces/kmesh-system/daemonsets/kmesh';

interface DaemonSet {
  readonly kind: string;
  readonly metadata: {
    readonly generation: number;
    readonly finalizers?: readonly string[];
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
}

describe('Kmesh in a cluster by kmeshctl', { skip: why }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let api: ControlPlane;
  let admin: readonly string[];

  const ctl = (...args: readonly string[]) => mesh.ctl(...args, ...admin);
  const read = () => api.read<DaemonSet>(daemonSet);

  before(async () => {
    lab = await Lab.create();
    mesh = meshOf(lab);
    api = new ControlPlane(lab);
    await api.start();
    admin = ['--kubeconfig', api.adminKubeconfig];
  });
  after(() => lab?.close());

  test('who may not install is told so before', async () => {
    const can = await ctl('check', '--cluster', '--pre');
    assert.deepEqual([can.code, can.stderr], [0, '']);
    assert.match(can.stdout, /√ the cluster is Kubernetes 1\.27 or newer: v1\./);
    assert.match(can.stdout, /‼ Gateway API: HTTPRoute\n {4}the cluster has no httproutes/);
    const cannot = await mesh.ctl('check', '--cluster', '--pre', '--kubeconfig', api.kubeconfig);
    assert.equal(cannot.code, 1);
    assert.match(cannot.stdout, /× you may create clusterroles/);
    const tried = await mesh.ctl('install', '--no-wait', '--kubeconfig', api.kubeconfig);
    assert.equal(tried.code, 1);
    assert.match(tried.stderr, /KM6011 .*forbidden/);
  });

  test('what is installed is taken by the API server, again without a change, and updated', async () => {
    const first = await ctl('install', '--no-wait');
    assert.deepEqual([first.code, first.stderr], [0, '']);
    assert.match(
      first.stdout,
      /^namespace\/kmesh-system created\n(.*created\n)+daemonset\/kmesh created\nlease\/kmesh-status created\n$/,
    );
    const again = await ctl('install', '--no-wait');
    assert.doesNotMatch(again.stdout, /created|configured/);
    const update = await ctl(
      'install',
      '--no-wait',
      '--image',
      'registry.example/kmesh:v2',
      '--mesh-controller',
      'istiod:15012',
    );
    assert.match(update.stdout, /daemonset\/kmesh configured\nlease\/kmesh-status unchanged\n$/);
    const [{ image } = { image: '' }] = (await read()).spec.template.spec.containers;
    assert.equal(image, 'registry.example/kmesh:v2');
  });

  test('it waits for the agents, and says how many are not ready', async () => {
    const { generation } = (await read()).metadata;
    const status = (ready: number) => ({
      status: {
        ...{
          currentNumberScheduled: 2,
          numberMisscheduled: 0,
          desiredNumberScheduled: 2,
          observedGeneration: generation,
        },
        ...{ numberReady: ready, updatedNumberScheduled: 2, numberAvailable: ready },
      },
    });
    await api.patchAt(`${daemonSet}/status`, status(1));
    const image = ['--image', 'registry.example/kmesh:v2', '--mesh-controller', 'istiod:15012'];
    const late = await ctl('install', '--timeout', '1s', ...image);
    assert.equal(late.code, 1);
    assert.match(late.stderr, /KM6006 the agents are not ready after 1 s: 1 of 2 are ready/);
    const checked = await ctl('check', '--cluster');
    assert.match(
      checked.stdout,
      /× every node has a ready agent of this version\n {4}1 of 2 are ready, 2 are of this version/,
    );
    await api.patchAt(`${daemonSet}/status`, status(2));
    const done = await ctl('install', ...image);
    assert.deepEqual([done.code, done.stdout.split('\n').at(-2)], [0, '2 agents are ready']);
  });

  test('uninstall lets the agents clean their nodes before it takes their rights, and leaves nothing', async () => {
    const running = ctl('uninstall');
    await until('it is being deleted', async () => (await read()).metadata.deletionTimestamp !== undefined, 20_000);
    const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/kmesh';
    assert.equal((await api.read<{ kind: string }>(role)).kind, 'ClusterRole');
    // As the garbage collector does it when the last pod is gone.
    await api.patchAt(daemonSet, { metadata: { finalizers: null } });
    const { code, stdout, stderr } = await running;
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /clusterrole\/kmesh deleted\n(.*deleted\n)*namespace\/kmesh-system deleted\n$/);
    for (const path of [daemonSet, role]) assert.equal((await api.read<{ kind: string }>(path)).kind, 'Status');
    const again = await ctl('uninstall');
    assert.equal(again.code, 0);
    assert.match(again.stdout, /^there are no agents\n/);
  });

  test('what Helm has installed is left to Helm', async () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mesh' } };
    await api.apply(namespace);
    const template = { metadata: { labels: { app: 'kmesh' } }, spec: { containers: [{ name: 'kmesh', image: 'x' }] } };
    const labels = { 'app.kubernetes.io/managed-by': 'Helm' };
    const annotations = { 'meta.helm.sh/release-name': 'my-mesh' };
    await api.applyAt('/apis/apps/v1/namespaces/mesh/daemonsets/kmesh', {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'kmesh', namespace: 'mesh', labels, annotations },
      spec: { selector: { matchLabels: { app: 'kmesh' } }, template },
    });
    const refused = await ctl('uninstall', '-n', 'mesh');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /KM6012 Kmesh is the Helm release my-mesh here: use helm uninstall my-mesh/);
    assert.match((await ctl('install', '-n', 'mesh', '--no-wait')).stderr, /KM6012 .*helm upgrade my-mesh/);
  });
});
