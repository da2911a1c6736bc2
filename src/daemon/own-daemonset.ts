/**
 * Whether the agent ends because Kmesh is taken off the cluster, and not to be started anew: its DaemonSet is being deleted,
 * or is gone. Then it cleans its node.
 */

import { isMap } from '../source/fields.ts';
import { type ApiClient, ApiError } from '../source/kubernetes/client.ts';
import type { Settings } from './settings.ts';
import { clientOf } from './sources.ts';

/** The kubelet gives a pod some seconds to end. */
const askWithinMs = 3000;

export class OwnDaemonSet {
  readonly #client: ApiClient;
  readonly #path: string;
  /** The server has shown the DaemonSet before: when it does not any more, our rights went with it. */
  #seen = false;

  constructor(client: ApiClient, namespace: string, name: string) {
    this.#client = client;
    this.#path = `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/daemonsets/${encodeURIComponent(name)}`;
  }

  /** Null: the environment names none. KM1021. */
  static of({ kubernetes }: Settings, env: Readonly<Record<string, string | undefined>>): OwnDaemonSet | null {
    const name = env['KMESH_DAEMONSET'] ?? '';
    const namespace = env['POD_NAMESPACE'] ?? '';
    if (name === '' || namespace === '' || kubernetes === null) return null;
    return new OwnDaemonSet(clientOf(kubernetes), namespace, name);
  }

  /** False also when nobody can tell: a mesh that stays by mistake works on, one that goes by mistake is missed. */
  async isGone(): Promise<boolean> {
    try {
      const found = await this.#client.get(this.#path, AbortSignal.timeout(askWithinMs));
      this.#seen = true;
      return isMap(found) && isMap(found['metadata']) && found['metadata']['deletionTimestamp'] !== undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) return false;
      return error.status === 404 || (this.#seen && (error.status === 401 || error.status === 403));
    }
  }

  close(): void {
    this.#client.close();
  }
}
