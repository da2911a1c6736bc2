/** HTTP of programs in the machine's own namespace: hooks at its devices, endpoints in pods of the machine and beside the client. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { forgotten, service } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);
const shopAddresses = ['10.96.0.10', 'fd00:10:96::10'] as const;
const ownAddresses = ['10.96.0.20', 'fd00:10:96::20'] as const;
const requests = 200;

describe('HTTP from the machine itself', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;

  /** Who answered so many requests of one connection, with how many. */
  const ask = async (address: string): Promise<Readonly<Record<string, number>>> => {
    const host = address.includes(':') ? `[${address}]` : address;
    const args = ['curl', '-g', '-sS', '-m', '20', '-w', '%{num_connects} connections\n', `http://${host}/`];
    const lines = (await lab.node.output([...args, ...Array<string>(requests - 1).fill(`http://${host}/`)])).trim();
    const counts: Record<string, number> = {};
    for (const line of lines.split('\n')) counts[line] = (counts[line] ?? 0) + 1;
    return counts;
  };
  const write = (mode: string): void => {
    const labels = { app: 'shop', 'istio.io/dataplane-mode': mode };
    mesh.write(
      'shop.yaml',
      file(
        namespace('shop', true),
        pod(lab.node),
        ...servers.map((server) => pod(server, labels)),
        service('shop', { addresses: shopAddresses, selector: { app: 'shop' }, targetPort: 8080 }),
        service('own', { addresses: ownAddresses, selector: { app: 'node' }, targetPort: 8080 }),
      ),
    );
  };
  let servers: readonly Awaited<ReturnType<Lab['pod']>>[] = [];

  before(async () => {
    lab = await Lab.create();
    // Where the machine's default route leads.
    const gateway = await lab.pod('gateway');
    servers = [await lab.pod('red'), await lab.pod('green')];
    for (const [family, to, via] of [
      ['-4', '10.96.0.0/16', gateway.ip4],
      ['-6', 'fd00:10:96::/64', gateway.ip6],
    ] as const) {
      const [, device = ''] = / dev (\S+)/.exec(await lab.node.output(['ip', family, 'route', 'show', via])) ?? [];
      await lab.node.output(['ip', family, 'route', 'add', to, 'via', via, 'dev', device]);
    }
    for (const host of [lab.node, ...servers]) await startNginx(host, { port: 8080 });
    mesh = meshOf(lab);
    write('none');
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  for (const [mode, what] of [
    ['none', 'pods that are not enrolled'],
    ['Kmesh', 'enrolled pods'],
  ] as const) {
    for (const [i, address] of shopAddresses.entries()) {
      test(`requests of one connection go to ${what}, IPv${i === 0 ? 4 : 6}`, async () => {
        write(mode);
        await mesh.settled();
        const { red = 0, green = 0, ...others } = await ask(address);
        assert.deepEqual(others, { '1 connections': 1, '0 connections': requests - 1 });
        assert.equal(red + green, requests);
        assert.ok(red > requests / 4 && green > requests / 4, `${red} and ${green}`);
        await forgotten(mesh);
      });
    }
  }

  for (const [i, address] of ownAddresses.entries()) {
    test(`they go to a server beside the client, IPv${i === 0 ? 4 : 6}`, async () => {
      assert.deepEqual(await ask(address), { node: requests, '1 connections': 1, '0 connections': requests - 1 });
      await forgotten(mesh);
    });
  }
});
