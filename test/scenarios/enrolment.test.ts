/** Who is under the mesh, live; who is not is never touched; and nothing is left when it is uninstalled. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { WorkloadItem } from '../../src/api/types.ts';
import { manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);

describe('enrolment', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let other: Host;
  let server: Host;

  const answers = async (from: Host): Promise<boolean> => {
    const { answers: got } = await manyConnections(from, ['10.96.0.1', '80', '3', '--timeout', '2']);
    const served = got['server'] ?? 0;
    assert.ok(served === 0 || served === 3, `${served} of 3`);
    return served === 3;
  };
  const state = async (name: string): Promise<string | undefined> =>
    (await mesh.get<WorkloadItem>('workloads')).find((w) => w.name === name)?.mesh;
  const labelled = (host: Host, mode: string): string =>
    pod(host).replace('labels: {', `labels: {"istio.io/dataplane-mode":"${mode}",`);

  before(async () => {
    lab = await Lab.create();
    [client, other, server] = await Promise.all([lab.pod('client'), lab.pod('other'), lab.pod('server')]);
    await startNginx(server, { port: 8080 });
    mesh = meshOf(lab);
    mesh.write('shop.yaml', entry('shop', { addresses: ['10.96.0.1'], endpoints: [{ address: server.ip4 }] }));
    mesh.write('namespace.yaml', namespace('shop', true));
    mesh.write('pods.yaml', file(pod(client), pod(server)));
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('a pod of an enrolled namespace is served, a process elsewhere is not touched', async () => {
    assert.equal(await answers(client), true);
    assert.equal(await answers(other), false);
    assert.equal(await answers(lab.node), false);
    const outside = await client.exec(['curl', '-sS', '-m', '2', 'http://10.96.0.1/'], { cgroup: 'outside' });
    assert.equal(outside.code, 7, 'a process outside the cgroup that the mesh is attached to');
  });

  test('the label of the namespace enrols and releases live', async () => {
    mesh.write('namespace.yaml', namespace('shop', false));
    await mesh.settled();
    assert.equal(await answers(client), false);
    assert.equal(await state('client'), 'not enrolled');
    mesh.write('namespace.yaml', namespace('shop', true));
    await mesh.settled();
    assert.equal(await answers(client), true);
    assert.equal(await state('client'), 'enrolled');
  });

  test('the label of a pod wins: none opts out, Kmesh in any case opts in', async () => {
    mesh.write('pods.yaml', file(labelled(client, 'none'), pod(server)));
    await mesh.settled();
    assert.equal(await answers(client), false);
    mesh.write('namespace.yaml', namespace('shop', false));
    mesh.write('pods.yaml', file(labelled(client, 'kMESH'), pod(server)));
    await mesh.settled();
    assert.equal(await answers(client), true);
    mesh.write('namespace.yaml', namespace('shop', true));
    mesh.write('pods.yaml', file(pod(client), pod(server)));
    await mesh.settled();
  });

  test('a namespace that appears after its pod is found, and one that is made anew under the same name', async () => {
    mesh.write(
      'late.yaml',
      `
apiVersion: v1
kind: Pod
metadata: {name: late, namespace: shop, annotations: {kmesh.net/netns: ${lab.prefix}-late}}
`,
    );
    await mesh.settled();
    assert.match((await state('late')) ?? '', /^pending: .*does not exist/);
    for (let round = 0; round < 2; round++) {
      const late = await lab.pod('late');
      await until('it is enrolled', async () => (await state('late')) === 'enrolled');
      assert.equal(await answers(late), true);
      lab.removePod('late');
      // Else what is said of the namespace before would be taken for the next one's.
      await until('its namespace is missed', async () => (await state('late')) !== 'enrolled');
    }
    mesh.write('late.yaml', null);
    await mesh.settled();
  });

  test('uninstall leaves no program, map, link, pin or file', async () => {
    const kmeshObjects = async (): Promise<string[]> => {
      const pins = (await lab.node.output(['bpftool', '-j', 'link', 'show', '-f'])).includes(lab.bpfFsPath)
        ? ['link']
        : [];
      const programs = await lab.node.output(['bpftool', 'cgroup', 'tree', lab.cgroup]);
      return [...pins, ...programs.split('\n').filter((line) => line.includes('km_'))];
    };
    const ids = async (): Promise<string[]> => {
      const [programs, maps] = await Promise.all(
        ['prog', 'map'].map((kind) => lab.node.output(['bpftool', '-j', kind, 'show'])),
      );
      return [...`${programs}${maps}`.matchAll(/"id":(\d+),[^{}]*?"name":"km_\w+"/g)].map(([, id]) => id ?? '');
    };
    assert.ok((await kmeshObjects()).length > 0);
    const before = await ids();
    assert.deepEqual(await mesh.daemon.kill('SIGTERM'), { code: 0, signal: null });
    const during = await mesh.uninstall();
    assert.match(during, /removed hook km_connect4/);
    assert.deepEqual(await kmeshObjects(), []);
    assert.equal(existsSync(`${lab.bpfFsPath}/km`), false);
    const mine = readdirSync('/sys/fs/bpf').filter((name) => name.startsWith('kmesh'));
    // Other labs and daemons of this machine may have their own; none may be ours. The kernel frees them a moment later.
    const gone = async () => {
      const left = await ids();
      return left.length < before.length && (mine.length > 1 || left.length === 0);
    };
    await until('no program or map', gone, 20_000 * patience, async () => (await ids()).join(' '));
    const locks = existsSync('/run/kmesh')
      ? readdirSync('/run/kmesh').map((f) => readFileSync(`/run/kmesh/${f}`, 'utf8'))
      : [];
    assert.ok(!locks.some((text) => text.startsWith(`${mesh.daemon.pid} `)));
    assert.equal(await answers(client), false);
    assert.equal(await mesh.uninstall(), '', 'nothing more to remove');
  });
});
