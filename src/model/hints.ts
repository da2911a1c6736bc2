/**
 * Which endpoints the clients of a node use, as the cluster says it: hints of EndpointSlices (trafficDistribution,
 * topology-aware routing), by kube-proxy's rule, and internalTrafficPolicy. kube-proxy and the mesh send to the same ones.
 */
import { addressFamily } from '../base/address.ts';
import type { Place } from './localities.ts';
import type { EndpointSliceObject, SliceEndpoint } from './objects.ts';

/** Zones and nodes whose clients are to use an endpoint; an empty list says nothing. */
export interface Hints {
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** What is asked of the endpoints of a service, in view of where its clients are. */
export interface Nearness {
  readonly place: Place;
  /** Only those on the clients' node. */
  readonly localOnly: boolean;
  /** Hints count. */
  readonly hints: boolean;
}

type Level = 'node' | 'zone' | null;

/**
 * Says of the ready endpoints of a service's port which are meant for clients of a place; null: the hints say nothing, since
 * there are none, or not on every ready endpoint. Where no endpoint is meant for the place, all are.
 */
export function hinted(
  slices: readonly EndpointSliceObject[],
  { node, locality: { zone } }: Place,
): ((endpoint: SliceEndpoint) => boolean) | null {
  if (!slices.some(({ endpoints }) => endpoints.some(({ hints }) => hints !== undefined))) return null;
  const ready = slices.flatMap(({ endpoints }) => endpoints.filter(({ state }) => state === 'ready'));
  const levels = new Map<4 | 6, Level>();
  let said = false;
  for (const family of [4, 6] as const) {
    const own = ready.filter(({ address }) => addressFamily(address) === family);
    const all = (list: 'nodes' | 'zones') =>
      own.length > 0 && own.every(({ hints }) => (hints?.[list].length ?? 0) > 0);
    const forNode = all('nodes') && own.some(({ hints }) => hints?.nodes.includes(node));
    const forZone = zone !== '' && all('zones') && own.some(({ hints }) => hints?.zones.includes(zone));
    levels.set(family, forNode ? 'node' : forZone ? 'zone' : null);
    said ||= all('nodes') || (zone !== '' && all('zones'));
  }
  if (!said) return null;
  return ({ address, hints }) => {
    const level = levels.get(addressFamily(address)) ?? null;
    if (level === null) return true;
    return level === 'node' ? (hints?.nodes.includes(node) ?? false) : (hints?.zones.includes(zone) ?? false);
  };
}
