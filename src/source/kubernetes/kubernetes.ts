/**
 * The source `kubernetes`: the objects of an API server, listed and watched kind by kind. A kind that the server does not
 * have (its CRD is not installed), or does not show, leaves the others alone. Changes that come close together are told as
 * one batch.
 */
import type { SourceResource, SourceStatus } from '../../api/types.ts';
import type { Logger } from '../../base/log.ts';
import { type KubeObject, type ObjectKey, type ObjectKind, objectKeyText } from '../../model/objects.ts';
import type { Origin, Problem } from '../../model/types.ts';
import { sameProblems } from '../problems.ts';
import type { ObjectSource, OnChange } from '../source.ts';
import type { Timers } from '../timers.ts';
import type { ApiAccess } from './access.ts';
import { ApiClient } from './client.ts';
import { Reflector } from './reflector.ts';
import { Discovery, resources } from './resources.ts';
import { ObjectStore, sourceName } from './store.ts';
import { Unenforced } from './unenforced.ts';

export interface KubernetesSourceOptions {
  readonly access: ApiAccess;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  /** Empty: all that have a reader. */
  readonly kinds?: readonly ObjectKind[];
  /** Name of the node whose Node object is read; without it none is. */
  readonly node?: string;
  readonly timers: Timers;
  readonly log: Logger;
  readonly onChange: OnChange;
  /** A change is told when nothing has changed for this long, in milliseconds. */
  readonly quietMs?: number;
  /** But no later than this after the first one, in milliseconds. */
  readonly maxWaitMs?: number;
}

interface Pending {
  readonly key: ObjectKey;
  /** What was in force at the last batch. */
  readonly before: KubeObject | null;
}

export class KubernetesSource implements ObjectSource {
  readonly name = sourceName;
  readonly #options: Required<Omit<KubernetesSourceOptions, 'node'>>;
  readonly #client: ApiClient;
  readonly #closed = new AbortController();
  readonly #reflectors: readonly Reflector[];
  readonly #unenforced: Unenforced;
  readonly #pending = new Map<string, Pending>();
  #synced = false;
  /** The problems of the last batch. */
  #told: readonly Problem[] = [];
  #lastChange: string | null = null;
  #reached = true;
  #cancel: (() => void) | null = null;
  #deadline = 0;

