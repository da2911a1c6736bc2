/**
 * Brings the kernel's tables to what the compiler says, with as few writes as possible, and in an order in which every
 * connection sees the old state or the new: endpoints, then slots, then the cluster that switches to them, then route
 * tables, then the listeners; removal the other way round and deletion only after a grace period ({@link Retired}).
 *
 * The publisher keeps a mirror of what the kernel holds. A daemon that starts reads the mirror from the kernel and writes
 * only the difference.
 */
import { addressToWords } from '../base/address.ts';
import type { Source } from '../compile/http.ts';
import type { CompiledCluster, CompiledListener, CompiledService } from '../compile/service.ts';
import type { KmListener, KmListenerKey } from '../kernel/gen/layout.gen.ts';
import { Addresses } from './addresses.ts';
import { type Capacity, checkCapacity, sizeFlags } from './capacity.ts';
import { listenerKey, listenerName } from './keys.ts';
import { clusterRecord, listenerModes, Plan, settingsOf, zeroClusterStats, zeroEndpointStats } from './plan.ts';
import { Retired } from './retired.ts';
import { RouteTables } from './route-tables.ts';
import { type Run, SlotSpace } from './slot-space.ts';
import { SourceRows } from './source-rows.ts';
import type { Tables } from './tables.ts';

interface ClusterRecord {
  readonly run: Run;
  readonly digest: bigint;
  readonly settings: string;
  readonly endpoints: readonly bigint[];
}

interface Owned {
  readonly listeners: readonly string[];
  readonly clusters: readonly bigint[];
  readonly tables: readonly string[];
}

export interface PublishResult {
  /** Records written and marked dead. */
  readonly written: number;
  readonly removed: number;
  /** Services that did not fit, or whose route tables did not, with the reason. They keep what they had of it. */
  readonly refused: ReadonlyMap<string, string>;
}

export const defaultGraceMs = 1000;

/** So many records of endpoints and slots are planned before they are written. */
const mostPlanned = 8192;

export class Publisher {
  readonly #tables: Tables;
  readonly #now: () => number;
  readonly #listeners = new Map<string, { readonly key: KmListenerKey; readonly value: KmListener }>();
  readonly #clusters = new Map<bigint, ClusterRecord>();
  /** Usable endpoints and their workload. */
  readonly #endpoints = new Map<bigint, bigint>();
  readonly #owned = new Map<string, Owned>();
  readonly #retiredListeners: Retired<string>;
  readonly #retiredClusters: Retired<bigint>;
  readonly #retiredEndpoints: Retired<bigint>;
  readonly #retiredRuns: Retired<Run>;
  readonly #retiredKeys = new Map<string, KmListenerKey>();
  readonly #addresses: Addresses;
  readonly #routes: RouteTables;
  #space: SlotSpace;

  constructor(tables: Tables, options: { readonly graceMs?: number; readonly now: () => number }) {
    const grace = options.graceMs ?? defaultGraceMs;
    this.#tables = tables;
    this.#now = options.now;
    this.#retiredListeners = new Retired(grace);
    this.#retiredClusters = new Retired(grace);
    this.#retiredEndpoints = new Retired(grace);
    this.#retiredRuns = new Retired(grace);
    this.#space = new SlotSpace(tables.slot.maxEntries);
    this.#addresses = new Addresses(tables.workloadAddress);
    this.#routes = new RouteTables(tables.routes, new SourceRows(tables.source, grace), grace);
  }

  get counts(): { listeners: number; clusters: number; endpoints: number; slots: number; routeTables: number } {
    return {
      listeners: this.#listeners.size,
      clusters: this.#clusters.size,
      endpoints: this.#endpoints.size,
      slots: this.#space.used,
      routeTables: this.#routes.count,
    };
  }

  /** A route table of this name is in force, be it the wanted or the last good one. */
  hasRouteTable(name: string): boolean {
    return this.#routes.has(name);
  }

  /** What the kernel knows of sources otherwise than {@link publishSources} said, one line each. */
  sourceDifferences(): string[] {
    return this.#routes.sourceDifferences();
  }

