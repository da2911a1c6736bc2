/**
 * From a service of the model to its records in the kernel's tables. Pure: the same service always gives the same
 * records. A port, and each subset of it, has one cluster for each address family that the service has an address or an
 * endpoint of, since an IPv4 socket cannot be sent to an IPv6 endpoint. Clusters without a listener are for the routes of
 * other services. Ids are hashes of names, so a route can name a cluster that is not there yet.
 */
import { addressFamily, hostPort } from '../base/address.ts';
import { type ErrorCode, KmError } from '../base/errors.ts';
import { type ClusterPolicy, type ClusterRef, type HttpRouting, hashNameMax } from '../model/http.ts';
import {
  clusterName,
  type Origin,
  type Protocol,
  type Service,
  type ServicePort,
  type Subset,
} from '../model/types.ts';
import { type CompiledRoutes, compileHttp, type HostLabel, RouteError } from './http.ts';
import { idOf } from './ids.ts';
import { type Slot, slotsOf } from './slots.ts';

export type Family = 4 | 6;

export interface CompiledListener {
  /** `TCP 10.96.0.1:80`, `UDP [fd00::1]:53`: unique. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly cluster: bigint;
  readonly mode: ServicePort['mode'];
  /** Name of its table in {@link CompiledService}; null: every request goes to the cluster. */
  readonly table: string | null;
}

export interface CompiledEndpoint {
  readonly id: bigint;
  readonly cluster: bigint;
  readonly address: string;
  readonly port: number;
  /** 0n when it is not known. */
  readonly workload: bigint;
}

export interface CompiledCluster {
  readonly id: bigint;
  readonly policy: ClusterPolicy;
  readonly affinitySeconds: number;
  readonly slots: readonly Slot[];
  /** What the slots say, as one number; also kept in the kernel's record. */
  readonly digest: bigint;
  readonly endpoints: readonly CompiledEndpoint[];
}

/** The route table of a port's listeners of one address family. */
export interface CompiledTable {
  /** Unique in the mesh. */
  readonly name: string;
  /** Null when it is refused: the last good one stays in force. */
  readonly routes: CompiledRoutes | null;
  /** Why, else null. */
  readonly refusal: Refusal | null;
}

/** What of a service cannot be compiled. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly reason: string;
  /** Of the route, where one is at fault. */
  readonly origin: Origin | null;
  /** The table that is left as it was; null for another matter. */
  readonly table: string | null;
}

export interface CompiledService {
  readonly listeners: readonly CompiledListener[];
  readonly clusters: readonly CompiledCluster[];
  readonly tables: readonly CompiledTable[];
  readonly refusals: readonly Refusal[];
}

export const familyOf = addressFamily;

export function clusterId(
  service: Pick<Service, 'namespace' | 'hostname'>,
  port: Pick<ServicePort, 'port' | 'protocol'>,
  family: Family,
  subset: string = '',
): bigint {
  return idOf(`cluster ${service.namespace} ${clusterName(service, port, subset)} ${port.protocol} IPv${family}`);
}

/** The id of the cluster that a route names, whether it exists or not. */
export function referredCluster({ service, port, subset }: ClusterRef, family: Family): bigint {
  const slash = service.indexOf('/');
  const owner = { namespace: service.slice(0, slash), hostname: service.slice(slash + 1) };
  return clusterId(owner, { port, protocol: 'TCP' }, family, subset);
}

export function endpointId(cluster: bigint, endpoint: { readonly address: string; readonly port: number }): bigint {
  return idOf(`endpoint ${cluster} ${endpoint.address} ${endpoint.port}`);
}

export function workloadId(uid: string | undefined): bigint {
  return uid === undefined ? 0n : idOf(`workload ${uid}`);
}

/** So many tables are remembered by name. */
const keptTables = 64;

/** Compiles route tables, and keeps what a routing became as long as the routing lives. */
export class RouteCompiler {
  readonly #known = new WeakMap<HttpRouting, Map<string, CompiledTable>>();
  /** Names of the last tables that were made, by generation: a request is told a while after it was routed. */
  readonly #recent = new Map<bigint, readonly HostLabel[]>();

  /** `owner` begins messages; a table is of one owner and address family. */
  compile(owner: string, routing: HttpRouting, family: Family): CompiledTable {
    const name = `${owner} IPv${family}`;
    const tables = this.#known.get(routing) ?? new Map<string, CompiledTable>();
    this.#known.set(routing, tables);
    const known = tables.get(name);
    if (known !== undefined) return known;
    const table = compileTable(name, owner, routing, family);
    tables.set(name, table);
    this.#remember(table);
    return table;
  }

  /** Names of the virtual hosts and routes of a table that was made lately, whether it is in force or not. */
  labels(generation: bigint): readonly HostLabel[] | undefined {
    return this.#recent.get(generation);
  }

