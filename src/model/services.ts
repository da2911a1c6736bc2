/** Services out of the objects that give them: endpoints, subsets, routes. */
import {
  families,
  fromList,
  fromPods,
  fromSlices,
  fromWorkloads,
  type PortEndpoints,
  type Wanted,
} from './endpoints.ts';
import type { Nearness } from './hints.ts';
import { serviceHost } from './hostnames.ts';
import { type LocalityPolicy, type Place, spread } from './localities.ts';
import type { Members } from './members.ts';
import type { PodObject, RuleSubset, ServiceEntryObject, ServiceObject } from './objects.ts';
import { localityPolicyOf, policyOf } from './policies.ts';
import { appProtocolOf, modeOf } from './protocols.ts';
import { keepRouting, type RouteSources, resolve, routesOf, routingOf } from './routing.ts';
import type { Rules } from './rules.ts';
import { selects } from './selectors.ts';
import type { Slices } from './slices.ts';
import { joinShares, type Share, tcpRuleFor } from './tcp-routes.ts';
import type { Endpoint, Origin, Service, ServicePort, Subset } from './types.ts';

/** An object that gives services: its id is `KIND/NAMESPACE/NAME`. */
export type ServiceSource = ServiceObject | ServiceEntryObject;

export const everyAddress = ['0.0.0.0', '::'] as const;

export function hostsOf(source: ServiceSource): readonly string[] {
  return source.kind === 'Service' ? [serviceHost(source.name, source.namespace)] : source.hosts;
}

export function addressesOf(source: ServiceSource): readonly string[] {
  return source.kind === 'ServiceEntry' && source.addresses.length === 0 ? everyAddress : source.addresses;
}

export interface ServiceMakerOptions {
  readonly members: Members;
  readonly slices: Slices;
  readonly rules: Rules;
  readonly routes: RouteSources;
  readonly services: ReadonlyMap<string, Service>;
  /** Where the clients are, as it is known now. */
  readonly place: () => Place;
}

/** What of an object is served. */
export interface Served {
  readonly hosts: readonly string[];
  /** Whether the port of this index has its listener. */
  readonly port: (index: number) => boolean;
  /** Hosts of a listener that several objects share, this one's among them; null: it is the object's own. */
  readonly shared: (index: number) => readonly SharedHost[] | null;
}

/** A host of a shared listener. */
export interface SharedHost {
  readonly hostname: string;
  readonly key: string;
  readonly portName: string;
  readonly origin: Origin;
}

export interface Made {
  readonly services: readonly Service[];
  /** Ports whose named target port no pod has. */
  readonly unnamed: readonly number[];
  /** Names that were looked up on the way: `host NAME`, `endpoints NAME`, `grants NAMESPACE`. */
  readonly uses: ReadonlySet<string>;
}

export class ServiceMaker {
  readonly #options: ServiceMakerOptions;
  /** Ports as they are without layer 4 routes, of the services that have some. */
  readonly #plain = new Map<string, readonly ServicePort[]>();

  constructor(options: ServiceMakerOptions) {
    this.#options = options;
  }

  make(id: string, source: ServiceSource, served: Served): Made {
    const uses = new Set<string>();
    const unnamed: number[] = [];
    const hosts = served.hosts.map((hostname) => ({ hostname, key: `${source.namespace}/${hostname}` }));
    const ports = hosts.map((): ServicePort[] => []);
    const plain = hosts.map((): ServicePort[] => []);
    for (const i of source.ports.keys()) {
      if (!served.port(i)) continue;
      const found = this.#endpoints(id, source, i, null, null);
      if (found.unnamed) unnamed.push(i);
      const shared = served.shared(i);
      const listener = shared?.[0]?.key;
      for (const [h, { hostname, key }] of hosts.entries()) {
        const made = this.#port(id, source, i, key, found);
        const one = listener === undefined || listener === key ? made : { ...made, listener };
        plain[h]?.push(one);
        // The first has the listener.
        const first = shared === null ? h === 0 : listener === key;
        const table = shared ?? hosts.map((host) => ({ ...host, portName: made.name, origin: source.origin }));
        const routing = first && one.mode !== 'tcp' ? this.#routing(table, one, shared !== null, uses) : undefined;
        const routed = routing === undefined ? this.#tcpRouted(one, hostname, uses) : { ...one, routing };
        ports[h]?.push(routed);
      }
    }
    const services = hosts.map(({ hostname, key }, h): Service => {
      this.#remember(key, plain[h] ?? [], ports[h] ?? []);
      return {
        key,
        kind: source.kind,
        namespace: source.namespace,
        name: source.name,
        hostname,
        addresses: h === 0 ? addressesOf(source) : [],
        ports: ports[h] ?? [],
        affinitySeconds: source.kind === 'Service' ? source.affinitySeconds : 0,
        origin: source.origin,
      };
    });
    return { services, unnamed, uses };
  }

  /** Ports of a service as they are without layer 4 routes. */
  plainPorts(key: string): readonly ServicePort[] | undefined {
    return this.#plain.get(key) ?? this.#options.services.get(key)?.ports;
  }

  /** A service that is no more. */
  forget(key: string): void {
    this.#plain.delete(key);
  }

