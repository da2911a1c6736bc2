/**
 * What becomes of an HTTPRoute's parents and backends in view of the rest of the mesh, with the reasons of the Gateway
 * API's conditions: problems and the route's status both say it.
 */
import { serviceHost, serviceOfHost } from './hostnames.ts';
import type { Destination, HttpRouteObject, RouteParent } from './route-objects.ts';
import { type RouteSources, resolve } from './routing.ts';
import type { Service } from './types.ts';

/** Reasons of the condition `Accepted`. */
export type ParentReason = 'Accepted' | 'NoMatchingParent' | 'UnsupportedValue';
/** Reasons of the condition `ResolvedRefs`. */
export type BackendReason = 'ResolvedRefs' | 'InvalidKind' | 'BackendNotFound' | 'RefNotPermitted';

export interface ParentVerdict {
  readonly reason: ParentReason;
  /** Empty when all is well. */
  readonly text: string;
}

export interface BackendVerdict {
  readonly reason: BackendReason;
  readonly text: string;
  /** Field of the backendRef that is to blame. */
  readonly field: readonly string[];
}

const accepted: ParentVerdict = { reason: 'Accepted', text: '' };
const resolved: BackendVerdict = { reason: 'ResolvedRefs', text: '', field: [] };

export function parentVerdict(
  services: ReadonlyMap<string, Service>,
  { namespace, name, port, section }: RouteParent,
): ParentVerdict {
  const service = services.get(`${namespace}/${serviceHost(name, namespace)}`);
  const named = `Service ${namespace}/${name}`;
  if (service === undefined) return { reason: 'NoMatchingParent', text: `there is no ${named}` };
  const ports = service.ports.filter(
    (one) => (port === 0 || one.port === port) && (section === '' || one.name === section),
  );
  if (ports.length === 0) return { reason: 'NoMatchingParent', text: `${named} has no such port` };
  if (service.addresses.length === 0) {
    const text = `${named} is headless: it has no address at which requests could be routed`;
    return { reason: 'UnsupportedValue', text };
  }
  if (ports.some(({ mode }) => mode !== 'tcp')) return accepted;
  return { reason: 'UnsupportedValue', text: `no such port of ${named} is for HTTP` };
}

/** `parents`: those of the object for which it is asked; back to their namespace there needs to be no ReferenceGrant. */
export function backendVerdict(
  sources: RouteSources,
  { namespace }: HttpRouteObject,
  parents: readonly RouteParent[],
  destination: Destination,
): BackendVerdict {
  const { unknownKind } = destination;
  if (unknownKind !== undefined) {
    return { reason: 'InvalidKind', text: `${unknownKind} is no backend of a mesh`, field: ['kind'] };
  }
  const backend = serviceOfHost(destination.host);
  const named = backend === null ? destination.host : `Service ${backend.namespace}/${backend.name}`;
  const allowed =
    backend === null ||
    parents.every((parent) => parent.namespace === backend.namespace) ||
    sources.grants.allow(namespace, backend);
  const { missing, cluster } = resolve(sources.hostnames, destination, namespace, 0);
  if (missing === 'service') return { reason: 'BackendNotFound', text: `there is no ${named}`, field: ['name'] };
  if (missing === 'port') {
    return { reason: 'BackendNotFound', text: `${named} has no TCP port ${cluster.port}`, field: ['port'] };
  }
  if (allowed) return resolved;
  const text = `no ReferenceGrant in namespace ${backend.namespace} allows it`;
  return { reason: 'RefNotPermitted', text, field: ['namespace'] };
}

export interface RouteVerdict {
  /** In the order of the object's parents. */
  readonly parents: readonly {
    readonly parent: RouteParent;
    readonly accepted: ParentVerdict;
    /** The first backend that leads nowhere, or that all is well. */
    readonly resolved: BackendVerdict;
  }[];
}

export function routeVerdict(
  sources: RouteSources,
  services: ReadonlyMap<string, Service>,
  object: HttpRouteObject,
): RouteVerdict {
  const destinations = object.rules.flatMap(({ action }) => (action.kind === 'forward' ? action.destinations : []));
  const parents = object.parents.map((parent) => {
    const verdicts = destinations.map((one) => backendVerdict(sources, object, [parent], one));
    const bad = verdicts.find(({ reason }) => reason !== 'ResolvedRefs');
    return { parent, accepted: parentVerdict(services, parent), resolved: bad ?? resolved };
  });
  return { parents };
}