  #remember({ routes }: CompiledTable): void {
    if (routes === null) return;
    this.#recent.delete(routes.generation);
    this.#recent.set(routes.generation, routes.virtualHosts);
    for (const old of this.#recent.keys()) {
      if (this.#recent.size <= keptTables) break;
      this.#recent.delete(old);
    }
  }
}

function compileTable(name: string, owner: string, routing: HttpRouting, family: Family): CompiledTable {
  try {
    return { name, routes: compileHttp(owner, routing, (ref) => referredCluster(ref, family)), refusal: null };
  } catch (error) {
    if (!(error instanceof KmError)) throw error;
    const origin = error instanceof RouteError ? error.origin : null;
    return { name, routes: null, refusal: { code: error.code, reason: error.message, origin, table: name } };
  }
}

export function compileService(service: Service, compiler: RouteCompiler = new RouteCompiler()): CompiledService {
  const listeners: CompiledListener[] = [];
  const clusters: CompiledCluster[] = [];
  const tables: CompiledTable[] = [];
  const refusals: Refusal[] = [];
  for (const port of service.ports) {
    for (const family of [4, 6] as const) {
      const addresses = service.addresses.filter((a) => familyOf(a) === family);
      const routable = port.protocol === 'TCP' && port.endpoints.some((e) => familyOf(e.address) === family);
      if (addresses.length === 0 && !routable) continue;
      const cluster = compileCluster(service, port, family, { ...port, name: '' });
      clusters.push(cluster);
      for (const subset of port.subsets) clusters.push(compileCluster(service, port, family, subset));
      for (const part of [{ ...port, name: '' }, ...port.subsets]) {
        const refusal = policyRefusal(part.policy, clusterName(service, port, part.name));
        if (refusal !== null) refusals.push(refusal);
      }
      if (addresses.length === 0 || port.listener !== undefined) continue;
      const mode = port.protocol === 'TCP' ? port.mode : 'tcp';
      const routing = mode === 'tcp' ? undefined : port.routing;
      const table = routing === undefined ? null : compiler.compile(`${service.key}:${port.port}`, routing, family);
      if (table !== null) tables.push(table);
      if (table?.refusal) refusals.push(table.refusal);
      for (const address of addresses) {
        const name = `${port.protocol} ${hostPort(address, port.port)}`;
        const { protocol } = port;
        const own = { name, address, port: port.port, protocol, mode, table: table?.name ?? null };
        listeners.push({ ...own, cluster: cluster.id });
      }
    }
  }
  return { listeners, clusters, tables, refusals: withoutTwins(refusals) };
}

/** Both address families are refused for the same reason. */
function withoutTwins(refusals: readonly Refusal[]): Refusal[] {
  return [...new Map(refusals.map((one) => [`${one.code} ${one.reason}`, one])).values()];
}

/** Sources refuse most of these with their line; others may not. */
function policyRefusal({ hash }: ClusterPolicy, cluster: string): Refusal | null {
  if (hash === undefined || hash.kind === 'source') return null;
  const bytes = Buffer.byteLength(hash.name, 'utf8');
  if (bytes > 0 && bytes <= hashNameMax) return null;
  const reason = `cluster ${cluster}: the ${hash.kind} to hash has a name of ${bytes} bytes, 1 to ${hashNameMax} are possible`;
  return { code: 'KM3015', reason, origin: null, table: null };
}

/** A name that cannot be looked for is left out: then each request gets an endpoint at random. */
function possible(policy: ClusterPolicy): ClusterPolicy {
  if (policyRefusal(policy, '') === null) return policy;
  const { hash: _, ...rest } = policy;
  return rest;
}

function compileCluster(service: Service, port: ServicePort, family: Family, part: Subset): CompiledCluster {
  const id = clusterId(service, port, family, part.name);
  const endpoints = new Map<bigint, CompiledEndpoint & { readonly weight: number }>();
  for (const e of part.endpoints) {
    if (familyOf(e.address) !== family) continue;
    const endpoint = endpointId(id, e);
    if (endpoints.has(endpoint)) continue;
    const { address, weight } = e;
    endpoints.set(endpoint, {
      id: endpoint,
      cluster: id,
      address,
      port: e.port,
      workload: workloadId(e.workload),
      weight,
    });
  }
  const all = [...endpoints.values()];
  const inUse = all.filter(({ weight }) => weight > 0);
  const slots = slotsOf(inUse, part.policy.balance);
  return {
    id,
    policy: possible(part.policy),
    affinitySeconds: service.affinitySeconds,
    slots,
    digest: idOf(slots.map((s) => `${s.endpoint} ${s.alias} ${s.threshold}`).join(',')),
    endpoints: all,
  };
}
