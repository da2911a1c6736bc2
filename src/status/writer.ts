/**
 * Writes what becomes of the routes of an API server into their status. Of all daemons of a cluster one does it, who holds
 * the Lease (ADR 20); it alone reads the routes a second time, whole. A status is written only when it says something else
 * than before, one after another, and never over what another controller has written meanwhile.
 */
import type { Logger } from '../base/log.ts';
import type { ApiAccess } from '../source/kubernetes/access.ts';
import { errorText } from '../source/kubernetes/answers.ts';
import { ApiClient, ApiError } from '../source/kubernetes/client.ts';
import { Reflector } from '../source/kubernetes/reflector.ts';
import { type ApiResource, Discovery } from '../source/kubernetes/resources.ts';
import type { Timers } from '../source/timers.ts';
import { judge, type Mesh } from './judge.ts';
import { Lease } from './lease.ts';
import { mergeParents } from './parents.ts';
import { type HeldRoute, RouteStore } from './route-store.ts';

export interface StatusWriterOptions {
  readonly access: ApiAccess;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  readonly timers: Timers;
  readonly log: Logger;
  /** Namespace of the Lease. */
  readonly leaseNamespace: string;
  readonly identity: string;
  readonly mesh: Mesh;
}

const group = 'gateway.networking.k8s.io';
const routeKinds: readonly ApiResource[] = [
  ['HTTPRoute', 'httproutes', ['v1', 'v1beta1']],
  ['GRPCRoute', 'grpcroutes', ['v1']],
].map(([kind, plural, versions]) => ({
  ...{ kind: String(kind), plural: String(plural), group, clusterScoped: false },
  apiVersions: [versions].flat().map((version) => `${group}/${version}`),
}));

/** All routes are looked at so long after a change of the mesh, however many changes come meanwhile. */
const meshChangedMs = 500;
/** A route is looked at so long after a change of its own: the mesh takes it over in that time. */
const routeChangedMs = 100;
/** A status that could not be written is tried again after so long. */
const againMs = 5000;
const refusedMs = 60_000;

interface Term {
  readonly end: AbortController;
  readonly reflectors: readonly Reflector<ApiResource, RouteStore>[];
}

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #client: ApiClient;
  readonly #lease: Lease;
  #term: Term | null = null;
  /** Routes to look at, by store and name. */
  readonly #due = new Map<string, { readonly store: RouteStore; readonly namespace: string; readonly name: string }>();
  #cancel: (() => void) | null = null;
  #dueAt = Number.POSITIVE_INFINITY;
  #writing = false;
  #complaint = '';

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    const { access, timers, log, leaseNamespace: namespace, identity } = options;
    this.#client = new ApiClient(access, timers);
    const onHeld = (held: boolean): void => (held ? this.#begin() : this.#end());
    this.#lease = new Lease({ client: this.#client, timers, log, namespace, name: 'kmesh-status', identity, onHeld });
  }

  start(): void {
    this.#lease.start();
  }

  async close(): Promise<void> {
    this.#end();
    await this.#lease.close();
    this.#client.close();
  }

  /** Services, routes or grants of the mesh are others, or what of them is refused. */
  meshChanged(): void {
    for (const { store } of this.#term?.reflectors ?? []) for (const route of store.all()) this.#note(store, route);
    if (this.#due.size > 0) this.#later(meshChangedMs);
  }

  #begin(): void {
    const { timers, namespaces, log, identity } = this.#options;
    log.info('writes the status of routes', { as: identity });
    const end = new AbortController();
    const discovery = new Discovery(this.#client, timers, end.signal);
    const scopes = namespaces.length === 0 ? [null] : namespaces;
    const reflectors = routeKinds.flatMap((resource) =>
      scopes.map((namespace) => {
        const store: RouteStore = new RouteStore(resource.kind, (route) => {
          this.#note(store, route);
          this.#later(routeChangedMs);
        });
        const nothing = (): void => undefined;
        return new Reflector<ApiResource, RouteStore>({
          ...{ client: this.#client, discovery, resource, namespace, store, timers },
          ...{ onState: nothing, onSettled: nothing, onContact: nothing },
        });
      }),
    );
    this.#term = { end, reflectors };
    for (const reflector of reflectors) reflector.start();
  }

  #end(): void {
    if (this.#term === null) return;
    this.#options.log.info('another daemon writes the status of routes, or none');
    this.#term.end.abort();
    for (const reflector of this.#term.reflectors) reflector.close();
    this.#term = null;
    this.#due.clear();
    this.#cancel?.();
    this.#cancel = null;
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  #note(store: RouteStore, { kind, namespace, name }: HeldRoute): void {
    this.#due.set(`${kind} ${namespace}/${name}`, { store, namespace, name });
  }

  /** The earliest time that was asked for counts. */
  #later(milliseconds: number): void {
    const { timers } = this.#options;
    const at = timers.now() + milliseconds;
    if (this.#cancel !== null && at >= this.#dueAt) return;
    this.#cancel?.();
    this.#dueAt = at;
    this.#cancel = timers.after(milliseconds, () => {
      this.#cancel = null;
      this.#dueAt = Number.POSITIVE_INFINITY;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    const term = this.#term;
    // The run that is under way looks at what was added, too.
    if (term === null || this.#writing) return;
    this.#writing = true;
    try {
      for (let [next] = this.#due; next !== undefined && this.#term === term; [next] = this.#due) {
        const [key, { store, namespace, name }] = next;
        this.#due.delete(key);
        const route = store.get(namespace, name);
        if (route === undefined) continue;
        const pauseMs = await this.#write(route, term.end.signal);
        if (pauseMs === 0 || this.#term !== term) continue;
        this.#note(store, route);
        this.#later(pauseMs);
        break;
      }
    } finally {
      this.#writing = false;
      if (this.#due.size > 0 && this.#cancel === null) this.#later(routeChangedMs);
    }
  }

  /** Returns how long to wait before it is tried again; 0 when there is nothing to try. */
  async #write(route: HeldRoute, signal: AbortSignal): Promise<number> {
    const { mesh, timers, log } = this.#options;
    const { kind, apiVersion, namespace, name, version, generation } = route;
    const parents = mergeParents(route.parents, judge(route.route, mesh), generation, timers.date());
    if (parents === null) return 0;
    const plural = routeKinds.find((one) => one.kind === kind)?.plural ?? '';
    const path = `/apis/${apiVersion}/namespaces/${namespace}/${plural}/${name}/status`;
    const body = { metadata: { resourceVersion: version }, status: { parents } };
    try {
      await this.#client.patch(path, body, signal);
      log.debug('status written', { kind, route: `${namespace}/${name}` });
      this.#complaint = '';
      return 0;
    } catch (error) {
      if (signal.aborted) return 0;
      // Gone, or changed meanwhile: the watch tells of it.
      if (error instanceof ApiError && [404, 409].includes(error.status)) return 0;
      const complaint = errorText(error);
      if (complaint !== this.#complaint) {
        log.warn('the status of a route cannot be written', { kind, route: `${namespace}/${name}`, error: complaint });
      }
      this.#complaint = complaint;
      return error instanceof ApiError && error.status === 403 ? refusedMs : againMs;
    }
  }
}
