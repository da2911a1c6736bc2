/** The route table of a service's port: VirtualServices and HTTPRoutes joined to the services that they name. */
import { isDeepStrictEqual } from 'node:util';
import { type Hostnames, serviceOfHost } from './hostnames.ts';
import type { ClusterRef, HttpAction, HttpRoute, HttpRouting, ReplyAction, WeightedCluster } from './http.ts';
import type { ObjectBase } from './objects.ts';
import {
  type Destination,
  defaultConnectRetries,
  type ForwardRule,
  type HttpRouteObject,
  noEdits,
  type RedirectRule,
  type RuleAction,
  type VirtualServiceObject,
} from './route-objects.ts';
import { orderOf } from './route-order.ts';
import type { HttpRoutes, ReferenceGrants, VirtualServices } from './route-tables.ts';
import type { Service, ServicePort } from './types.ts';

export interface RouteSources {
  readonly virtualServices: VirtualServices;
  readonly httpRoutes: HttpRoutes;
  readonly grants: ReferenceGrants;
  readonly hostnames: Hostnames;
}

/** What a route table is made for. */
export interface RoutingTarget {
  readonly key: string;
  readonly hostname: string;
  readonly port: Pick<ServicePort, 'name' | 'port'>;
  /** Takes the names that were looked up: `host NAME`, `grants NAMESPACE`. */
  readonly uses: Set<string>;
}

/** Answers of the mesh itself have no body. */
const reply = (status: number): ReplyAction => ({ kind: 'reply', status, body: '', contentType: 'text/plain' });

/**
 * HTTPRoutes for the port come before a VirtualService for its host. Those of the service's own namespace hold for every
 * client, those of another namespace for the clients of that one only, and there instead of all others (GEP-1426: consumer
 * and producer routes are not merged). Null: nobody says how to route.
 */
export function routesOf(sources: RouteSources, target: RoutingTarget): HttpRoute[] | null {
  const httpRoutes = sources.httpRoutes.of(target.key, target.port);
  const virtualService = sources.virtualServices.of(target.hostname);
  if (httpRoutes.length === 0 && virtualService === null) return null;
  const joiner = new Joiner(sources, target);
  const own = target.key.slice(0, target.key.indexOf('/'));
  const producers = httpRoutes.filter(({ namespace }) => namespace === own);
  const consumers = httpRoutes.filter(({ namespace }) => namespace !== own);
  const theirs = joiner.ofConsumers(consumers);
  if (producers.length > 0) return [...theirs, ...joiner.ofProducers(producers)];
  if (virtualService !== null && virtualService.http.length > 0) {
    return [...theirs, ...joiner.ofVirtualService(virtualService)];
  }
  const [first] = consumers;
  if (first === undefined) return null;
  return [...theirs, plainRoute({ service: target.key, port: target.port.port, subset: '' }, first.origin)];
}

/** Routes for one host of several that share a listener. */
export interface HostRoutes {
  readonly hostname: string;
  readonly key: string;
  readonly origin: ObjectBase['origin'];
  readonly routes: readonly HttpRoute[] | null;
}

/**
 * The table of a listener. A service is known by its address, so that its routes take any Host; where hosts of a
 * ServiceEntry share the address, the first has what names none of the others. `byHost`: the listener is on every address,
 * so that only a host says who is meant.
 */
export function routingOf(hosts: readonly HostRoutes[], port: number, byHost: boolean): HttpRouting | undefined {
  if (!byHost && hosts.every(({ routes }) => routes === null)) return undefined;
  const virtualHosts = hosts.map(({ hostname, key, origin, routes }, i) => {
    const name = `${hostname}:${port}`;
    const domains = [i === 0 && !byHost ? '*' : hostname];
    return { name, domains, routes: routes ?? [plainRoute({ service: key, port, subset: '' }, origin)] };
  });
  return { virtualHosts };
}

function plainRoute(cluster: ClusterRef, origin: ObjectBase['origin']): HttpRoute {
  const clusters = [{ cluster, weight: 1, headers: noEdits }];
  const action: HttpAction = {
    kind: 'forward',
    clusters,
    headers: noEdits,
    connectRetries: defaultConnectRetries,
  };
  return { name: 'default', matches: [{}], action, origin };
}

/** The old table when the new one says the same. Origins are compared by identity: their lines move. */
export function keepRouting(old: HttpRouting | undefined, made: HttpRouting | undefined): HttpRouting | undefined {
  if (old === undefined || made === undefined || !isDeepStrictEqual(old, made)) return made;
  const origins = (routing: HttpRouting) =>
    routing.virtualHosts.flatMap(({ routes }) => routes.map(({ origin }) => origin));
  const others = origins(made);
  return origins(old).every((origin, i) => origin === others[i]) ? old : made;
}

/** Where a destination leads. `missing`: what of it is not there. */
export interface Resolved {
  readonly cluster: ClusterRef;
  readonly service: Service | null;
  readonly missing: 'service' | 'port' | 'subset' | null;
}

