/** Asks the API server about one pod: whether it is to be under the mesh. */
import type { DataplaneMode, KubeObject, ObjectKind } from '../model/objects.ts';
import { isMap } from '../source/fields.ts';
import { type ApiClient, ApiError } from '../source/kubernetes/client.ts';
import { readObject } from '../source/object.ts';
import type { PodName } from './call.ts';

/**
 * Null: the server has no such pod, or another one of this name. `mode` knows the namespaces; of one that is unknown to it
 * the server is asked as well. Throws what the request met.
 */
export async function askForPod(
  client: Pick<ApiClient, 'get'>,
  mode: (namespace: string) => DataplaneMode | null,
  { namespace, name, uid }: PodName,
  signal: AbortSignal,
): Promise<boolean | null> {
  const pod = await read(client, 'Pod', `/api/v1/namespaces/${namespace}/pods/${name}`, signal);
  if (pod?.kind !== 'Pod') return null;
  const { kubelet } = pod;
  if (uid !== '' && kubelet?.uid !== uid && kubelet?.runtimeUid !== uid) return null;
  if (pod.hostNetwork || pod.finished) return false;
  if (pod.dataplaneMode !== '') return pod.dataplaneMode === 'kmesh';
  const known = mode(namespace);
  if (known !== null) return known === 'kmesh';
  const found = await read(client, 'Namespace', `/api/v1/namespaces/${namespace}`, signal);
  return found?.kind === 'Namespace' && found.dataplaneMode === 'kmesh';
}

async function read(
  client: Pick<ApiClient, 'get'>,
  kind: ObjectKind,
  path: string,
  signal: AbortSignal,
): Promise<KubeObject | null> {
  let value: unknown;
  try {
    value = await client.get(path, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
  return isMap(value) ? readObject(value, kind, { source: 'kubernetes', file: '', line: 0 }).object : null;
}
