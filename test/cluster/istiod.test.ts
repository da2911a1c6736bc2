/**
 * With the stock istiod: the agents know pods and namespaces from the Kubernetes API, and everything else from the control
 * plane, in both modes.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster, istiodMissing } from '../lab/cluster/cluster.ts';
import { enrolled, status } from '../lab/cluster/kmesh.ts';
import { Load } from '../lab/cluster/load.ts';
import {
  deployment,
  destinationRule,
  list,
  loadPod,
  namespace,
  service,
  virtualService,
  webPod,
} from '../lab/cluster/shop.ts';
import { waitFor } from '../lab/cluster/wait.ts';

const nodes = ['n1', 'n2'] as const;

describe('with istiod', { skip: istiodMissing() }, () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.up();
    const address = await cluster.startIstiod();
    await cluster.installKmesh(
      ...['--set', `deploy.kmesh.env.xdsAddress=${address}`, '--set', 'deploy.kmesh.mode=kernel-native'],
      ...['--set', 'deploy.kmesh.containers.kmeshDaemonArgs=--kubernetes-kinds=Namespace\\,Pod'],
    );
    await cluster.apply(
      list(
        ...[namespace('shop', { 'istio.io/dataplane-mode': 'Kmesh' }), service('web', 'shop', { app: 'web' })],
        ...['v1', 'v2'].map((version) => deployment(`web-${version}`, 'shop', version, 2)),
        ...nodes.map((node) => webPod({ name: `client-${node}`, namespace: 'shop', node })),
      ),
    );
    await cluster.kubectl(['-n', 'shop', 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s']);
    await enrolled(cluster, 'shop');
  });
  after(() => Cluster.end());

  const ask = async (node: string, times: number, ...headers: string[]): Promise<Record<string, number>> => {
    const command = ['/program', 'get', String(times), 'http://web/', ...headers];
    const counts: Record<string, number> = {};
    for (const line of (await cluster.inPod('shop', `client-${node}`, command)).trim().split('\n')) {
      const [code = '', version = ''] = line.split(' ');
      const key = code === '200' ? version : line;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  };

  test('services come from the control plane alone', async () => {
    for (const node of nodes) {
      const { ready, sources, problems, kernel } = await status(cluster, node);
      assert.deepEqual([ready, kernel.differences], [true, []]);
      const kinds = sources.flatMap(({ resources = [] }) => resources.map(({ name }) => name));
      assert.ok(kinds.includes('Pod') && !kinds.includes('Service'), kinds.join(' '));
      assert.deepEqual(
        problems.filter(({ severity }) => severity === 'error'),
        [],
      );
    }
  });

  test('a canary and a header route of a VirtualService are followed from both nodes', async () => {
    await cluster.apply(list(destinationRule('shop', 'web', ['v1', 'v2']), virtualService('shop', 'web', [90, 10])));
    for (const node of nodes) {
      await waitFor('the header route', async () => (await ask(node, 5, 'x-user:jane'))['v2'] === 5, 20_000);
      assert.deepEqual(await ask(node, 20, 'x-user:jane'), { v2: 20 });
      const { v1 = 0, v2 = 0 } = await ask(node, 1000);
      assert.equal(v1 + v2, 1000);
      assert.ok(v2 > 50 && v2 < 150, `${v2} of 1000`);
    }
  });

  test('istiod is killed and traffic goes on; it comes again and new weights are followed', async () => {
    await cluster.apply(list(loadPod('load', 'shop', 'n2', ['keep=http://web/', 'new=http://web/'], 20)));
    await cluster.kubectl(['-n', 'shop', 'wait', '--for=condition=Ready', 'pod/load', '--timeout=30s']);
    await enrolled(cluster, 'shop');
    const load = await Load.of(cluster, 'shop', ['load']);
    await load.flows();
    await load.take();
    await cluster.nodes[0].kill('istiod');
    await load.allGood('istiod is away');
    await cluster.apply(list(virtualService('shop', 'web', [0, 100])));
    await cluster.startIstiod();
    for (const node of nodes) {
      await waitFor('the new weights', async () => (await ask(node, 20))['v2'] === 20, 60_000);
    }
    await load.allGood('istiod has come again');
  });
});
