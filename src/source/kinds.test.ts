import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../model/objects.ts';
import { parseYaml, splitDocuments } from './documents.ts';
import { type Item, readItems } from './items.ts';
import { heapUsed } from './testing.ts';

function items(text: string): Item[] {
  return splitDocuments(text).flatMap((document, i) =>
    readItems(document, parseYaml(document.text), { file: 'a.yaml', number: i + 1, isKnown: () => false }),
  );
}

/** The one object of a text that has nothing wrong with it, without its origin. */
function only(text: string): Omit<KubeObject, 'origin'> {
  const [item, ...more] = items(text);
  assert.equal(more.length, 0);
  assert.deepEqual(item?.notes, []);
  assert.ok(item?.object);
  const { origin, ...rest } = item.object;
  assert.equal(origin.file, 'a.yaml');
  return rest;
}

test('Service: defaults of the API', () => {
  assert.deepEqual(
    only('{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}}'),
    {
      kind: 'Service',
      namespace: 'default',
      name: 'a',
      addresses: ['10.0.0.1'],
      selector: null,
      ports: [{ name: '', port: 80, protocol: 'TCP', appProtocol: '', targetPort: 80 }],
      affinitySeconds: 0,
      locality: null,
      publishNotReady: false,
      balancePer: '',
    },
  );
});

test('Service: everything that is read, and what is left alone', () => {
  const text = `
apiVersion: v1
kind: Service
metadata:
  name: a
  namespace: shop
  uid: 8d0c
  creationTimestamp: 2024-01-01T00:00:00Z
  managedFields: [{manager: kubectl}]
  annotations: {a.b/c: "1"}
spec:
  type: LoadBalancer
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1, "FD00:0::1"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  externalTrafficPolicy: Local
  internalTrafficPolicy: Cluster
  externalIPs: []
  selector: {app: a}
  sessionAffinity: ClientIP
  trafficDistribution: PreferSameNode
  publishNotReadyAddresses: true
  ports:
  - {name: web, port: 80, nodePort: 30080, targetPort: http, appProtocol: kubernetes.io/h2c}
  - {name: dns, port: 53, protocol: UDP, targetPort: 5353}
status:
  loadBalancer: {}
`;
  assert.deepEqual(only(text), {
    kind: 'Service',
    namespace: 'shop',
    name: 'a',
    addresses: ['10.0.0.1', 'fd00::1'],
    selector: { app: 'a' },
    ports: [
      { name: 'web', port: 80, protocol: 'TCP', appProtocol: 'kubernetes.io/h2c', targetPort: 'http' },
      { name: 'dns', port: 53, protocol: 'UDP', appProtocol: '', targetPort: 5353 },
    ],
    affinitySeconds: 10800,
    locality: { kind: 'priority', keys: ['region', 'zone', 'node'] },
    publishNotReady: true,
    balancePer: '',
  });
});

function readPod(rest: string): Record<string, unknown> {
  return { ...only(`apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-7d9f-x\n${rest}`) };
}

test('Pod: without a status it is ready, and its addresses are to be found', () => {
  const pod = readPod('  labels: {istio.io/dataplane-mode: KMESH}\n  annotations: {kmesh.net/netns: web}\nspec: {}\n');
  const { ready, finished, addresses, netns, dataplaneMode, serviceAccount, owner } = pod;
  assert.deepEqual(
    { ready, finished, addresses, netns, dataplaneMode, serviceAccount, owner },
    {
      ready: true,
      finished: false,
      addresses: [],
      netns: 'web',
      dataplaneMode: 'kmesh',
      serviceAccount: 'default',
      owner: 'web-7d9f-x',
    },
  );
});

test('Pod: owner, service account, ports, sidecars', () => {
  const pod = readPod(`  labels: {pod-template-hash: 7d9f, istio-locality: us-east1.us-east1-b}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-7d9f, uid: x, controller: true}]
spec:
  serviceAccountName: web
  nodeName: node-1
  hostNetwork: true
  initContainers:
  - {name: proxy, restartPolicy: Always, ports: [{name: metrics, containerPort: 15020}]}
  - {name: once, ports: [{name: never, containerPort: 1}]}
  containers:
  - {name: web, image: web, ports: [{name: http, containerPort: 8080}, {containerPort: 9}, {name: dns, containerPort: 53, protocol: UDP}]}
`);
  assert.equal(pod['owner'], 'web');
  assert.equal(pod['serviceAccount'], 'web');
  assert.equal(pod['node'], 'node-1');
  assert.equal(pod['locality'], 'us-east1/us-east1-b');
  assert.equal(pod['hostNetwork'], true);
  assert.deepEqual(pod['ports'], [
    { name: 'http', port: 8080, protocol: 'TCP' },
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'metrics', port: 15020, protocol: 'TCP' },
  ]);
});

