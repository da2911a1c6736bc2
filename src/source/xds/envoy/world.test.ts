import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { HttpAction, HttpMatch } from '../../../model/http.ts';
import type { Service } from '../../../model/types.ts';
import { problemLine } from '../../../model/types.ts';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  HTTPFaultSchema,
  HttpConnectionManagerSchema,
  ListenerSchema,
  MetadataSchema,
  RouteConfigurationSchema,
  TcpProxySchema,
} from '../gen/messages.gen.ts';
import { ManualClock } from '../source-testing.ts';
import { recorded } from '../testdata.ts';
import { anyOf } from '../testing.ts';
import { EnvoyWorld } from './world.ts';

const origin = { source: 'xds', file: 'xds://test', line: 0 };

function worldOf(): { world: EnvoyWorld; clock: ManualClock } {
  const clock = new ManualClock();
  const resolve = () => Promise.reject(new Error('no DNS here'));
  return { world: new EnvoyWorld({ origin, clock, resolve, changed: () => undefined }), clock };
}

function filled(): EnvoyWorld {
  const { world } = worldOf();
  for (const [i, file] of (['clusters', 'endpoints', 'listeners', 'routes'] as const).entries()) {
    for (const { name, resource } of recorded(file)) {
      assert.deepEqual(world.sinks[i]?.put(resource.value, null), { name, refusal: null });
    }
  }
  world.update();
  return world;
}

const matchText = (match: HttpMatch): string =>
  [
    match.path === undefined ? '' : JSON.stringify(match.path),
    ...(match.headers ?? []).map((h) => `${h.name} ${JSON.stringify(h.match)}`),
  ]
    .filter((part) => part !== '')
    .join(' ');
const actionText = (action: HttpAction): string =>
  action.kind === 'forward'
    ? `${action.clusters.map((one) => `${one.cluster.service}:${one.cluster.port}/${one.cluster.subset} ${one.weight}`).join(', ')} retries ${action.connectRetries}`
    : JSON.stringify(action);
const portLines = (s: Service): string[] =>
  s.ports.flatMap((p) => [
    `${s.key} ${s.addresses.join(',')}:${p.port} ${p.mode} ${p.policy.balance} -> ${p.endpoints.map((e) => `${e.address}:${e.port}*${e.weight}`).join(' ')}`,
    ...p.subsets.map((one) => `  ${one.name} -> ${one.endpoints.map((e) => `${e.address}:${e.port}`).join(' ')}`),
    ...(p.routing?.virtualHosts ?? []).flatMap((host) =>
      host.routes.map(
        (r) => `  ${host.domains.join()} ${r.name}: ${r.matches.map(matchText).join(' | ')} => ${actionText(r.action)}`,
      ),
    ),
  ]);

test('the answers of a real istiod become services with routes and subsets', () => {
  const world = filled();
  const lines = [...world.mesh.services.values()].flatMap(portLines);
  assert.deepEqual(lines, [
    'shop/front.shop.svc.cluster.local 240.240.0.30:80 detect least-request -> 10.1.0.41:8080*1',
    'shop/ratings.shop.svc.cluster.local 240.240.0.20:80 detect least-request -> 10.1.0.31:9080*1 10.1.0.32:9080*1',
    'shop/ratings.shop.svc.cluster.local 240.240.0.20:3306 tcp least-request -> 10.1.0.31:3306*1 10.1.0.32:3306*1',
    'shop/reviews.shop.svc.cluster.local 240.240.0.10:80 detect least-request -> 10.1.0.11:9080*1 10.1.0.21:9080*1',
    '  v1 -> 10.1.0.11:9080',
    '  v2 -> 10.1.0.21:9080',
    '  * canary-header: x-canary {"kind":"exact","value":"yes"} => shop/reviews.shop.svc.cluster.local:80/v2 1 retries 2',
    '  * split:  => shop/reviews.shop.svc.cluster.local:80/v1 80, shop/reviews.shop.svc.cluster.local:80/v2 20 retries 2',
    'shop/web.shop.svc.cluster.local 10.96.0.10:80 detect least-request -> 10.2.0.11:8080*1 10.2.0.12:8080*1',
    '  * shop.web.0: {"kind":"segments","value":"/v2"} => shop/web.shop.svc.cluster.local:80/ 1 retries 2',
  ]);
  const limits = world.mesh.services.get('shop/reviews.shop.svc.cluster.local')?.ports[0]?.policy.limits;
  assert.deepEqual(limits, { maxConnections: null, maxPendingRequests: 7, maxRequests: null, maxRetries: null });
  const warnings = world.problems().map(problemLine);
  assert.ok(
    warnings.some((line) => /^CDS outbound\|80\|\|reviews.* outlier_detection: endpoints are not ejected/.test(line)),
  );
  assert.ok(warnings.some((line) => /^RDS 80 .*retry_on: only a connect that fails .* not 5xx/.test(line)));
});

