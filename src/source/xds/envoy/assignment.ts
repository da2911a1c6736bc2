/** Endpoints of a cluster: health, weight, locality and priority, and the share that each gets. */
import { fromBinary, type JsonObject } from '@bufbuild/protobuf';
import { addressFamily } from '../../../base/address.ts';
import { joinShares, type Share } from '../../../model/tcp-routes.ts';
import type * as model from '../../../model/types.ts';
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentPolicySchema,
  type Endpoint,
  HealthStatus,
  type LbEndpoint,
  MetadataSchema,
} from '../gen/messages.gen.ts';
import { FieldUse, refuse } from '../refusal.ts';
import { hostAndPort } from './address.ts';

export interface EnvoyEndpoint {
  /** Canonical address, or a name that is to be resolved. */
  readonly host: string;
  /** Its address of the other family; Envoy would try it next, here it serves the clients of that family. */
  readonly other?: string;
  readonly port: number;
  readonly weight: number;
  readonly healthy: boolean;
  /** `envoy.lb` of its metadata, for subsets; read when it is asked for. */
  readonly metadata: Uint8Array;
}

/** Endpoints of one locality in one priority. */
export interface EndpointGroup {
  readonly priority: number;
  readonly weight: number;
  readonly endpoints: readonly EnvoyEndpoint[];
}

export interface Assignment {
  readonly groups: readonly EndpointGroup[];
  /** Percent; Envoy's default is 140. */
  readonly overprovisioning: number;
}

const policyUse = new FieldUse(ClusterLoadAssignmentPolicySchema, {
  read: 'overprovisioning_factor',
  quiet: 'endpoint_stale_after weighted_priority_health',
});

/** `names`: host names are allowed (DNS clusters). Throws FieldError. */
export function assignmentOf(message: ClusterLoadAssignment, names: boolean): Assignment {
  if (message.policy !== undefined) policyUse.check(message.policy, 'policy.', []);
  if (Object.keys(message.namedEndpoints).length > 0) refuse('named_endpoints', 'not supported');
  const groups = message.endpoints.map((locality, i): EndpointGroup => {
    const path = `endpoints[${i}]`;
    if (locality.lbConfig.case === 'ledsClusterLocalityConfig')
      refuse(`${path}.leds_cluster_locality_config`, 'not supported');
    if (locality.priority > 128) refuse(`${path}.priority`, `${locality.priority} is more than 128`);
    return {
      priority: locality.priority,
      weight: locality.loadBalancingWeight ?? 0,
      endpoints: locality.lbEndpoints.map((one, j) => endpointOf(one, `${path}.lb_endpoints[${j}]`, names)),
    };
  });
  return { groups, overprovisioning: message.policy?.overprovisioningFactor ?? 140 };
}

function endpointOf(message: LbEndpoint, path: string, names: boolean): EnvoyEndpoint {
  if (message.hostIdentifier.case !== 'endpoint') return refuse(`${path}.endpoint_name`, 'not supported');
  const { host, port } = hostAndPort(message.hostIdentifier.value.address, `${path}.endpoint.address`, names);
  const other = otherFamily(host, port, message.hostIdentifier.value, `${path}.endpoint`);
  const { healthStatus, loadBalancingWeight } = message;
  if (loadBalancingWeight === 0) refuse(`${path}.load_balancing_weight`, '0 is not possible, 1 is the least');
  const healthy = healthStatus === HealthStatus.UNKNOWN || healthStatus === HealthStatus.HEALTHY;
  // Degraded ones are used when nothing else is; here they count as unhealthy.
  if (healthStatus < 0 || healthStatus > HealthStatus.DEGRADED)
    refuse(`${path}.health_status`, `unknown value ${healthStatus}`);
  const { metadata } = message;
  return { host, port, weight: loadBalancingWeight ?? 1, healthy, metadata, ...(other === undefined ? {} : { other }) };
}