test('Pod: readiness', () => {
  const cases: [string, boolean, boolean][] = [
    ['status: {podIP: 10.0.0.1}', true, false],
    ['status: {phase: Running, podIP: 10.0.0.1}', true, false],
    ['status: {phase: Pending}', false, false],
    ['status: {phase: Running, conditions: []}', false, false],
    ['status: {phase: Running, conditions: [{type: Ready, status: "True"}]}', true, false],
    [
      'status: {phase: Running, conditions: [{type: Ready, status: "False"}, {type: Initialized, status: "True"}]}',
      false,
      false,
    ],
    ['status: {phase: Succeeded, conditions: [{type: Ready, status: "True"}]}', false, true],
    ['status: {phase: Failed}', false, true],
  ];
  for (const [status, ready, finished] of cases) {
    const pod = readPod(`spec: {}\n${status}\n`);
    assert.deepEqual([pod['ready'], pod['finished']], [ready, finished], status);
  }
  assert.equal(readPod('  deletionTimestamp: 2024-01-01T00:00:00Z\nspec: {}\n')['ready'], false);
  const both = readPod('spec: {}\nstatus: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "FD00::1"}]}\n');
  assert.deepEqual(both['addresses'], ['10.0.0.1', 'fd00::1']);
});

test('EndpointSlice: conditions that are not given, targets, families', () => {
  const text = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, namespace: shop, labels: {kubernetes.io/service-name: a}}
addressType: IPv6
ports: [{port: 80}, {name: dns, port: 53, protocol: UDP}]
endpoints:
- addresses: ["fd00::1"]
- {addresses: ["fd00::2"], conditions: {}, targetRef: {kind: Pod, name: p, namespace: shop}}
- {addresses: ["fd00::3"], conditions: {ready: null}, targetRef: {kind: Pod, name: p, namespace: other}}
- {addresses: ["fd00::4"], conditions: {ready: false}, targetRef: {kind: Node, name: n}}
- {addresses: ["fd00::5"], conditions: {ready: false, serving: true, terminating: true}, zone: z, nodeName: n}
- {addresses: ["fd00::6"], conditions: {ready: false, serving: false, terminating: true}, hints: {forZones: [{name: z}]}}
`;
  const slice: Record<string, unknown> = { ...only(text) };
  assert.equal(slice['service'], 'a');
  assert.deepEqual(slice['ports'], [
    { name: '', port: 80, protocol: 'TCP' },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ]);
  assert.deepEqual(slice['endpoints'], [
    { address: 'fd00::1', state: 'ready', pod: '', zone: '' },
    { address: 'fd00::2', state: 'ready', pod: 'p', zone: '' },
    { address: 'fd00::3', state: 'ready', pod: '', zone: '' },
    { address: 'fd00::4', state: 'unready', pod: '', zone: '' },
    { address: 'fd00::5', state: 'draining', pod: '', zone: 'z', node: 'n' },
    { address: 'fd00::6', state: 'unready', pod: '', zone: '', hints: { zones: ['z'], nodes: [] } },
  ]);
});

test('Node: its place by the well-known labels; Service: only endpoints of the client’s node', () => {
  const node = (labels: string) =>
    (
      only(
        `apiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {${labels}}}\nspec: {podCIDR: 10.0.0.0/24}\nstatus: {}\n`,
      ) as Record<string, unknown>
    )['locality'];
  assert.equal(node('topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z'), 'r/z/');
  assert.equal(node('topology.kubernetes.io/zone: z'), '/z/');
  assert.equal(node('kubernetes.io/os: linux'), '');
  const service = (policy: string) =>
    (
      only(
        `apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {clusterIP: 10.96.0.1, internalTrafficPolicy: ${policy}, ports: [{port: 80}]}\n`,
      ) as Record<string, unknown>
    )['localOnly'];
  assert.deepEqual([service('Local'), service('Cluster')], [true, undefined]);
});

test('ServiceEntry, WorkloadEntry and DestinationRule in each of their versions', () => {
  for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
    const head = (kind: string) =>
      `apiVersion: networking.istio.io/${version}\nkind: ${kind}\nmetadata: {name: x, namespace: shop}\n`;
    assert.deepEqual(
      only(`${head('ServiceEntry')}spec:
  hosts: [DB.example, "*.wild.example"]
  addresses: [240.0.0.1, 240.0.0.2/32]
  location: MESH_INTERNAL
  exportTo: ["*"]
  resolution: STATIC
  ports:
  - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
  - {number: 53, name: dns, protocol: UDP}
  endpoints:
  - {address: 10.0.0.1, weight: 8, ports: {http: 81}, locality: a/b, labels: {v: "1"}, serviceAccount: s}
  - {address: "::ffff:10.0.0.2"}
