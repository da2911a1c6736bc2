/**
 * Which services the resources make: names and structure, without endpoints.
 *
 * Envoy sends every connection to a listener and tells services apart by what a request asks for; the mesh tells them apart
 * by address. So a virtual host that has addresses among its domains is a service at these, and its routes take any Host
 * there, as a VirtualService's do. A listener on every address is served as such when some virtual host of it takes
 * every domain and leads somewhere; else what is not for an address of a service is left alone, which is what Istio's
 * `allow_any` does. Clusters named by Istio's rule make the services of their hosts; any other is one of its own,
 * `xds/CLUSTER`, that routes can name.
 */
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import { canonicalAddress, isUnspecified } from '../../../base/address.ts';
import type { ClusterRef } from '../../../model/http.ts';
import type { ServicePort } from '../../../model/types.ts';
import type { ClusterSpec } from './cluster.ts';
import {
  blackHole,
  type ChainSpec,
  type HttpSpec,
  type ListenerSpec,
  passThrough,
  type WeightedName,
} from './listener.ts';
import { istioCluster, namespaceOfHost, ownNamespace, virtualHostName } from './names.ts';
import type { Hash, VirtualHostSpec } from './route-spec.ts';

export interface PortPlan {
  readonly port: number;
  readonly mode: ServicePort['mode'];
  /** Cluster of all its endpoints; null: those of `shares`. */
  readonly cluster: string | null;
  /** For what routes do not decide: each cluster gets its share. */
  readonly shares: readonly WeightedName[];
  /** Subset's name → its cluster. */
  readonly subsets: ReadonlyMap<string, string>;
  /** Null: all requests go to the cluster. */
  readonly virtualHosts: readonly VirtualHostSpec[] | null;
}

export interface ServicePlan {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly ports: readonly PortPlan[];
}

export interface Plan {
  readonly services: ReadonlyMap<string, ServicePlan>;
  /** What a cluster's name means to a route. */
  readonly refOf: (cluster: string, metadata: JsonObject | null) => ClusterRef;
  /** Metadata that routes ask for, by cluster and the name that the subset has. */
  readonly metadata: ReadonlyMap<string, ReadonlyMap<string, JsonObject>>;
  /** What requests to a cluster are hashed by. */
  readonly hashes: ReadonlyMap<string, Hash>;
  /** RouteConfigurations that some listener waits for. */
  readonly missingRoutes: readonly string[];
}

export interface PlanInput {
  readonly clusters: Iterable<ClusterSpec>;
  readonly listeners: Iterable<ListenerSpec>;
  /** Null: not there yet. */
  readonly routes: (name: string) => readonly VirtualHostSpec[] | null;
}

interface MutablePort {
  port: number;
  mode: ServicePort['mode'];
  cluster: string | null;
  shares: readonly WeightedName[];
  subsets: Map<string, string>;
  virtualHosts: readonly VirtualHostSpec[] | null;
}

interface MutableService {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly addresses: Set<string>;
  readonly ports: Map<number, MutablePort>;
}

/** `k=v,k2=v2`, sorted by key: the name of a subset by metadata. */
export function subsetName(metadata: JsonObject): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .sort()
    .join(',');
}

export function makePlan(input: PlanInput): Plan {
  const planner = new Planner();
  for (const cluster of input.clusters) planner.addCluster(cluster);
  for (const listener of input.listeners)
    for (const chain of listener.chains) planner.addChain(listener.name, chain, input);
  return planner.finish();
}

class Planner {
  readonly #services = new Map<string, MutableService>();
  /** Host → key. */
  readonly #hosts = new Map<string, string>();
  /** Clusters that are no host's. */
  readonly #plain = new Set<string>();
  readonly #metadata = new Map<string, Map<string, JsonObject>>();
  readonly #hashes = new Map<string, Hash>();
  readonly #missing = new Set<string>();

  addCluster(cluster: ClusterSpec): void {
    if (cluster.kind === 'original' || cluster.name === blackHole) return;
    const istio = cluster.subsets === null ? istioCluster(cluster.name) : null;
    if (istio === null) {
      this.#plain.add(cluster.name);
      return;
    }
    const namespace = cluster.namespace || namespaceOfHost(istio.host) || ownNamespace;
    const key = this.#hosts.get(istio.host) ?? `${namespace}/${istio.host}`;
    this.#hosts.set(istio.host, key);
    const service = this.#service(key, istio.host.split('.')[0] ?? istio.host, istio.host);
    const port = this.#port(service, istio.port);
    if (istio.subset === '') port.cluster = cluster.name;
    else port.subsets.set(istio.subset, cluster.name);
  }

