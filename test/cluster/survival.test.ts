/** What may happen to the agent and the cluster while pods of both nodes ask each other all the time: no request fails. */
import { after, before, describe, test } from 'node:test';
import { agentNamespace, Cluster, clusterMissing } from '../lab/cluster/cluster.ts';
import { agentOf, enrolled, status } from '../lab/cluster/kmesh.ts';
import { Load } from '../lab/cluster/load.ts';
import { deployment, list, loadPod, namespace, service } from '../lab/cluster/shop.ts';
import { waitFor } from '../lab/cluster/wait.ts';

const missing = clusterMissing();
const nodes = ['n1', 'n2'] as const;

describe('traffic goes on', { skip: missing }, () => {
  let cluster: Cluster;
  let load: Load;

  before(async () => {
    cluster = await Cluster.up();
    await cluster.installKmesh();
    const pods = nodes.map((node) =>
      loadPod(`load-${node}`, 'shop', node, ['keep=http://web/', 'new=http://web/'], 50),
    );
    await cluster.apply(
      list(
        namespace('shop', { 'istio.io/dataplane-mode': 'Kmesh' }),
        ...['v1', 'v2'].map((version) => deployment(`web-${version}`, 'shop', version, 2)),
        service('web', 'shop', { app: 'web' }),
      ),
    );
    for (const version of ['v1', 'v2']) await rolledOut(`deploy/web-${version}`);
    await enrolled(cluster, 'shop');
    await cluster.apply(list(...pods));
    await cluster.kubectl(['-n', 'shop', 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s']);
    await enrolled(cluster, 'shop');
    load = await Load.of(
      cluster,
      'shop',
      nodes.map((node) => `load-${node}`),
    );
    await load.flows(50);
    await load.take();
  });
  after(() => Cluster.end());

  const rolledOut = (what: string, ns = 'shop', timeoutS = 120): Promise<string> =>
    cluster.kubectl(['-n', ns, 'rollout', 'status', what, `--timeout=${timeoutS}s`], { timeoutMs: timeoutS * 1000 });
  const inSync = async (): Promise<void> => {
    for (const node of nodes) {
      await waitFor(
        `${node} is in sync`,
        async () => {
          const { ready, kernel } = await status(cluster, node);
          return ready && kernel.inSync;
        },
        20_000,
      );
    }
  };
  /** Both kinds of answers come from pods of both nodes. */
  const good = async (what: string, t: { diagnostic(text: string): void }): Promise<void> => {
    t.diagnostic(`${what}: ${await load.allGood(what)} requests, 0 failed`);
  };

  test('the agents are killed', async (t) => {
    for (const node of nodes) {
      const pod = await agentOf(cluster, node);
      const ofPod = async (field: string) =>
        await cluster.kubectl([
          '-n',
          agentNamespace,
          'get',
          'pod',
          pod,
          '-o',
          `jsonpath={.status.containerStatuses[0].${field}}`,
        ]);
      const container = (await ofPod('containerID')).replace('containerd://', '');
      await cluster.node(node).exec(['ctr', '-n', 'k8s.io', 'task', 'kill', '-s', 'SIGKILL', container]);
      await waitFor('a restart', async () => Number(await ofPod('restartCount')) > 0, 30_000);
    }
    await load.flows(50);
    await inSync();
    await good('kill -9', t);
  });

  test('the agents are updated one after the other', async (t) => {
    await cluster.kubectl(['-n', agentNamespace, 'rollout', 'restart', 'ds/kmesh']);
    await rolledOut('ds/kmesh', agentNamespace);
    await inSync();
    await good('rolling update', t);
  });

  test('the API server is killed and comes again', async (t) => {
    await cluster.restartApiServer();
    await load.flows(50);
    await inSync();
    await good('API server restart', t);
  });

  test('a server’s pods are replaced by others', async (t) => {
    for (const version of ['v1', 'v2']) {
      await cluster.kubectl(['-n', 'shop', 'rollout', 'restart', `deploy/web-${version}`]);
      await rolledOut(`deploy/web-${version}`);
    }
    await good('rollout of the server', t);
  });

  test('200 pods of the service are made and deleted', async (t) => {
    let made = 0;
    while (made < 200) {
      for (const replicas of [12, 2]) {
        for (const version of ['v1', 'v2']) {
          await cluster.kubectl(['-n', 'shop', 'scale', `deploy/web-${version}`, `--replicas=${replicas}`]);
        }
        if (replicas === 12) made += 20;
        for (const version of ['v1', 'v2']) await rolledOut(`deploy/web-${version}`);
      }
      await waitFor(
        'the pods are gone',
        async () => (await cluster.values(['-n', 'shop', 'pods', '-l', 'app=web'], '.metadata.name')).length === 4,
        60_000,
      );
    }
    await enrolled(cluster, 'shop');
    await inSync();
    await good(`${made} pods`, t);
    for (const node of nodes) {
      const where = ['-n', 'shop', 'pods', '--field-selector', `spec.nodeName=${node}`];
      const pods = await cluster.values(where, '.metadata.name');
      await waitFor(
        'only pins of pods that are there',
        async () => {
          const { stdout } = await cluster.node(node).exec(['ls', '/sys/fs/bpf/kmesh/links']);
          return stdout.split('\n').filter((name) => /^km_(from|to)_pod/.test(name)).length === 2 * pods.length;
        },
        10_000,
      );
    }
  });
});
