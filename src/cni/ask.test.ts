import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../source/kubernetes/client.ts';
import { askForPod } from './ask.ts';

const podPath = '/api/v1/namespaces/shop/pods/web-0';
const namespacePath = '/api/v1/namespaces/shop';

const pod = (labels: object = {}, spec: object = {}, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-0', namespace: 'shop', uid: 'u1', labels, ...more },
  spec: { containers: [{ name: 'app', image: 'x' }], nodeName: 'node1', ...spec },
});
const namespace = (labels: object) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels } });
const kmesh = { 'istio.io/dataplane-mode': 'Kmesh' };

async function ask(objects: Readonly<Record<string, unknown>>, known: 'kmesh' | '' | null, uid = 'u1') {
  const asked: string[] = [];
  const client = {
    get: async (path: string): Promise<unknown> => {
      asked.push(path);
      if (!(path in objects)) throw new ApiError(404, 'NotFound', `${path} not found`);
      return objects[path];
    },
  };
  const name = { namespace: 'shop', name: 'web-0', uid };
  const wanted = await askForPod(client, () => known, name, AbortSignal.timeout(1000));
  return [wanted, asked.length] as const;
}

test("a pod's label decides, else that of its namespace, which is asked for when it is not known", async () => {
  assert.deepEqual(await ask({ [podPath]: pod(kmesh) }, ''), [true, 1]);
  assert.deepEqual(await ask({ [podPath]: pod({ 'istio.io/dataplane-mode': 'none' }) }, 'kmesh'), [false, 1]);
  assert.deepEqual(await ask({ [podPath]: pod() }, 'kmesh'), [true, 1]);
  assert.deepEqual(await ask({ [podPath]: pod() }, ''), [false, 1]);
  assert.deepEqual(await ask({ [podPath]: pod(), [namespacePath]: namespace(kmesh) }, null), [true, 2]);
  assert.deepEqual(await ask({ [podPath]: pod(), [namespacePath]: namespace({}) }, null), [false, 2]);
});

test('a pod of the host network, one that is gone, and another one of its name are none of the mesh', async () => {
  assert.deepEqual(await ask({ [podPath]: pod(kmesh, { hostNetwork: true }) }, ''), [false, 1]);
  assert.deepEqual(await ask({}, 'kmesh'), [null, 1]);
  assert.deepEqual(await ask({ [podPath]: pod(kmesh) }, '', 'u2'), [null, 1]);
  const mirror = { annotations: { 'kubernetes.io/config.hash': 'hash1' } };
  assert.deepEqual(await ask({ [podPath]: pod(kmesh, {}, mirror) }, '', 'hash1'), [true, 1], 'a static pod');
});

test('what the server cannot say is an error', async () => {
  const client = { get: () => Promise.reject(new ApiError(403, 'Forbidden', 'no')) };
  const name = { namespace: 'shop', name: 'web-0', uid: 'u1' };
  await assert.rejects(
    askForPod(client, () => null, name, AbortSignal.timeout(1000)),
    ApiError,
  );
});
