import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { create, toBinary } from '@bufbuild/protobuf';
import { problemLine, type Service } from '../../../model/types.ts';
import {
  AuthorizationSchema,
  IstioAddressSchema,
  IstioAppProtocol,
  type IstioService,
  IstioServiceSchema,
  type IstioWorkload,
  IstioWorkloadSchema,
} from '../gen/messages.gen.ts';
import { ManualClock, noDns } from '../source-testing.ts';
import { recorded } from '../testdata.ts';
import type { DnsOptions } from './named.ts';
import { WorkloadWorld } from './world.ts';

const origin = { source: 'xds', file: 'xds://test', line: 0 };

class Fixture {
  readonly world: WorkloadWorld;

  constructor(dns: DnsOptions = noDns) {
    this.world = new WorkloadWorld({ origin, network: '', node: 'node-1', clusterId: 'Kubernetes', dns });
  }

  workload(uid: string, init: MessageInitShape<typeof IstioWorkloadSchema>): string | null {
    const value: IstioWorkload = create(IstioWorkloadSchema, { uid, name: uid, namespace: 'shop', ...init });
    return this.put(uid, create(IstioAddressSchema, { type: { case: 'workload', value } }));
  }

  service(init: MessageInitShape<typeof IstioServiceSchema>): string | null {
    const value: IstioService = create(IstioServiceSchema, {
      name: 'web',
      namespace: 'shop',
      hostname: 'web.shop.svc.cluster.local',
      addresses: [{ address: Uint8Array.of(10, 96, 0, 1) }],
      ports: [{ servicePort: 80, targetPort: 8080 }],
      ...init,
    });
    return this.put(
      'shop/web.shop.svc.cluster.local',
      create(IstioAddressSchema, { type: { case: 'service', value } }),
    );
  }

  put(name: string, message: ReturnType<typeof create<typeof IstioAddressSchema>>): string | null {
    return this.world.sinks[0]?.put(toBinary(IstioAddressSchema, message), name).refusal ?? null;
  }

  get web(): Service | undefined {
    this.world.update();
    return this.world.mesh.services.get('shop/web.shop.svc.cluster.local');
  }

  get endpoints(): string[] {
    return (this.web?.ports[0]?.endpoints ?? []).map((e) => `${e.address}:${e.port}*${e.weight}`);
  }
}

const ip = (last: number): Uint8Array[] => [Uint8Array.of(10, 0, 0, last)];
const member = (ports: [number, number][] = [[80, 8080]]) => ({
  'shop/web.shop.svc.cluster.local': { ports: ports.map(([servicePort, targetPort]) => ({ servicePort, targetPort })) },
});

test('the answers of a real istiod become services with their endpoints', () => {
  const world = new WorkloadWorld({ origin, network: '', node: '', clusterId: 'Kubernetes', dns: noDns });
  for (const { name, resource } of recorded('addresses')) {
    assert.deepEqual(world.sinks[0]?.put(resource.value, name), { name, refusal: null });
  }
  for (const { name, resource } of recorded('authorizations')) {
    assert.deepEqual(world.sinks[1]?.put(resource.value, name), { name, refusal: null });
  }
  world.update();
  const lines = [...world.mesh.services.values()].flatMap((s) =>
    s.ports.map((p) => {
      const to = p.endpoints.map((e) => `${e.address}:${e.port}`).join(' ');
      return `${s.hostname} ${s.addresses.join(',')}:${p.port} ${p.mode} -> ${to} (${p.unready} unready)`;
    }),
  );
  assert.deepEqual(lines.sort(), [
    'front.shop.svc.cluster.local 240.240.0.30:80 http -> 10.1.0.41:8080 (0 unready)',
    'ratings.shop.svc.cluster.local 240.240.0.20:3306 tcp -> 10.1.0.31:3306 10.1.0.32:3306 (0 unready)',
    'ratings.shop.svc.cluster.local 240.240.0.20:80 http -> 10.1.0.31:9080 10.1.0.32:9080 (0 unready)',
    'reviews.shop.svc.cluster.local 240.240.0.10:80 http -> 10.1.0.11:9080 10.1.0.12:9080 10.1.0.21:9080 (0 unready)',
    'web.shop.svc.cluster.local 10.96.0.10:80 http -> 10.2.0.11:8080 10.2.0.12:8080 (0 unready)',
  ]);
  const web = world.mesh.workloads.get('Kubernetes//Pod/shop/web-1');
  assert.equal(web?.tunnel, 'HBONE');
  assert.equal(web?.locality, 'r1/z1');
  assert.equal(web?.serviceAccount, 'web');
  const warnings = world.problems().map(problemLine);
  assert.ok(
    warnings.some((line) => /^Authorization shop\/deny-ip-front xds:\/\/test: .*DENY.* is not enforced/.test(line)),
  );
  assert.equal(warnings.filter((line) => line.startsWith('Authorization ')).length, 3);
  const [first, second, third] = world.dump().policies;
  assert.deepEqual(first, {
    ...{ name: 'allow-front', namespace: 'shop', scope: 'Namespace', action: 'Allow' },
    rules: [[[{ destinationPorts: [9080] }], [{ principals: [{ Exact: 'cluster.local/ns/shop/sa/front' }] }]]],
  });
  assert.deepEqual(second, {
    ...{ name: 'deny-ip-front', namespace: 'shop', scope: 'WorkloadSelector', action: 'Deny' },
    rules: [[[{ sourceIps: ['10.9.0.0/16'] }]]],
  });
  assert.deepEqual(third && 'rules' in third ? third.rules : null, [[[{ notPrincipals: [{ Presence: {} }] }]]]);
});