type ClusterInit = MessageInitShape<typeof ClusterSchema>;

/** Says what a control plane says, one resource at a time. */
class Plane {
  readonly world: EnvoyWorld;
  readonly clock: ManualClock;

  constructor() {
    const { world, clock } = worldOf();
    this.world = world;
    this.clock = clock;
  }

  cluster(name: string, init: object = {}): string | null {
    const eds = { clusterDiscoveryType: { case: 'type', value: 3 }, edsClusterConfig: {} };
    return this.#put(0, toBinary(ClusterSchema, create(ClusterSchema, { name, ...eds, ...init } as ClusterInit)));
  }

  endpoints(clusterName: string, ...addresses: string[]): string | null {
    return this.assignment({
      clusterName,
      endpoints: [{ lbEndpoints: addresses.map((address) => endpoint(address)) }],
    });
  }

  assignment(init: object): string | null {
    return this.#put(1, toBinary(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, init as never)));
  }

  listener(init: object): string | null {
    return this.#put(2, toBinary(ListenerSchema, create(ListenerSchema, init as never)));
  }

  routes(init: object): string | null {
    return this.#put(3, toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, init as never)));
  }

  get lines(): string[] {
    this.world.update();
    return [...this.world.mesh.services.values()].flatMap(portLines);
  }

  #put(sink: number, body: Uint8Array): string | null {
    return this.world.sinks[sink]?.put(body, null).refusal ?? null;
  }
}

const socket = (address: string, port: number) =>
  ({
    address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
  }) as const;
const endpoint = (address: string, rest: { weight?: number; health?: number } = {}) =>
  ({
    hostIdentifier: { case: 'endpoint', value: { address: socket(address, 8080) } },
    ...(rest.weight === undefined ? {} : { loadBalancingWeight: rest.weight }),
    healthStatus: rest.health ?? 0,
  }) as const;

const any = (schema: Parameters<typeof anyOf>[0], message: object) => anyOf(schema, message as never);
const tcpFilter = (init: object) =>
  ({ name: 'tcp', configType: { case: 'typedConfig', value: any(TcpProxySchema as never, init) } }) as const;
const httpFilter = (init: object) =>
  ({
    name: 'http',
    configType: { case: 'typedConfig', value: any(HttpConnectionManagerSchema as never, init) },
  }) as const;
const toCluster = (value: string) => ({ clusterSpecifier: { case: 'cluster', value } });
const prefix = (value: string) => ({ pathSpecifier: { case: 'prefix', value } });
const route = (to: object, match: object = prefix('/')) => ({ match, action: { case: 'route', value: to } });
const host = 'web.shop.svc.cluster.local';
const base = `outbound|80||${host}`;

/** A listener on every address for port 80, with routes by RDS `80`. */
const listen80 = (plane: Plane): string | null =>
  plane.listener({
    name: '0.0.0.0_80',
    address: socket('0.0.0.0', 80),
    filterChains: [{ filters: [httpFilter({ routeSpecifier: { case: 'rds', value: { routeConfigName: '80' } } })] }],
  } as never);
