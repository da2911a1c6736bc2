import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLocality } from '../model/localities.ts';
import type { ServicePort } from '../model/types.ts';
import { meshOf, objectsOf } from './testing.ts';

const usual = { balance: 'random', perConnection: false, connectTimeoutMs: 0 };

function pod(name: string, address: string, version: string): string {
  return `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: web, version: ${version}}}
spec: {}
status: {podIP: ${address}}
---`;
}

function web(ports: string, annotations = '{}'): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: ${annotations}}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: ${ports}}
---`;
}

function rule(spec: string, annotations = '{}'): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop, annotations: ${annotations}}
spec: ${spec}
---`;
}

function portsOf(text: string, key = 'shop/web.shop.svc.cluster.local'): readonly ServicePort[] {
  const service = meshOf(text).mesh.services.get(key);
  assert.ok(service);
  return service.ports;
}

const addresses = (part: Pick<ServicePort, 'endpoints'> | undefined) =>
  part?.endpoints.map(({ address, weight }) => (weight === 1 ? address : `${address}*${weight}`));

test('subsets: by labels of pods, also of those that EndpointSlices name', () => {
  const pods = pod('a', '10.0.0.1', 'v1') + pod('b', '10.0.0.2', 'v2') + pod('c', '10.0.0.3', 'v2');
  const subsets = `{host: web, subsets: [
    {name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}, {name: all}]}`;
  const service = web('[{name: http, port: 80}]');
  const slice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.0.0.1]}
- {addresses: [10.0.0.9], targetRef: {kind: Pod, name: b}}
- {addresses: [10.0.0.3], conditions: {ready: false}}
- {addresses: [10.0.0.8]}
---`;
  const shape = (text: string) =>
    portsOf(text)[0]?.subsets.map((one) => [one.name, addresses(one), one.unready, one.policy]);
  assert.deepEqual(shape(pods + service + rule(subsets)), [
    ['v1', ['10.0.0.1'], 0, usual],
    ['v2', ['10.0.0.2', '10.0.0.3'], 0, usual],
    ['v3', [], 0, usual],
    ['all', ['10.0.0.1', '10.0.0.2', '10.0.0.3'], 0, usual],
  ]);
  assert.deepEqual(shape(pods + service + slice + rule(subsets)), [
    ['v1', ['10.0.0.1'], 0, usual],
    ['v2', ['10.0.0.9'], 1, usual],
    ['v3', [], 0, usual],
    ['all', ['10.0.0.1', '10.0.0.9', '10.0.0.8'], 1, usual],
  ]);
});

test('subsets of a ServiceEntry: labels of its list, else of the workload at the address, or of what it selects', () => {
  const entry = (rest: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec: {hosts: [db.example], addresses: [240.0.0.1], resolution: STATIC, ports: [{number: 80, name: a, protocol: HTTP}], ${rest}}
---`;
  const vm = `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop}
spec: {address: 10.0.0.7, labels: {app: db, version: v2}, weight: 3}
---`;
  const subsets = rule(
    '{host: db.example, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}',
  );
  const shape = (text: string) => portsOf(text, 'shop/db.example')[0]?.subsets.map(addresses);
  const list = 'endpoints: [{address: 10.0.0.5, labels: {version: v1}, weight: 2}, {address: 10.0.0.7}]';
  assert.deepEqual(shape(entry(list) + vm + subsets), [['10.0.0.5*2'], ['10.0.0.7']]);
  assert.deepEqual(shape(entry('workloadSelector: {labels: {app: db}}') + vm + subsets), [[], ['10.0.0.7*3']]);
});

test('policy: rule, subset and port level; a port takes nothing from the levels above', () => {
  const text = web('[{name: http, port: 80}, {name: http-b, port: 81}, {name: tcp, port: 82}]');
  const policies = (spec: string, annotations = '{}') =>
    portsOf(text + rule(spec, annotations)).map(({ policy, subsets }) => [policy, ...subsets.map((one) => one.policy)]);
  const spec = `
  host: web
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {tcp: {connectTimeout: 1.5s}}
    portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: LEAST_REQUEST}}]
  subsets:
  - {name: same}
  - name: own
    trafficPolicy:
      connectionPool: {tcp: {connectTimeout: 250ms}}
      portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]
`;
  const made = (balance: string, connectTimeoutMs: number) => ({ balance, perConnection: false, connectTimeoutMs });
  assert.deepEqual(policies(spec), [
    [made('round-robin', 1500), made('round-robin', 1500), made('random', 0)],
    [made('least-request', 0), made('least-request', 0), made('least-request', 250)],
    [made('round-robin', 1500), made('round-robin', 1500), made('round-robin', 250)],
  ]);
});

