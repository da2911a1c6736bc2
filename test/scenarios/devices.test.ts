/** The mesh's programs at devices: on enrolled pods' veths only, through restarts, and gone when they are not needed. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { WorkloadItem } from '../../src/api/types.ts';
import { withNetns } from '../../src/kernel/netns.ts';
import { tcxPrograms, testIfindex } from '../../src/kernel/testing.ts';
import { manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);

for (const flags of [[], ['--device-attach', 'clsact']]) {
  describe(`devices ${flags.join(' ')}`, { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
    let lab: Lab;
    let mesh: TestMesh;
    let client: Host;
    let server: Host;

    /** What is attached to a device of the node: `ingress km_from_pod ID`. */
    const programsAt = async (device: string): Promise<string[]> => {
      const found: string[] = [];
      for (const direction of ['ingress', 'egress'] as const) {
        const filters = await lab.node.output(['tc', 'filter', 'show', 'dev', device, direction]);
        for (const [, name, id] of filters.matchAll(/ (km_\w+)\S* .*? id (\d+) /g))
          found.push(`${direction} ${name} ${id}`);
        const ifindex = testIfindex(lab.node.netns, device);
        const ids = withNetns<number[]>(lab.node.netnsPath, () => tcxPrograms({ ifindex, direction }));
        for (const id of ids) {
          const { name } = JSON.parse(await lab.node.output(['bpftool', '-j', 'prog', 'show', 'id', String(id)]));
          found.push(`${direction} ${name} ${id}`);
        }
      }
      return found;
    };
    const namesAt = async (device: string): Promise<string[]> =>
      (await programsAt(device)).map((text) => text.replace(/ \d+$/, ''));
    const both = ['ingress km_from_pod', 'egress km_to_pod'];
    const pins = (): string[] =>
      readdirSync(join(lab.bpfFsPath, 'km', 'links')).filter((name) => /^km_(from|to)_/.test(name));
    const served = async (): Promise<number | undefined> =>
      (await manyConnections(client, ['10.96.0.1', '80', '3', '--timeout', '2'])).answers['server'];

    before(async () => {
      lab = await Lab.create();
      client = await lab.pod('client');
      server = await lab.pod('server');
      await lab.pod('other');
      await startNginx(server, { port: 8080 });
      mesh = meshOf(lab);
      mesh.write('shop.yaml', entry('shop', { addresses: ['10.96.0.1'], endpoints: [{ address: server.ip4 }] }));
      mesh.write('pods.yaml', file(namespace('shop', true), pod(client), pod(server)));
      await mesh.start(flags);
      await mesh.settled();
    });
    after(() => lab?.close());

    test('enrolled pods have the programs at the host end of their veth, the others have none', async () => {
      assert.deepEqual(await namesAt('veth2'), both);
      assert.deepEqual(await namesAt('veth3'), both);
      assert.deepEqual(await namesAt('veth4'), []);
      const { kernel } = await mesh.status();
      assert.equal(kernel.devices, 2);
      assert.match((await mesh.ctl('status')).stdout, / hooks, 2 devices, /);
      const workloads = await mesh.get<WorkloadItem>('workloads');
      assert.deepEqual(
        workloads.map(({ name, devices, mesh: state }) => [name, devices, state]),
        [
          ['client', ['veth2'], 'enrolled'],
          ['server', ['veth3'], 'enrolled'],
        ],
      );
      assert.equal(await served(), 3);
    });

    test('they stay when the daemon is killed, and the next one switches them in place', async () => {
      const before = await programsAt('veth2');
      await mesh.daemon.kill('SIGKILL');
      assert.deepEqual(await programsAt('veth2'), before);
      assert.equal(await served(), 3);
      await mesh.start(flags);
      await mesh.settled();
      const now = await programsAt('veth2');
      assert.deepEqual(await namesAt('veth2'), both);
      assert.ok(
        now.every((text) => !before.includes(text)),
        'the programs of the new daemon',
      );
      assert.equal(pins().length, 4);
    });

    test('a program that somebody takes away is missed, and put back', async () => {
      if (pins().some((name) => name.endsWith('-filter'))) {
        await lab.node.output(['tc', 'filter', 'del', 'dev', 'veth2', 'ingress']);
      } else {
        const name = `-${testIfindex(lab.node.netns, 'veth2')}`;
        for (const found of pins().filter((pinned) => pinned.startsWith('km_from_pod-') && pinned.endsWith(name))) {
          rmSync(join(lab.bpfFsPath, 'km', 'links', found));
        }
      }
      // The status that finds it missing makes the daemon look again.
      await mesh.settled();
      assert.deepEqual((await namesAt('veth2')).toSorted(), both.toSorted());
    });

    test('a pod that leaves loses them, a pod that comes anew under the same name gets them', async () => {
      mesh.write(
        'pods.yaml',
        file(namespace('shop', true), pod(client), pod(server, { app: 'server', 'istio.io/dataplane-mode': 'none' })),
      );
      await mesh.settled();
      assert.deepEqual(await namesAt('veth3'), []);
      assert.deepEqual(await namesAt('veth2'), both);
      assert.equal(await served(), 3);
      lab.removePod('client');
      await mesh.daemon.line(/workload is enrolled no more workload=.*\/client /, { stream: 'stderr' });
      assert.deepEqual(pins(), []);
      client = await lab.pod('client');
      const devices = async () => (await mesh.get<WorkloadItem>('workloads')).find((w) => w.name === 'client')?.devices;
      for (let i = 0; (await devices())?.[0] !== 'veth5' && i < 50; i++);
      assert.deepEqual(await namesAt('veth5'), both);
      assert.equal(await served(), 3);
    });

    test('nothing is left of them by uninstall', async () => {
      await mesh.daemon.kill('SIGKILL');
      assert.match(await mesh.uninstall(), /removed hook km_sockops\n(.*\n)*removed hook km_from_pod-\d+-\d+\n/);
      for (const device of ['veth3', 'veth4', 'veth5']) {
        assert.deepEqual(await programsAt(device), []);
        assert.doesNotMatch(await lab.node.output(['tc', 'qdisc', 'show', 'dev', device]), /clsact/);
      }
      assert.deepEqual(readdirSync(lab.bpfFsPath), []);
    });
  });
}
