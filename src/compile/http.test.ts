import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpMatch, HttpRoute, HttpRouting } from '../model/http.ts';
import { compileHttp, sourceBits, sourceName } from './http.ts';
import { decodeAction } from './routes/action-records.ts';
import { interpret } from './routes/interpret.ts';
import { compileService, referredCluster } from './service.ts';

const origin = { source: 'files', file: 'shop.yaml', line: 7 };
const none = { set: [], add: [], remove: [] };
const reviews = (subset: string) => ({ service: 'shop/reviews.shop.svc.cluster.local', port: 80, subset });
const route = (name: string, matches: readonly HttpMatch[], subset = name): HttpRoute => ({
  name,
  matches,
  action: {
    kind: 'forward',
    clusters: [{ cluster: reviews(subset), weight: 1, headers: none }],
    headers: none,
    connectRetries: 0,
  },
  origin,
});
const routing = (...routes: readonly HttpRoute[]): HttpRouting => ({
  virtualHosts: [{ name: 'reviews', domains: ['*'], routes }],
});
const compile = (made: HttpRouting) => compileHttp('shop/reviews:80', made, (ref) => referredCluster(ref, 4));
const request = {
  host: 'reviews',
  path: '/',
  query: '',
  method: 'GET',
  headers: [],
  random: 0,
  sources: new Set<string>(),
};

test('alternatives of a route are routes of the table with one action and one name', () => {
  const { blob, virtualHosts } = compile(
    routing(
      route('v1', [{ path: { kind: 'exact', value: '/a' } }, { path: { kind: 'exact', value: '/b' } }]),
      route('v2', [{}]),
    ),
  );
  const found = ['/a', '/b', '/c'].map((path) => {
    const { route: decided } = interpret(blob, { ...request, path });
    assert.ok(decided);
    const action = decodeAction(blob.words, decided.action);
    assert.ok(action.kind === 'forward');
    return [virtualHosts[0]?.routes[decided.route]?.name, action.splits[0]?.cluster];
  });
  const [v1, v2] = [referredCluster(reviews('v1'), 4), referredCluster(reviews('v2'), 4)];
  assert.deepEqual(found, [
    ['v1', v1],
    ['v1', v1],
    ['v2', v2],
  ]);
});

test('conditions on the source are bits in the order of the table; equal ones are one', () => {
  const labels = { app: 'web', tier: 'front' };
  const { sources, blob } = compile(
    routing(
      route('a', [{ source: { labels } }]),
      route('b', [{ source: { namespace: 'other' } }, { source: { labels: { tier: 'front', app: 'web' } } }]),
      route('c', [{ source: {} }]),
    ),
  );
  assert.deepEqual(sources, [{ labels }, { namespace: 'other' }]);
  const bits = (namespace: string, own: Record<string, string>) => sourceBits(sources, { namespace, labels: own })[0];
  assert.deepEqual(
    [bits('shop', { ...labels, more: 'x' }), bits('other', labels), bits('other', {}), bits('shop', { app: 'web' })],
    [1n, 3n, 2n, 0n],
  );
  const by = (...names: string[]) => interpret(blob, { ...request, sources: new Set(names) }).route?.route;
  assert.deepEqual([by(sourceName({ labels })), by(sourceName({ namespace: 'other' })), by()], [0, 1, 3]);
});

test('tables that differ only in what a source bit means are told apart', () => {
  const [a, b] = ['x', 'y'].map((namespace) => compile(routing(route('a', [{ source: { namespace } }]))));
  assert.ok(a && b);
  assert.equal(a.blob.words.length, b.blob.words.length);
  assert.notEqual(a.generation, b.generation);
});

test('a table is refused with the route that is at fault, and the rest of the service is compiled', () => {
  const bad = route('bad', [{ path: { kind: 'regex', pattern: '(a' } }]);
  const service = {
    key: 'shop/reviews.shop.svc.cluster.local',
    kind: 'Service',
    namespace: 'shop',
    name: 'reviews',
    hostname: 'reviews.shop.svc.cluster.local',
    addresses: ['10.96.0.1', 'fd00::1'],
    affinitySeconds: 0,
    origin,
    ports: [
      {
        name: 'http',
        port: 80,
        protocol: 'TCP',
        endpoints: [],
        unready: 0,
        policy: {
          balance: 'maglev',
          perConnection: false,
          connectTimeoutMs: 0,
          hash: { kind: 'header', name: 'x'.repeat(65) },
        },
        mode: 'http',
        subsets: [],
        routing: routing(route('good', [{}]), { ...bad, origin: { ...origin, line: 99 } }),
      },
    ],
  } as const;
  const { listeners, tables, refusals, clusters } = compileService(service);
  assert.deepEqual(
    tables.map(({ name, routes }) => [name, routes]),
    [
      [`${service.key}:80 IPv4`, null],
      [`${service.key}:80 IPv6`, null],
    ],
  );
  assert.deepEqual(
    listeners.map((l) => [l.name, l.mode, l.table]),
    [
      ['TCP 10.96.0.1:80', 'http', `${service.key}:80 IPv4`],
      ['TCP [fd00::1]:80', 'http', `${service.key}:80 IPv6`],
    ],
  );
  assert.deepEqual(
    refusals.map(({ code, origin: at }) => [code, at?.line]),
    [
      ['KM3015', undefined],
      ['KM3010', 99],
    ],
  );
  assert.match(refusals[1]?.reason ?? '', /^route bad: regular expression "\(a"/);
  assert.equal(clusters[0]?.policy.hash, undefined);
});

test('a subset is a cluster of its own; a service without address has clusters for the routes of others', () => {
  const endpoint = { address: '10.0.0.1', port: 8080, weight: 1 };
  const policy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 } as const;
  const { listeners, clusters } = compileService({
    key: 'shop/reviews.shop.svc.cluster.local',
    kind: 'Service',
    namespace: 'shop',
    name: 'reviews',
    hostname: 'reviews.shop.svc.cluster.local',
    addresses: [],
    affinitySeconds: 0,
    origin,
    ports: [
      {
        name: 'http',
        port: 80,
        protocol: 'TCP',
        endpoints: [endpoint, { ...endpoint, address: '10.0.0.2' }],
        unready: 0,
        policy,
        mode: 'http',
        subsets: [{ name: 'v1', endpoints: [endpoint], unready: 0, policy: { ...policy, balance: 'round-robin' } }],
      },
    ],
  });
  assert.deepEqual(listeners, []);
  assert.deepEqual(
    clusters.map(({ id, endpoints, policy: { balance } }) => [id, endpoints.length, balance]),
    [
      [referredCluster(reviews(''), 4), 2, 'random'],
      [referredCluster(reviews('v1'), 4), 1, 'round-robin'],
    ],
  );
  // A record of an endpoint belongs to one cluster.
  assert.equal(new Set(clusters.flatMap((c) => c.endpoints.map((e) => e.id))).size, 3);
});
