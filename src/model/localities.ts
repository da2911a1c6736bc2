/**
 * Which endpoints a node's clients use by where they are: as Istio makes priorities and weights of a DestinationRule's
 * localityLbSetting, and as Envoy then spreads load over them. The outcome is a weight for each endpoint, 0 for those that
 * are held in reserve.
 */
import { addressFamily } from '../base/address.ts';
import type { Endpoint } from './types.ts';

/** Region, zone and subzone; empty where nobody says it. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** Where the mesh's clients are: those of a node share its tables, so it is the node's place. */
export interface Place {
  readonly locality: Locality;
  /** Name of the node. */
  readonly node: string;
}

/** What failoverPriority may compare. */
export type TopologyKey = 'region' | 'zone' | 'subzone' | 'node';

export type LocalityPolicy =
  | {
      readonly kind: 'failover';
      /** Regions, and the one that is used before other foreign ones. */
      readonly regions: readonly { readonly from: string; readonly to: string }[];
    }
  | { readonly kind: 'priority'; readonly keys: readonly TopologyKey[] }
  | {
      readonly kind: 'distribute';
      /** The first whose `from` is the client's place counts. Patterns such as `us-east/zone-a/*`. */
      readonly rules: readonly {
        readonly from: string;
        readonly to: readonly (readonly [pattern: string, weight: number])[];
      }[];
    };

/** An endpoint that is there and not ready. */
export interface Away {
  readonly family: 4 | 6;
  readonly locality: string;
  readonly workload: string | undefined;
}

/** `region/zone/subzone`; what is missing at the end is empty. */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', subzone = ''] = text.split('/');
  return { region, zone, subzone };
}

export const nowhere: Place = { locality: parseLocality(''), node: '' };

/** Whether a place is what a pattern means: each part equal, up to a `*` or the pattern's end. */
export function localityMatches(pattern: string, { region, zone, subzone }: Locality): boolean {
  const actual = [region, zone, subzone];
  for (const [i, part] of pattern.split('/').entries()) {
    if (part === '*') return true;
    if (part !== actual[i]) return false;
  }
  return true;
}

/** Endpoints of one place. */
interface Group {
  readonly locality: Locality;
  readonly node: string;
  readonly endpoints: Endpoint[];
  /** Endpoints that are not ready. */
  away: number;
}

/** The endpoints with the weights that clients at a place use them by. */
export function spread(
  endpoints: readonly Endpoint[],
  away: readonly Away[],
  policy: LocalityPolicy,
  place: Place,
  nodeOf: (workload: string) => string,
): readonly Endpoint[] {
  const parts = new Map<Endpoint, number>();
  for (const family of [4, 6] as const) {
    const groups = groupsOf(
      endpoints.filter(({ address }) => addressFamily(address) === family),
      away.filter((one) => one.family === family),
      place.locality,
      nodeOf,
    );
    if (!share(groups, policy, place, parts)) return endpoints;
  }
  const used = [...parts].filter(([, part]) => part > 0);
  const whole = wholeNumbers(used.map(([, part]) => part));
  const weights = new Map(used.map(([endpoint], i) => [endpoint, whole[i] ?? 1]));
  return endpoints.map((endpoint) => ({ ...endpoint, weight: weights.get(endpoint) ?? 0 }));
}

function groupsOf(
  endpoints: readonly Endpoint[],
  away: readonly Away[],
  here: Locality,
  nodeOf: (workload: string) => string,
): Group[] {
  const groups = new Map<string, Group>();
  const groupAt = (text: string, workload: string | undefined): Group => {
    const locality = completed(parseLocality(text), here);
    const node = workload === undefined ? '' : nodeOf(workload);
    const key = [locality.region, locality.zone, locality.subzone, node].join('/');
    const group = groups.get(key) ?? { locality, node, endpoints: [], away: 0 };
    groups.set(key, group);
    return group;
  };
  for (const one of endpoints) groupAt(one.locality ?? '', one.workload).endpoints.push(one);
  for (const { locality, workload } of away) groupAt(locality, workload).away++;
  return [...groups.values()];
}

/** An EndpointSlice says the zone alone. The client's own zone is in the client's region. */
function completed(locality: Locality, here: Locality): Locality {
  if (locality.region !== '' || locality.zone === '' || locality.zone !== here.zone) return locality;
  return { ...locality, region: here.region };
}

/** Adds each endpoint's part of the whole. False: the policy says nothing here. */
function share(groups: readonly Group[], policy: LocalityPolicy, place: Place, parts: Map<Endpoint, number>): boolean {
  if (policy.kind === 'distribute') {
    const rule = policy.rules.find(({ from }) => localityMatches(from, place.locality));
    if (rule === undefined) return false;
    addLevel(groups, distributed(groups, rule.to), 1, parts);
    return true;
  }
  const rankOf = (group: Group): number =>
    policy.kind === 'priority' ? rankByKeys(group, policy.keys, place) : rankByPlace(group, policy.regions, place);
  const ranks = groups.map(rankOf);
  // Levels without endpoints are left out.
  const levels = [...new Set(ranks)].sort((a, b) => a - b).map((rank) => groups.filter((_, i) => ranks[i] === rank));
  const loads = priorityLoads(
    levels.map((level) => ({
      ready: level.reduce((sum, group) => sum + group.endpoints.length, 0),
      all: level.reduce((sum, group) => sum + size(group), 0),
    })),
  );
  for (const [i, level] of levels.entries()) addLevel(level, level.map(weightOf), (loads[i] ?? 0) / 100, parts);
  return true;
}

