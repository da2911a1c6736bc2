import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpAction, HttpMatch, HttpRoute } from '../model/http.ts';
import type { Mesh, Service, ServicePort } from '../model/types.ts';
import { actionLines, matchText } from './describe.ts';
import { type ExplainRequest, explain } from './explain.ts';
import { RouteCompiler, referredCluster } from './service.ts';

const none = { set: [], add: [], remove: [] };
const policy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 } as const;
const endpoint = (n: number) => ({ address: `10.0.0.${n}`, port: 8080, weight: 1 });
const key = 'shop/reviews.shop.svc.cluster.local';
const ref = (subset: string) => ({ service: key, port: 80, subset });
const forward = (...splits: (readonly [subset: string, weight: number])[]): HttpAction => ({
  kind: 'forward',
  clusters: splits.map(([subset, weight]) => ({ cluster: ref(subset), weight, headers: none })),
  headers: { ...none, set: [['x-mesh', '1']] },
  connectRetries: 2,
});
let line = 0;
const route = (name: string, matches: readonly HttpMatch[], action: HttpAction): HttpRoute => ({
  name,
  matches,
  action,
  origin: { source: 'files', file: 'shop.yaml', line: ++line },
});

const routes: readonly HttpRoute[] = [
  route('jason', [{ headers: [{ name: 'end-user', match: { kind: 'exact', value: 'jason' } }] }], forward(['v2', 1])),
  route('batch', [{ source: { namespace: 'batch' }, methods: ['GET'] }], forward(['gone', 1])),
  route('old', [{ path: { kind: 'segments', value: '/old' } }], {
    kind: 'redirect',
    status: 301,
    path: { kind: 'segments', prefix: '/old', value: '/new' },
  }),
  route('some', [{ path: { kind: 'prefix', value: '/mix' }, fraction: 100_000 }], forward(['v2', 1])),
  route('default', [{ path: { kind: 'prefix', value: '/' } }], forward(['v1', 90], ['v2', 10], ['empty', 0])),
];

const port: ServicePort = {
  name: 'http',
  port: 80,
  protocol: 'TCP',
  endpoints: [endpoint(1), endpoint(2)],
  unready: 1,
  policy,
  mode: 'http',
  subsets: [
    { name: 'v1', endpoints: [endpoint(1)], unready: 0, policy },
    { name: 'v2', endpoints: [{ ...endpoint(2), address: 'fd00::2' }], unready: 1, policy },
  ],
  routing: { virtualHosts: [{ name: 'reviews', domains: ['reviews.shop', 'reviews'], routes }] },
};
const service: Service = {
  key,
  kind: 'Service',
  namespace: 'shop',
  name: 'reviews',
  hostname: 'reviews.shop.svc.cluster.local',
  addresses: ['10.96.0.1'],
  ports: [port],
  affinitySeconds: 0,
  origin: { source: 'files', file: 'shop.yaml', line: 1 },
};
const mesh: Mesh = { workloads: new Map(), services: new Map([[key, service]]) };

function ask(request: Partial<ExplainRequest>, own: Partial<ServicePort> = {}) {
  return explain(
    { mesh, service, port: { ...port, ...own }, family: 4 },
    { method: 'GET', url: 'http://reviews.shop:80/a?b=1', headers: [], source: null, ...request },
    new RouteCompiler(),
  );
}
const names = (request: Partial<ExplainRequest>) =>
  ask(request).outcomes.map(({ virtualHost, route: taken }) => [virtualHost, taken?.name ?? null]);

test('the route that takes a request, with its object, its clusters and their endpoints', () => {
  const { kind, outcomes } = ask({});
  assert.equal(kind, 'routed');
  const [{ share, route: taken } = {}] = outcomes;
  assert.deepEqual([outcomes.length, share, taken?.name, taken?.index], [1, 1, 'default', 4]);
  assert.equal(taken?.origin.file, 'shop.yaml');
  assert.deepEqual(
    taken?.clusters.map((c) => [c.ref.subset, c.share, c.endpoints.map((e) => e.address), c.unready]),
    [
      ['v1', 0.9, ['10.0.0.1'], 0],
      // Its endpoint has no address of the family.
      ['v2', 0.1, [], 1],
    ],
  );
  assert.deepEqual(
    actionLines(taken?.action ?? { kind: 'forward', retries: 0, splits: [] }, (id) => {
      return id === referredCluster(ref('v1'), 4) ? 'v1' : 'v2';
    }),
    [
      'forward 90% to v1; set x-mesh: 1',
      'forward 10% to v2; set x-mesh: 1',
      'try 2 other endpoints when one cannot be connected to',
    ],
  );
});