const vhost = (routes: object[], rest: object = {}) => ({
  name: `${host}:80`,
  domains: [host, '10.96.0.1'],
  routes,
  ...rest,
});
const routes80 = (plane: Plane, ...virtualHosts: object[]): string | null =>
  plane.routes({ name: '80', virtualHosts } as never);

/** A web service, all there. */
function web(): Plane {
  const plane = new Plane();
  plane.cluster(base);
  plane.endpoints(base, '10.0.0.1');
  listen80(plane);
  routes80(plane, vhost([route(toCluster(base))]));
  return plane;
}
const plainWeb = `shop/${host} 10.96.0.1:80 http round-robin -> 10.0.0.1:8080*1`;

test('a virtual host with one plain route needs no table', () => {
  assert.deepEqual(web().lines, [plainWeb]);
});

test('make before break: a route to a new cluster waits for its endpoints', () => {
  const plane = web();
  plane.world.update();
  const v2 = `outbound|80|v2|${host}`;
  plane.cluster(v2);
  routes80(plane, vhost([route(toCluster(v2))]));
  assert.deepEqual(plane.lines, [plainWeb], 'no endpoints of v2 yet');
  plane.endpoints(v2, '10.0.0.2');
  assert.deepEqual(plane.lines.slice(1), [
    '  v2 -> 10.0.0.2:8080',
    `  * ${host}:80.0:  => shop/${host}:80/v2 1 retries 0`,
  ]);
});

test('make before break: a cluster stays while routes lead to it', () => {
  const plane = web();
  const v2 = `outbound|80|v2|${host}`;
  plane.cluster(v2);
  plane.endpoints(v2, '10.0.0.2');
  routes80(plane, vhost([route(toCluster(v2))]));
  const before = plane.lines;
  assert.equal(before.length, 3);
  plane.world.sinks[0]?.remove(v2);
  assert.deepEqual(plane.lines, before, 'clusters come before routes');
  routes80(plane, vhost([route(toCluster(base))]));
  assert.deepEqual(plane.lines, [plainWeb]);
});

test('patience ends: after five seconds what there is counts', () => {
  const plane = web();
  plane.world.update();
  routes80(plane, vhost([route(toCluster('outbound|80|never|web.shop.svc.cluster.local'))]));
  assert.deepEqual(plane.lines, [plainWeb]);
  plane.clock.advance(5000);
  assert.match(plane.lines[1] ?? '', /never 1 retries 0$/);
  assert.ok(
    plane.world
      .problems()
      .map(problemLine)
      .some((line) => /^CDS outbound\|80\|never\|.*leads to it, and it is not there/.test(line)),
  );
});

test('a listener whose routes are still to come takes nothing away', () => {
  const plane = web();
  plane.world.update();
  plane.listener({
    name: '0.0.0.0_80',
    address: socket('0.0.0.0', 80),
    filterChains: [{ filters: [httpFilter({ routeSpecifier: { case: 'rds', value: { routeConfigName: 'other' } } })] }],
  } as never);
  assert.deepEqual(plane.lines, [plainWeb]);
  assert.deepEqual([...(plane.world.sinks[3]?.wanted?.() ?? [])], ['other']);
});

test('a virtual host that is refused keeps its last good version, the others of its configuration are in force', () => {
  const plane = web();
  const other = 'api.shop.svc.cluster.local';
  plane.cluster(`outbound|80||${other}`);
  plane.endpoints(`outbound|80||${other}`, '10.0.0.9');
  const mirror = { ...toCluster(base), requestMirrorPolicies: [new Uint8Array()] };
  const refusal = routes80(plane, vhost([route(mirror)]), {
    name: `${other}:80`,
    domains: ['10.96.0.2'],
    routes: [route(toCluster(`outbound|80||${other}`))],
  });
  assert.equal(refusal, `virtual_hosts[0].routes[0].route.request_mirror_policies: not supported (${host}:80)`);
  assert.deepEqual(plane.lines, [plainWeb, `shop/${other} 10.96.0.2:80 http round-robin -> 10.0.0.9:8080*1`]);
});

