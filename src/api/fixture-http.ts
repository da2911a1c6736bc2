/** The HTTP part of the shop in memory. */
import type {
  ClusterItem,
  ExplainCluster,
  ExplainQuery,
  ExplainReport,
  ObserveLine,
  RequestItem,
  RouteItem,
} from './types.ts';

const hostname = 'reviews.shop.svc.cluster.local';
const domains = ['reviews', 'reviews.shop', 'reviews.shop.svc', hostname, '10.96.0.20'];

export const fixtureRoutes: readonly RouteItem[] = [
  route('jason', ['header end-user exact "jason"'], [`forward 100% to outbound|9080|v2|${hostname}`], 8),
  route(
    'old',
    ['path exact "/old"', 'path prefix "/old/", method GET'],
    ['redirect 301', 'replace the path by /new'],
    12,
  ),
  {
    ...route('default', ['any request'], [], 20),
    action: [
      'answer 1% of requests with 503',
      `forward 90% to outbound|9080|v1|${hostname}; set x-mesh: 1`,
      `forward 10% to outbound|9080|v2|${hostname}`,
    ],
  },
  {
    ...route('pay', ['path regex /pay/[0-9]+'], ['forward 100% to outbound|443||pay.example.com'], 3),
    namespace: 'default',
    service: 'payments',
    port: 443,
    virtualHost: 'pay.example.com:443',
    domains: ['pay.example.com'],
    refused: 'route pay: the table is too large',
    origin: 'payments.yaml:20',
  },
];

function route(name: string, matches: readonly string[], action: readonly string[], line: number): RouteItem {
  return {
    namespace: 'shop',
    service: 'reviews',
    port: 9080,
    virtualHost: `${hostname}:9080`,
    domains,
    name,
    matches,
    action,
    refused: null,
    origin: `shop/routes.yaml:${line}`,
  };
}

export const fixtureClusters: readonly ClusterItem[] = [
  cluster('', 'round-robin', 3, 0, 0, 0),
  cluster('v2', 'maglev (header x-user)', 1, 1, 10_012, 3),
  { ...cluster('v1', 'round-robin', 2, 0, 90_123, 12), perConnection: true },
  { ...cluster('v3', 'random', 0, 2, 0, 0), refused: 17 },
  {
    ...cluster('', 'random', 0, 2, 0, 0),
    namespace: 'default',
    service: 'payments',
    cluster: 'outbound|443||pay.example.com',
    port: 443,
  },
];

function cluster(
  subset: string,
  policy: string,
  endpoints: number,
  unready: number,
  requests: number,
  requestsActive: number,
): ClusterItem {
  return {
    namespace: 'shop',
    service: 'reviews',
    cluster: `outbound|9080|${subset}|${hostname}`,
    port: 9080,
    protocol: 'TCP',
    subset,
    policy,
    perConnection: false,
    endpoints,
    unready,
    requests,
    requestsActive,
    refused: 0,
  };
}

const explained = (subset: string, share: number, ...addresses: readonly string[]): ExplainCluster => ({
  cluster: `outbound|9080|${subset}|${hostname}`,
  share,
  policy: subset === 'gone' ? null : 'round-robin',
  endpoints: addresses.map((address, i) => ({
    address: `${address}:9080`,
    weight: 1,
    workload: i === 0 ? `shop/reviews-${subset}` : null,
  })),
  unready: 0,
});

/** Of the fixture's own URLs: `http://reviews:9080/…` is routed, other ports of reviews are balanced, the rest unserved. */
export function fixtureExplain(query: ExplainQuery): ExplainReport {
  const from = { namespace: query.namespace, name: query.from, mesh: 'enrolled' };
  const [, port = ''] = /^http:\/\/reviews:([0-9]+)/.exec(query.to) ?? [];
  if (port === '') {
    const reasons = [`no service at ${query.to}: the connection goes as without the mesh`];
    return { from, listener: null, kind: 'unserved', reasons, cluster: null, outcomes: [] };
  }
  const own = { namespace: 'shop', service: 'reviews', hostname, origin: 'shop/reviews.yaml:1' };
  const listener = { address: '10.96.0.20', port: Number(port), mode: 'http' as const, ...own };
  const all = explained('', 1, '10.244.1.11', '10.244.1.12');
  if (port !== '9080') return { from, listener, kind: 'balanced', reasons: ['no route'], cluster: all, outcomes: [] };
  const split = `forward 90% to outbound|9080|v1|${hostname}`;
  const taken = {
    name: 'default',
    origin: 'shop/routes.yaml:20',
    match: 'path prefix "/"',
    action: [split, `forward 10% to outbound|9080|v3|${hostname}`, `forward 0% to outbound|9080|gone|${hostname}`],
    clusters: [explained('v1', 0.9, '10.244.1.11', '10.244.1.12'), explained('v3', 0.1), explained('gone', 0)],
  };
  const virtualHost = `${hostname}:9080`;
  return {
    from,
    listener,
    kind: 'routed',
    reasons: ['the port does not say its protocol: what begins as HTTP/1.1 is routed'],
    cluster: all,
    outcomes: [
      { share: 0.75, virtualHost, route: taken },
      { share: 0.25, virtualHost, route: null },
    ],
  };
}

const request: RequestItem = {
  time: '2026-08-03T12:00:00.125Z',
  durationMs: 1.25,
  method: 'GET',
  host: 'reviews',
  path: '/reviews/7',
  pathCut: false,
  status: 200,
  flags: '-',
  source: { namespace: 'shop', workload: 'frontend', address: '10.244.1.10:41978' },
  destination: { namespace: 'shop', workload: 'reviews-v1', address: '10.244.1.11:9080' },
  asked: '10.96.0.20:9080',
  service: 'shop/reviews',
  hostname,
  cluster: `outbound|9080|v1|${hostname}`,
  virtualHost: `${hostname}:9080`,
  route: 'default',
  origin: 'shop/routes.yaml:20',
  requestBytes: 76,
  responseBytes: 4096,
};

export const fixtureRequests: readonly RequestItem[] = [
  request,
  {
    ...request,
    method: 'POST',
    path: '/old',
    status: 404,
    flags: 'NR',
    destination: { namespace: null, workload: null, address: null },
    cluster: null,
    route: null,
    origin: null,
  },
  {
    ...request,
    status: 503,
    flags: 'UH',
    pathCut: true,
    source: { namespace: 'other', workload: 'batch-1', address: '[fd00:244::1]:41978' },
    destination: { namespace: null, workload: null, address: null },
  },
];

/** All three of {@link fixtureRequests} are remembered; who follows gets the first again, and that one was lost. */
export async function* fixtureObserve(follow: boolean): AsyncGenerator<ObserveLine> {
  for (const one of fixtureRequests) yield { request: one };
  yield { remembered: fixtureRequests.length };
  if (follow) yield* [{ request }, { lost: 1 }];
}