test('by header, source and host', () => {
  assert.deepEqual(names({ headers: [['End-User', 'jason']] }), [['reviews', 'jason']]);
  assert.deepEqual(names({ source: { namespace: 'batch', labels: {} } }), [['reviews', 'batch']]);
  assert.deepEqual(names({ source: { namespace: 'batch', labels: {} }, method: 'PUT' }), [['reviews', 'default']]);
  assert.deepEqual(names({ url: 'http://other/' }), [[null, null]]);
  assert.deepEqual(names({ url: 'http://other/', headers: [['Host', 'REVIEWS:8080']] }), [['reviews', 'default']]);
  assert.deepEqual(names({ url: 'http://reviews' }), [['reviews', 'default']]);
  assert.deepEqual(names({ url: 'http://reviews/%61%2f?x' }), [['reviews', 'default']]);
});

test('a cluster that is not there is said so', () => {
  const [{ route: taken } = {}] = ask({ source: { namespace: 'batch', labels: {} } }).outcomes;
  assert.deepEqual(
    taken?.clusters.map((c) => [c.ref.subset, c.policy, c.endpoints]),
    [['gone', null, []]],
  );
});

test('a share of requests gives several outcomes, the likely one first', () => {
  assert.deepEqual(
    ask({ url: 'http://reviews/mix' }).outcomes.map(({ share, route: taken }) => [share, taken?.name]),
    [
      [0.9, 'default'],
      [0.1, 'some'],
    ],
  );
});

test('redirects, and what they change', () => {
  const [{ route: taken } = {}] = ask({ url: 'http://reviews/old/x' }).outcomes;
  assert.ok(taken);
  assert.deepEqual(
    actionLines(taken.action, () => ''),
    ['redirect 301', 'replace the first 4 bytes of the path by /new'],
  );
  assert.deepEqual(taken.clusters, []);
});

test('without a table every request is balanced; a refused one says why', () => {
  const { routing, ...rest } = port;
  assert.ok(routing);
  const { kind, cluster } = explain(
    { mesh, service, port: rest, family: 4 },
    { method: 'GET', url: 'http://reviews/', headers: [], source: null },
    new RouteCompiler(),
  );
  assert.deepEqual([kind, cluster.endpoints.length, cluster.unready], ['balanced', 2, 1]);
  assert.equal(ask({}, { mode: 'tcp' }).kind, 'balanced');
  const bad = route('bad', [{ path: { kind: 'regex', pattern: '(' } }], forward(['v1', 1]));
  const refused = ask({}, { routing: { virtualHosts: [{ name: 'x', domains: ['*'], routes: [bad] }] } });
  assert.equal(refused.kind, 'refused');
  assert.match(refused.reason ?? '', /^route bad: regular expression/);
});

test('conditions in words', () => {
  assert.equal(matchText({}), 'any request');
  assert.equal(
    matchText({
      path: { kind: 'segments', value: '/a', ignoreCase: true },
      methods: ['GET', 'PUT'],
      headers: [
        { name: 'x', match: { kind: 'range', start: 1n, end: 5n }, invert: true },
        { name: 'y', match: { kind: 'regex', pattern: 'a+' }, missingAsEmpty: true },
        { name: 'z', match: { kind: 'absent' } },
      ],
      query: [{ name: 'q', match: { kind: 'exact', value: '1' } }],
      source: { namespace: 'n', labels: { app: 'web' } },
      fraction: 125_000,
    }),
    'path segments "/a" in any case, method GET or PUT, header x not from 1 to below 5, ' +
      'header y regex a+ (missing is empty), header z absent, query parameter q exact "1", ' +
      'source namespace n, source label app=web, 12.5% of requests',
  );
});
