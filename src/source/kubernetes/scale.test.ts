/** What 100 000 endpoints of an API server take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heapUsed } from '../testing.ts';
import { ObjectStore } from './store.ts';

const slices = 10_000;

/** As an API server writes it, in JSON. */
const slice = (i: number, version: number): string =>
  JSON.stringify({
    metadata: {
      name: `service-${i}-abcde`,
      namespace: 'shop',
      uid: `0d4e1f7c-0000-0000-0000-${String(i).padStart(12, '0')}`,
      resourceVersion: String(version),
      labels: { 'kubernetes.io/service-name': `service-${i}`, 'endpointslice.kubernetes.io/managed-by': 'controller' },
      managedFields: [{ manager: 'kube-controller-manager', fieldsV1: { 'f:endpoints': {}, 'f:ports': {} } }],
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: 10 }, (_, k) => ({
      addresses: [`10.${k}.${i >> 8}.${i & 255}`],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${k}`,
      targetRef: { kind: 'Pod', namespace: 'shop', name: `service-${i}-5d4f8c7b9-${k}abcd`, uid: 'x'.repeat(36) },
    })),
  });

test('10 000 slices of 10 endpoints take less than 45 MB', () => {
  const store = new ObjectStore('EndpointSlice', { onObject: () => undefined, onFindings: () => undefined });
  const before = heapUsed();
  store.beginList();
  for (let i = 0; i < slices; i++) store.put(JSON.parse(slice(i, 1000 + i)), 'discovery.k8s.io/v1');
  store.endList();
  const megabytes = (heapUsed() - before) / 1e6;
  assert.equal(store.size, slices);
  assert.ok(megabytes < 45, `${megabytes.toFixed(1)} MB`);
});

test('a version that is known is not read again', () => {
  const changes: string[] = [];
  const store = new ObjectStore('EndpointSlice', {
    onObject: ({ name }) => changes.push(name),
    onFindings: () => undefined,
  });
  const put = (i: number, version: number) => {
    const value = { ...(JSON.parse(slice(i, version)) as { metadata: object }) };
    store.put({ ...value, metadata: { ...value.metadata, name: 'one' } }, 'discovery.k8s.io/v1');
  };
  put(1, 7);
  const first = store.object('shop', 'one');
  // Other endpoints under the same version: no server does that, so nobody looks.
  put(2, 7);
  assert.equal(store.object('shop', 'one'), first);
  put(2, 8);
  assert.notEqual(store.object('shop', 'one'), first);
  assert.deepEqual(changes, ['one', 'one']);
});
