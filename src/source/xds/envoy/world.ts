/**
 * The world of Envoy's resources: kernel-native mode. Make before break: a service whose new version needs a cluster that
 * has no endpoints yet keeps its old version until they are there, five seconds at most; a cluster that is taken away
 * stays as long as something in force leads to it, with the same patience.
 */
import { keepRouting } from '../../../model/routing.ts';
import { keepPorts, sameService } from '../../../model/same.ts';
import type { Mesh, MeshDelta, Origin, Problem, Service, Workload } from '../../../model/types.ts';
import type { Clock } from '../clock.ts';
import { DnsNames, type Resolve, type Wanted } from '../dns.ts';
import type { ResourceSink } from '../sink.ts';
import { shortType } from '../type-urls.ts';
import type { World } from '../world.ts';
import type { ClusterSpec } from './cluster.ts';
import { blackHole, passThrough } from './listener.ts';
import { clustersOf, makePlan, namedClusters, type Plan, routedClusters, type ServicePlan } from './plan.ts';
import { ServiceMaker } from './services.ts';
import { AssignmentStore, ClusterStore, ListenerStore, RouteStore } from './stores.ts';

export interface EnvoyWorldOptions {
  readonly origin: Origin;
  readonly clock: Clock;
  readonly resolve: Resolve;
  /** Told when something changed that no response brought. */
  readonly changed: () => void;
}

/** So long something that is not complete is waited for. */
const patienceMs = 5000;

interface InForce {
  readonly plan: Plan;
  readonly service: ServicePlan;
}

export class EnvoyWorld implements World {
  readonly mesh: Mesh;
  readonly sinks: readonly ResourceSink[];
  readonly #options: EnvoyWorldOptions;
  readonly #services = new Map<string, Service>();
  readonly #clusters: ClusterStore;
  readonly #assignments: AssignmentStore;
  readonly #listeners: ListenerStore;
  readonly #routes: RouteStore;
  readonly #maker: ServiceMaker;
  readonly #dns: DnsNames;
  /** Clusters that are taken away, until nothing leads to them. */
  readonly #retired = new Map<string, { readonly spec: ClusterSpec; readonly since: number }>();
  readonly #specs = new Map<string, ClusterSpec>();
  /** Endpoints' name → clusters that use them. */
  readonly #byEds = new Map<string, Set<string>>();
  readonly #inForce = new Map<string, InForce>();
  /** Cluster → keys of the services that it is in. */
  readonly #users = new Map<string, Set<string>>();
  #edsNames: ReadonlySet<string> | null = null;
  #rdsNames: ReadonlySet<string> | null = null;
  #structure = true;
  #dirtyClusters = new Set<string>();
  #coldSince: number | null = null;
  #cancelWait: (() => void) | null = null;
  /** Clusters that something in force leads to and that are not there. */
  #dangling: ReadonlyMap<string, string> = new Map();