  addChain(listener: string, chain: ChainSpec, { routes }: PlanInput): void {
    const hosts = chain.http === null ? null : this.#virtualHosts(chain.http, routes);
    if (chain.http !== null && hosts === null) return;
    const everywhere = chain.addresses.every(isUnspecified);
    const mode = hosts === null ? 'tcp' : chain.detect ? 'detect' : 'http';
    const leading = hosts?.filter(leadsSomewhere) ?? [];
    if (hosts !== null) {
      const rest: VirtualHostSpec[] = [];
      for (const host of leading) {
        const own = this.#ownerOf(host, chain.port);
        const addresses = everywhere ? addressesIn(host) : chain.addresses;
        const alone = !everywhere && leading.length === 1;
        if (own !== null && addresses.length > 0 && (everywhere || alone)) {
          this.#attach(own, addresses, chain.port, mode, [host]);
        } else if (everywhere && addresses.length > 0) this.#own(host.name, addresses, chain, mode, [host]);
        else rest.push(host);
      }
      const takesAll = rest.some(({ domains }) => domains.includes('*'));
      if (rest.length > 0 && (!everywhere || takesAll)) this.#own(listener, chain.addresses, chain, mode, rest);
      return;
    }
    const [only] = chain.tcp ?? [];
    if (only === undefined) return;
    this.#hashTcp(chain.tcp ?? []);
    const istio = istioCluster(only.cluster);
    const key = istio?.subset === '' && istio.port === chain.port ? this.#hosts.get(istio.host) : undefined;
    const owner = key === undefined ? undefined : this.#services.get(key);
    if (owner !== undefined && chain.tcp?.length === 1 && !everywhere) {
      this.#attach(owner, chain.addresses, chain.port, 'tcp', null);
    } else this.#own(listener, chain.addresses, chain, 'tcp', null);
  }

  finish(): Plan {
    const used = new Set<string>();
    for (const service of this.#services.values()) {
      for (const port of service.ports.values()) {
        for (const host of port.virtualHosts ?? []) for (const name of this.#usesOf(host)) used.add(name);
      }
    }
    for (const name of used) {
      if (!this.#plain.has(name)) continue;
      const service = this.#service(`${ownNamespace}/${name}`, name, name);
      const port = this.#port(service, 0);
      port.cluster = name;
    }
    const services = new Map(
      [...this.#services].map(([key, service]) => [
        key,
        { ...service, addresses: [...service.addresses].sort(), ports: [...service.ports.values()].sort(byPort) },
      ]),
    );
    return {
      services,
      refOf: (cluster, metadata) => this.#refOf(cluster, metadata),
      metadata: this.#metadata,
      hashes: this.#hashes,
      missingRoutes: [...this.#missing],
    };
  }

  #virtualHosts(http: HttpSpec, routes: PlanInput['routes']): readonly VirtualHostSpec[] | null {
    if ('virtualHosts' in http) return http.virtualHosts;
    const found = routes(http.rds);
    if (found === null) this.#missing.add(http.rds);
    return found;
  }

  #ownerOf(host: VirtualHostSpec, port: number): MutableService | null {
    const named = virtualHostName(host.name);
    const key = named === null || named.port !== port ? undefined : this.#hosts.get(named.host);
    const service = key === undefined ? undefined : this.#services.get(key);
    return service?.ports.has(port) === true ? service : null;
  }