  #remember(key: string, plain: readonly ServicePort[], ports: readonly ServicePort[]): void {
    const routed = plain.some((port, i) => ports[i] !== port && ports[i]?.routing === undefined);
    if (routed) this.#plain.set(key, plain);
    else this.#plain.delete(key);
  }

  #port(id: string, source: ServiceSource, i: number, key: string, found: PortEndpoints): ServicePort {
    const port = source.ports[i] ?? { name: '', port: 0, protocol: 'TCP', appProtocol: '' };
    const appProtocol = appProtocolOf(port.appProtocol, port.name);
    const place = { port: port.port, mode: modeOf(port.protocol, appProtocol, port.port) };
    const located = source.kind === 'Service' ? source.locality : null;
    const spreadOf = (part: PortEndpoints, subset: RuleSubset | null): Pick<Subset, 'endpoints' | 'unready'> => {
      const policy = localityPolicyOf(rule, port.port, subset, located);
      const decided = policy === null || (policy === located && part.hinted === true);
      return { endpoints: decided ? part.endpoints : this.#spread(part, policy), unready: part.unready };
    };
    const rule = this.#options.rules.of(key);
    const context = { rule, balancePer: source.balancePer };
    const subsets = (rule?.subsets ?? []).map((subset): Subset => {
      const wanted: Wanted = (labels) => selects(subset.labels, labels);
      const part = spreadOf(this.#endpoints(id, source, i, wanted, subset), subset);
      return { name: subset.name, ...part, policy: policyOf(context, place, subset) };
    });
    return {
      name: port.name,
      port: port.port,
      protocol: port.protocol,
      ...(appProtocol === '' ? {} : { appProtocol }),
      ...spreadOf(found, null),
      policy: policyOf(context, place),
      mode: place.mode,
      subsets,
    };
  }

  #spread({ endpoints, away }: PortEndpoints, policy: LocalityPolicy): readonly Endpoint[] {
    const { place, members } = this.#options;
    return spread(endpoints, away, policy, place(), (uid) => members.lookup.workload(uid)?.node ?? '');
  }

  #routing(hosts: readonly SharedHost[], port: ServicePort, byHost: boolean, uses: Set<string>) {
    const routes = hosts.map((host) => {
      const target = { ...host, port: { name: host.portName, port: port.port }, uses };
      return { ...host, routes: routesOf(this.#options.routes, target) };
    });
    const made = routingOf(routes, port.port, byHost);
    const old = this.#options.services.get(hosts[0]?.key ?? '');
    return keepRouting(old?.ports.find((one) => one.port === port.port && one.protocol === 'TCP')?.routing, made);
  }

  /** Layer 4 routes hold where no HTTP routes do. A port that nobody says the protocol of is TCP then. */
  #tcpRouted(port: ServicePort, hostname: string, uses: Set<string>): ServicePort {
    if (port.protocol !== 'TCP' || port.mode === 'http') return port;
    const object = this.#options.routes.virtualServices.of(hostname);
    const rule = tcpRuleFor(object, port.port);
    if (object === null || rule === null) return port;
    const shares = rule.destinations.map((destination): Share => {
      uses.add(`host ${destination.host}`).add(`endpoints ${destination.host}`);
      const { cluster } = resolve(this.#options.routes.hostnames, destination, object.namespace, port.port);
      const there = this.plainPorts(cluster.service)?.find(
        (one) => one.port === cluster.port && one.protocol === 'TCP',
      );
      const part = cluster.subset === '' ? there : there?.subsets.find(({ name }) => name === cluster.subset);
      const { endpoints = [], unready = 0, policy = port.policy } = part ?? {};
      return { weight: destination.weight, endpoints, unready, policy };
    });
    return { ...port, ...joinShares(shares), mode: 'tcp', policy: shares[0]?.policy ?? port.policy };
  }

  #endpoints(id: string, source: ServiceSource, i: number, wanted: Wanted, subset: RuleSubset | null): Found {
    return source.kind === 'Service'
      ? this.#ofService(id, source, i, wanted, subset)
      : this.#ofEntry(id, source, i, wanted);
  }

  #ofService(id: string, service: ServiceObject, i: number, wanted: Wanted, subset: RuleSubset | null): Found {
    const port = service.ports[i];
    if (port === undefined) return nothing;
    const { members, slices } = this.#options;
    const allowed = families(service.addresses);
    const own = slices.of(id);
    const near = this.#nearness(service, port.port, subset);
    if (own !== null) return { ...fromSlices(own, port, allowed, members.lookup, wanted, near), unnamed: false };
    const pods = members.selected(id).filter((object): object is PodObject => object.kind === 'Pod');
    return fromPods(pods, service, port, allowed, members.lookup, wanted, near);
  }

  /** What the cluster hints at counts where no DestinationRule says where endpoints are looked for. */
  #nearness({ name, namespace, localOnly }: ServiceObject, port: number, subset: RuleSubset | null): Nearness {
    const rule = this.#options.rules.of(`${namespace}/${serviceHost(name, namespace)}`);
    const hints = localityPolicyOf(rule, port, subset, asTheServiceSays) === asTheServiceSays;
    return { place: this.#options.place(), localOnly: localOnly === true, hints };
  }

  #ofEntry(id: string, entry: ServiceEntryObject, i: number, wanted: Wanted): Found {
    const port = entry.ports[i];
    if (port === undefined) return nothing;
    const { members } = this.#options;
    const allowed = families(addressesOf(entry));
    const found =
      entry.selector === null
        ? fromList(entry.endpoints, port, allowed, members.lookup, wanted)
        : fromWorkloads(members.selected(id), port, allowed, members.lookup, wanted);
    return { ...found, unnamed: false };
  }
}

const asTheServiceSays: LocalityPolicy = { kind: 'priority', keys: [] };

type Found = PortEndpoints & { readonly unnamed: boolean };

const nothing: Found = { endpoints: [], unready: 0, away: [], unnamed: false };
