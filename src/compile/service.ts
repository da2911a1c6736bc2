/**
 * From a service of the model to its records in the kernel's tables. Pure: the same service always gives the same
 * records. A port has one cluster for each address family that the service has an address of, since an IPv4 socket
 * cannot be sent to an IPv6 endpoint.
 */
import { addressFamily, hostPort } from '../base/address.ts';
import type { ClusterPolicy } from '../model/http.ts';
import { clusterName, type Protocol, type Service, type ServicePort } from '../model/types.ts';
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
  readonly policy: ClusterPolicy['balance'];
  readonly affinitySeconds: number;
  readonly slots: readonly Slot[];
  /** What the slots say, as one number; also kept in the kernel's record. */
  readonly digest: bigint;
  readonly endpoints: readonly CompiledEndpoint[];
}

export interface CompiledService {
  readonly listeners: readonly CompiledListener[];
  readonly clusters: readonly CompiledCluster[];
}

export const familyOf = addressFamily;

export function clusterId(service: Service, port: ServicePort, family: Family): bigint {
  return idOf(`cluster ${service.namespace} ${clusterName(service, port)} ${port.protocol} IPv${family}`);
}

export function endpointId(cluster: bigint, endpoint: { readonly address: string; readonly port: number }): bigint {
  return idOf(`endpoint ${cluster} ${endpoint.address} ${endpoint.port}`);
}

export function workloadId(uid: string | undefined): bigint {
  return uid === undefined ? 0n : idOf(`workload ${uid}`);
}

export function compileService(service: Service): CompiledService {
  const listeners: CompiledListener[] = [];
  const clusters: CompiledCluster[] = [];
  for (const port of service.ports) {
    for (const family of [4, 6] as const) {
      const addresses = service.addresses.filter((a) => familyOf(a) === family);
      if (addresses.length === 0) continue;
      const cluster = compileCluster(service, port, family);
      clusters.push(cluster);
      for (const address of addresses) {
        const name = `${port.protocol} ${hostPort(address, port.port)}`;
        listeners.push({ name, address, port: port.port, protocol: port.protocol, cluster: cluster.id });
      }
    }
  }
  return { listeners, clusters };
}

function compileCluster(service: Service, port: ServicePort, family: Family): CompiledCluster {
  const id = clusterId(service, port, family);
  const endpoints = new Map<bigint, CompiledEndpoint & { readonly weight: number }>();
  for (const e of port.endpoints) {
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
  const slots = slotsOf(all, port.policy.balance);
  return {
    id,
    policy: port.policy.balance,
    affinitySeconds: service.affinitySeconds,
    slots,
    digest: idOf(slots.map((s) => `${s.endpoint} ${s.alias} ${s.threshold}`).join(',')),
    endpoints: all,
  };
}
