import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainQuery } from '../api/types.ts';
import { clusterId, endpointId, RouteCompiler } from '../compile/service.ts';
import type { KmEndpointStats } from '../kernel/gen/layout.gen.ts';
import type { HttpRoute } from '../model/http.ts';
import type { Mesh, ServicePort } from '../model/types.ts';
import { explainRequest } from './explain.ts';
import { clusterItems, routeItems } from './route-items.ts';
import { frontend, reviews, service, workload } from './testing.ts';

const none = { set: [], add: [], remove: [] };
const policy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 } as const;
const endpoint = { address: '10.0.0.2', port: 8080, weight: 1, workload: reviews.uid };
const maglev = { ...policy, balance: 'maglev', hash: { kind: 'header', name: 'x-user' } } as const;
const to = (subset: string, weight: number) => {
  return { cluster: { service: service.key, port: 80, subset }, weight, headers: none };
};
const route = (name: string, line: number, rest: Pick<HttpRoute, 'matches' | 'action'>): HttpRoute => ({
  name,
  origin: { source: 'files', file: 'routes.yaml', line },
  ...rest,
});
const routes = [
  route('jason', 3, {
    matches: [{ headers: [{ name: 'end-user', match: { kind: 'exact', value: 'jason' } }] }],
    action: { kind: 'forward', clusters: [to('v2', 1)], headers: none, connectRetries: 0 },
  }),
  route('rest', 7, {
    matches: [{ path: { kind: 'prefix', value: '/' } }],
    action: { kind: 'forward', clusters: [to('v2', 1), to('gone', 3)], headers: none, connectRetries: 2 },
  }),
];
const port: ServicePort = {
  name: 'http',
  port: 80,
  protocol: 'TCP',
  endpoints: [endpoint],
  unready: 0,
  policy,
  mode: 'http',
  subsets: [{ name: 'v2', endpoints: [endpoint], unready: 1, policy: maglev }],
  routing: { virtualHosts: [{ name: 'reviews:80', domains: ['reviews', '10.96.0.1'], routes }] },
};
const plain: ServicePort = { ...port, name: 'tcp', port: 9000, mode: 'tcp', subsets: [] };
const open: ServicePort = {
  name: 'web',
  port: 81,
  protocol: 'TCP',
  endpoints: [],
  unready: 2,
  policy,
  mode: 'detect',
  subsets: [],
};
const dotted = workload('a.shop', '10.0.0.9');
const mesh: Mesh = {
  workloads: new Map([frontend, reviews, dotted].map((w) => [w.uid, w])),
  services: new Map([[service.key, { ...service, ports: [port, plain, open] }]]),
};
const compiler = new RouteCompiler();

function ask(url: string, rest: Partial<ExplainQuery> = {}) {
  const query = { from: 'frontend-1', namespace: 'shop', to: url, method: 'GET', headers: [], ...rest };
  return explainRequest(
    { mesh, compiler, stateOf: (uid) => (uid === dotted.uid ? 'not enrolled' : 'enrolled') },
    query,
  );
}

test('a routed request: service, route, why, and where it may go', () => {
  const report = ask('http://reviews/x', { headers: [['End-User', 'jason']] });
  assert.equal(report.kind, 'routed');
  assert.deepEqual(
    [report.listener?.address, report.listener?.hostname, report.listener?.origin],
    ['10.96.0.1', 'reviews.shop.svc.cluster.local', 'shop.yaml:1'],
  );
  const [outcome] = report.outcomes;
  assert.deepEqual(outcome, {
    share: 1,
    virtualHost: 'reviews:80',
    route: {
      name: 'jason',
      origin: 'routes.yaml:3',
      match: 'header end-user exact "jason"',
      action: ['forward 100% to outbound|80|v2|reviews.shop.svc.cluster.local'],
      clusters: [
        {
          cluster: 'outbound|80|v2|reviews.shop.svc.cluster.local',
          share: 1,
          policy: 'maglev (header x-user)',
          endpoints: [{ address: '10.0.0.2:8080', weight: 1, workload: 'shop/reviews-1' }],
          unready: 1,
        },
      ],
    },
  });
});

test('weights are shares, and a cluster that is not there has no policy', () => {
  const clusters = ask('http://reviews/x').outcomes[0]?.route?.clusters ?? [];
  assert.deepEqual(
    clusters.map(({ share, policy: p }) => [share, p]),
    [
      [0.25, 'maglev (header x-user)'],
      [0.75, null],
    ],
  );
});

