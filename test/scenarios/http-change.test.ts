/** HTTP: routes and the daemon change while requests flow. No request fails, none sees half of a change. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { httpLoad, httpLoadCommand, type LoadCase, loadResult } from '../lab/clients.ts';
import { many, virtualService } from '../lab/http-mesh.ts';
import { fastAddresses, Shop } from '../lab/http-shop.ts';
import { patience } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);
const restarts = patience === 1 ? 5 : 2;
const seconds = patience === 1 ? many(10, 60) : 20;
/** Loads are as fast as they can; an emulated machine would have no time left for the daemon. */
const pace = patience === 1 ? [] : ['--rate', '50'];

/** Two tables that differ in everything: who answers which path, and the header that says which table it was. */
const table = (name: 'A' | 'B'): string => {
  const [first, second] = name === 'A' ? ['v1', 'v2'] : ['v2', 'v1'];
  const mark = `{request: {set: {x-table: ${name}}}}`;
  return virtualService(
    'fast',
    `
- match: [{uri: {prefix: /one}}]
  headers: ${mark}
  route: [{destination: {host: fast, subset: ${first}}}]
- match: [{uri: {prefix: /two}}]
  headers: ${mark}
  route: [{destination: {host: fast, subset: ${second}}}]
`,
  );
};
const host = ['host: fast'];
const either: readonly LoadCase[] = [
  { from: ['red table=A', 'green table=B'], path: '/one', fields: host },
  { from: ['green table=A', 'red table=B'], path: '/two', fields: host },
];
const only = (name: 'A' | 'B'): readonly LoadCase[] =>
  either.map((one) => ({ ...one, from: [...one.from].filter((text) => text.endsWith(name)) }));

describe('HTTP changes under load', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;
  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.lab.close());

  test(`routes change ten times a second for ${seconds} s: every answer is of one table or the other`, async () => {
    // Instead of the shop's four routes.
    shop.mesh.write('routes.yaml', table('A'));
    await shop.mesh.settled();
    const loads = fastAddresses.map((address) => {
      const flags = ['--until-eof', '--connections', '4', ...pace];
      return shop.client.spawn(httpLoadCommand(address, 80, either, flags), { holdInput: true });
    });
    await Promise.all(loads.map((load) => load.line(/^ready$/)));
    let changes = 0;
    for (const end = Date.now() + seconds * 1000; Date.now() < end; changes++) {
      shop.mesh.write('routes.yaml', table(changes % 2 === 0 ? 'B' : 'A'));
      await delay(100);
    }
    assert.ok(changes > 3 * seconds, `${changes} changes`);
    for (const load of loads) {
      load.endInput();
      const result = await loadResult(load);
      assert.deepEqual([result.errors, result.misrouted, result.crossed], [{}, 0, 0], load.stderr.slice(0, 1000));
      assert.equal(Object.keys(result.answers).length, 4, 'both tables were seen');
    }
  });

  test('what is settled holds from the next request on, on connections that were open before', async () => {
    const open = httpLoadCommand(fastAddresses[0], 80, either, [
      '--until-eof',
      '--rate',
      patience === 1 ? '200' : '50',
      '--connections',
      '4',
    ]);
    const running = shop.client.spawn(open, { holdInput: true });
    await running.line(/^ready$/);
    for (const name of ['B', 'A', 'B'] as const) {
      shop.mesh.write('routes.yaml', table(name));
      await shop.mesh.settled();
      const result = await httpLoad(shop.client, fastAddresses[1], 80, only(name), ['--requests', '200']);
      assert.deepEqual([result.errors, result.misrouted], [{}, 0], name);
    }
    running.endInput();
    const { errors, misrouted, connections } = await loadResult(running);
    assert.deepEqual([errors, misrouted, connections], [{}, 0, 4]);
  });

  test(`the daemon is killed and started again ${restarts} times: no request fails`, async () => {
    const spawn = (...flags: readonly string[]) =>
      shop.client.spawn(httpLoadCommand(fastAddresses[0], 80, only('B'), ['--until-eof', ...flags]), {
        holdInput: true,
      });
    const fresh = patience === 1 ? '300' : '30';
    const loads = [
      spawn('--connections', '4', ...pace),
      spawn('--new', '--rate', fresh),
      spawn('--rate', '20', '--pieces'),
    ];
    await Promise.all(loads.map((load) => load.line(/^ready$/)));
    for (let i = 0; i < restarts; i++) {
      await shop.mesh.daemon.kill('SIGKILL');
      const away = await httpLoad(shop.client, fastAddresses[1], 80, only('B'), ['--requests', '500', '--new']);
      assert.deepEqual([away.errors, away.misrouted], [{}, 0], 'while the daemon is away');
      await shop.mesh.start();
    }
    for (const load of loads) {
      load.endInput();
      const result = await loadResult(load);
      assert.deepEqual([result.errors, result.misrouted, result.crossed], [{}, 0, 0], load.stderr.slice(0, 1000));
      assert.ok(result.requests > 100, String(result.requests));
    }
    await shop.mesh.settled();
  });

  test('a server goes and another comes under load: no request fails', async () => {
    shop.mesh.write('routes.yaml', virtualService('fast', '- route: [{destination: {host: fast}}]'));
    await shop.mesh.settled();
    const anyone: readonly LoadCase[] = [
      { from: ['red table=', 'green table=', 'blue table='], path: '/', fields: host },
    ];
    const flags = ['--until-eof', '--connections', '4', ...pace];
    const load = shop.client.spawn(httpLoadCommand(fastAddresses[0], 80, anyone, flags), { holdInput: true });
    await load.line(/^ready$/);
    for (let i = 0; i < 6; i++) {
      shop.hide(i % 2 === 0 ? 'blue' : null);
      await shop.mesh.settled();
      const seen = await httpLoad(shop.client, fastAddresses[1], 80, anyone, ['--requests', '300']);
      assert.deepEqual([seen.errors, Object.keys(seen.answers).length], [{}, i % 2 === 0 ? 2 : 3]);
    }
    load.endInput();
    const result = await loadResult(load);
    assert.deepEqual([result.errors, result.misrouted, result.crossed], [{}, 0, 0]);
  });
});
