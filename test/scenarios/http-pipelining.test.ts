/** HTTP: requests that are sent before the answers of those before them have come. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { forgotten, many } from '../lab/http-mesh.ts';
import { fastAddresses, fastPort, Shop } from '../lab/http-shop.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { noConnections } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);

/** Paths of the shop's routes by path, and who answers them. */
const cases = ['red=/', 'green=/green/grass', 'blue=/sky/blue'];

describe('HTTP pipelining', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;
  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.lab.close());

  for (const [i, address] of fastAddresses.entries()) {
    const run = async (connections: number, servers: readonly string[]) => {
      const rounds = many(30, 3000);
      const args = [address, '80', String(rounds), String(1 + connections * rounds), ...servers];
      const command = [...pythonProgram('clients/pipeline.py'), ...args];
      assert.equal(await shop.client.output(command, { timeoutMs: many(120_000, 1_200_000) }), '');
    };

    test(`requests behind each other to one cluster need one connection, IPv${i === 0 ? 4 : 6}`, async () => {
      for (const server of cases) await run(0, [server]);
    });

    test(`those to several are answered in order, each by its server, IPv${i === 0 ? 4 : 6}`, async () => {
      // Those that would need a switch before another was made end the connection, and are sent anew.
      await run(4, cases);
    });
  }

  test('afterwards no server has a connection left and the kernel has forgotten everything', async () => {
    for (const server of shop.all) await noConnections(server, fastPort);
    await forgotten(shop.mesh);
  });
});