test('hosts are found by every name that a pod resolves, and by address', () => {
  const hosts = [
    'reviews',
    'REVIEWS',
    'reviews.shop',
    'reviews.shop.svc',
    'reviews.shop.svc.cluster.local.',
    '10.96.0.1',
  ];
  for (const host of hosts) assert.equal(ask(`http://${host}/`).listener?.service, 'reviews', host);
  assert.equal(ask('http://reviews/').outcomes[0]?.route?.name, 'rest');
  // The name resolves, and yet no virtual host has it.
  assert.deepEqual(ask('http://reviews.shop/').outcomes, [{ share: 1, virtualHost: null, route: null }]);
  assert.equal(ask('http://reviews.other/').kind, 'unserved');
  assert.equal(ask('http://reviews:8080/').kind, 'unserved');
  assert.equal(ask('http://[fd00::1]/').listener, null);
});

test('what is not routed says why', () => {
  const tcp = ask('http://reviews:9000/');
  assert.equal(tcp.kind, 'balanced');
  assert.match(tcp.reasons.join(), /not HTTP/);
  assert.equal(tcp.cluster?.endpoints.length, 1);
  const free = ask('http://reviews:81/');
  assert.match(free.reasons.join(), /no route is attached/);
  assert.deepEqual([free.cluster?.endpoints, free.cluster?.unready], [[], 2]);
});

test('a pod is POD, POD.NAMESPACE or NAMESPACE/POD, dots in its name or not', () => {
  const name = (from: string, namespace: string) => ask('http://reviews/', { from, namespace }).from.name;
  assert.equal(name('frontend-1.shop', 'default'), 'frontend-1');
  assert.equal(name('shop/frontend-1', 'default'), 'frontend-1');
  assert.equal(name('a.shop', 'shop'), 'a.shop');
  assert.match(ask('http://reviews/', { from: 'a.shop' }).reasons.join(), /shop\/a\.shop is not enrolled/);
  assert.throws(() => name('nobody', 'shop'), { code: 'KM5003' });
  assert.throws(() => ask('https://reviews/'), { code: 'KM5003' });
  assert.throws(() => ask('http://reviews/a b'), { code: 'KM5003' });
});

test('routes are listed in order, with what they take and do in words', () => {
  const items = routeItems(mesh, compiler);
  assert.deepEqual(
    items.map((i) => [i.service, i.port, i.name, i.matches, i.origin, i.refused]),
    [
      ['reviews', 80, 'jason', ['header end-user exact "jason"'], 'routes.yaml:3', null],
      ['reviews', 80, 'rest', ['path prefix "/"'], 'routes.yaml:7', null],
    ],
  );
  assert.deepEqual(items[1]?.action, [
    'forward 25% to outbound|80|v2|reviews.shop.svc.cluster.local',
    'forward 75% to outbound|80|gone|reviews.shop.svc.cluster.local',
  ]);
});

test('a table that cannot be compiled is listed as refused', () => {
  const bad = { ...routes[0], matches: [{ path: { kind: 'regex', pattern: '(' } }] } as HttpRoute;
  const broken = { ...port, routing: { virtualHosts: [{ name: 'h', domains: ['*'], routes: [bad] }] } };
  const services = new Map([[service.key, { ...service, ports: [broken] }]]);
  assert.match(routeItems({ ...mesh, services }, compiler)[0]?.refused ?? '', /route jason/);
});

test('a cluster has its subsets beside it, each with the requests of its endpoints', () => {
  const stats: KmEndpointStats = {
    udpConnected: 0n,
    closed: 0n,
    failed: 0n,
    sentBytes: 0n,
    receivedBytes: 0n,
    retransmits: 0n,
    durationUs: 0n,
    datagrams: 0n,
    srttUs: 0,
    active: 2,
    requests: 7n,
  };
  const v2 = clusterId(service, port, 4, 'v2');
  const items = clusterItems(mesh, {
    endpoint: (id) => (id === endpointId(v2, endpoint) ? stats : undefined),
    cluster: (id) => (id === v2 ? { next: 0n, refused: 5n } : undefined),
  });
  assert.deepEqual(
    items.map((i) => [
      i.cluster.split('|').slice(1, 3).join(),
      i.policy,
      i.endpoints,
      i.requests,
      i.requestsActive,
      i.refused,
    ]),
    [
      ['80,', 'random', 1, 0, 0, 0],
      ['80,v2', 'maglev (header x-user)', 1, 7, 2, 5],
      ['9000,', 'random', 1, 0, 0, 0],
      ['81,', 'random', 0, 0, 0, 0],
    ],
  );
});
