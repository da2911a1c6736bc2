import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshBuilder } from './mesh.ts';
import type { ServiceObject } from './objects.ts';
import {
  addresses,
  changed,
  entry,
  get,
  httpRoute,
  keyOf,
  lines,
  pod,
  remove,
  rule,
  service,
  upsert,
  virtualService,
} from './testing.ts';

const host = (name: string) => `${name}.shop.svc.cluster.local`;
const tcpPort: ServiceObject['ports'] = [{ name: 'tcp', port: 80, protocol: 'TCP', appProtocol: '', targetPort: 8080 }];

test('a change of routes concerns the services that they are for, and nobody else', () => {
  const builder = new MeshBuilder();
  upsert(builder, service('web', ['10.96.0.1']), service('api', ['10.96.0.2']), service('db', ['10.96.0.3']));
  const web = virtualService('r', [host('web')], { http: [host('api')] });
  assert.deepEqual(changed(upsert(builder, web)), [[], [keyOf('web')]]);
  const table = get(builder, 'web')?.ports[0]?.routing;
  assert.ok(table);
  // The same again, with the object's own origin.
  assert.deepEqual(changed(upsert(builder, { ...web })), [[], []]);
  // New endpoints of the service change the port and keep the table.
  assert.deepEqual(changed(upsert(builder, pod('a', ['10.0.0.1']))), [['Kubernetes//Pod/shop/a'], [keyOf('web')]]);
  assert.equal(get(builder, 'web')?.ports[0]?.routing, table);
  // What happens to a destination's endpoints is nothing to those who route to it.
  const ofApi = pod('b', ['10.0.0.2'], { labels: { app: 'api' } });
  assert.deepEqual(changed(upsert(builder, ofApi))[1], [keyOf('api')]);
  // Another origin is another table: problems and users are shown the file.
  const moved = virtualService('r', [host('web')], { http: [host('api')] });
  assert.deepEqual(changed(upsert(builder, moved)), [[], [keyOf('web')]]);
  assert.notEqual(get(builder, 'web')?.ports[0]?.routing, table);
  assert.deepEqual(changed(upsert(builder, { ...moved, hosts: ['*.cluster.local'] }))[1], [keyOf('api'), keyOf('db')]);
  assert.deepEqual(changed(remove(builder, moved))[1].length, 3);
  assert.equal(get(builder, 'web')?.ports[0]?.routing, undefined);
});

test('destinations that come and go: their port, and the share of an HTTPRoute', () => {
  const builder = new MeshBuilder();
  upsert(builder, service('web', ['10.96.0.1']), virtualService('r', [host('web')], { http: [host('api')] }));
  const clusters = () => {
    const action = get(builder, 'web')?.ports[0]?.routing?.virtualHosts[0]?.routes[0]?.action;
    return action?.kind === 'forward' ? action.clusters.map(({ cluster }) => cluster) : action?.kind;
  };
  assert.deepEqual(clusters(), [{ service: keyOf('api'), port: 80, subset: '' }]);
  assert.match(lines(builder).join(), /^KM2010 VirtualService shop\/r .*there is no service api\.shop/);
  const ports: ServiceObject['ports'] = [
    { name: 'http', port: 8080, protocol: 'TCP', appProtocol: '', targetPort: 8080 },
  ];
  const api = service('api', ['10.96.0.2'], { ports });
  assert.deepEqual(changed(upsert(builder, api))[1], [keyOf('api'), keyOf('web')]);
  assert.deepEqual(clusters(), [{ service: keyOf('api'), port: 8080, subset: '' }]);
  assert.deepEqual(lines(builder), []);
  // A host of the object's own namespace comes before the same host elsewhere.
  const there = entry('out', { namespace: 'home', hosts: ['out.example'] });
  const here = entry('out', { hosts: ['out.example'], addresses: ['240.0.0.2'] });
  upsert(builder, there, virtualService('r', [host('web')], { http: ['out.example'] }));
  assert.deepEqual(clusters(), [{ service: 'home/out.example', port: 5432, subset: '' }]);
  upsert(builder, here);
  assert.deepEqual(clusters(), [{ service: 'shop/out.example', port: 5432, subset: '' }]);
  upsert(builder, httpRoute('h', 'web', [host('db')]));
  assert.deepEqual(clusters(), []);
  upsert(builder, service('db', ['10.96.0.4']));
  assert.deepEqual(clusters(), [{ service: keyOf('db'), port: 80, subset: '' }]);
});

test('layer 4 routes follow the endpoints of their destinations, and do not chain', () => {
  const builder = new MeshBuilder();
  const labels = (app: string) => ({ labels: { app } });
  upsert(
    builder,
    service('web', ['10.96.0.1'], { ports: tcpPort }),
    service('api', ['10.96.0.2'], { ports: tcpPort }),
    pod('a', ['10.0.0.1'], labels('web')),
    pod('b', ['10.0.0.2'], labels('api')),
    virtualService('to-api', [host('web')], { tcp: [host('api')] }),
    virtualService('to-web', [host('api')], { tcp: [host('web')] }),
  );
  const both = () => [addresses(get(builder, 'web')), addresses(get(builder, 'api'))];
  assert.deepEqual(both(), [['10.0.0.2:8080'], ['10.0.0.1:8080']]);
  assert.deepEqual(changed(upsert(builder, pod('c', ['10.0.0.3'], labels('api'))))[1], [keyOf('web')]);
  assert.deepEqual(both(), [['10.0.0.2:8080', '10.0.0.3:8080'], ['10.0.0.1:8080']]);
  remove(builder, virtualService('to-api', [], {}));
  assert.deepEqual(both(), [['10.0.0.1:8080'], ['10.0.0.1:8080']]);
  remove(builder, service('web', []));
  assert.deepEqual(addresses(get(builder, 'api')), []);
});

test('subsets follow labels, also of pods that a slice names', () => {
  const builder = new MeshBuilder();
  const labelled = (v: string) => pod('a', ['10.0.0.1'], { labels: { app: 'web', v } });
  const subsets = ['1', '2'].map((v) => ({ name: `v${v}`, labels: { v }, policy: { ports: new Map() } }));
  upsert(builder, service('web', ['10.96.0.1']), labelled('1'), { ...rule('r', host('web'), null), subsets });
  const sizes = () => get(builder, 'web')?.ports[0]?.subsets.map(({ endpoints }) => endpoints.length);
  assert.deepEqual(sizes(), [1, 0]);
  upsert(builder, labelled('2'));
  assert.deepEqual(sizes(), [0, 1]);
  upsert(builder, {
    kind: 'EndpointSlice',
    namespace: 'shop',
    name: 's',
    origin: { source: 'test', file: 'a.yaml', line: 1 },
    service: 'web',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [{ address: '10.0.0.1', state: 'ready', pod: 'a', zone: '' }],
  });
  assert.deepEqual(sizes(), [0, 1]);
  upsert(builder, labelled('1'));
  assert.deepEqual(sizes(), [1, 0]);
  remove(builder, rule('r', '', null));
  assert.deepEqual(sizes(), []);
});