test('endpoints: health, weight, and priorities that spill over', () => {
  const plane = web();
  const groups = (healthy: number) => [
    { priority: 0, lbEndpoints: [0, 1, 2, 3].map((i) => endpoint(`10.0.0.${i}`, { health: i < healthy ? 1 : 2 })) },
    { priority: 1, lbEndpoints: [endpoint('10.0.1.1', { weight: 3 }), endpoint('10.0.1.2')] },
  ];
  const endpointsWith = (healthy: number): string => {
    plane.assignment({ clusterName: base, endpoints: groups(healthy) });
    return (plane.lines[0] ?? '').replace(/^.* -> /, '');
  };
  assert.equal(endpointsWith(4), '10.0.0.0:8080*1 10.0.0.1:8080*1 10.0.0.2:8080*1 10.0.0.3:8080*1');
  // 3 of 4 with 1.4: 105 %, so the second priority gets nothing.
  assert.equal(endpointsWith(3), '10.0.0.0:8080*1 10.0.0.1:8080*1 10.0.0.2:8080*1');
  // 2 of 4: 70 % for the first, 35 % each; 30 % for the second, by weight 3 to 1.
  assert.equal(endpointsWith(2), '10.0.0.0:8080*14 10.0.0.1:8080*14 10.0.1.1:8080*9 10.0.1.2:8080*3');
  assert.equal(endpointsWith(0), '10.0.1.1:8080*3 10.0.1.2:8080*1');
  assert.equal(plane.world.mesh.services.get(`shop/${host}`)?.ports[0]?.unready, 4);
});

test('weights of localities count when the cluster says so', () => {
  const plane = web();
  const assignment = {
    clusterName: base,
    endpoints: [
      { loadBalancingWeight: 3, lbEndpoints: [endpoint('10.0.0.1')] },
      { loadBalancingWeight: 1, lbEndpoints: [endpoint('10.0.0.2'), endpoint('10.0.0.3')] },
    ],
  };
  plane.assignment(assignment);
  assert.match(plane.lines[0] ?? '', /-> 10.0.0.1:8080\*1 10.0.0.2:8080\*1 10.0.0.3:8080\*1$/);
  const specifier = { case: 'localityWeightedLbConfig', value: new Uint8Array() };
  plane.cluster(base, { commonLbConfig: { localityConfigSpecifier: specifier } } as never);
  assert.match(plane.lines[0] ?? '', /-> 10.0.0.1:8080\*6 10.0.0.2:8080\*1 10.0.0.3:8080\*1$/);
});

test('TCP listeners: one cluster is the service’s own, several share', () => {
  const plane = new Plane();
  const db = 'outbound|3306||db.shop.svc.cluster.local';
  plane.cluster(db);
  plane.endpoints(db, '10.0.0.1');
  plane.cluster('db-v2');
  plane.endpoints('db-v2', '10.0.0.2');
  const listener = (filter: object) =>
    plane.listener({ name: 'db', address: socket('10.96.0.5', 3306), filterChains: [{ filters: [filter] }] } as never);
  listener(tcpFilter(toCluster(db)));
  assert.deepEqual(plane.lines, ['shop/db.shop.svc.cluster.local 10.96.0.5:3306 tcp round-robin -> 10.0.0.1:8080*1']);
  const clusters = [
    { name: db, weight: 9 },
    { name: 'db-v2', weight: 1 },
  ];
  listener(tcpFilter({ clusterSpecifier: { case: 'weightedClusters', value: { clusters } } }));
  assert.deepEqual(plane.lines.at(-1), 'xds/db 10.96.0.5:3306 tcp round-robin -> 10.0.0.1:8080*9 10.0.0.2:8080*1');
});

test('another control plane: a listener on every address, any domain, clusters of any name', () => {
  const plane = new Plane();
  plane.cluster('blue');
  plane.endpoints('blue', '10.0.0.1');
  plane.listener({
    name: 'front',
    address: socket('0.0.0.0', 10000),
    filterChains: [
      {
        filters: [
          httpFilter({
            routeSpecifier: {
              case: 'routeConfig',
              value: { name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [route(toCluster('blue'))] }] },
            },
          }),
        ],
      },
    ],
  } as never);
  assert.deepEqual(plane.lines, [
    'xds/front 0.0.0.0:10000 http random -> ',
    '  * all.0:  => xds/blue:0/ 1 retries 0',
    'xds/blue :0 tcp round-robin -> 10.0.0.1:8080*1',
  ]);
});