test('an unhealthy workload gets nothing and is counted, unless the service allows all', () => {
  const it = new Fixture();
  it.service({});
  it.workload('a', { addresses: ip(1), services: member() });
  it.workload('b', { addresses: ip(2), services: member(), status: 1 });
  assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1']);
  assert.equal(it.web?.ports[0]?.unready, 1);
  it.service({ loadBalancing: { healthPolicy: 1 } });
  assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1', '10.0.0.2:8080*1']);
});

test('TCP and UDP of one port, which this API does not tell apart, are one', () => {
  const it = new Fixture();
  const port = { servicePort: 53, targetPort: 53 };
  assert.equal(it.service({ ports: [port, { ...port, appProtocol: IstioAppProtocol.TCP }] }), null);
  assert.deepEqual(
    it.web?.ports.map(({ port: number, appProtocol }) => [number, appProtocol]),
    [[53, 'tcp']],
  );
});

test('a named target port is each workload’s own, and who lacks the port is no endpoint', () => {
  const it = new Fixture();
  it.service({ ports: [{ servicePort: 80, targetPort: 0 }] });
  it.workload('a', { addresses: ip(1), services: member([[80, 9001]]), capacity: 3 });
  it.workload('b', { addresses: ip(2), services: member([[81, 9002]]) });
  assert.deepEqual(it.endpoints, ['10.0.0.1:9001*3']);
});

test('a workload that leaves a service, moves or goes away takes its endpoints with it', () => {
  const it = new Fixture();
  it.workload('a', { addresses: ip(1), services: member() });
  it.service({});
  assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1']);
  it.workload('a', { addresses: ip(9), services: member() });
  assert.deepEqual(it.endpoints, ['10.0.0.9:8080*1']);
  it.workload('a', { addresses: ip(9) });
  assert.deepEqual(it.endpoints, []);
  it.workload('a', { addresses: ip(9), services: member() });
  it.world.update();
  it.world.sinks[0]?.remove('a');
  assert.deepEqual(it.endpoints, []);
  it.world.sinks[0]?.remove('shop/web.shop.svc.cluster.local');
  assert.equal(it.web, undefined);
});

test('a headless service has endpoints and no listener', () => {
  const it = new Fixture();
  it.service({ addresses: [] });
  it.workload('a', { addresses: ip(1), services: member() });
  assert.deepEqual(it.web?.addresses, []);
  assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1']);
});

test('endpoints of another network are not used, and addresses of other networks are left out', () => {
  const it = new Fixture();
  it.service({
    addresses: [{ address: Uint8Array.of(10, 96, 0, 1) }, { network: 'b', address: Uint8Array.of(10, 96, 0, 2) }],
  });
  it.workload('a', { addresses: ip(1), services: member(), network: 'b' });
  assert.deepEqual(it.web?.addresses, ['10.96.0.1']);
  assert.deepEqual(it.endpoints, []);
  assert.equal(it.web?.ports[0]?.unready, 1);
});

test('locality: failover takes the nearest that are usable, strict only those that share all', () => {
  const it = new Fixture();
  const near = { region: 'r1', zone: 'z1' };
  const far = { region: 'r1', zone: 'z2' };
  it.workload('here', { addresses: ip(9), node: 'node-1', locality: near });
  it.workload('a', { addresses: ip(1), services: member(), locality: near });
  it.workload('b', { addresses: ip(2), services: member(), locality: far });
  it.service({ loadBalancing: { mode: 2, routingPreference: [6, 1, 2] } });
  assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1']);
  it.workload('a', { addresses: ip(1), services: member(), locality: near, status: 1 });
  assert.deepEqual(it.endpoints, ['10.0.0.2:8080*1']);
  it.service({ loadBalancing: { mode: 1, routingPreference: [6, 1, 2] } });
  assert.deepEqual(it.endpoints, []);
});