test('consistent hashing is Maglev; a port without requests has no headers to hash', () => {
  const text = web('[{name: http, port: 80}, {name: tcp, port: 82}]');
  const policies = (hash: string) =>
    portsOf(text + rule(`{host: web, trafficPolicy: {loadBalancer: {consistentHash: ${hash}}}}`)).map(
      ({ policy }) => policy,
    );
  const maglev = (hash: object) => ({ ...usual, balance: 'maglev', hash });
  assert.deepEqual(policies('{httpHeaderName: X-User}'), [maglev({ kind: 'header', name: 'x-user' }), usual]);
  assert.deepEqual(policies('{httpCookie: {name: User}}'), [maglev({ kind: 'cookie', name: 'User' }), usual]);
  const bySource = maglev({ kind: 'source' });
  assert.deepEqual(policies('{useSourceIp: true, maglev: {}}'), [bySource, bySource]);
});

test('balancing per connection: the annotation of the rule comes before that of the service', () => {
  const perConnection = (service: string, ofRule: string) => {
    const say = (value: string) => (value === '' ? '{}' : `{kmesh.net/balance-per: ${value}}`);
    const text = web('[{name: http, port: 80}]', say(service)) + rule('{host: web, subsets: [{name: a}]}', say(ofRule));
    return portsOf(text).flatMap(({ policy, subsets }) => [
      policy.perConnection,
      ...subsets.map((one) => one.policy.perConnection),
    ]);
  };
  assert.deepEqual(perConnection('', ''), [false, false]);
  assert.deepEqual(perConnection('connection', ''), [true, true]);
  assert.deepEqual(perConnection('connection', 'request'), [false, false]);
  assert.deepEqual(perConnection('', 'connection'), [true, true]);
});

