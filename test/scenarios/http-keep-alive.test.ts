/** HTTP: many requests on one connection, each to its own server, written in any way, over good wires and bad ones. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest, type TestContext } from 'node:test';
import { type BadWire, badWire, outOfOrder, singleSegments, type WireFaults } from '../lab/bad-wire.ts';
import { type LoadResult, loadResult, writtenInPieces } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { forgotten, many } from '../lab/http-mesh.ts';
import { Shop, shopAddresses } from '../lab/http-shop.ts';
import { patience } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { lateMs } from '../lab/wire.ts';

const test = requireRoot(nodeTest);
/** A stall is a delayed ACK (40 ms) or a probe timer (200 ms); a busy machine is not that slow ten times in a row. */
const stallUs = 30_000 * patience;

describe('HTTP keep-alive', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;

  const run = async (family: 4 | 6, ...flags: readonly string[]): Promise<LoadResult> =>
    await loadResult(shop.client.spawn(shop.load(family, flags)));
  const assertExact = (load: LoadResult, requests: number): void => {
    assert.deepEqual(load.errors, {});
    assert.deepEqual([load.misrouted, load.crossed, load.failed], [0, 0, 0], JSON.stringify(load));
    assert.equal(load.requests, requests);
    assert.deepEqual(Object.keys(load.answers).sort(), ['blue table=', 'green table=', 'red table=']);
  };

  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.lab.close());

  for (const family of [4, 6] as const) {
    const requests = many(30_000, 1_000_000);
    test(`${requests} requests of one connection alternate at random over four routes, IPv${family}`, async () => {
      const load = await run(family, '--requests', String(requests));
      assertExact(load, requests);
      assert.equal(load.connections, 1);
    });

    test(`the same with heads of up to 8 KB, written in pieces, IPv${family}`, async () => {
      const count = many(2000, 50_000);
      const load = await run(family, '--requests', String(count), '--pieces', '--pad', '8000', '--connections', '2');
      assertExact(load, count);
      assert.equal(load.connections, 2);
    });

    test(`32 connections side by side, IPv${family}`, async () => {
      const count = many(30_000, 300_000);
      const load = await run(family, '--requests', String(count), '--connections', '32');
      assertExact(load, count);
      assert.equal(load.connections, 32);
    });
  }

  // By netem where the kernel has it, else by bpf/test/wire.bpf.c: each test says which.
  for (const [what, whose] of [
    ['between client and node', (): readonly Host[] => [shop.client]],
    ['between node and servers', (): readonly Host[] => shop.all],
  ] as const) {
    const requests = many(2000, 100_000);
    const badly = async (
      t: TestContext,
      faults: WireFaults,
      flags: readonly string[],
      check: (wires: readonly BadWire[], load: LoadResult) => Promise<void>,
    ): Promise<void> => {
      await using stack = new AsyncDisposableStack();
      stack.use(await singleSegments([shop.client, ...shop.all]));
      const wires: BadWire[] = [];
      for (const pod of whose()) wires.push(stack.use(await badWire(shop.lab.node, pod, faults)));
      t.diagnostic(`by ${wires[0]?.means}`);
      for (const family of [4, 6] as const) {
        const load = await run(family, '--requests', String(requests), '--timeout', '60000', ...flags);
        assertExact(load, requests);
        await check(wires, load);
      }
    };
    // Of all wires together: of 200 requests a single one may lose none.
    const packetsWereLost = async (wires: readonly BadWire[]): Promise<void> => {
      const lost = await Promise.all(wires.map((wire) => wire.lost()));
      const sum = (way: 'in' | 'out') => lost.reduce((all, one) => all + one[way], 0);
      assert.ok(sum('in') > 0 && sum('out') > 0, `packets were lost: ${JSON.stringify(lost)}`);
    };

    test(`of ${requests} requests none is lost or misrouted when 5 % of the packets ${what} are lost, both ways`, async (t) => {
      await badly(t, { loseOut: 0.05, loseIn: 0.05 }, ['--connections', '32'], packetsWereLost);
    });

    test(`the same when one packet in five ${what} is overtaken by others`, async (t) => {
      const hosts = [shop.client, ...shop.all];
      const before = await outOfOrder(hosts);
      const flags = ['--connections', '8', '--pieces', '--pad', '5000'];
      await badly(t, { late: 0.2 }, flags, async (wires) => {
        const held = wires.reduce((sum, wire) => sum + wire.held(), 0);
        const early = (await outOfOrder(hosts)) - before;
        assert.ok(held + early > requests / 50, `late: ${held}, ahead of others: ${early}`);
      });
    });

    test(`the same when every packet ${what} is late, at random, and 2 % are lost`, async (t) => {
      const flags = ['--connections', '8', '--pieces', '--pad', '5000'];
      await badly(t, { late: 1, loseOut: 0.02, loseIn: 0.02 }, flags, async (wires, load) => {
        await packetsWereLost(wires);
        assert.ok(load.p50Us > (lateMs * 1000) / 4, `nothing was late: ${load.p50Us} us`);
      });
    });
  }

  for (const fresh of [false, true]) {
    const each = fresh ? 'of a connection each' : 'of one connection';
    test(`requests ${each}, written in every way, arrive whole and without a stall`, async () => {
      const direct = { name: 'direct', address: shop.servers.red.ip4, port: 8080 };
      const targets = [
        direct,
        { name: 'mesh', address: shopAddresses[0], port: 80 },
        { name: 'mesh, IPv6', address: shopAddresses[1], port: 80 },
      ];
      const sizes = [0, 1, 1000, 1408, 1409, 3000, 20_000, many(300_000, 30_000_000)];
      const { failures, rows } = await writtenInPieces(shop.client, targets, { rounds: 10, sizes, fresh });
      assert.deepEqual(failures, []);
      for (const row of rows) {
        const base = rows.find(({ way, size, name }) => way === row.way && size === row.size && name === direct.name);
        assert.ok(base !== undefined);
        const slower = row.p50Us - base.p50Us * 1.5;
        assert.ok(
          slower < stallUs,
          `${row.name}, ${row.way}, ${row.size} bytes: ${row.p50Us} us, direct ${base.p50Us}`,
        );
      }
    });
  }

  test('when all is done the kernel has forgotten every connection', async () => {
    await forgotten(shop.mesh);
  });
});
