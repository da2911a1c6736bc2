/** Kmesh into a cluster and out of it, by the API alone. */
import { setTimeout as delay } from 'node:timers/promises';
import { KmError } from '../base/errors.ts';
import { isMap } from '../source/fields.ts';
import { type ApiClient, ApiError } from '../source/kubernetes/client.ts';
import { type Manifest, pathOf } from './manifests.ts';

const pollMs = 500;
const requestMs = 15_000;
/** By which the server knows whose fields are whose (server-side apply). */
const manager = 'kmeshctl';

/** What is told while it is done, a line each. */
export type Say = (line: string) => void;

/** Makes the objects, or what is different of them. KM6011. */
export async function applyAll(client: ApiClient, objects: readonly Manifest[], say: Say): Promise<void> {
  for (const object of objects) {
    const before = await find(client, pathOf(object));
    if (object.kind === 'DaemonSet') refuseHelm(before, 'helm upgrade');
    const after = await asked(`${object.kind} ${object.metadata.name} cannot be applied`, () =>
      client.send(`${pathOf(object)}?fieldManager=${manager}&force=true`, AbortSignal.timeout(requestMs), {
        method: 'PATCH',
        body: object,
        contentType: 'application/apply-patch+yaml',
      }),
    );
    const same = before !== null && versionOf(before) === versionOf(after);
    say(`${nameOf(object)} ${before === null ? 'created' : same ? 'unchanged' : 'configured'}`);
  }
}

/** How far a DaemonSet is, in the words of `kubectl rollout status`. */
export interface Rollout {
  readonly wanted: number;
  readonly updated: number;
  readonly ready: number;
  readonly done: boolean;
}

/** Waits until every agent is of this version and ready. KM6006. */
export async function waitForRollout(client: ApiClient, path: string, timeoutMs: number): Promise<Rollout> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await find(client, path);
    const rollout = found === null ? null : rolloutOf(found);
    if (rollout?.done === true) return rollout;
    if (performance.now() >= deadline) {
      const how = rollout === null ? 'there is none' : `${rollout.ready} of ${rollout.wanted} are ready`;
      throw new KmError('KM6006', `the agents are not ready after ${timeoutMs / 1000} s: ${how}`);
    }
    await delay(pollMs);
  }
}

export function rolloutOf(daemonSet: Readonly<Record<string, unknown>>): Rollout {
  const status = isMap(daemonSet['status']) ? daemonSet['status'] : {};
  const meta = isMap(daemonSet['metadata']) ? daemonSet['metadata'] : {};
  const number = (name: string): number => Number(status[name] ?? 0);
  const wanted = number('desiredNumberScheduled');
  const [updated, ready] = [number('updatedNumberScheduled'), number('numberReady')];
  const seen = number('observedGeneration') >= Number(meta['generation'] ?? 0);
  return { wanted, updated, ready, done: seen && updated === wanted && ready === wanted };
}

/**
 * Deletes the DaemonSet and waits until its pods are gone: they clean their nodes at their end. False: some are still there
 * after that time. KM6011.
 */
export async function removeAgents(client: ApiClient, path: string, timeoutMs: number, say: Say): Promise<boolean> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground' };
  if (!(await remove(client, path, body))) {
    say('there are no agents');
    return true;
  }
  const deadline = performance.now() + timeoutMs;
  say('waiting until the agents have cleaned their nodes');
  while ((await find(client, path)) !== null) {
    if (performance.now() >= deadline) return false;
    await delay(pollMs);
  }
  return true;
}

/** Deletes the objects, the last made first. */
export async function removeAll(client: ApiClient, objects: readonly Manifest[], say: Say): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' };
  for (const object of objects.toReversed()) {
    if (await remove(client, pathOf(object), body)) say(`${nameOf(object)} deleted`);
  }
}

/** KM6012 when an object is of a Helm release. */
export function refuseHelm(object: Readonly<Record<string, unknown>> | null, instead: string): void {
  const meta = object !== null && isMap(object['metadata']) ? object['metadata'] : {};
  const labels = isMap(meta['labels']) ? meta['labels'] : {};
  const annotations = isMap(meta['annotations']) ? meta['annotations'] : {};
  if (labels['app.kubernetes.io/managed-by'] !== 'Helm') return;
  const release = String(annotations['meta.helm.sh/release-name'] ?? 'kmesh');
  throw new KmError('KM6012', `Kmesh is the Helm release ${release} here: use ${instead} ${release}`);
}

/** Null: there is no such object. KM6011. */
export async function find(client: ApiClient, path: string): Promise<Readonly<Record<string, unknown>> | null> {
  return await asked(`GET ${path}`, async () => {
    try {
      const found = await client.get(path, AbortSignal.timeout(requestMs));
      return isMap(found) ? found : null;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  });
}

/** False: there was none. */
async function remove(client: ApiClient, path: string, body: object): Promise<boolean> {
  return await asked(`DELETE ${path}`, async () => {
    try {
      await client.send(path, AbortSignal.timeout(requestMs), { method: 'DELETE', body });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  });
}

async function asked<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof KmError) throw cause;
    throw new KmError('KM6011', `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const nameOf = ({ kind, metadata }: Manifest): string => `${kind.toLowerCase()}/${metadata.name}`;

function versionOf(object: unknown): unknown {
  return isMap(object) && isMap(object['metadata']) ? object['metadata']['resourceVersion'] : null;
}