export function resolve(
  hostnames: Hostnames,
  { host, port, subset }: Pick<Destination, 'host' | 'port' | 'subset'>,
  namespace: string,
  listenerPort: number,
): Resolved {
  const service = hostnames.find(host, namespace);
  const only = service?.ports.length === 1 ? service.ports[0]?.port : undefined;
  const number = port || (only ?? listenerPort);
  const key = service?.key ?? `${serviceOfHost(host)?.namespace ?? namespace}/${host}`;
  const found = service?.ports.find((one) => one.port === number && one.protocol === 'TCP');
  const known = subset === '' || (found?.subsets.some(({ name }) => name === subset) ?? false);
  const missing = service === null ? 'service' : found === undefined ? 'port' : known ? null : 'subset';
  return { cluster: { service: key, port: number, subset }, service, missing };
}

class Joiner {
  readonly #sources: RouteSources;
  readonly #target: RoutingTarget;
  readonly #actions = new Map<RuleAction, HttpAction>();

  constructor(sources: RouteSources, target: RoutingTarget) {
    this.#sources = sources;
    this.#target = target;
  }

  ofVirtualService(object: VirtualServiceObject): HttpRoute[] {
    const routes: HttpRoute[] = [];
    for (const { name, matches, action } of object.http) {
      const here = matches.filter(({ port }) => port === 0 || port === this.#target.port.port);
      if (here.length === 0) continue;
      const { origin } = object;
      routes.push({ name, matches: here.map(({ match }) => match), action: this.#action(action, object), origin });
    }
    return routes;
  }

  ofProducers(objects: readonly HttpRouteObject[]): HttpRoute[] {
    return this.#sorted(objects, null);
  }

  ofConsumers(objects: readonly HttpRouteObject[]): HttpRoute[] {
    const namespaces = [...new Set(objects.map(({ namespace }) => namespace))].sort();
    return namespaces.flatMap((namespace) => {
      const own = objects.filter((object) => object.namespace === namespace);
      const none = own.slice(0, 1).map(({ name, origin }): HttpRoute => {
        return { name: `${name}.none`, matches: [{ source: { namespace } }], action: reply(404), origin };
      });
      return [...this.#sorted(own, namespace), ...none];
    });
  }

  #sorted(objects: readonly HttpRouteObject[], consumer: string | null): HttpRoute[] {
    const routes: HttpRoute[] = [];
    const ranked = orderOf(objects);
    for (const [i, { object, rule }] of ranked.entries()) {
      const matches = rule.matches.map(({ match }) =>
        consumer === null ? match : { ...match, source: { namespace: consumer } },
      );
      const previous = routes.at(-1);
      const before = ranked[i - 1];
      const same = before?.object === object && before.rule.index === rule.index && before.rule.action === rule.action;
      if (same && previous !== undefined) {
        routes[routes.length - 1] = { ...previous, matches: [...previous.matches, ...matches] };
      } else {
        const { origin } = object;
        routes.push({ name: rule.name, matches, action: this.#action(rule.action, object), origin });
      }
    }
    return routes;
  }

  #action(action: RuleAction, object: VirtualServiceObject | HttpRouteObject): HttpAction {
    const known = this.#actions.get(action);
    if (known !== undefined) return known;
    const made = action.kind === 'redirect' ? this.#redirect(action) : this.#made(action, object);
    this.#actions.set(action, made);
    return made;
  }

  #made(action: ForwardRule | ReplyAction, object: VirtualServiceObject | HttpRouteObject): HttpAction {
    if (action.kind === 'reply') return action;
    return object.kind === 'HTTPRoute' ? this.#forwardOrFail(action, object) : this.#forward(action, object);
  }

  #redirect({ listenerPort, ...action }: RedirectRule): HttpAction {
    if (listenerPort !== true) return action;
    const { port } = this.#target.port;
    const usual = action.scheme === 'https' ? 443 : 80;
    return { ...action, port: port === usual ? 0 : port };
  }

  #forward({ destinations, ...action }: ForwardRule, { namespace }: ObjectBase): HttpAction {
    const clusters = destinations.map((one) => this.#weighted(one, this.#resolve(one, namespace).cluster));
    return { ...action, clusters };
  }

  /** The Gateway API's rule: the share of what is not there, or not allowed, is answered with 500. */
  #forwardOrFail({ destinations, ...action }: ForwardRule, { namespace }: ObjectBase): HttpAction {
    const clusters: WeightedCluster[] = [];
    let lost = 0;
    for (const one of destinations) {
      const { cluster, missing } = this.#resolve(one, namespace);
      const there = missing === null && one.unknownKind === undefined;
      if (there && this.#allowed(one.host, namespace)) clusters.push(this.#weighted(one, cluster));
      else lost += one.weight;
    }
    return { ...action, clusters, ...(lost === 0 ? {} : { lost }) };
  }

  #weighted({ weight, headers, responseHeaders }: Destination, cluster: ClusterRef): WeightedCluster {
    return { cluster, weight, headers, ...(responseHeaders === undefined ? {} : { responseHeaders }) };
  }

  #resolve(destination: Destination, namespace: string): Resolved {
    this.#target.uses.add(`host ${destination.host}`);
    return resolve(this.#sources.hostnames, destination, namespace, this.#target.port.port);
  }

  /** Back to the namespace of the Service that the route is for needs no leave: its clients go there anyway. */
  #allowed(host: string, from: string): boolean {
    const service = serviceOfHost(host);
    const own = this.#target.key.slice(0, this.#target.key.indexOf('/'));
    if (service === null || service.namespace === from || service.namespace === own) return true;
    this.#target.uses.add(`grants ${service.namespace}`);
    return this.#sources.grants.allow(from, service);
  }
}
