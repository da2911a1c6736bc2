/**
 * What a user does: helm install, a label, routes; an agent that is away; helm upgrade under load; helm uninstall, after which
 * the nodes are as before.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chart } from '../../tools/chart.ts';
import { agentNamespace, Cluster, chartValues, clusterMissing } from '../lab/cluster/cluster.ts';
import { prefix } from '../lab/cluster/cluster-node.ts';
import { devicesWithPrograms, enrolled } from '../lab/cluster/kmesh.ts';
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

const kmeshctl = join(import.meta.dirname, '..', '..', 'bin', 'kmeshctl');
const nodes = ['n1', 'n2'] as const;

describe('Kmesh by its Helm chart', { skip: clusterMissing() }, () => {
  let cluster: Cluster;
  let before_: ReadonlyMap<string, string>;
  let readyMs = 0;

  /** A pod whose first act is to ask. */
  const asker = (name: string, ns: string, node: string) => ({
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name, namespace: ns, labels: { app: 'asker' } },
    spec: {
      ...{ nodeName: node, restartPolicy: 'Never', terminationGracePeriodSeconds: 1 },
      containers: [
        { name: 'ask', image: 'localhost/web:1', imagePullPolicy: 'Never', args: ['get', '1', 'http://web.shop/'] },
      ],
    },
  });
  const phase = (ns: string, name: string) =>
    cluster.kubectl(['-n', ns, 'get', 'pod', name, '-o', 'jsonpath={.status.phase}']);
  /** What a node has of the mesh, and of CNI, as text. */
  const state = async (node: string): Promise<string> => {
    const script = [
      'cd /etc/cni/net.d && for f in $(ls -A); do echo "$f $(stat -c %a:%U $f)"; cat "$f"; done',
      'ls -A /opt/cni/bin /sys/fs/bpf',
      'find /run/kmesh -type f -o -type s 2>/dev/null',
      'tc qdisc show | grep clsact',
    ];
    const { stdout } = await cluster.node(node).exec(['sh', '-c', `${script.join('; ')}; true`]);
    return `${stdout}${JSON.stringify(await devicesWithPrograms(cluster, node))}`;
  };
  const annotated = async (): Promise<number> => {
    const path = '.metadata.annotations.kmesh\\.net/redirection';
    return (await cluster.values(['pods', '-A'], path)).length;
  };

  before(async () => {
    cluster = await Cluster.up();
    await cluster.importKmesh();
    before_ = new Map(await Promise.all(nodes.map(async (node) => [node, await state(node)] as const)));
    const begun = performance.now();
    await cluster.helm('install', chart, '--create-namespace', ...chartValues);
    await cluster.agentsReady();
    readyMs = performance.now() - begun;
    await cluster.apply(
      list(
        ...[namespace('shop', { 'istio.io/dataplane-mode': 'Kmesh' }), namespace('plain')],
        ...['v1', 'v2'].map((version) => deployment(`web-${version}`, 'shop', version, 2)),
        service('web', 'shop', { app: 'web' }),
        ...[destinationRule('shop', 'web', ['v1', 'v2']), virtualService('shop', 'web', [0, 100])],
      ),
    );
    for (const version of ['v1', 'v2']) {
      await cluster.kubectl(['-n', 'shop', 'rollout', 'status', `deploy/web-${version}`, '--timeout=90s']);
    }
    await enrolled(cluster, 'shop');
  });
  after(() => Cluster.end());

  test('it is ready soon, and says so', async (t) => {
    t.diagnostic(`ready ${(readyMs / 1000).toFixed(1)} s after helm install began`);
    assert.ok(readyMs < 30_000, `${readyMs} ms`);
    const report = await cluster.asAdmin(kmeshctl, 'check', '--cluster');
    for (const node of nodes) assert.match(report, new RegExp(`node ${node}\n-+\n√ the agent is ready\n`));
    assert.equal(report.match(/√ pods start under the mesh/g)?.length, 2, report);
  });

  test('pods follow the routes with their very first request', async () => {
    const askers = nodes.flatMap((node) =>
      Array.from({ length: 8 }, (_, i) => asker(`first-${node}-${i}`, 'shop', node)),
    );
    await cluster.apply(list(...askers));
    for (const { metadata } of askers) {
      await waitFor(`${metadata.name} ends`, async () => (await phase('shop', metadata.name)) === 'Succeeded', 60_000);
      assert.match(await cluster.kubectl(['-n', 'shop', 'logs', metadata.name]), /^200 v2 /);
    }
    await cluster.kubectl(['-n', 'shop', 'delete', 'pod', '-l', 'app=asker']);
  });

  test('while no agent is there, pods that are not enrolled start, and the others when it is back', async () => {
    const select = (text: string) =>
      cluster.kubectl(['-n', agentNamespace, 'patch', 'ds', 'kmesh', '--type=merge', '-p', text]);
    await select('{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"true"}}}}}');
    const agents = () => cluster.values(['-n', agentNamespace, 'pods', '-l', 'app=kmesh'], '.metadata.name');
    await waitFor('the agents end', async () => (await agents()).length === 0, 60_000);
    await cluster.apply(list(webPod({ name: 'idle', namespace: 'plain', node: 'n1' }), asker('waits', 'shop', 'n2')));
    await cluster.kubectl(['-n', 'plain', 'wait', '--for=condition=Ready', 'pod/idle', '--timeout=60s']);
    const events = () =>
      cluster.kubectl(['-n', 'shop', 'get', 'events', '--field-selector', 'involvedObject.name=waits']);
    await waitFor('the kubelet says why', async () => /kmesh-daemon, .* is away/.test(await events()), 60_000);
    assert.equal(await phase('shop', 'waits'), 'Pending');
    await select('{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":null}}}}}');
    await cluster.agentsReady();
    await waitFor('the pod runs', async () => (await phase('shop', 'waits')) === 'Succeeded', 90_000);
    assert.match(await cluster.kubectl(['-n', 'shop', 'logs', 'waits']), /^200 v2 /);
    await cluster.kubectl(['-n', 'shop', 'delete', 'pod', 'waits']);
  });

  test('helm upgrade under load: no request fails', async (t) => {
    const pods = nodes.map((node) => `load-${node}`);
    await cluster.apply(
      list(...nodes.map((node) => loadPod(`load-${node}`, 'shop', node, ['keep=http://web/', 'new=http://web/'], 50))),
    );
    await cluster.kubectl([
      '-n',
      'shop',
      'wait',
      '--for=condition=Ready',
      ...pods.map((p) => `pod/${p}`),
      '--timeout=60s',
    ]);
    await enrolled(cluster, 'shop');
    const load = await Load.of(cluster, 'shop', pods);
    await load.flows();
    await load.take();
    await cluster.helm('upgrade', chart, ...chartValues, '--set', 'deploy.kmesh.logLevel=debug');
    await cluster.agentsReady();
    t.diagnostic(`${await load.allGood('helm upgrade')} requests, none failed`);
  });

  test('helm uninstall leaves the nodes as they were, and pods work on', async () => {
    assert.ok((await annotated()) > 0);
    const begun = performance.now();
    await cluster.helm('uninstall');
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(seconds < 60, `${seconds} s`);
    for (const node of nodes) assert.equal(await state(node), before_.get(node));
    assert.equal(await annotated(), 0);
    const kinds = 'clusterrole,clusterrolebinding';
    assert.doesNotMatch(await cluster.kubectl(['get', kinds, '-o', 'name']), /kmesh/);
    assert.equal(await cluster.kubectl(['-n', agentNamespace, 'get', 'all,role,rolebinding,lease', '-o', 'name']), '');
    const load = await Load.of(cluster, 'shop', ['load-n1', 'load-n2']);
    await load.take();
    await load.allGood('after helm uninstall');
    await cluster.apply(list(webPod({ name: 'later', namespace: 'shop', node: 'n1' })));
    await cluster.kubectl(['-n', 'shop', 'wait', '--for=condition=Ready', 'pod/later', '--timeout=60s']);
  });

  test('kmeshctl does the same without Helm', async () => {
    await cluster.asAdmin(kmeshctl, 'check', '--cluster', '--pre');
    const own = ['--cgroup2', '/sys/fs/cgroup/unified', '--cgroup2-sub-path', `${prefix}-$(NODE_NAME)`];
    const installed = await cluster.asAdmin(kmeshctl, 'install', '--image-pull-policy', 'Never', ...own);
    assert.match(installed, /2 agents are ready\n$/);
    await enrolled(cluster, 'shop');
    await cluster.asAdmin(kmeshctl, 'uninstall');
    for (const node of nodes) assert.equal(await state(node), before_.get(node));
    assert.equal(await annotated(), 0);
  });
});