test('a waypoint is kept and said to be passed by', () => {
  const it = new Fixture();
  const hostname = { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' };
  it.service({ waypoint: { destination: { case: 'hostname', value: hostname }, hboneMtlsPort: 15008 } });
  assert.equal(it.web?.waypoint, 'shop/wp.shop.svc.cluster.local');
  assert.match(it.world.problems().map(problemLine).join(), /Service shop\/web .*service.waypoint: .*passed by/);
});

test('a workload that only has a host name gets the addresses of that name, as they change', async () => {
  const clock = new ManualClock();
  let answer: readonly string[] | null = null;
  let changes = 0;
  const asked: string[] = [];
  const it = new Fixture({
    clock,
    resolve: async (host, family) => {
      asked.push(`${host} ${family}`);
      if (answer === null || family === 6) throw new Error('no such name');
      return { addresses: answer, ttlMs: 60_000 };
    },
    changed: () => {
      changes += 1;
    },
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  it.service({});
  it.workload('a', { hostname: 'db.example.com', services: member() });
  assert.deepEqual(it.endpoints, []);
  await settled();
  assert.deepEqual(asked, ['db.example.com 4', 'db.example.com 6']);
  const [told] = it.world.problems().map(problemLine);
  assert.match(told ?? '', /^Workload shop\/a .*workload.hostname: db.example.com is not resolved .*no such name/);
  answer = ['10.0.0.9', '10.0.0.8'];
  clock.advance(5000);
  await settled();
  assert.equal(changes, 1);
  assert.deepEqual(it.endpoints, ['10.0.0.8:8080*1', '10.0.0.9:8080*1']);
  assert.deepEqual(it.world.problems(), []);
  // It holds for a minute; the same answer in another order is no change.
  answer = ['10.0.0.8', '10.0.0.9'];
  clock.advance(59_000);
  await settled();
  assert.equal(asked.length, 4);
  clock.advance(1000);
  await settled();
  assert.deepEqual([asked.length, changes], [6, 1]);
  // What it was stays when nobody answers.
  answer = null;
  clock.advance(60_000);
  await settled();
  assert.deepEqual(it.endpoints, ['10.0.0.8:8080*1', '10.0.0.9:8080*1']);
  it.workload('a', { addresses: ip(1), services: member() });
  assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1']);
  clock.advance(600_000);
  await settled();
  assert.equal(asked.length, 8, 'nobody asks any more');
});

const bad: readonly (readonly [string, (it: Fixture) => string | null, RegExp])[] = [
  [
    'an address of 5 bytes',
    (it) => it.workload('a', { addresses: [new Uint8Array(5)] }),
    /workload.addresses\[0\]: .*not 5/,
  ],
  ['no such port', (it) => it.service({ ports: [{ servicePort: 99999 }] }), /service.ports\[0\].service_port: 99999/],
  [
    'a port twice',
    (it) => it.service({ ports: [{ servicePort: 1 }, { servicePort: 1, targetPort: 2 }] }),
    /service.ports\[1\].*twice/,
  ],
  ['an unknown protocol', (it) => it.service({ ports: [{ servicePort: 1, appProtocol: 77 }] }), /app_protocol: .*77/],
  ['an unknown status', (it) => it.workload('a', { status: 9 }), /workload.status: unknown value 9/],
  ['an unknown mode', (it) => it.service({ loadBalancing: { mode: 9 } }), /load_balancing.mode: unknown value 9/],
  ['another name', (it) => it.service({ hostname: 'other' }), /its name is shop\/other/],
  ['no host name', (it) => it.service({ hostname: '' }), /service.hostname: missing/],
  ['no host in a key', (it) => it.workload('a', { services: { web: {} } }), /workload.services\[web\]: .*NAMESPACE/],
  ['neither', (it) => it.put('a', create(IstioAddressSchema)), /type: neither/],
];
for (const [what, act, reason] of bad) {
  test(`refused with the field: ${what}; the last good version stays`, () => {
    const it = new Fixture();
    it.service({});
    it.workload('b', { addresses: ip(1), services: member() });
    assert.match(act(it) ?? '', reason);
    assert.deepEqual(it.endpoints, ['10.0.0.1:8080*1']);
  });
}

test('a policy with a field that this version does not know is refused, however deep it is', () => {
  const world = new WorkloadWorld({ origin, network: '', node: '', clusterId: '', dns: noDns });
  const policy = create(AuthorizationSchema, {
    namespace: 'shop',
    name: 'p',
    groups: [{ rules: [{ matches: [{}] }] }],
  });
  const match = policy.groups[0]?.rules[0]?.matches[0];
  assert.ok(match);
  match.$unknown = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }];
  const verdict = world.sinks[1]?.put(toBinary(AuthorizationSchema, policy), 'shop/p');
  assert.deepEqual(verdict, {
    name: 'shop/p',
    refusal: 'groups[0].rules[0].matches[0].field 99: not known to this version',
  });
});