test('subsets by metadata', () => {
  const plane = new Plane();
  const lb = (version: string) =>
    toBinary(MetadataSchema, create(MetadataSchema, { filterMetadata: { 'envoy.lb': { version } } }));
  plane.cluster('blue', { lbSubsetConfig: { subsetSelectors: [{ keys: ['version'] }] } } as never);
  plane.assignment({
    clusterName: 'blue',
    endpoints: [
      {
        lbEndpoints: [
          { ...endpoint('10.0.0.1'), metadata: lb('1') },
          { ...endpoint('10.0.0.2'), metadata: lb('2') },
        ],
      },
    ],
  });
  plane.listener({
    name: 'front',
    address: socket('10.96.0.7', 80),
    filterChains: [{ filters: [httpFilter({ routeSpecifier: { case: 'rds', value: { routeConfigName: 'r' } } })] }],
  } as never);
  const metadataMatch = { filterMetadata: { 'envoy.lb': { version: '2' } } };
  plane.routes({
    name: 'r',
    virtualHosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [route({ ...toCluster('blue'), metadataMatch }, prefix('/two')), route(toCluster('blue'))],
      },
    ],
  } as never);
  assert.deepEqual(plane.lines.slice(1), [
    '  * v.0: {"kind":"prefix","value":"/two"} => xds/blue:0/version=2 1 retries 0',
    '  * v.1:  => xds/blue:0/ 1 retries 0',
    'xds/blue :0 tcp round-robin -> 10.0.0.1:8080*1 10.0.0.2:8080*1',
    '  version=2 -> 10.0.0.2:8080',
  ]);
});

