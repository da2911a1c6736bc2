/**
 * Says on each pod of this node, by the annotation `kmesh.net/redirection: enabled`, that it is under the mesh, and takes it
 * away when it is not. What is to be said is compared with what the API server told last, so nothing is forgotten by a
 * restart. Nothing in the data plane waits for it.
 */
import type { Logger } from '../base/log.ts';
import type { Workload } from '../model/types.ts';
import { type ApiClient, ApiError } from '../source/kubernetes/client.ts';
import type { Timers } from '../source/timers.ts';

export const redirectionAnnotation = 'kmesh.net/redirection';

export interface AnnotatorParts {
  readonly client: Pick<ApiClient, 'patch'>;
  readonly timers: Timers;
  readonly log: Logger;
}

interface Wanted {
  readonly pod: Pick<Workload, 'namespace' | 'name'> & { readonly uid: string };
  readonly enabled: boolean;
}

/** Requests at one time: a node's pods may come all at once. */
const atOnce = 4;
const firstRetryMs = 1000;
const lastRetryMs = 60_000;

export class Annotator {
  readonly #parts: AnnotatorParts;
  readonly #closed = new AbortController();
  /** What the API server has to be told, by workload. */
  readonly #wanted = new Map<string, Wanted>();
  /** What it was told and has not shown yet. */
  readonly #told = new Map<string, Wanted>();
  readonly #running = new Set<string>();
  #failures = 0;
  #cancel: (() => void) | null = null;

  constructor(parts: AnnotatorParts) {
    this.#parts = parts;
  }

  /** `enrolled`: whether a workload is under the mesh; null: it is on its way there. To be called when either has changed. */
  sync(workloads: Iterable<Workload>, enrolled: (w: Workload) => boolean | null): void {
    this.#wanted.clear();
    const shown = new Set<string>();
    for (const w of workloads) {
      if (w.kubelet === undefined) continue;
      shown.add(w.uid);
      const enabled = enrolled(w);
      if (enabled === null || enabled === w.kubelet.redirection) {
        this.#told.delete(w.uid);
        continue;
      }
      const wanted = { pod: { namespace: w.namespace, name: w.name, uid: w.kubelet.uid }, enabled };
      if (!same(this.#told.get(w.uid), wanted)) this.#wanted.set(w.uid, wanted);
    }
    for (const uid of this.#told.keys()) if (!shown.has(uid)) this.#told.delete(uid);
    if (this.#cancel === null) this.#next();
  }

  /** Resolves when the API server knows all, or cannot be told, or the time is over. */
  async idle(withinMs: number): Promise<void> {
    const end = this.#parts.timers.now() + withinMs;
    while (this.#running.size + this.#wanted.size > 0 && this.#cancel === null && this.#parts.timers.now() < end) {
      await new Promise<void>((resolve) => this.#parts.timers.after(20, resolve));
    }
  }

  /** Requests are on their way. */
  get busy(): boolean {
    return this.#running.size > 0;
  }

  close(): void {
    this.#closed.abort();
    this.#cancel?.();
  }

  #next(): void {
    for (const [uid, wanted] of this.#wanted) {
      if (this.#running.size >= atOnce || this.#cancel !== null || this.#closed.signal.aborted) return;
      if (this.#running.has(uid)) continue;
      this.#wanted.delete(uid);
      this.#running.add(uid);
      void this.#tell(uid, wanted).finally(() => {
        this.#running.delete(uid);
        this.#next();
      });
    }
  }

  async #tell(uid: string, wanted: Wanted): Promise<void> {
    const { client, log } = this.#parts;
    const { namespace, name } = wanted.pod;
    // The status subresource also takes annotations, and its permission does not allow to change what the pod runs.
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/status`;
    const annotations = { [redirectionAnnotation]: wanted.enabled ? 'enabled' : null };
    try {
      // With the uid, a new pod of the name is a conflict.
      await client.patch(path, { metadata: { uid: wanted.pod.uid, annotations } }, this.#closed.signal);
      this.#told.set(uid, wanted);
      if (same(this.#wanted.get(uid), wanted)) this.#wanted.delete(uid);
      this.#failures = 0;
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      // The pod is gone, or is another one: the source will say so.
      if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return;
      if (!this.#wanted.has(uid)) this.#wanted.set(uid, wanted);
      if (this.#failures === 0) {
        const text = error instanceof Error ? error.message : String(error);
        log.warn('pods cannot be annotated; it is tried again', { workload: uid, error: text });
      }
      this.#failures += 1;
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#cancel !== null) return;
    const wait = Math.min(lastRetryMs, firstRetryMs * 2 ** Math.min(this.#failures - 1, 10));
    this.#cancel = this.#parts.timers.after(wait, () => {
      this.#cancel = null;
      this.#next();
    });
  }
}

function same(a: Wanted | undefined, b: Wanted): boolean {
  return a?.pod.uid === b.pod.uid && a.enabled === b.enabled;
}