function otherFamily(host: string, port: number, { additionalAddresses }: Endpoint, path: string): string | undefined {
  const others = additionalAddresses.map((one, i) => {
    const field = `${path}.additional_addresses[${i}].address`;
    const found = hostAndPort(one.address, field, false);
    if (found.port !== port) refuse(field, 'another port is not supported');
    return found.host;
  });
  return others.find((one) => addressFamily(one) !== addressFamily(host));
}

/** `envoy.lb` of an endpoint. */
export function lbMetadata({ metadata }: EnvoyEndpoint): JsonObject {
  if (metadata.length === 0) return {};
  return fromBinary(MetadataSchema, metadata).filterMetadata['envoy.lb'] ?? {};
}

export interface Shared {
  readonly endpoints: readonly model.Endpoint[];
  readonly unready: number;
}

/**
 * The endpoints with the weights that give each its share. Priorities as Envoy has them: the first gets all as long as enough
 * of it is healthy (100 % / overprovisioning), what it cannot take goes to the next. Unhealthy ones get nothing, even when
 * all are: the kernel refuses at once then. `localities`: the weight of a locality counts, else only that of endpoints.
 */
export function shareOut(
  { groups, overprovisioning }: Assignment,
  localities: boolean,
  wanted: (endpoint: EnvoyEndpoint) => boolean,
  resolve: (endpoint: EnvoyEndpoint) => readonly string[],
): Shared {
  const levels = new Map<number, EndpointGroup[]>();
  for (const group of groups) levels.set(group.priority, [...(levels.get(group.priority) ?? []), group]);
  const ranked = [...levels].sort(([a], [b]) => a - b).map(([, level]) => level);
  const shares: Share[] = [];
  let unready = 0;
  let left = 100;
  const loads: number[] = [];
  const health = ranked.map((level) => {
    const all = level.flatMap(({ endpoints }) => endpoints.filter(wanted));
    const healthy = all.filter((one) => one.healthy).length;
    return all.length === 0 ? 0 : Math.min(100, (overprovisioning * healthy) / all.length);
  });
  const total = Math.min(
    100,
    health.reduce((sum, one) => sum + one, 0),
  );
  for (const one of health) {
    // With less health than 100 in all, the shares are stretched.
    const load = total === 0 ? 0 : Math.min(left, total < 100 ? (one * 100) / total : one);
    loads.push(load);
    left -= load;
  }
  for (const [i, level] of ranked.entries()) {
    const load = loads[i] ?? 0;
    const parts = level.map((group) => {
      const all = group.endpoints.filter(wanted).flatMap((one) => resolve(one).map((address) => ({ ...one, address })));
      const usable = all.filter((one) => one.healthy);
      unready += all.length - usable.length;
      const endpoints = usable.map(({ address, port, weight }): model.Endpoint => ({ address, port, weight }));
      const sum = endpoints.reduce((s, one) => s + one.weight, 0);
      return { endpoints, weight: localities ? group.weight : sum };
    });
    const levelWeight = parts.reduce((sum, part) => sum + (part.endpoints.length > 0 ? part.weight : 0), 0);
    for (const part of parts) {
      if (part.endpoints.length === 0 || levelWeight === 0 || load < 0.001) continue;
      shares.push({ weight: (load * part.weight) / levelWeight, endpoints: part.endpoints, unready: 0, policy: usual });
    }
  }
  const [first] = shares;
  if (first === undefined) return { endpoints: [], unready };
  const even = !localities && shares.length > 0 && loads.filter((load) => load >= 0.001).length === 1;
  // In one priority, and without weights of localities, the endpoints' own weights say it all.
  const endpoints = even ? shares.flatMap((share) => share.endpoints) : reduced(joinShares(shares).endpoints);
  return { endpoints, unready };
}

/** The same proportions in the smallest whole numbers: large ones cost slots. */
function reduced(endpoints: readonly model.Endpoint[]): readonly model.Endpoint[] {
  const divide = (a: number, b: number): number => (b === 0 ? a : divide(b, a % b));
  const common = endpoints.reduce((found, { weight }) => divide(found, weight), 0);
  return common < 2 ? endpoints : endpoints.map((one) => ({ ...one, weight: one.weight / common }));
}

const usual = { balance: 'random', perConnection: false, connectTimeoutMs: 0 } as const;