const size = (group: Group): number => group.endpoints.length + group.away;

/** Of all its endpoints; what is not ready counts as an endpoint of the usual weight. */
const weightOf = (group: Group): number => group.endpoints.reduce((sum, { weight }) => sum + weight, group.away);

/** A level has this much more than it needs: it keeps all of its load until less than 5/7 of it are ready (Envoy). */
const overprovisioning = 140;

/**
 * Per cent of the load for each priority (Envoy's LoadBalancerBase::recalculateLoadInTotalHealth, whole numbers): a level
 * gets what its ready endpoints can bear, the next one what is left.
 */
export function priorityLoads(levels: readonly { readonly ready: number; readonly all: number }[]): number[] {
  const health = levels.map(({ ready, all }) =>
    all === 0 ? 0 : Math.min(100, Math.floor((overprovisioning * ready) / all)),
  );
  const total = Math.min(
    100,
    health.reduce((sum, one) => sum + one, 0),
  );
  let left = total === 0 ? 0 : 100;
  const loads = health.map((one) => {
    const load = total === 0 ? 0 : Math.min(left, Math.floor((one * 100) / total));
    left -= load;
    return load;
  });
  // What rounding left over.
  const first = health.findIndex((one) => one > 0);
  return loads.map((load, i) => (i === first ? load + left : load));
}

/** Load of a level over its groups by their weights, less where they are not ready, and over their endpoints. */
function addLevel(
  groups: readonly Group[],
  weights: readonly number[],
  load: number,
  parts: Map<Endpoint, number>,
): void {
  const able = groups.map((group, i) => {
    const ready = size(group) === 0 ? 0 : group.endpoints.length / size(group);
    return (weights[i] ?? 0) * Math.min(1, (overprovisioning / 100) * ready);
  });
  const total = able.reduce((sum, one) => sum + one, 0);
  for (const [i, { endpoints }] of groups.entries()) {
    const sum = endpoints.reduce((all, { weight }) => all + weight, 0);
    for (const endpoint of endpoints) {
      const part = total === 0 || sum === 0 ? 0 : (load * ((able[i] ?? 0) / total) * endpoint.weight) / sum;
      parts.set(endpoint, part);
    }
  }
}

/** Weights of the groups as `distribute` names them; several that one pattern means share its weight by their own. */
function distributed(groups: readonly Group[], to: readonly (readonly [string, number])[]): number[] {
  const weights = groups.map(() => 0);
  const open = new Set(groups.keys());
  for (const [pattern, weight] of to) {
    const meant = [...open].filter((i) => {
      const group = groups[i];
      return group !== undefined && localityMatches(pattern, group.locality);
    });
    const own = (i: number): number => {
      const group = groups[i];
      return group === undefined ? 0 : weightOf(group);
    };
    const total = meant.reduce((sum, i) => sum + own(i), 0);
    for (const i of meant) {
      open.delete(i);
      weights[i] = total === 0 ? 0 : (weight * own(i)) / total;
    }
  }
  return weights;
}

/** Same subzone, zone, region, another region; with a region to fail over to, that one before the others. */
function rankByPlace(
  { locality }: Group,
  regions: readonly { readonly from: string; readonly to: string }[],
  { locality: here }: Place,
): number {
  if (locality.region === here.region) {
    if (locality.zone !== here.zone) return 2;
    return locality.subzone === here.subzone ? 0 : 1;
  }
  const last = regions.some(({ from, to }) => from === here.region && to !== locality.region);
  return last ? 4 : 3;
}

/** The more keys are the same before the first that differs, the better. */
function rankByKeys({ locality, node }: Group, keys: readonly TopologyKey[], place: Place): number {
  const same = (key: TopologyKey): boolean =>
    key === 'node' ? node === place.node : locality[key] === place.locality[key];
  const differs = keys.findIndex((key) => !same(key));
  return differs < 0 ? 0 : keys.length - differs;
}

/** Largest weight of one endpoint: keeps sums well within 32 bits. */
const maxWeight = 1_000_000;

/** Whole numbers in the proportions of these, which are more than 0: exact ones where small ones will do. */
export function wholeNumbers(parts: readonly number[]): number[] {
  const largest = Math.max(...parts);
  for (let scale = 1; scale <= 1000 && scale * largest <= maxWeight; scale++) {
    const scaled = parts.map((part) => part * scale);
    if (scaled.every((value) => Math.abs(value - Math.round(value)) < 1e-9)) return scaled.map(Math.round);
  }
  return parts.map((part) => Math.max(1, Math.round((part / largest) * maxWeight)));
}
