import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Source } from '../compile/http.ts';
import { type CompiledService, workloadId } from '../compile/service.ts';
import type { HttpMatch, HttpRoute, HttpRouting } from '../model/http.ts';
import type { Service } from '../model/types.ts';
import { Publisher } from './publisher.ts';
import { bitsOf, handleOf } from './route-store.ts';
import { compiled, realTables, service, type TestTables } from './testing.ts';
import { differences } from './verify.ts';

const origin = { source: 'files', file: 'shop.yaml', line: 7 };
const none = { set: [], add: [], remove: [] };

function route(match: HttpMatch, subset = ''): HttpRoute {
  const cluster = { service: 'shop/a.shop.svc.cluster.local', port: 80, subset };
  return {
    name: 'r',
    matches: [match],
    action: { kind: 'forward', clusters: [{ cluster, weight: 1, headers: none }], headers: none, connectRetries: 0 },
    origin,
  };
}

const routing = (...routes: readonly HttpRoute[]): HttpRouting => ({
  virtualHosts: [{ name: 'all', domains: ['*'], routes }],
});
const exact = (value: string): HttpRoute => route({ path: { kind: 'exact', value } });
/** A table of a size that depends on the count: about 100 bytes a route. */
const many = (count: number): HttpRouting =>
  routing(...Array.from({ length: count }, (_, i) => exact(`/some/longer/path/${(i * 7919) % 10007}`)));