`),
      {
        kind: 'ServiceEntry',
        namespace: 'shop',
        name: 'x',
        hosts: ['db.example', '*.wild.example'],
        addresses: ['240.0.0.1', '240.0.0.2'],
        ports: [
          { name: 'http', port: 80, protocol: 'TCP', appProtocol: 'http', targetPort: 8080 },
          { name: 'dns', port: 53, protocol: 'UDP', appProtocol: '', targetPort: 53 },
        ],
        endpoints: [
          { address: '10.0.0.1', ports: { http: 81 }, weight: 8, locality: 'a/b', labels: { v: '1' } },
          { address: '10.0.0.2', ports: {}, weight: 1, locality: '', labels: {} },
        ],
        selector: null,
        balancePer: '',
      },
    );
    assert.deepEqual(
      only(`${head('WorkloadEntry')}spec: {address: 10.0.0.1, labels: {app: a, v: "1"}, weight: 0, locality: r/z}\n`),
      {
        kind: 'WorkloadEntry',
        namespace: 'shop',
        name: 'x',
        labels: { app: 'a', v: '1' },
        owner: 'x',
        serviceAccount: 'default',
        address: '10.0.0.1',
        ports: {},
        weight: 0,
        locality: 'r/z',
      },
    );
    const rule = (spec: string): Record<string, unknown> => ({ ...only(`${head('DestinationRule')}spec: ${spec}\n`) });
    assert.equal(rule('{host: web}')['host'], 'web.shop.svc.cluster.local');
    assert.equal(rule('{host: db.example}')['host'], 'db.example');
    const policy = (simple: string) =>
      rule(`{host: web, trafficPolicy: {loadBalancer: {simple: ${simple}}}}`)['policy'];
    const balanced = (balance: string) => ({ ports: new Map(), balance: { balance }, locality: 'service' });
    assert.deepEqual(
      ['RANDOM', 'ROUND_ROBIN', 'UNSPECIFIED', 'LEAST_REQUEST', 'LEAST_CONN'].map(policy),
      ['random', 'round-robin', 'random', 'least-request', 'least-request'].map(balanced),
    );
  }
});

test('lists, of any of our kinds, and kinds of other groups', () => {
  const list = items(`apiVersion: v1
kind: NamespaceList
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: a}}

- apiVersion: v1
  kind: Namespace
  metadata: {name: b, labels: {istio.io/dataplane-mode: none}}
`);
  assert.deepEqual(
    list.map((item) => [item.name, item.origin.line]),
    [
      ['a', 4],
      ['b', 6],
    ],
  );
  const [knative] = items(
    '{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}, spec: {template: {}}}',
  );
  assert.equal(knative?.refused, false);
  assert.deepEqual(
    knative?.notes.map((note) => note.code),
    ['KM1008'],
  );
});

test('what is kept of a document does not keep the document', () => {
  // V8 keeps the parent of a long substring. 400 documents of 200 KB, each leaving one long name, would keep 80 MB.
  const kept: unknown[] = [];
  const before = heapUsed();
  for (let i = 0; i < 400; i++) {
    const name = `a-rather-long-name-${i}`;
    const text = `{apiVersion: v1, kind: Namespace, metadata: {name: ${name}, annotations: {x: "${'y'.repeat(200_000)}"}}}`;
    kept.push(items(text).map((item) => item.object));
  }
  const grown = heapUsed() - before;
  assert.ok(grown < 20e6, `${grown} bytes`);
  assert.equal(kept.length, 400);
});