  constructor(options: EnvoyWorldOptions) {
    this.#options = options;
    this.mesh = { workloads: new Map<string, Workload>(), services: this.#services };
    this.#clusters = new ClusterStore((name, gone) => this.#clusterChanged(name, gone));
    this.#assignments = new AssignmentStore(
      (name) => this.#endpointsChanged(name),
      () => {
        this.#edsNames ??= new Set(this.#byEds.keys());
        return this.#edsNames;
      },
    );
    this.#listeners = new ListenerStore(() => {
      this.#structure = true;
      this.#rdsNames = null;
    });
    this.#routes = new RouteStore(
      () => {
        this.#structure = true;
      },
      () => {
        this.#rdsNames ??= this.#routeNames();
        return this.#rdsNames;
      },
    );
    this.sinks = [this.#clusters, this.#assignments, this.#listeners, this.#routes];
    this.#dns = new DnsNames(options.clock, options.resolve, (host) => this.#resolved(host));
    this.#maker = new ServiceMaker(
      {
        cluster: (name) => this.#cluster(name),
        assignment: (cluster) => cluster.assignment ?? this.#assignments.items.get(cluster.edsName),
        addresses: (host) => this.#dns.addresses(host),
      },
      options.origin,
    );
  }

  update(): MeshDelta {
    this.#forget();
    const dirty = new Set<string>();
    for (const cluster of this.#dirtyClusters) {
      this.#maker.forget(cluster);
      for (const key of this.#users.get(cluster) ?? []) dirty.add(key);
    }
    const cold = this.#coldSince !== null;
    if (this.#structure || (cold && this.#dirtyClusters.size > 0) || this.#patienceOver()) {
      this.#structure = false;
      for (const key of this.#replan()) dirty.add(key);
      this.#wantNames();
    }
    this.#dirtyClusters = new Set();
    const services = new Set<string>();
    for (const key of dirty) if (this.#remake(key)) services.add(key);
    return { workloads: new Set(), services };
  }

  problems(): Problem[] {
    const problem = (type: string, name: string, field: string, reason: string): Problem => {
      const { file, line } = this.#options.origin;
      const fixed = { severity: 'warning', code: 'KM1042', namespace: '', file, line, lastGoodInForce: false } as const;
      return { ...fixed, kind: shortType(type), name, field, reason };
    };
    const noted = (type: string, name: string, notes: readonly string[]): Problem[] =>
      [...new Set(notes)].map((note) => {
        const colon = note.indexOf(': ');
        return problem(type, name, note.slice(0, colon), note.slice(colon + 2));
      });
    const { typeUrl: cds } = this.#clusters;
    return [
      ...[...this.#clusters.items.values()].flatMap(({ name, notes }) => noted(cds, name, notes)),
      ...[...this.#listeners.items.values()].flatMap(({ name, notes }) => noted(this.#listeners.typeUrl, name, notes)),
      ...[...this.#routes.items].flatMap(([name, { notes }]) => noted(this.#routes.typeUrl, name, notes)),
      ...[...this.#dangling].map(([name, key]) => problem(cds, name, '', `${key} leads to it, and it is not there`)),
      ...[...this.#dns.failures()].map(({ host, error }) => problem(cds, host, '', `cannot be resolved: ${error}`)),
    ];
  }

  dump(): object {
    return {
      clusterConfigs: [...this.#clusters.items.values()].map((spec) => ({
        ...spec,
        loadAssignment: spec.assignment ?? this.#assignments.items.get(spec.edsName) ?? null,
      })),
      listenerConfigs: [...this.#listeners.items.values()],
      routeConfigs: [...this.#routes.items].map(([name, { virtualHosts }]) => ({ name, virtualHosts })),
    };
  }

  close(): void {
    this.#dns.close();
    this.#cancelWait?.();
  }

  #cluster(name: string): ClusterSpec | undefined {
    return this.#clusters.items.get(name) ?? this.#retired.get(name)?.spec;
  }

  #clusterChanged(name: string, gone: boolean): void {
    const before = this.#specs.get(name);
    const after = gone ? undefined : this.#clusters.items.get(name);
    if (after === undefined) {
      if (before !== undefined) this.#retired.set(name, { spec: before, since: this.#options.clock.now() });
      this.#specs.delete(name);
    } else {
      this.#retired.delete(name);
      this.#specs.set(name, after);
      if (before?.edsName !== after.edsName) {
        this.#edsNames = null;
        this.#leaveEds(before);
        if (after.edsName !== '')
          this.#byEds.set(after.edsName, (this.#byEds.get(after.edsName) ?? new Set()).add(name));
      }
    }
    this.#dirtyClusters.add(name);
    this.#structure = true;
  }

  #leaveEds(spec: ClusterSpec | undefined): void {
    if (spec === undefined || spec.edsName === '') return;
    const users = this.#byEds.get(spec.edsName);
    users?.delete(spec.name);
    if (users?.size !== 0) return;
    this.#byEds.delete(spec.edsName);
    this.#edsNames = null;
    this.#assignments.remove(spec.edsName);
  }

  #endpointsChanged(edsName: string): void {
    for (const cluster of this.#byEds.get(edsName) ?? []) this.#dirtyClusters.add(cluster);
  }

  #resolved(host: string): void {
    for (const spec of [...this.#specs.values(), ...[...this.#retired.values()].map((one) => one.spec)]) {
      if (spec.dns !== null && hostsOf(spec).includes(host)) this.#dirtyClusters.add(spec.name);
    }
    this.#options.changed();
  }

  #wantNames(): void {
    const names = new Map<string, Wanted>();
    for (const spec of this.#specs.values()) {
      if (spec.dns === null) continue;
      for (const host of hostsOf(spec)) names.set(host, spec.dns);
    }
    this.#dns.want(names);
  }

  #routeNames(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { chains } of this.#listeners.items.values()) {
      for (const { http } of chains) if (http !== null && 'rds' in http) names.add(http.rds);
    }
    for (const name of this.#routes.items.keys()) if (!names.has(name)) this.#routes.remove(name);
    return names;
  }

  #patienceOver(): boolean {
    return this.#coldSince !== null && this.#options.clock.now() - this.#coldSince >= patienceMs;
  }

  /** Retired clusters that nothing leads to, or that have waited long enough. */
  #forget(): void {
    const now = this.#options.clock.now();
    for (const [name, { spec, since }] of this.#retired) {
      if (this.#users.has(name) && now - since < patienceMs) continue;
      this.#retired.delete(name);
      this.#dirtyClusters.add(name);
      if (!this.#specs.has(name)) this.#leaveEds(spec);
    }
  }

  /** Keys of the services that are to be made again. */
  #replan(): Set<string> {
    const input = {
      listeners: [...this.#listeners.items.values()],
      routes: (name: string) => this.#routes.items.get(name)?.virtualHosts ?? null,
    };
    const named = this.#retired.size === 0 ? null : namedClusters(input);
    const retired = [...this.#retired].flatMap(([name, { spec }]) => (named?.has(name) === true ? [spec] : []));
    const plan = makePlan({ ...input, clusters: [...this.#clusters.items.values(), ...retired] });
    const over = this.#patienceOver();
    let cold = plan.missingRoutes.length > 0;
    const dirty = new Set<string>([...this.#inForce.keys(), ...plan.services.keys()]);
    const keep = new Map<string, InForce>();
    for (const [key, service] of plan.services) {
      const old = this.#inForce.get(key);
      // Routes that are not there yet may be what gave it addresses.
      const lost =
        plan.missingRoutes.length > 0 && old?.service.addresses.some((one) => !service.addresses.includes(one));
      const waits = lost === true || [...clustersOf(service)].some((name) => this.#isCold(name));
      if (waits) cold = true;
      keep.set(key, waits && !over && old !== undefined ? old : { plan, service });
    }
    // The same goes for a service that seems to be gone.
    if (plan.missingRoutes.length > 0 && !over) {
      for (const [key, old] of this.#inForce) if (!keep.has(key)) keep.set(key, old);
    }
    this.#inForce.clear();
    for (const [key, one] of keep) this.#inForce.set(key, one);
    this.#noteCold(cold && !over);
    this.#index();
    return dirty;
  }

  /** A cluster that routes lead to and whose endpoints are still to come. */
  #isCold(name: string): boolean {
    if (passThrough.has(name) || name === blackHole) return false;
    const spec = this.#cluster(name);
    return spec === undefined || (spec.kind === 'eds' && !this.#assignments.items.has(spec.edsName));
  }

  #noteCold(cold: boolean): void {
    if (!cold) {
      this.#coldSince = null;
      this.#cancelWait?.();
      this.#cancelWait = null;
      this.#waitForRetired();
      return;
    }
    this.#coldSince ??= this.#options.clock.now();
    this.#waitLater();
  }

  #waitForRetired(): void {
    if (this.#retired.size > 0) this.#waitLater();
  }

  #waitLater(): void {
    this.#cancelWait ??= this.#options.clock.after(patienceMs, () => {
      this.#cancelWait = null;
      this.#options.changed();
    });
  }

  #index(): void {
    this.#users.clear();
    const dangling = new Map<string, string>();
    for (const [key, { service }] of this.#inForce) {
      for (const name of clustersOf(service)) {
        const users = this.#users.get(name);
        if (users === undefined) this.#users.set(name, new Set([key]));
        else users.add(key);
      }
      for (const port of service.ports) {
        for (const name of routedClusters(port)) {
          const special = passThrough.has(name) || name === blackHole;
          if (!special && !this.#clusters.items.has(name)) dangling.set(name, key);
        }
      }
    }
    this.#dangling = dangling;
    this.#waitForRetired();
  }

  /** Whether the service is another one now. */
  #remake(key: string): boolean {
    const wanted = this.#inForce.get(key);
    const old = this.#services.get(key);
    if (wanted === undefined) return this.#services.delete(key);
    const made = this.#maker.make(wanted.plan, wanted.service);
    const kept: Service = {
      ...made,
      ports: made.ports.map((port) => {
        const before = old?.ports.find((one) => one.port === port.port);
        const routing = keepRouting(before?.routing, port.routing);
        return routing === undefined ? port : { ...port, routing };
      }),
    };
    if (old !== undefined && sameService(old, kept)) return false;
    this.#services.set(key, old === undefined ? kept : keepPorts(old, kept));
    return true;
  }
}

function hostsOf({ assignment }: ClusterSpec): string[] {
  return (assignment?.groups ?? []).flatMap(({ endpoints }) =>
    endpoints.flatMap(({ host }) => (/^[0-9.]+$|:/.test(host) ? [] : [host])),
  );
}