test('the protocol of a port: appProtocol, name, well-known ports where the server speaks first', () => {
  const mode = (port: string) => portsOf(web(`[${port}]`))[0]?.mode;
  const cases: readonly [string, ServicePort['mode']][] = [
    ['{name: http, port: 1}', 'http'],
    ['{name: http-web, port: 1}', 'http'],
    ['{name: httpx, port: 1}', 'detect'],
    ['{name: web, port: 1, appProtocol: http}', 'http'],
    ['{name: web, port: 1, appProtocol: HTTP}', 'http'],
    ['{name: web, port: 1, appProtocol: kubernetes.io/ws}', 'http'],
    ['{name: web, port: 1, appProtocol: kubernetes.io/h2c}', 'tcp'],
    ['{name: http, port: 1, appProtocol: tcp}', 'tcp'],
    ['{name: http, port: 1, appProtocol: example.com/own}', 'detect'],
    ['{name: grpc, port: 1}', 'tcp'],
    ['{name: grpc-web, port: 1}', 'detect'],
    ['{name: http2, port: 1}', 'tcp'],
    ['{name: tls-a, port: 1}', 'tcp'],
    ['{name: mysql, port: 1}', 'tcp'],
    ['{port: 1}', 'detect'],
    ['{port: 3306}', 'tcp'],
    ['{name: http, port: 3306}', 'http'],
    ['{name: web, port: 27017}', 'tcp'],
    ['{name: http, port: 1, protocol: UDP}', 'tcp'],
  ];
  assert.deepEqual(
    cases.map(([port]) => [port, mode(port)]),
    cases,
  );
  const entry = (protocol: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec: {hosts: [db.example], resolution: STATIC, ports: [{number: 80, name: a, ${protocol}}]}
`;
  const entryMode = (protocol: string) => portsOf(entry(protocol), 'shop/db.example')[0]?.mode;
  assert.deepEqual(
    ['protocol: HTTP', 'protocol: TCP', 'protocol: GRPC', 'protocol: TLS', 'protocol: ""'].map(entryMode),
    ['http', 'tcp', 'tcp', 'tcp', 'detect'],
  );
});

test('layer 4 routes: endpoints of the destinations, weighted', () => {
  const pods = pod('a', '10.0.0.1', 'v1') + pod('b', '10.0.0.2', 'v2') + pod('c', '10.0.0.3', 'v2');
  const subsets = rule('{host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}');
  const routed = (tcp: string, ports = '[{name: tcp, port: 80}]') =>
    portsOf(`${pods}${web(ports)}${subsets}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], tcp: [${tcp}]}
`);
  const to = (subset: string, weight: number) => `{destination: {host: web, subset: ${subset}}, weight: ${weight}}`;
  assert.deepEqual(routed(`{route: [${to('v2', 1)}]}`).map(addresses), [['10.0.0.2', '10.0.0.3']]);
  assert.deepEqual(routed(`{route: [${to('v1', 90)}, ${to('v2', 10)}]}`).map(addresses), [
    ['10.0.0.1*90', '10.0.0.2*5', '10.0.0.3*5'],
  ]);
  assert.deepEqual(routed(`{route: [${to('v1', 1)}, ${to('v2', 1)}]}`).map(addresses), [
    ['10.0.0.1*2', '10.0.0.2', '10.0.0.3'],
  ]);
  assert.deepEqual(routed(`{route: [${to('v1', 0)}, ${to('v2', 1)}]}`).map(addresses), [['10.0.0.2', '10.0.0.3']]);
  assert.deepEqual(routed(`{route: [${to('none', 1)}]}`).map(addresses), [[]]);
  // The subsets themselves stay what they are, and so do ports that no rule takes.
  const ports = routed(
    `{match: [{port: 80}], route: [${to('v1', 1)}]}`,
    '[{name: tcp, port: 80}, {name: tcp-b, port: 81}, {name: any, port: 82}, {name: http, port: 83}]',
  );
  const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  assert.deepEqual(ports.map(addresses), [['10.0.0.1'], all, all, all]);
  assert.deepEqual(ports[0]?.subsets.map(addresses), [['10.0.0.1'], ['10.0.0.2', '10.0.0.3']]);
  // A port of no known protocol is TCP when a layer 4 rule takes it.
  const any = routed(`{route: [${to('v1', 1)}]}`, '[{port: 80}]');
  assert.deepEqual([any[0]?.mode, addresses(any[0])], ['tcp', ['10.0.0.1']]);
});

test('localityLbSetting: of the rule, of a port, of a subset, and of the Service', () => {
  const found = (text: string) => {
    const objects = objectsOf(text);
    const [rule] = objects.filter((one) => one.kind === 'DestinationRule');
    return rule?.policy;
  };
  const failover = { kind: 'failover', regions: [{ from: 'us', to: 'eu' }] };
  const policy = found(
    rule(`{host: web, trafficPolicy: {loadBalancer: {localityLbSetting: {failover: [{from: us, to: eu}]}}, portLevelSettings: [
      {port: {number: 80}, loadBalancer: {localityLbSetting: {distribute: [{from: "us/*", to: {"us/*": 60, eu/b: 40}}]}}},
      {port: {number: 81}, loadBalancer: {localityLbSetting: {enabled: false}}},
      {port: {number: 82}, loadBalancer: {simple: RANDOM}},
      {port: {number: 83}, loadBalancer: {localityLbSetting: {}}},
      {port: {number: 84}, loadBalancer: {localityLbSetting: {failoverPriority: [
        topology.istio.io/network, topology.kubernetes.io/region, kubernetes.io/hostname]}}}]}}`),
  );
  assert.deepEqual(policy?.locality, failover);
  const to = [
    ['us/*', 60],
    ['eu/b', 40],
  ];
  assert.deepEqual(
    [80, 81, 82, 83, 84].map((port) => policy?.ports.get(port)?.locality),
    [
      { kind: 'distribute', rules: [{ from: 'us/*', to }] },
      null,
      'service',
      { kind: 'failover', regions: [] },
      { kind: 'priority', keys: ['region', 'node'] },
    ],
  );
  const service = (more: string) => `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80}]${more}}
---`;
  const place = { locality: parseLocality('us/a'), node: 'n' };
  const pods = pod('a', '10.0.0.1', 'v1, istio-locality: us.a') + pod('b', '10.0.0.2', 'v2, istio-locality: eu.b');
  const used = (text: string) => {
    const [port] = meshOf(pods + text, { place }).mesh.services.get('shop/web.shop.svc.cluster.local')?.ports ?? [];
    return [port, ...(port?.subsets ?? [])].map(addresses);
  };
  assert.deepEqual(used(service('')), [['10.0.0.1', '10.0.0.2']]);
  assert.deepEqual(used(service(', trafficDistribution: PreferClose')), [['10.0.0.1', '10.0.0.2*0']]);
  const subsets = 'subsets: [{name: all}, {name: plain, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]';
  const near = rule(`{host: web, ${subsets}, trafficPolicy: {loadBalancer: {localityLbSetting: {}}}}`);
  const first = ['10.0.0.1', '10.0.0.2*0'];
  assert.deepEqual(used(service('') + near), [first, first, ['10.0.0.1', '10.0.0.2']]);
});
