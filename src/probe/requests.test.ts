import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressToWords } from '../base/address.ts';
import { clusterId, RouteCompiler, workloadId } from '../compile/service.ts';
import { type KmRequestEvent, kmReason, kmRequestEvent } from '../kernel/gen/layout.gen.ts';
import { Names } from './names.ts';
import { requestItem, requestLogLine } from './requests.ts';
import { frontend, reviews, service } from './testing.ts';

const [port] = service.ports;
assert.ok(port !== undefined);
const origin = { source: 'files', file: 'routes.yaml', line: 9 };
const policy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 } as const;
const route = {
  name: 'main',
  origin,
  matches: [{ path: { kind: 'prefix', value: '/' } }],
  action: { kind: 'reply', status: 204, body: '', contentType: '' },
} as const;
const routed = {
  ...port,
  mode: 'http',
  subsets: [{ name: 'v1', endpoints: [], unready: 0, policy }],
  routing: { virtualHosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
} as const;
const own = { ...service, addresses: ['10.96.0.1', '0.0.0.0'], ports: [routed] };
const names = new Names(() => 0);
const workloads = new Map([frontend, reviews].map((w) => [w.uid, w]));
const mesh = { workloads, services: new Map([[own.key, own]]) };
names.update(mesh, { workloads: new Set(workloads.keys()), services: new Set([own.key]) });
const clock = { monotonic: () => 0n, date: (ns: bigint) => new Date(Number(ns / 1_000_000n)) };
const compiler = new RouteCompiler();
const generation = compiler.compile(`${own.key}:80`, routed.routing, 4).routes?.generation ?? 0n;
const what = { names, compiler, clock };

/** As the kernel writes it: what follows host and path in the head is in the record too. */
const event = (change: Partial<KmRequestEvent> = {}): KmRequestEvent => ({
  timeNs: 3_500_000_000n,
  durationNs: 1_234_567n,
  source: workloadId(frontend.uid),
  destination: workloadId(reviews.uid),
  cluster: clusterId(own, routed, 4, 'v1'),
  endpoint: 1n,
  requestBytes: 70n,
  responseBytes: 4000n,
  generation,
  clientAddr: addressToWords('10.0.0.1'),
  askedAddr: addressToWords('10.96.0.1'),
  realAddr: addressToWords('10.0.0.2'),
  clientPort: 40000,
  askedPort: 80,
  realPort: 8080,
  status: 200,
  route: 0,
  virtualHost: 0,
  reason: kmReason.NONE,
  hasRoute: 1,
  hostLength: 7,
  pathLength: 3,
  pathCut: 0,
  method: 'GET',
  host: 'reviews\r\nAccept: */*',
  path: '/ä HTTP/1.1\r\n',
  ...change,
});

test('a record of the kernel is a request in the mesh’s names', () => {
  const bytes = new DataView(new ArrayBuffer(kmRequestEvent.size));
  kmRequestEvent.encode(event(), bytes, 0);
  assert.deepEqual(requestItem(kmRequestEvent.decode(bytes, 0), what), {
    time: '1970-01-01T00:00:03.500Z',
    durationMs: 1.234,
    method: 'GET',
    host: 'reviews',
    path: '/ä',
    pathCut: false,
    status: 200,
    flags: '-',
    source: { namespace: 'shop', workload: 'frontend-1', address: '10.0.0.1:40000' },
    destination: { namespace: 'shop', workload: 'reviews-1', address: '10.0.0.2:8080' },
    asked: '10.96.0.1:80',
    service: 'shop/reviews',
    hostname: 'reviews.shop.svc.cluster.local',
    cluster: 'outbound|80|v1|reviews.shop.svc.cluster.local',
    virtualHost: 'all',
    route: 'main',
    origin: 'routes.yaml:9',
    requestBytes: 70,
    responseBytes: 4000,
  });
});

const nowhere = { destination: 0n, cluster: 0n, realAddr: [0, 0, 0, 0], realPort: 0 };

test('what was answered here went nowhere, and still is a request to the service', () => {
  const refused = event({ ...nowhere, hasRoute: 0, status: 404, reason: kmReason.NO_ROUTE });
  const item = requestItem(refused, what);
  assert.deepEqual(item.destination, { namespace: null, workload: null, address: null });
  assert.deepEqual([item.service, item.cluster, item.route, item.flags], ['shop/reviews', null, null, 'NR']);
});

test('a request is told by the table that routed it, after a change too', () => {
  const other = { ...route, name: 'other', matches: [{ path: { kind: 'exact', value: '/x' } }] } as const;
  const changed = { ...routed, routing: { virtualHosts: [{ name: 'all', domains: ['*'], routes: [other, route] }] } };
  const service2 = { ...own, ports: [changed] };
  const now = new Names(() => 0);
  const delta = { workloads: new Set<string>(), services: new Set([own.key]) };
  now.update({ workloads, services: new Map([[own.key, service2]]) }, delta);
  const after = compiler.compile(`${own.key}:80`, changed.routing, 4).routes?.generation ?? 0n;
  assert.notEqual(after, generation);
  const routeOf = (of: bigint) => requestItem(event({ generation: of }), { ...what, names: now }).route;
  assert.deepEqual([routeOf(generation), routeOf(after), routeOf(1n)], ['main', 'other', null]);
});

test('a listener on every address is found by its port; a service that went has none', () => {
  const elsewhere = { askedAddr: addressToWords('10.9.9.9') };
  assert.equal(requestItem(event(elsewhere), what).service, 'shop/reviews');
  assert.equal(requestItem(event({ ...elsewhere, askedPort: 81 }), what).service, null);
  assert.equal(requestItem(event({ route: 7 }), what).route, null);
  const other = new Names(() => 0);
  const delta = { workloads: new Set<string>(), services: new Set([own.key]) };
  other.update(mesh, delta);
  assert.equal(other.listenerAt('10.96.0.1', 80)?.service.name, 'reviews');
  other.update({ ...mesh, services: new Map() }, delta);
  assert.equal(other.listenerAt('10.96.0.1', 80), undefined);
});

test('a line of the access log', () => {
  const line = (e: KmRequestEvent) => requestLogLine(requestItem(e, what), e.reason, 'text');
  assert.equal(
    line(event({ path: '/x', pathLength: 2 })),
    '1970-01-01T00:00:03.500Z  INFO access: request complete src.addr=10.0.0.1:40000 src.workload=frontend-1 ' +
      'src.namespace=shop dst.addr=10.0.0.2:8080 dst.vip=10.96.0.1:80 dst.service=reviews.shop.svc.cluster.local ' +
      'dst.workload=reviews-1 dst.namespace=shop direction=outbound method=GET authority=reviews path=/x ' +
      'response_code=200 response_flags=- route=main cluster=outbound|80|v1|reviews.shop.svc.cluster.local ' +
      'bytes_sent=70 bytes_recv=4000 duration=1.234ms\n',
  );
  const failed = line(event({ ...nowhere, status: 503, reason: kmReason.NO_ENDPOINT }));
  assert.match(failed, /access: request failed .* response_flags=UH .* error="UH: no usable endpoint"\n$/);
  const json = requestLogLine(requestItem(event({ pathCut: 1 }), what), kmReason.NONE, 'json');
  const fields = JSON.parse(json) as Record<string, unknown>;
  assert.deepEqual([fields['path'], fields['response_code'], fields['route']], ['/ä…', 200, 'main']);
});
