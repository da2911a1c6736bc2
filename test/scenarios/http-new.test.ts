/** HTTP: a connection for each request, thousands of them: the last is as fast as the first, and none meets another. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad } from '../lab/clients.ts';
import { forgotten, many, service } from '../lab/http-mesh.ts';
import { fastAddresses, fastPort, fourCases, Shop } from '../lab/http-shop.ts';
import { patience } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { noConnections } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);

describe('HTTP new connections', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;
  const single = ['10.96.0.30', 'fd00:10:96::30'] as const;
  before(async () => {
    shop = await Shop.create();
    const selector = { version: 'v1' };
    shop.mesh.write('single.yaml', service('single', { addresses: single, selector, targetPort: fastPort }));
    await shop.mesh.settled();
  });
  after(() => shop?.lab.close());

  const nothingLeft = async (): Promise<void> => {
    for (const server of shop.all) await noConnections(server, fastPort, 10_000 * patience);
    await forgotten(shop.mesh);
  };

  // Ahead of all others, whose sockets in TIME_WAIT would not share a port.
  for (const [i, family] of ([4, 6] as const).entries()) {
    // Ports that the client's kernel hands out by itself; those outside of that range are the mesh's.
    for (const range of ['20000-22999']) {
      // Each port once: spliced connections have no timestamps, without which TIME_WAIT keeps a port for a minute.
      const pairs = 3000;
      test(`${pairs} pairs of a connection to the service and one to its server, both of one port of ${range}, IPv${family}`, async () => {
        const server = shop.servers.red;
        const direct = `${family === 4 ? server.ip4 : server.ip6},${fastPort},red table=`;
        const flags = ['--direct', direct, '--ports', range, '--requests', String(pairs), '--connections', '4'];
        const cases = [{ from: 'red table=', path: '/', fields: ['host: single'] }];
        const load = await httpLoad(shop.client, single[i] ?? '', 80, cases, flags);
        assert.deepEqual([load.errors, load.misrouted, load.crossed], [{}, 0, 0]);
        assert.deepEqual(load.answers, { 'red table=': pairs * 4 });
        await nothingLeft();
      });
    }
  }

  for (const [i, family] of ([4, 6] as const).entries()) {
    const requests = many(20_000, 200_000);
    test(`${requests} connections, one request each, one in twenty left by its client in any state, IPv${family}`, async () => {
      const flags = ['--new', '--requests', String(requests), '--connections', '16', '--abort', '50'];
      const load = await httpLoad(shop.client, fastAddresses[i] ?? '', 80, fourCases(' table='), flags);
      assert.deepEqual([load.errors, load.misrouted, load.crossed], [{}, 0, 0]);
      const answered = Object.values(load.answers).reduce((a, b) => a + b, 0);
      assert.equal(answered + load.aborted, requests);
      assert.ok(load.aborted > requests / 40, String(load.aborted));
      const [first = 0] = load.rates;
      const last = load.rates.at(-1) ?? 0;
      // Not a measurement: what slows down with the number of connections is slower by orders of magnitude.
      assert.ok(last > first / 3, `connections a second in each tenth: ${load.rates.join(' ')}`);
      await nothingLeft();
    });
  }
});
