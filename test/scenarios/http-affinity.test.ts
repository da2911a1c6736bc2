/** sessionAffinity: ClientIP holds for each HTTP request, on one connection or many. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { httpLoad, type LoadCase } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { destination, many, service, virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);

const names = ['red', 'green', 'blue', 'black'] as const;
const addresses = ['10.96.0.10', 'fd00:10:96::10'] as const;
const anyone: readonly LoadCase[] = [{ from: names, path: '/who', fields: ['host: shop'] }];
const sticky = (seconds: number): string =>
  `${service('shop', { addresses, selector: { app: 'shop' } })}  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: ${seconds}}}\n`;

describe('HTTP session affinity', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let clients: readonly Host[];
  let servers: readonly Host[];

  const pods = (without: string | null): string =>
    file(...servers.filter(({ name }) => name !== without).map((one) => pod(one, { app: 'shop', version: one.name })));
  /** Who answers a client's requests. */
  const who = async (client: Host, address: string, ...flags: readonly string[]): Promise<string[]> => {
    const { answers, errors, misrouted } = await httpLoad(client, address, 80, anyone, flags);
    assert.deepEqual([errors, misrouted], [{}, 0]);
    return Object.keys(answers);
  };
  const only = async (client: Host, address: string): Promise<string> => {
    const count = String(many(200, 2000));
    const one = await who(client, address, '--requests', count, '--connections', '4');
    const other = await who(client, address, '--requests', count, '--new');
    assert.deepEqual([one.length, other], [1, one]);
    return one[0] ?? '';
  };

  before(async () => {
    lab = await Lab.create();
    clients = await Promise.all([...'abcdefghij'].map((name) => lab.pod(name)));
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((server) => startNginx(server, { port: 8080, extra: ' $request_uri' })));
    mesh = meshOf(lab);
    mesh.write('clients.yaml', file(namespace('shop', true), ...clients.map((client) => pod(client))));
    mesh.write('pods.yaml', pods(null));
    mesh.write('shop.yaml', sticky(10_800));
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('each client has its endpoint, on every connection, for each family', async () => {
    for (const address of addresses) {
      const kept = new Set<string>();
      for (const client of clients) kept.add(await only(client, address));
      assert.ok(kept.size > 1, 'not all clients are on the same one');
    }
  });

  test('an endpoint that goes loses its clients for good, the others keep theirs', async () => {
    const [client, other] = clients;
    assert.ok(client && other);
    const first = await only(client, addresses[0]);
    const kept = await only(other, addresses[0]);
    mesh.write('pods.yaml', pods(first));
    await mesh.settled();
    const second = await only(client, addresses[0]);
    assert.notEqual(second, first);
    if (kept !== first) assert.equal(await only(other, addresses[0]), kept);
    mesh.write('pods.yaml', pods(null));
    await mesh.settled();
    assert.equal(await only(client, addresses[0]), second);
  });

  test('routes decide first: a client has an endpoint of each subset', async () => {
    const route =
      '[{destination: {host: shop, subset: most}, weight: 50}, {destination: {host: shop, subset: black}, weight: 50}]';
    const subsets = `${destination('shop', ['black'])}  - {name: most}\n`;
    mesh.write('routes.yaml', file(subsets, virtualService('shop', `- route: ${route}`)));
    await mesh.settled();
    const [client] = clients;
    assert.ok(client);
    const found = await who(client, addresses[0], '--requests', String(many(200, 2000)));
    assert.ok(found.length <= 2 && found.some((name) => name.startsWith('black')), found.join());
    mesh.write('routes.yaml', null);
    await mesh.settled();
  });

  test('it ends when no request came for the time', async () => {
    mesh.write('shop.yaml', sticky(1));
    await mesh.settled();
    const [client] = clients;
    assert.ok(client);
    const seen = new Set([await only(client, addresses[1])]);
    // One of four at random: never another one in 40 tries is a chance of 10^-5.
    for (let i = 0; i < 40 && seen.size === 1; i++) {
      await delay(1050);
      for (const name of await who(client, addresses[1], '--requests', '1')) seen.add(name);
    }
    assert.equal(seen.size, 2);
  });
});