describe('route tables on real kernel maps', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let kernel: TestTables;
  let clock: number;
  const adopted = (): Publisher => {
    const publisher = new Publisher(kernel.tables, { now: () => clock });
    publisher.adopt();
    return publisher;
  };
  const http = (name: string, made: HttpRouting | undefined, addresses = ['10.96.0.1']): Service =>
    service(name, {
      addresses,
      endpoints: [{ address: '10.0.0.1' }],
      port: { mode: 'http', ...(made && { routing: made }) },
    });
  const holds = (services: ReadonlyMap<string, CompiledService>): void =>
    assert.deepEqual(differences(kernel.tables, services.values()), []);
  const handles = (): number[] => [...kernel.tables.listener.entries()].map(([, { routes }]) => routes);
  const places = (): number[] => [...kernel.tables.routes.handles()];
  const reap = (publisher: Publisher): void => {
    clock += 2000;
    assert.equal(publisher.reap().waiting, false);
  };

  beforeEach(() => {
    kernel = realTables();
    clock = 0;
  });
  afterEach(() => kernel.close());

  test('listeners of a port share a table, one for each address family', () => {
    const publisher = adopted();
    const all = compiled(http('a', routing(exact('/a')), ['10.96.0.1', '10.96.0.2', 'fd00::1']));
    publisher.publishAll(all);
    holds(all);
    assert.deepEqual(new Set(handles()), new Set([handleOf(14, 0), handleOf(14, 1)]));
    assert.equal(places().length, 2);
    const [listener] = [...kernel.tables.listener.entries()];
    assert.equal(listener?.[1].mode, 1);
    assert.deepEqual(publisher.publish(all), { written: 0, removed: 0, refused: new Map() });
  });

  test('a table that changes is replaced where it is: one write, no listener', () => {
    const publisher = adopted();
    publisher.publishAll(compiled(http('a', routing(exact('/a')))));
    const before = handles();
    const next = compiled(http('a', routing(exact('/b'))));
    assert.equal(publisher.publish(next).written, 1);
    holds(next);
    assert.deepEqual(handles(), before);
  });

  test('another size is another place; the old one is cleared after the grace period', () => {
    const publisher = adopted();
    publisher.publishAll(compiled(http('a', many(3))));
    const large = compiled(http('a', many(300)));
    assert.equal(publisher.publish(large).written, 2);
    holds(large);
    assert.deepEqual([...new Set(handles())].map(bitsOf), [16]);
    assert.equal(places().length, 2);
    reap(publisher);
    assert.deepEqual(places(), handles());
    publisher.publish(compiled(http('a', undefined)));
    assert.deepEqual(handles(), [0]);
    assert.equal(places().length, 1);
    reap(publisher);
    assert.deepEqual(places(), []);
  });

  test('a daemon that starts anew writes nothing, and clears what nobody leads to', () => {
    const all = compiled(
      http('a', routing(exact('/a')), ['10.96.0.1', 'fd00::1']),
      http('b', many(300), ['10.96.0.9']),
      http('gone', routing(exact('/gone')), ['10.96.0.8']),
    );
    adopted().publishAll(all);
    all.delete('shop/gone.shop.svc.cluster.local');
    // As if a daemon had been killed between a table and its listener.
    const orphan = [...all.values()][0]?.tables[0]?.routes?.blob.words;
    assert.ok(orphan);
    kernel.tables.routes.put([[handleOf(18, 7), orphan]]);
    const publisher = adopted();
    assert.equal(publisher.publishAll(all).written, 0);
    holds(all);
    assert.equal(places().length, 5);
    reap(publisher);
    assert.equal(places().length, 3);
    holds(all);
  });

  test('a table that another has damaged or removed is seen, and written by the next start', () => {
    const all = compiled(http('a', routing(exact('/a'))));
    adopted().publishAll(all);
    kernel.tables.routes.clear(handles());
    assert.deepEqual(differences(kernel.tables, all.values()), ['listener TCP 10.96.0.1:80 has another route table']);
    assert.equal(adopted().publishAll(all).written, 1);
    holds(all);
  });

  test('a refused table leaves the last good one in force, over a restart too, and endpoints go on', () => {
    const publisher = adopted();
    const good = compiled(http('a', routing(exact('/a'))));
    publisher.publishAll(good);
    const [handle = 0] = handles();
    const generation = kernel.tables.routes.generation(handle);
    const bad = service('a', {
      endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2' }],
      port: { mode: 'http', routing: routing(route({ path: { kind: 'regex', pattern: '(' } })) },
    });
    const refused = compiled(bad);
    assert.equal(refused.get(bad.key)?.refusals[0]?.code, 'KM3010');
    publisher.publish(refused);
    holds(refused);
    const next = adopted();
    assert.equal(next.publishAll(refused).written, 0);
    assert.ok(next.hasRouteTable(`${bad.key}:80 IPv4`));
    reap(next);
    assert.deepEqual(handles(), [handle]);
    assert.equal(kernel.tables.routes.generation(handle), generation);
    assert.equal([...kernel.tables.endpoint.entries()].length, 2);
    next.publish(good);
    holds(good);
  });

  test('a service whose first table is refused has none: its requests go to its endpoints', () => {
    const bad = compiled(http('a', routing(route({ path: { kind: 'regex', pattern: '(' } }))));
    const publisher = adopted();
    publisher.publishAll(bad);
    assert.deepEqual(handles(), [0]);
    assert.ok(!publisher.hasRouteTable('shop/a.shop.svc.cluster.local:80 IPv4'));
    holds(bad);
  });

  test('an address that changes hands over a restart does not take the other addresses of its table along', () => {
    adopted().publishAll(compiled(http('a', routing(exact('/a')), ['10.96.0.1', '10.96.0.2'])));
    const after = compiled(
      http('b', routing(exact('/b')), ['10.96.0.2']),
      http('a', routing(exact('/a')), ['10.96.0.1']),
    );
    adopted().publishAll(after);
    holds(after);
    assert.equal(new Set(handles()).size, 2);
  });

  test('what does not fit is refused with its table, and comes in when there is room', () => {
    const publisher = adopted();
    const places22 = kernel.tables.routes.places(22);
    const word = compiled(http('x', routing(exact('/x')))).get('shop/x.shop.svc.cluster.local');
    const words = word?.tables[0]?.routes?.blob.words;
    assert.ok(words);
    const one = http('a', many(100));
    // Places of all sizes taken but one: as many services as there are would take too long.
    const store = { ...kernel.tables.routes, places: (bits: number) => (bits === 22 ? 1 : 0) };
    const small = new Publisher({ ...kernel.tables, routes: store }, { now: () => clock });
    small.adopt();
    const other = http('b', many(100), ['10.96.0.2']);
    const { refused } = small.publishAll(compiled(one, other));
    assert.ok(places22 > 1);
    assert.deepEqual(
      [...refused],
      [[other.key, 'KM3001 km_route_14 is full (0/0), and so are those of larger tables']],
    );
    assert.equal(handles().filter((handle) => handle !== 0).length, 1);
    small.publish(new Map([[one.key, null]]));
    reap(small);
    assert.equal(small.publish(compiled(other)).refused.size, 0);
    assert.deepEqual(publisher.counts.routeTables, 0);
  });

  describe('sources', () => {
    const web: Source = { namespace: 'shop', labels: { app: 'web' } };
    const job: Source = { namespace: 'batch', labels: {} };
    const [webId, jobId] = [workloadId('web'), workloadId('job')];
    const bySource = (namespace = 'batch'): HttpRouting =>
      routing(route({ source: { labels: { app: 'web' } } }), route({ source: { namespace } }), exact('/'));
    const rows = () =>
      new Map([...kernel.tables.source.entries()].map(([{ workload }, { bits }]) => [workload, bits[0]] as const));

    test('rows stand for each workload that a condition holds for, and a restart writes nothing', () => {
      const workloads = new Map([
        [webId, web],
        [jobId, job],
        [7n, { namespace: 'shop', labels: {} }],
      ]);
      const publisher = adopted();
      publisher.publishSources(workloads);
      const all = compiled(http('a', bySource()), http('plain', routing(exact('/')), ['10.96.0.7']));
      publisher.publishAll(all);
      const expected = new Map([
        [webId, 1n],
        [jobId, 2n],
      ]);
      assert.deepEqual(rows(), expected);
      const [[key] = []] = [...kernel.tables.source.entries()];
      const table = all.get('shop/a.shop.svc.cluster.local')?.tables[0]?.routes;
      assert.equal(key?.generation, table?.generation);
      const next = adopted();
      assert.equal(next.publishSources(workloads), 0);
      assert.equal(next.publishAll(all).written, 0);
      reap(next);
      assert.deepEqual(rows(), expected);
      assert.deepEqual(next.sourceDifferences(), []);
    });

    test('a workload that changes is written in place, one that goes is deleted after the grace period', () => {
      const publisher = adopted();
      publisher.publishSources(new Map([[webId, web]]));
      publisher.publishAll(compiled(http('a', bySource())));
      assert.equal(publisher.publishSources(new Map([[webId, { namespace: 'batch', labels: web.labels }]])), 1);
      assert.deepEqual(rows(), new Map([[webId, 3n]]));
      assert.equal(publisher.publishSources(new Map([[webId, { namespace: 'x', labels: {} }]])), 1);
      assert.deepEqual(rows(), new Map([[webId, 0n]]));
      publisher.publishSources(new Map([[jobId, job]]));
      assert.equal(rows().size, 2);
      reap(publisher);
      assert.deepEqual(rows(), new Map([[jobId, 2n]]));
    });

    test('a new table has its rows beside those of the old one until the grace period is over', () => {
      const publisher = adopted();
      publisher.publishSources(new Map([[jobId, job]]));
      publisher.publishAll(compiled(http('a', bySource())));
      publisher.publish(compiled(http('a', bySource('other'))));
      assert.deepEqual([...kernel.tables.source.entries()].length, 1, 'no condition of the new one holds');
      publisher.publish(compiled(http('a', routing(exact('/new'), ...(bySource().virtualHosts[0]?.routes ?? [])))));
      assert.equal([...kernel.tables.source.entries()].length, 2);
      reap(publisher);
      assert.equal([...kernel.tables.source.entries()].length, 1);
      publisher.publishAll(new Map());
      reap(publisher);
      assert.equal([...kernel.tables.source.entries()].length, 0);
    });

    test('rows that do not fit refuse the table', () => {
      kernel.close();
      kernel = realTables(3);
      const publisher = adopted();
      publisher.publishSources(new Map([1n, 2n, 3n, 4n].map((id) => [id, web])));
      const { refused } = publisher.publishAll(compiled(http('a', bySource())));
      assert.deepEqual(
        [...refused.values()],
        ['KM3001 km_source is full (0/3, 4 more needed): raise --max-source-rows'],
      );
      assert.deepEqual(handles(), [0]);
    });
  });
});