  constructor(options: KubernetesSourceOptions) {
    this.#options = { quietMs: 5, maxWaitMs: 50, kinds: [], ...options };
    const { access, timers, namespaces } = options;
    const client = new ApiClient(access, timers);
    this.#client = client;
    const discovery = new Discovery(client, timers, this.#closed.signal);
    const scopes = namespaces.length === 0 ? [null] : namespaces;
    const nodes = options.node === undefined ? [] : [options.node];
    const signal = this.#closed.signal;
    const onChange = () => this.#schedule();
    this.#unenforced = new Unenforced({ client, discovery, timers, signal, namespaces: scopes, onChange });
    const { kinds = [] } = this.#options;
    const read = resources.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));
    this.#reflectors = read.flatMap((resource) =>
      (resource.kind === 'Node' ? nodes : scopes).map((namespace) => {
        const store = new ObjectStore(resource.kind, {
          onObject: (key, before) => this.#changed(key, before),
          onFindings: () => this.#schedule(),
        });
        return new Reflector({
          ...{ client, discovery, resource, namespace, store, timers },
          onState: (reflector) => this.#stateChanged(reflector),
          onSettled: () => this.#schedule(),
          onContact: () => this.#contact(),
        });
      }),
    );
  }

  get synced(): boolean {
    return this.#synced;
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  close(): void {
    this.#closed.abort();
    this.#cancel?.();
    this.#cancel = null;
    for (const reflector of this.#reflectors) reflector.close();
    this.#client.close();
  }

  object(key: ObjectKey): KubeObject | null {
    const pending = this.#pending.get(objectKeyText(key));
    return pending === undefined ? this.#now(key) : pending.before;
  }

  problems(): readonly Problem[] {
    const problems: Problem[] = [...this.#unenforced.problems()];
    const once = new Map<string, { readonly at: number; count: number }>();
    for (const reflector of this.#reflectors) {
      if (reflector.state === 'forbidden') problems.push(forbidden(reflector));
      for (const { onceFor, ...problem } of reflector.store.problems()) {
        const seen = onceFor === '' ? undefined : once.get(onceFor);
        if (seen !== undefined) {
          seen.count++;
          continue;
        }
        if (onceFor !== '') once.set(onceFor, { at: problems.length, count: 0 });
        problems.push(problem);
      }
    }
    for (const { at, count } of once.values()) {
      const problem = problems[at];
      if (problem === undefined || count === 0) continue;
      problems[at] = { ...problem, reason: `${problem.reason} (and ${count} more like it)` };
    }
    return problems;
  }

  status(): SourceStatus {
    const hindered = this.#reflectors.filter(({ state }) => state === 'retrying');
    const [first] = hindered;
    const which = first === undefined || hindered.length === this.#reflectors.length ? '' : `${names(hindered)}: `;
    return {
      name: this.name,
      location: this.#client.server,
      synced: this.#synced,
      objects: this.#reflectors.reduce((sum, { store }) => sum + store.size, 0),
      lastChange: this.#lastChange,
      error: first === undefined ? null : `${first.code} ${which}${first.error ?? ''}`,
      resources: this.#reflectors.map(resourceStatus),
    };
  }

  locate(_origin: Origin): number {
    return 0;
  }

  #now({ kind, namespace, name }: ObjectKey): KubeObject | null {
    for (const { resource, store } of this.#reflectors) {
      const object = resource.kind === kind ? store.object(namespace, name) : null;
      if (object !== null) return object;
    }
    return null;
  }

  #changed(key: ObjectKey, before: KubeObject | null): void {
    const text = objectKeyText(key);
    if (!this.#pending.has(text)) this.#pending.set(text, { key, before });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closed.signal.aborted || !this.#reflectors.every(({ settled }) => settled)) return;
    const { timers, quietMs, maxWaitMs } = this.#options;
    const now = timers.now();
    if (this.#cancel === null) this.#deadline = now + maxWaitMs;
    else this.#cancel();
    this.#cancel = timers.after(Math.max(0, Math.min(quietMs, this.#deadline - now)), () => {
      this.#cancel = null;
      this.#flush();
    });
  }

  #flush(): void {
    const upserted: KubeObject[] = [];
    const removed: ObjectKey[] = [];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { key, before } of pending) {
      const now = this.#now(key);
      if (now === before) continue;
      if (now === null) removed.push(key);
      else upserted.push(now);
    }
    const problems = this.problems();
    const same = sameProblems(problems, this.#told);
    this.#told = problems;
    if (this.#synced && same && upserted.length === 0 && removed.length === 0) return;
    this.#synced = true;
    this.#lastChange = this.#options.timers.date().toISOString();
    this.#options.onChange({ upserted, removed, problems });
  }

  #stateChanged(reflector: Reflector): void {
    const { log } = this.#options;
    const { kind } = reflector.resource;
    const where = reflector.namespace === null ? {} : { namespace: reflector.namespace };
    if (reflector.unreachable) {
      if (this.#reached) log.warn('API server not reached', { server: this.#client.server, error: reflector.error });
      this.#reached = false;
    } else if (reflector.state === 'absent') log.info('the API server does not have this kind', { kind, ...where });
    else if (reflector.state === 'retrying') log.warn('trying again', { kind, ...where, error: reflector.error });
    // Also without a changed object: a first batch may have none, and what is forbidden is a problem.
    this.#schedule();
  }

  #contact(): void {
    if (!this.#reached) this.#options.log.info('API server reached again', { server: this.#client.server });
    this.#reached = true;
    for (const reflector of this.#reflectors) reflector.reachable();
    this.#unenforced.look();
  }
}

function resourceStatus(reflector: Reflector): SourceResource {
  return {
    name:
      reflector.namespace === null ? reflector.resource.kind : `${reflector.resource.kind} in ${reflector.namespace}`,
    state: reflector.state,
    objects: reflector.store.size,
    version: reflector.version,
    lastHeard: reflector.heardAt?.toISOString() ?? null,
    error: reflector.error,
  };
}

function names(reflectors: readonly Reflector[]): string {
  return [...new Set(reflectors.map(({ resource }) => resource.kind))].join(', ');
}

function forbidden({ resource, namespace, error, store }: Reflector): Problem {
  return {
    severity: 'error',
    code: 'KM1023',
    kind: 'Kind',
    namespace: namespace ?? '',
    name: resource.kind,
    file: sourceName,
    line: 0,
    field: '',
    reason: error ?? '',
    lastGoodInForce: store.size > 0,
  };
}
