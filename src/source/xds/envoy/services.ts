/** From the plan of a service to the model's service: endpoints, policies, routes. */

import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import { canonicalAddress } from '../../../base/address.ts';
import type { ClusterPolicy, HttpRouting, WeightedCluster } from '../../../model/http.ts';
import { joinShares, type Share } from '../../../model/tcp-routes.ts';
import type { Origin, Service, ServicePort, Subset } from '../../../model/types.ts';
import { type Assignment, type EnvoyEndpoint, lbMetadata, type Shared, shareOut } from './assignment.ts';
import type { ClusterSpec } from './cluster.ts';
import type { Plan, PortPlan, ServicePlan } from './plan.ts';
import type { VirtualHostSpec } from './route-spec.ts';

export interface Lookup {
  readonly cluster: (name: string) => ClusterSpec | undefined;
  readonly assignment: (cluster: ClusterSpec) => Assignment | undefined;
  /** Addresses of a host name as it resolves now. */
  readonly addresses: (host: string) => readonly string[];
}

const nothing: Shared = { endpoints: [], unready: 0 };

export class ServiceMaker {
  readonly #lookup: Lookup;
  readonly #origin: Origin;
  /** Endpoints by cluster, and by subset of it. */
  readonly #shared = new Map<string, Map<string, Shared>>();
  /** Routings by their virtual hosts, while these are the same. */
  readonly #routings = new WeakMap<
    readonly VirtualHostSpec[],
    { readonly plan: Plan; readonly routing: HttpRouting }
  >();

  constructor(lookup: Lookup, origin: Origin) {
    this.#lookup = lookup;
    this.#origin = origin;
  }

  /** The endpoints of a cluster are others now. */
  forget(cluster: string): void {
    this.#shared.delete(cluster);
  }

  make(plan: Plan, service: ServicePlan): Service {
    return {
      key: service.key,
      kind: /\.svc(\.|$)/.test(service.hostname) ? 'Service' : 'ServiceEntry',
      namespace: service.namespace,
      name: service.name,
      hostname: service.hostname,
      addresses: service.addresses,
      ports: service.ports.map((port) => this.#port(plan, port)),
      affinitySeconds: 0,
      origin: this.#origin,
    };
  }

  #port(plan: Plan, port: PortPlan): ServicePort {
    const own = port.cluster === null ? this.#shares(plan, port) : this.#part(plan, port.cluster, null, port.mode);
    const subsets: Subset[] = [...port.subsets].map(([name, cluster]) => ({
      name,
      ...this.#part(plan, cluster, null, port.mode),
    }));
    for (const [name, metadata] of plan.metadata.get(port.cluster ?? '') ?? []) {
      subsets.push({ name, ...this.#part(plan, port.cluster ?? '', metadata, port.mode) });
    }
    const routing = port.virtualHosts === null ? null : this.#routing(plan, port.virtualHosts);
    return {
      name: '',
      port: port.port,
      protocol: 'TCP',
      ...(port.mode === 'tcp' ? {} : { appProtocol: 'http' }),
      ...own,
      mode: port.mode,
      subsets,
      ...(routing === null ? {} : { routing }),
    };
  }

  #shares(plan: Plan, { shares, mode }: PortPlan): Pick<ServicePort, 'endpoints' | 'unready' | 'policy'> {
    const parts = shares.map(({ cluster, weight }): Share => ({ ...this.#part(plan, cluster, null, mode), weight }));
    return { ...joinShares(parts), policy: parts[0]?.policy ?? usual };
  }

  #part(plan: Plan, name: string, metadata: JsonObject | null, mode: ServicePort['mode']) {
    const cluster = this.#lookup.cluster(name);
    if (cluster === undefined) return { ...nothing, policy: usual };
    return { ...this.#endpoints(cluster, metadata), policy: policyOf(plan, cluster, mode) };
  }

  #endpoints(cluster: ClusterSpec, metadata: JsonObject | null): Shared {
    const key = metadata === null ? '' : JSON.stringify(metadata);
    const known = this.#shared.get(cluster.name)?.get(key);
    if (known !== undefined) return known;
    const assignment = this.#lookup.assignment(cluster);
    const made = assignment === undefined ? nothing : this.#select(cluster, assignment, metadata);
    const all = this.#shared.get(cluster.name) ?? new Map<string, Shared>();
    this.#shared.set(cluster.name, all.set(key, made));
    return made;
  }

  #select(cluster: ClusterSpec, assignment: Assignment, metadata: JsonObject | null): Shared {
    const resolve = ({ host, other }: EnvoyEndpoint): readonly string[] => {
      if (canonicalAddress(host) !== null) return other === undefined ? [host] : [host, other];
      const found = this.#lookup.addresses(host);
      return cluster.dns?.onlyFirst === true ? found.slice(0, 1) : found;
    };
    const fits = (wanted: JsonObject) => (endpoint: EnvoyEndpoint) => {
      const own = lbMetadata(endpoint);
      return Object.entries(wanted).every(([key, value]) => isDeepStrictEqual(own[key], value));
    };
    if (metadata === null) return shareOut(assignment, cluster.localities, () => true, resolve);
    const found = shareOut(assignment, cluster.localities, fits(metadata), resolve);
    const fallback = cluster.subsets?.fallback ?? 'none';
    if (found.endpoints.length + found.unready > 0 || fallback === 'none') return found;
    if (fallback === 'any') return shareOut(assignment, cluster.localities, () => true, resolve);
    return shareOut(assignment, cluster.localities, fits(fallback), resolve);
  }

  #routing(plan: Plan, hosts: readonly VirtualHostSpec[]): HttpRouting {
    const known = this.#routings.get(hosts);
    if (known?.plan === plan) return known.routing;
    const origin = this.#origin;
    const routing: HttpRouting = {
      virtualHosts: hosts.map(({ name, domains, routes }) => ({
        name,
        domains,
        routes: routes.map(({ name: route, match, action }) => {
          if (action.kind !== 'forward') return { name: route, matches: [match], action, origin };
          const { hash: _, clusters, ...rest } = action;
          const refs = clusters.map(({ name: cluster, weight, headers, metadata }): WeightedCluster => {
            return { cluster: plan.refOf(cluster, metadata), weight, headers };
          });
          return { name: route, matches: [match], action: { ...rest, clusters: refs }, origin };
        }),
      })),
    };
    this.#routings.set(hosts, { plan, routing });
    return routing;
  }
}

const usual: ClusterPolicy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 };

function policyOf(plan: Plan, cluster: ClusterSpec, mode: ServicePort['mode']): ClusterPolicy {
  const { balance, connectTimeoutMs, limits } = cluster;
  const hash = balance === 'maglev' ? plan.hashes.get(cluster.name) : undefined;
  // Without requests there is nothing to hash but the source; with nothing to hash, Envoy chooses at random.
  const hashed = hash !== undefined && (mode !== 'tcp' || hash.kind === 'source');
  return {
    balance: balance === 'maglev' && !hashed ? 'random' : balance,
    ...(hashed ? { hash } : {}),
    perConnection: false,
    connectTimeoutMs,
    ...(limits === null ? {} : { limits }),
  };
}