  /** Reads what the kernel holds, from an earlier daemon or none. Call once, before the first publish. */
  adopt(): void {
    const now = this.#now();
    const byCluster = new Map<bigint, bigint[]>();
    for (const [id, endpoint] of this.#tables.endpoint.entries()) {
      if (endpoint.usable === 0) {
        this.#retiredEndpoints.add(id, now);
        continue;
      }
      this.#endpoints.set(id, endpoint.workload);
      const list = byCluster.get(endpoint.cluster);
      if (list === undefined) byCluster.set(endpoint.cluster, [id]);
      else list.push(id);
    }
    const runs: Run[] = [];
    for (const [id, c] of this.#tables.cluster.entries()) {
      const run = { first: c.first, length: c.slots };
      runs.push(run);
      const endpoints = byCluster.get(id) ?? [];
      this.#clusters.set(id, { run, digest: c.digest, settings: settingsOf(c), endpoints });
      byCluster.delete(id);
    }
    for (const orphans of byCluster.values()) for (const id of orphans) this.#retireEndpoint(id, now);
    this.#space = new SlotSpace(this.#tables.slot.maxEntries, runs);
    for (const [key, listener] of this.#tables.listener.entries()) {
      const name = listenerName(key);
      if (listener.cluster !== 0n) this.#listeners.set(name, { key, value: listener });
      else {
        this.#retiredListeners.add(name, now);
        this.#retiredKeys.set(name, key);
      }
    }
    this.#addresses.adopt();
    this.#routes.adopt(
      [...this.#listeners].map(([name, { value }]) => [name, value.routes] as const),
      now,
    );
  }