  #attach(
    service: MutableService,
    addresses: readonly string[],
    number: number,
    mode: ServicePort['mode'],
    hosts: readonly VirtualHostSpec[] | null,
  ): void {
    for (const address of addresses) service.addresses.add(address);
    const port = this.#port(service, number);
    port.mode = mode;
    const [first] = hosts ?? [];
    const plain = first === undefined || isPlain(first, port.cluster);
    port.virtualHosts = plain || first === undefined ? null : [{ ...first, domains: ['*'] }];
  }

  /** A service for what belongs to none. */
  #own(
    name: string,
    addresses: readonly string[],
    chain: ChainSpec,
    mode: ServicePort['mode'],
    hosts: readonly VirtualHostSpec[] | null,
  ): void {
    const service = this.#service(`${ownNamespace}/${name}`, name, name);
    for (const address of addresses) service.addresses.add(address);
    const port = this.#port(service, chain.port);
    port.mode = mode;
    port.shares = chain.tcp ?? [];
    const only = hosts?.length === 1 && !hosts[0]?.domains.includes('*');
    const byAddress = only && addresses.some((address) => !isUnspecified(address));
    port.virtualHosts = byAddress ? (hosts ?? []).map((host) => ({ ...host, domains: ['*'] })) : hosts;
  }

  #service(key: string, name: string, hostname: string): MutableService {
    const known = this.#services.get(key);
    if (known !== undefined) return known;
    const namespace = key.slice(0, key.indexOf('/'));
    const made = {
      key,
      namespace,
      name,
      hostname,
      addresses: new Set<string>(),
      ports: new Map<number, MutablePort>(),
    };
    this.#services.set(key, made);
    return made;
  }

  #port(service: MutableService, port: number): MutablePort {
    const known = service.ports.get(port);
    if (known !== undefined) return known;
    const made: MutablePort = { port, mode: 'tcp', cluster: null, shares: [], subsets: new Map(), virtualHosts: null };
    service.ports.set(port, made);
    return made;
  }

  #hashTcp(shares: readonly WeightedName[]): void {
    for (const { cluster } of shares) if (!this.#hashes.has(cluster)) this.#hashes.set(cluster, { kind: 'source' });
  }

  /** Names of the clusters of a virtual host; notes what is said of them on the way. */
  *#usesOf(host: VirtualHostSpec): Generator<string> {
    for (const { action } of host.routes) {
      if (action.kind !== 'forward') continue;
      for (const use of action.clusters) {
        if (action.hash !== null) this.#hashes.set(use.name, action.hash);
        if (use.metadata !== null && this.#plain.has(use.name)) {
          const known = this.#metadata.get(use.name) ?? new Map<string, JsonObject>();
          this.#metadata.set(use.name, known.set(subsetName(use.metadata), use.metadata));
        }
        yield use.name;
      }
    }
  }

  #refOf(cluster: string, metadata: JsonObject | null): ClusterRef {
    const istio = this.#plain.has(cluster) ? null : istioCluster(cluster);
    const key = istio === null ? undefined : this.#hosts.get(istio.host);
    if (istio !== null && key !== undefined) return { service: key, port: istio.port, subset: istio.subset };
    const subset = metadata === null || !this.#metadata.has(cluster) ? '' : subsetName(metadata);
    return { service: `${ownNamespace}/${cluster}`, port: 0, subset };
  }
}

const byPort = (a: MutablePort, b: MutablePort): number => a.port - b.port;

/** Istio's `allow_any` and `block_all` lead to no service. */
function leadsSomewhere({ routes }: VirtualHostSpec): boolean {
  return !routes.every(
    ({ action }) =>
      action.kind === 'forward' && action.clusters.every(({ name }) => passThrough.has(name) || name === blackHole),
  );
}

function addressesIn({ domains }: VirtualHostSpec): string[] {
  return domains.flatMap((domain) => canonicalAddress(domain) ?? []);
}

/** All requests go to the port's own cluster, as they are: no table is needed. */
function isPlain({ routes }: VirtualHostSpec, cluster: string | null): boolean {
  const [route] = routes;
  if (routes.length !== 1 || route === undefined || route.action.kind !== 'forward') return false;
  const { action, match } = route;
  const [only] = action.clusters;
  return (
    Object.keys(match).length === 0 &&
    action.clusters.length === 1 &&
    only?.name === cluster &&
    only.metadata === null &&
    action.path === undefined &&
    action.host === undefined &&
    action.abort === undefined &&
    [action.headers, only.headers].every(({ set, add, remove }) => set.length + add.length + remove.length === 0)
  );
}

/** Names of all clusters that a service needs to be served. */
export function clustersOf({ ports }: ServicePlan): Set<string> {
  const names = new Set<string>();
  for (const port of ports) {
    if (port.cluster !== null) names.add(port.cluster);
    for (const { cluster } of port.shares) names.add(cluster);
    for (const cluster of port.subsets.values()) names.add(cluster);
    for (const name of routedClusters(port)) names.add(name);
  }
  return names;
}

/** Names of all clusters that listeners and their routes lead to. */
export function namedClusters({ listeners, routes }: Omit<PlanInput, 'clusters'>): Set<string> {
  const names = new Set<string>();
  for (const { chains } of listeners) {
    for (const { http, tcp } of chains) {
      for (const { cluster } of tcp ?? []) names.add(cluster);
      const hosts = http === null ? [] : 'rds' in http ? (routes(http.rds) ?? []) : http.virtualHosts;
      for (const name of routedClusters({ virtualHosts: hosts })) names.add(name);
    }
  }
  return names;
}

/** Names of the clusters that routes of a port lead to. */
export function routedClusters({ virtualHosts }: Pick<PortPlan, 'virtualHosts'>): Set<string> {
  return new Set(
    (virtualHosts ?? []).flatMap(({ routes }) =>
      routes.flatMap(({ action }) => (action.kind === 'forward' ? action.clusters.map(({ name }) => name) : [])),
    ),
  );
}

export function samePlan(a: ServicePlan, b: ServicePlan): boolean {
  return isDeepStrictEqual(a, b);
}
