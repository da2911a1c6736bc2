import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { problemLine } from '../../../model/types.ts';
import { ClusterSchema, MetadataSchema } from '../gen/messages.gen.ts';
import { ManualClock } from '../source-testing.ts';
import { recorded } from '../testdata.ts';
import { socket } from '../testing.ts';
import {
  base,
  type ClusterInit,
  endpoint,
  host,
  httpFilter,
  origin,
  Plane,
  plainWeb,
  portLines,
  prefix,
  route,
  routes80,
  tcpFilter,
  toCluster,
  vhost,
  web,
  worldOf,
} from './testing-plane.ts';
import { EnvoyWorld } from './world.ts';

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

test('an endpoint of two families serves clients of both', () => {
  const plane = web();
  const additionalAddresses = [{ address: socket('fd00::1', 8080) }];
  const dual = {
    hostIdentifier: { case: 'endpoint', value: { address: socket('10.0.0.1', 8080), additionalAddresses } },
  };
  assert.equal(
    plane.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [dual, endpoint('10.0.0.2')] }] }),
    null,
  );
  assert.match(plane.lines[0] ?? '', /-> 10\.0\.0\.1:8080\*1 fd00::1:8080\*1 10\.0\.0\.2:8080\*1$/);
  const other = [{ address: socket('fd00::1', 8081) }];
  const odd = {
    hostIdentifier: { case: 'endpoint', value: { address: socket('10.0.0.1', 8080), additionalAddresses: other } },
  };
  assert.match(
    plane.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [odd] }] }) ?? '',
    /endpoint.additional_addresses\[0\].address: another port/,
  );
});

test('REGISTRY_ONLY is told of where it is not enforced', () => {
  const told = (cluster: string): boolean => {
    const plane = new Plane();
    const filterChains = [{ filters: [tcpFilter(toCluster(cluster))] }];
    assert.equal(plane.listener({ name: 'virtualOutbound', address: socket('0.0.0.0', 15_001), filterChains }), null);
    return plane.world
      .problems()
      .map(problemLine)
      .some((line) => /^LDS virtualOutbound .*REGISTRY_ONLY/.test(line));
  };
  assert.deepEqual([told('PassthroughCluster'), told('BlackHoleCluster')], [false, true]);
});