  /**
   * The whole mesh: what is in the kernel and in no service here is removed, unless `keepOthers` says that some object
   * cannot be read now: then a record of an earlier daemon may be that object's last good version.
   */
  publishAll(services: ReadonlyMap<string, CompiledService>, keepOthers = false): PublishResult {
    const listeners = new Set<string>();
    const clusters = new Set<bigint>();
    const tables = new Set<string>();
    for (const s of services.values()) {
      for (const l of s.listeners) listeners.add(l.name);
      for (const c of s.clusters) clusters.add(c.id);
      for (const t of s.tables) tables.add(t.name);
    }
    // What nobody owns any more is given an owner that is then removed.
    this.#owned.clear();
    this.#owned.set('', {
      listeners: [...this.#listeners.keys()].filter((name) => !listeners.has(name)),
      clusters: [...this.#clusters.keys()].filter((id) => !clusters.has(id)),
      tables: this.#routes.names().filter((name) => !tables.has(name)),
    });
    return this.#publish(
      keepOthers ? services : new Map<string, CompiledService | null>([...services, ['', null]]),
      !keepOthers,
    );
  }

  /** Services that changed; null for one that is gone. The rest stays as it is. */
  publish(changes: ReadonlyMap<string, CompiledService | null>): PublishResult {
    return this.#publish(changes, false);
  }

  #publish(changes: ReadonlyMap<string, CompiledService | null>, all: boolean): PublishResult {
    const now = this.#now();
    const refused = new Map<string, string>();
    const capacity = this.#capacity();
    const accepted = new Map<string, CompiledService | null>();
    const plan = new Plan();
    for (const [service, compiled] of changes) {
      const reason =
        compiled === null
          ? null
          : (checkCapacity(capacity, this.#growth(service, compiled)) ?? this.#takeRuns(plan, compiled));
      if (reason === null) accepted.set(service, compiled);
      else refused.set(service, reason);
    }
    for (const service of accepted.keys()) {
      const old = this.#owned.get(service);
      for (const name of old?.listeners ?? []) plan.listenersGone.add(name);
      for (const id of old?.clusters ?? []) plan.clustersGone.add(id);
      for (const name of old?.tables ?? []) plan.tablesGone.add(name);
      this.#owned.delete(service);
    }
    for (const [service, compiled] of accepted) {
      if (compiled === null) continue;
      for (const c of compiled.clusters) this.#planCluster(plan, c, now);
      // Nothing looks at these before a cluster switches to them: a large mesh need not be held as records as a whole.
      if (plan.endpoints.length + plan.slots.length > mostPlanned) this.#writeEndpoints(plan);
      const { handles, reasons } = this.#planTables(plan, compiled);
      for (const l of compiled.listeners) this.#planListener(plan, l, handles.get(l.table ?? '') ?? 0);
      if (reasons.length > 0) refused.set(service, reasons.join('; '));
      this.#owned.set(service, {
        listeners: compiled.listeners.map((l) => l.name),
        clusters: compiled.clusters.map((c) => c.id),
        tables: compiled.tables.map((t) => t.name),
      });
    }
    for (const name of plan.tablesGone) this.#routes.forget(name);
    if (all) this.#routes.forgetUnclaimed();
    const written = this.#write(plan);
    const removed = this.#retire(plan, now);
    return { written, removed, refused };
  }

  /**
   * The enrolled workloads by id: what a route asks of the source of a request is known for these. The whole of it.
   * Returns how many records were written.
   */
  publishSources(workloads: ReadonlyMap<bigint, Source>): number {
    this.#routes.setWorkloads(workloads);
    const written = this.#routes.write();
    this.#routes.retire(this.#now());
    return written;
  }

  /** Address → workload id. The whole of it. */
  publishAddresses(wanted: ReadonlyMap<string, bigint>): void {
    this.#addresses.publish(wanted);
  }

  /** The addresses that changed; null: nobody has it any more. */
  updateAddresses(changes: ReadonlyMap<string, bigint | null>): void {
    this.#addresses.update(changes);
  }

  /** Deletes what was retired long enough ago; says how many records, and whether more are waiting. */
  reap(): { readonly deleted: number; readonly waiting: boolean } {
    const now = this.#now();
    const listeners = this.#retiredListeners.takeDue(now);
    this.#tables.listener.remove(listeners.flatMap((name) => this.#retiredKeys.get(name) ?? []));
    for (const name of listeners) this.#retiredKeys.delete(name);
    const clusters = this.#retiredClusters.takeDue(now);
    this.#tables.cluster.remove(clusters);
    this.#tables.clusterStats.remove(clusters);
    const endpoints = this.#retiredEndpoints.takeDue(now);
    this.#tables.endpoint.remove(endpoints);
    this.#tables.endpointStats.remove(endpoints);
    const runs = this.#retiredRuns.takeDue(now);
    for (const run of runs) this.#space.give(run);
    const routes = this.#routes.reap(now);
    const retired = [this.#retiredListeners, this.#retiredClusters, this.#retiredEndpoints, this.#retiredRuns];
    return {
      deleted: listeners.length + clusters.length + endpoints.length + runs.length + routes,
      waiting: this.#routes.waiting || retired.some(({ size }) => size > 0),
    };
  }

  /** Takes free slots for the clusters that need new ones; all of them or, with a reason, none. */
  #takeRuns(plan: Plan, compiled: CompiledService): string | null {
    const taken = new Map<bigint, Run>();
    for (const c of compiled.clusters) {
      if (this.#clusters.get(c.id)?.digest === c.digest) continue;
      const first = this.#space.take(c.slots.length);
      if (first === null) {
        for (const run of taken.values()) this.#space.give(run);
        return `KM3002 km_slot has no ${c.slots.length} free slots in a row: raise ${sizeFlags.slot}`;
      }
      taken.set(c.id, { first, length: c.slots.length });
    }
    for (const [id, run] of taken) plan.runs.set(id, run);
    return null;
  }

  #planCluster(plan: Plan, c: CompiledCluster, now: number): void {
    plan.clustersGone.delete(c.id);
    const old = this.#clusters.get(c.id);
    const { digest } = c;
    for (const e of c.endpoints) {
      if (this.#endpoints.get(e.id) === e.workload) continue;
      const isNew = !this.#endpoints.has(e.id) && !this.#retiredEndpoints.has(e.id);
      if (isNew) plan.endpointStats.push([e.id, zeroEndpointStats]);
      this.#retiredEndpoints.revive(e.id);
      this.#endpoints.set(e.id, e.workload);
      plan.endpoints.push([
        e.id,
        { addr: addressToWords(e.address), port: e.port, usable: 1, cluster: e.cluster, workload: e.workload },
      ]);
    }
    const kept = new Set(c.endpoints.map((e) => e.id));
    for (const id of old?.endpoints ?? []) if (!kept.has(id)) plan.endpointsGone.push(id);
    let run = old?.run ?? { first: 0, length: 0 };
    const fresh = plan.runs.get(c.id);
    if (fresh !== undefined) {
      run = fresh;
      for (const [i, s] of c.slots.entries()) plan.slots.push([fresh.first + i, s]);
      if (old !== undefined) this.#retiredRuns.add(old.run, now);
    }
    const record = clusterRecord(c, run);
    const settings = settingsOf(record);
    if (fresh === undefined && old?.settings === settings) {
      this.#clusters.set(c.id, { ...old, endpoints: [...kept] });
      return;
    }
    if (old === undefined && !this.#retiredClusters.revive(c.id)) plan.clusterStats.push([c.id, zeroClusterStats]);
    this.#clusters.set(c.id, { run, digest, settings, endpoints: [...kept] });
    plan.clusters.push([c.id, record]);
  }

  /** Numbers of a service's route tables, and why one is not the wanted one. */
  #planTables(plan: Plan, compiled: CompiledService) {
    const handles = new Map<string, number>();
    const reasons: string[] = [];
    for (const table of compiled.tables) {
      plan.tablesGone.delete(table.name);
      const listeners = compiled.listeners.filter((l) => l.table === table.name).map((l) => l.name);
      const { handle, refusal } = this.#routes.plan(table, listeners);
      handles.set(table.name, handle);
      if (refusal !== null && !reasons.includes(refusal)) reasons.push(refusal);
    }
    return { handles, reasons };
  }

  #planListener(plan: Plan, l: CompiledListener, routes: number): void {
    const { name } = l;
    plan.listenersGone.delete(name);
    const value = { cluster: l.cluster, mode: listenerModes[l.mode], routes };
    const old = this.#listeners.get(name)?.value;
    if (old?.cluster === value.cluster && old.mode === value.mode && old.routes === routes) return;
    const key = listenerKey(l);
    this.#retiredListeners.revive(name);
    this.#retiredKeys.delete(name);
    this.#listeners.set(name, { key, value });
    plan.listeners.push([key, value]);
  }

  #writeEndpoints(plan: Plan): void {
    const t = this.#tables;
    t.endpointStats.write(plan.endpointStats.splice(0), 'any');
    plan.written += plan.endpoints.length + plan.slots.length;
    t.endpoint.write(plan.endpoints.splice(0), 'in-place');
    t.slot.write(plan.slots.splice(0), 'any');
  }

  #write(plan: Plan): number {
    const t = this.#tables;
    this.#writeEndpoints(plan);
    t.clusterStats.write(plan.clusterStats, 'any');
    t.cluster.write(plan.clusters, 'in-place');
    const routes = this.#routes.write();
    t.listener.write(plan.listeners, 'in-place');
    return plan.written + plan.clusters.length + routes + plan.listeners.length;
  }

  #retire(plan: Plan, now: number): number {
    const dead: (readonly [KmListenerKey, KmListener])[] = [];
    for (const name of plan.listenersGone) {
      const listener = this.#listeners.get(name);
      if (listener === undefined) continue;
      dead.push([listener.key, { cluster: 0n, mode: 0, routes: 0 }]);
      this.#listeners.delete(name);
      this.#retiredListeners.add(name, now);
      this.#retiredKeys.set(name, listener.key);
    }
    this.#tables.listener.write(dead, 'in-place');
    const tables = this.#routes.retire(now);
    for (const id of plan.clustersGone) {
      const cluster = this.#clusters.get(id);
      if (cluster === undefined) continue;
      this.#clusters.delete(id);
      this.#retiredClusters.add(id, now);
      this.#retiredRuns.add(cluster.run, now);
      plan.endpointsGone.push(...cluster.endpoints);
    }
    for (const id of plan.endpointsGone) this.#retireEndpoint(id, now);
    return dead.length + tables + plan.clustersGone.size + plan.endpointsGone.length;
  }

  /** Session affinity and slots in flight look at `usable`, so the record stays readable until the grace is over. */
  #retireEndpoint(id: bigint, now: number): void {
    const endpoint = this.#tables.endpoint.get(id);
    if (endpoint !== undefined) this.#tables.endpoint.write([[id, { ...endpoint, usable: 0 }]], 'in-place');
    this.#endpoints.delete(id);
    this.#retiredEndpoints.add(id, now);
  }

  #capacity(): Capacity {
    return {
      listener: {
        used: this.#listeners.size + this.#retiredListeners.size,
        size: this.#tables.listener.maxEntries,
      },
      cluster: { used: this.#clusters.size + this.#retiredClusters.size, size: this.#tables.cluster.maxEntries },
      endpoint: { used: this.#endpoints.size + this.#retiredEndpoints.size, size: this.#tables.endpoint.maxEntries },
      slot: { used: this.#space.used, size: this.#space.size },
    };
  }

  #growth(service: string, compiled: CompiledService): Record<keyof Capacity, number> {
    let [clusters, endpoints, slots] = [0, 0, 0];
    for (const c of compiled.clusters) {
      const old = this.#clusters.get(c.id);
      if (old === undefined) clusters += this.#retiredClusters.has(c.id) ? 0 : 1;
      if (old?.digest !== c.digest) slots += c.slots.length;
      for (const e of c.endpoints) {
        if (!this.#endpoints.has(e.id) && !this.#retiredEndpoints.has(e.id)) endpoints += 1;
      }
    }
    const owned = new Set(this.#owned.get(service)?.listeners);
    const names = compiled.listeners.map((l) => l.name);
    const listeners = names.filter((n) => !owned.has(n) && !this.#listeners.has(n) && !this.#retiredListeners.has(n));
    return { listener: listeners.length, cluster: clusters, endpoint: endpoints, slot: slots };
  }
}
