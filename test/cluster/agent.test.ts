/**
 * The agent on a cluster of two nodes, with no control plane but the Kubernetes API: a label enrols, routes are followed from
 * both nodes, what is not enrolled is left alone.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { agentNamespace, Cluster, clusterMissing } from '../lab/cluster/cluster.ts';
import { agentOf, deviceOf, devicesWithPrograms, enrolled, kmeshctl, status, workloads } from '../lab/cluster/kmesh.ts';
import { Load } from '../lab/cluster/load.ts';
import {
  deployment,
  destinationRule,
  httpRoute,
  list,
  loadPod,
  namespace,
  service,
  virtualService,
  webPod,
} from '../lab/cluster/shop.ts';
import { waitFor } from '../lab/cluster/wait.ts';

const missing = clusterMissing();
const nodes = ['n1', 'n2'] as const;
const label = 'istio.io/dataplane-mode';

describe('the agent of a node', { skip: missing }, () => {
  let cluster: Cluster;
  let readyMs = 0;

  before(async () => {
    cluster = await Cluster.up();
    const begun = performance.now();
    await cluster.installKmesh();
    readyMs = performance.now() - begun;
    await cluster.apply(
      list(
        ...[namespace('shop'), namespace('outside'), service('web', 'shop', { app: 'web' })],
        ...['v1', 'v2'].flatMap((version) => [
          deployment(`web-${version}`, 'shop', version, 2),
          service(`web-${version}`, 'shop', { app: 'web', version }),
        ]),
        ...nodes.flatMap((node) => [
          webPod({ name: `client-${node}`, namespace: 'shop', node }),
          webPod({ name: `other-${node}`, namespace: 'outside', node }),
          loadPod(`load-${node}`, 'shop', node, ['keep=http://web/', 'new=http://web/'], 20),
        ]),
        webPod({ name: 'host', namespace: 'shop', node: 'n1', hostNetwork: true, port: 8099 }),
      ),
    );
    for (const ns of ['shop', 'outside']) {
      await cluster.kubectl(['-n', ns, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s']);
    }
  });
  after(() => Cluster.end());

  const enrol = (mode: string): Promise<string> =>
    cluster.kubectl(['label', 'ns', 'shop', '--overwrite', mode === '' ? `${label}-` : `${label}=${mode}`]);
  const podIp = (ns: string, name: string): Promise<string> =>
    cluster.kubectl(['-n', ns, 'get', 'pod', name, '-o', 'jsonpath={.status.podIP}']);
  /** How often each version answered. */
  const ask = async (node: string, times: number, ...headers: string[]): Promise<Record<string, number>> => {
    const text = await cluster.inPod('shop', `client-${node}`, [
      '/program',
      'get',
      String(times),
      'http://web/',
      ...headers,
    ]);
    const counts: Record<string, number> = {};
    for (const line of text.trim().split('\n')) {
      const [code = '', version = ''] = line.split(' ');
      const key = code === '200' ? version : line;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  };
  const near = (count: number | undefined, of: number, share: number): void => {
    // Five standard deviations.
    const slack = 5 * Math.sqrt(of * share * (1 - share));
    assert.ok(Math.abs((count ?? 0) - of * share) <= slack, `${count} of ${of}, not about ${of * share}`);
  };
  const annotated = async (): Promise<string[]> =>
    (
      await cluster.values(
        ['pods', '-A'],
        '.metadata.namespace} {.metadata.name} {.metadata.annotations.kmesh\\.net/redirection',
      )
    )
      .filter((line) => line.endsWith(' enabled'))
      .map((line) => line.split(' ')[1] ?? '')
      .sort();

  test('it is ready within 30 s of its installation, unprivileged', async (t) => {
    t.diagnostic(`ready after ${(readyMs / 1000).toFixed(1)} s`);
    assert.ok(readyMs < 30_000, `${readyMs} ms`);
    const privileged = await cluster.values(
      ['-n', agentNamespace, 'pods'],
      '.spec.containers[0].securityContext.privileged',
    );
    assert.deepEqual(
      privileged.filter((value) => value === 'true'),
      [],
    );
    for (const node of nodes) {
      const report = await status(cluster, node);
      assert.deepEqual([report.ready, report.kernel.differences, report.counts.enrolled], [true, [], 0]);
      assert.deepEqual(await devicesWithPrograms(cluster, node), {});
    }
    assert.deepEqual(await annotated(), []);
  });

  test('labelling a namespace puts its pods under the mesh, on both nodes, and no running request fails', async () => {
    const load = await Load.of(cluster, 'shop', ['load-n1', 'load-n2']);
    await load.flows();
    await load.take();
    await enrol('Kmesh');
    await enrolled(cluster, 'shop');
    await load.allGood('labelling');
    const own = await cluster.values(['-n', 'shop', 'pods'], '.metadata.name');
    await waitFor('the annotations', async () => (await annotated()).length === own.length - 1, 10_000);
    assert.deepEqual(await annotated(), own.filter((name) => name !== 'host').sort());
    for (const node of nodes) {
      assert.deepEqual((await status(cluster, node)).kernel.differences, []);
    }
  });

  test('only enrolled pods have a program on their path, and only on their own node', async () => {
    for (const node of nodes) {
      const programs = await devicesWithPrograms(cluster, node);
      const where = ['pods', '-A', '--field-selector', `spec.nodeName=${node}`];
      const pods = await cluster.values(where, '.metadata.namespace} {.status.podIP} {.spec.hostNetwork');
      const wanted: Record<string, number> = {};
      for (const line of pods) {
        const [ns, ip = '', hostNetwork] = line.split(' ');
        if (ns === 'shop' && hostNetwork !== 'true') wanted[await deviceOf(cluster, node, ip)] = 2;
      }
      assert.deepEqual(programs, wanted);
    }
  });

  test('what is not enrolled is said plainly: another node, host network, no label', async () => {
    for (const node of nodes) {
      const seen = await workloads(cluster, node);
      for (const other of nodes) {
        assert.equal(seen.get(`shop/client-${other}`)?.mesh, node === other ? 'enrolled' : `on node ${other}`);
        assert.equal(seen.get(`outside/other-${other}`)?.mesh, 'not enrolled');
      }
      assert.equal(seen.get('shop/host')?.mesh, 'host network: not enrolled');
      assert.match(seen.get(`shop/client-${node}`)?.netns ?? '', /^\/run\/netns\/cni-/);
    }
  });

  test('a canary and a header route of a VirtualService are followed from both nodes, to pods on both', async () => {
    await cluster.apply(list(destinationRule('shop', 'web', ['v1', 'v2']), virtualService('shop', 'web', [90, 10])));
    await waitFor('the header route', async () => (await ask('n1', 5, 'x-user:jane'))['v2'] === 5, 10_000);
    for (const node of nodes) {
      await waitFor('the header route', async () => (await ask(node, 5, 'x-user:jane'))['v2'] === 5, 10_000);
      assert.deepEqual(await ask(node, 20, 'x-user:jane'), { v2: 20 });
      const counts = await ask(node, 1000);
      assert.deepEqual(Object.keys(counts).sort(), ['v1', 'v2']);
      near(counts['v2'], 1000, 0.1);
    }
    const load = await Load.of(cluster, 'shop', ['load-n1', 'load-n2']);
    await load.take();
    await load.flows(60);
    for (const [pod, counts] of await load.take()) {
      // A connection from before the label stays where kube-proxy has sent it.
      assert.deepEqual(Object.keys(counts['new']?.nodes ?? {}).sort(), [...nodes], pod);
    }
    await cluster.kubectl(['-n', 'shop', 'delete', 'virtualservice,destinationrule', 'web']);
  });

  test('the same by an HTTPRoute of the Gateway API, and its weights change live', async () => {
    await cluster.apply(list(httpRoute('shop', 'web', [9, 1])));
    for (const node of nodes) {
      await waitFor('the header route', async () => (await ask(node, 5, 'x-user:jane'))['v2'] === 5, 10_000);
      near((await ask(node, 1000))['v2'], 1000, 0.1);
    }
    await cluster.apply(list(httpRoute('shop', 'web', [0, 1])));
    for (const node of nodes) await waitFor('the new weights', async () => (await ask(node, 20))['v2'] === 20, 10_000);
    await cluster.kubectl(['-n', 'shop', 'delete', 'httproute', 'web']);
  });

  test('the label none opts a pod out, live, and its removal brings it back', async () => {
    const set = (value: string) => cluster.kubectl(['-n', 'shop', 'label', 'pod', 'client-n1', '--overwrite', value]);
    const device = await deviceOf(cluster, 'n1', await podIp('shop', 'client-n1'));
    await set(`${label}=none`);
    const state = async () => (await workloads(cluster, 'n1')).get('shop/client-n1')?.mesh;
    await waitFor('client-n1 is out', async () => (await state()) === 'not enrolled', 10_000);
    await waitFor('its programs are gone', async () => !(device in (await devicesWithPrograms(cluster, 'n1'))), 10_000);
    await waitFor('its annotation is gone', async () => !(await annotated()).includes('client-n1'), 10_000);
    // By kube-proxy alone.
    assert.equal(
      Object.values(await ask('n1', 10)).reduce((a, b) => a + b),
      10,
    );
    await set(`${label}-`);
    await waitFor('client-n1 is back', async () => (await state()) === 'enrolled', 10_000);
    assert.equal((await devicesWithPrograms(cluster, 'n1'))[device], 2);
  });

  test('enrolled and other pods reach each other both ways, by service and by address, over nodes', async () => {
    const get = async (ns: string, pod: string, url: string): Promise<string> =>
      await cluster.inPod(ns, pod, ['/program', 'get', '1', url]);
    for (const from of nodes) {
      for (const to of nodes) {
        const [inside, outside] = [await podIp('shop', `client-${to}`), await podIp('outside', `other-${to}`)];
        assert.match(await get('outside', `other-${from}`, `http://${inside}:8080/`), new RegExp(`^200 client-${to} `));
        assert.match(await get('shop', `client-${from}`, `http://${outside}:8080/`), new RegExp(`^200 other-${to} `));
        assert.match(await get('shop', `client-${from}`, `http://${inside}:8080/`), new RegExp(`^200 client-${to} `));
      }
      assert.match(await get('outside', `other-${from}`, 'http://web.shop/'), /^200 v[12] /);
      assert.match(await get('shop', `client-${from}`, 'http://web.shop.svc.cluster.local/'), /^200 v[12] /);
    }
  });

  test('no pod reaches the admin port, and the metrics port says only metrics', async () => {
    for (const node of nodes) {
      const address = cluster.node(node).ip;
      for (const [ns, pod] of [
        ['shop', `client-${node}`],
        ['outside', `other-${node}`],
      ] as const) {
        const get = (port: number, path: string) =>
          cluster.inPod(ns, pod, ['/program', 'get', '1', `http://${address}:${port}${path}`]);
        assert.match(await get(15200, '/version'), /^error .*connection refused/);
        assert.match(await get(15020, '/metrics'), /^200 # HELP/);
        for (const path of ['/', '/version', '/status', '/debug/config_dump/dual-engine', '/readyz']) {
          assert.match(await get(15020, path), /^404 $/m);
        }
      }
    }
  });

  test('a pod that goes takes its programs along, and the next one gets its own', async () => {
    const before = await devicesWithPrograms(cluster, 'n2');
    const device = await deviceOf(cluster, 'n2', await podIp('shop', 'client-n2'));
    assert.ok(device in before);
    await cluster.kubectl(['-n', 'shop', 'delete', 'pod', 'client-n2', '--wait=true', '--grace-period=1']);
    await waitFor('its device is gone', async () => !(device in (await devicesWithPrograms(cluster, 'n2'))), 10_000);
    const { stdout } = await cluster.node('n2').exec(['ls', '/sys/fs/bpf/kmesh/links']);
    const pins = stdout.split('\n').filter((name) => /^km_(from|to)_pod/.test(name));
    assert.equal(pins.length, 2 * Object.keys(await devicesWithPrograms(cluster, 'n2')).length);
    await cluster.apply(list(webPod({ name: 'client-n2', namespace: 'shop', node: 'n2' })));
    await cluster.kubectl(['-n', 'shop', 'wait', '--for=condition=Ready', 'pod/client-n2', '--timeout=30s']);
    await enrolled(cluster, 'shop');
    assert.deepEqual((await status(cluster, 'n2')).kernel.differences, []);
  });

  test('taking the label away takes everything off the pods, and no running request fails', async () => {
    const load = await Load.of(cluster, 'shop', ['load-n1', 'load-n2']);
    await load.take();
    await enrol('');
    await enrolled(cluster, 'shop', /^not enrolled$/);
    await load.allGood('taking the label away');
    await waitFor('no annotation', async () => (await annotated()).length === 0, 10_000);
    for (const node of nodes) assert.match(await kmeshctl(cluster, node, 'status'), /in sync/);
    assert.ok(await agentOf(cluster, 'n1'));
  });
});