test('STRICT_DNS: resolved beside, again after the TTL, the last answer stays when the next one fails', async () => {
  const clock = new ManualClock();
  let answer: (() => Promise<{ addresses: string[]; ttlMs: number }>) | null = null;
  let changes = 0;
  const world = new EnvoyWorld({
    origin,
    clock,
    resolve: (name, family) => (family === 6 || answer === null ? Promise.reject(new Error(`no ${name}`)) : answer()),
    changed: () => {
      changes += 1;
    },
  });
  answer = () => Promise.resolve({ addresses: ['10.0.0.2', '10.0.0.1'], ttlMs: 30_000 });
  const put = (sink: number, body: Uint8Array) => world.sinks[sink]?.put(body, null);
  put(
    0,
    toBinary(
      ClusterSchema,
      create(ClusterSchema, {
        name: base,
        clusterDiscoveryType: { case: 'type', value: 1 },
        respectDnsTtl: true,
        loadAssignment: { clusterName: base, endpoints: [{ lbEndpoints: [endpoint('web.example.com')] }] },
      } as ClusterInit),
    ),
  );
  const settle = async (wanted: number) => {
    while (changes < wanted) await new Promise((resolve) => setImmediate(resolve));
    world.update();
    return (world.mesh.services.get(`shop/${host}`)?.ports[0]?.endpoints ?? []).map(({ address }) => address);
  };
  world.update();
  assert.deepEqual(await settle(1), ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual(clock.waits, [30_000]);
  answer = () => Promise.reject(new Error('SERVFAIL'));
  clock.advance(30_000);
  while (![...world.problems()].some(({ reason }) => reason.includes('SERVFAIL')))
    await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(clock.waits, [5000]);
  assert.deepEqual(await settle(1), ['10.0.0.1', '10.0.0.2']);
  answer = () => Promise.resolve({ addresses: ['10.0.0.3'], ttlMs: 30_000 });
  clock.advance(5000);
  assert.deepEqual(await settle(2), ['10.0.0.3']);
  world.close();
  assert.deepEqual(clock.waits, []);
});

/** What is refused, and how the refusal reads. */
const refused: readonly (readonly [string, (plane: Plane) => string | null, RegExp])[] = [
  ['a cluster without a name', (p) => p.cluster(''), /^name: missing/],
  [
    'an unknown cluster type',
    (p) => p.cluster('c', { clusterDiscoveryType: { case: 'type', value: 9 } }),
    /^type: unknown value 9/,
  ],
  [
    'a custom cluster',
    (p) => p.cluster('c', { clusterDiscoveryType: { case: 'clusterType', value: new Uint8Array() } }),
    /^cluster_type: not supported/,
  ],
  ['an unknown policy', (p) => p.cluster('c', { lbPolicy: 77 }), /^lb_policy: unknown value 77/],
  [
    'a policy of another kind',
    (p) => p.cluster('c', { loadBalancingPolicy: {} }),
    /^load_balancing_policy: not supported/,
  ],
  [
    'TLS to a cluster',
    (p) => p.cluster('c', { transportSocket: { name: 'envoy.transport_sockets.tls' } }),
    /^transport_socket.name: .*tls/,
  ],
  [
    'an endpoint without an address',
    (p) => p.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [{}] }] }),
    /^endpoints\[0\].lb_endpoints\[0\]/,
  ],
  ['an endpoint of a name', (p) => p.endpoints(base, 'web.example.com'), /address: "web.example.com" is no IP address/],
  [
    'an endpoint without a port',
    (p) =>
      p.assignment({
        clusterName: base,
        endpoints: [
          { lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: socket('10.0.0.1', 0) } } }] },
        ],
      }),
    /port_value: 0 is no port/,
  ],
  [
    'an unknown health',
    (p) => p.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [endpoint('10.0.0.1', { health: 42 })] }] }),
    /health_status: unknown value 42/,
  ],
  [
    'a weight of nothing',
    (p) => p.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [endpoint('10.0.0.1', { weight: 0 })] }] }),
    /load_balancing_weight: 0/,
  ],
  [
    'dropped overload',
    (p) => p.assignment({ clusterName: base, policy: { dropOverloads: [new Uint8Array()] } }),
    /^policy.drop_overloads: not supported/,
  ],
  ['a listener without an address', (p) => p.listener({ name: 'l' }), /^address: missing/],
  [
    'a listener at a pipe',
    (p) => p.listener({ name: 'l', address: { address: { case: 'pipe', value: new Uint8Array() } } }),
    /^address.pipe/,
  ],
  [
    'a UDP listener',
    (p) =>
      p.listener({
        name: 'l',
        address: { address: { case: 'socketAddress', value: { address: '1.1.1.1', protocol: 1 } } },
      }),
    /UDP is not supported/,
  ],
  [
    'a listener without chains',
    (p) => p.listener({ name: 'l', address: socket('10.96.0.1', 80) }),
    /^filter_chains: empty/,
  ],
  [
    'a filter that nobody knows',
    (p) => p.listener({ name: 'l', address: socket('10.96.0.1', 80), filterChains: [{ filters: [{ name: 'lua' }] }] }),
    /filters\[0\]: filter lua/,
  ],
  [
    'a chain by source',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [{ filterChainMatch: { sourcePorts: [1] }, filters: [tcpFilter(toCluster(base))] }],
      }),
    /filter_chain_match.source_ports: not supported/,
  ],
  [
    'an HTTP filter that decides',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [
          {
            filters: [
              httpFilter({
                routeSpecifier: { case: 'rds', value: { routeConfigName: 'r' } },
                httpFilters: [{ name: 'envoy.filters.http.rbac' }],
              }),
            ],
          },
        ],
      }),
    /http_filters\[0\]: envoy.filters.http.rbac/,
  ],
  [
    'scoped routes',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [
          { filters: [httpFilter({ routeSpecifier: { case: 'scopedRoutes', value: new Uint8Array() } })] },
        ],
      }),
    /scoped_routes: not supported/,
  ],
  [
    'a listener that ends TLS',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [
          { transportSocket: { name: 'envoy.transport_sockets.tls' }, filters: [tcpFilter(toCluster(base))] },
        ],
      }),
    /transport_socket: .*TLS/,
  ],
  [
    'a route without a match',
    (p) => routes80(p, vhost([{ action: { case: 'route', value: toCluster(base) } }])),
    /routes\[0\].match: missing/,
  ],
  ['a route without an action', (p) => routes80(p, vhost([{ match: prefix('/') }])), /routes\[0\]: action is missing/],
  [
    'a cluster by header',
    (p) => routes80(p, vhost([route({ clusterSpecifier: { case: 'clusterHeader', value: 'x' } })])),
    /cluster_header: not supported/,
  ],
  [
    'a regular expression in a rewrite',
    (p) => routes80(p, vhost([route({ ...toCluster(base), regexRewrite: {} })])),
    /route.regex_rewrite: not supported/,
  ],
  ['CORS', (p) => routes80(p, vhost([route({ ...toCluster(base), cors: {} })])), /route.cors: not supported/],
  [
    'a changed answer',
    (p) => routes80(p, vhost([{ ...route(toCluster(base)), responseHeadersToRemove: ['x'] }])),
    /response_headers_to_remove: not supported/,
  ],
  [
    'a header that frames the message',
    (p) =>
      routes80(
        p,
        vhost([
          { ...route(toCluster(base)), requestHeadersToAdd: [{ header: { key: 'Content-Length', value: '1' } }] },
        ]),
      ),
    /Content-Length cannot be changed/,
  ],
  [
    'a line end in a header',
    (p) =>
      routes80(
        p,
        vhost([{ ...route(toCluster(base)), requestHeadersToAdd: [{ header: { key: 'x', value: 'a\r\nb: c' } }] }]),
      ),
    /line ends/,
  ],
  [
    'an operator in a header',
    (p) =>
      routes80(
        p,
        vhost([{ ...route(toCluster(base)), requestHeadersToAdd: [{ header: { key: 'x', value: '%REQ(a)%' } }] }]),
      ),
    /operators are not supported/,
  ],
  [
    'a body for 204',
    (p) =>
      routes80(
        p,
        vhost([
          {
            match: prefix('/'),
            action: {
              case: 'directResponse',
              value: { status: 204, body: { specifier: { case: 'inlineString', value: 'x' } } },
            },
          },
        ]),
      ),
    /status 204 has none/,
  ],
  [
    'an unknown redirect code',
    (p) => routes80(p, vhost([{ match: prefix('/'), action: { case: 'redirect', value: { responseCode: 9 } } }])),
    /response_code: unknown value 9/,
  ],
  ['no domains', (p) => routes80(p, vhost([], { domains: [] })), /virtual_hosts\[0\].domains: empty/],
  [
    'a domain twice',
    (p) => routes80(p, vhost([route(toCluster(base))]), { name: 'b', domains: ['10.96.0.1'], routes: [] }),
    /10.96.0.1 belongs to web/,
  ],
  ['a path with a line end', (p) => routes80(p, vhost([route(toCluster(base), prefix('/a\nb'))])), /match.prefix: /],
  [
    'a delay',
    (p) =>
      routes80(
        p,
        vhost([
          {
            ...route(toCluster(base)),
            typedPerFilterConfig: { 'envoy.filters.http.fault': any(HTTPFaultSchema as never, { delay: {} }) },
          },
        ]),
      ),
    /delay: not supported/,
  ],
  [
    'settings of a filter that decides',
    (p) =>
      routes80(
        p,
        vhost([
          {
            ...route(toCluster(base)),
            typedPerFilterConfig: { 'envoy.filters.http.rbac': any(HTTPFaultSchema as never, {}) },
          },
        ]),
      ),
    /envoy.filters.http.rbac\]: not supported/,
  ],
];
for (const [what, act, reason] of refused) {
  test(`refused with the field, the last good version stays: ${what}`, () => {
    const plane = web();
    plane.world.update();
    assert.match(act(plane) ?? '', reason);
    assert.deepEqual(
      plane.lines.filter((line) => line.startsWith('shop/')),
      [plainWeb],
    );
  });
}
