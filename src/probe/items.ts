/** The mesh and what the kernel counted of it, as the admin API lists them. */
import type { EndpointItem, ListenerItem, ServiceItem, WorkloadItem } from '../api/types.ts';
import { addressFamily, addressToWords } from '../base/address.ts';
import { clusterId, endpointId } from '../compile/service.ts';
import type { KmClusterStats, KmEndpointStats, KmEvent } from '../kernel/gen/layout.gen.ts';
import { clusterName, type Mesh, type Origin, originText, type Service } from '../model/types.ts';

/** `file:line` */
export const place = (origin: Origin): string => originText(origin);

/** By namespace, then name. */
export const byName = <T extends { readonly namespace: string; readonly name: string }>(a: T, b: T): number =>
  a.namespace === b.namespace ? compare(a.name, b.name) : compare(a.namespace, b.namespace);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What the enroller says of a workload. */
export interface EnrolmentView {
  state(uid: string): string;
  devicesOf(uid: string): readonly string[];
  /** Null: not known. */
  netnsOf(uid: string): string | null;
}

export function workloadItems(mesh: Mesh, enrolment: EnrolmentView): WorkloadItem[] {
  return [...mesh.workloads.values()].sort(byName).map((w) => ({
    namespace: w.namespace,
    name: w.name,
    kind: w.kind,
    addresses: w.addresses,
    serviceAccount: w.serviceAccount,
    node: w.node ?? null,
    ready: w.ready,
    mesh: enrolment.state(w.uid),
    devices: enrolment.devicesOf(w.uid),
    netns: enrolment.netnsOf(w.uid) ?? w.netns ?? null,
    labels: w.labels,
    origin: place(w.origin),
  }));
}

export function serviceItems(mesh: Mesh): ServiceItem[] {
  return [...mesh.services.values()].sort(byName).map((s) => ({
    namespace: s.namespace,
    name: s.name,
    kind: s.kind,
    hostname: s.hostname,
    addresses: s.addresses,
    ports: s.ports.map((p) => ({
      name: p.name,
      port: p.port,
      protocol: p.protocol,
      cluster: clusterName(s, p),
      endpoints: p.endpoints.length,
      unready: p.unready,
    })),
    policy: s.ports[0]?.policy.balance ?? 'random',
    affinitySeconds: s.affinitySeconds,
    origin: place(s.origin),
  }));
}

const families = (s: Service): (4 | 6)[] => [...new Set(s.addresses.map(addressFamily))];

/** Endpoints of services that have a listener, with the kernel's counters; live connections add their bytes so far. */
export function endpointItems(
  mesh: Mesh,
  stats: (endpoint: bigint) => KmEndpointStats | undefined,
  live: readonly KmEvent[],
): EndpointItem[] {
  const carried = new Map<string, { active: number; sent: number; received: number; retransmits: number }>();
  for (const event of live) {
    const key = liveKey(event.cluster, event.realAddr, event.realPort);
    const sum = carried.get(key) ?? { active: 0, sent: 0, received: 0, retransmits: 0 };
    sum.active += 1;
    sum.sent += Number(event.sentBytes);
    sum.received += Number(event.receivedBytes);
    sum.retransmits += event.retransmits;
    carried.set(key, sum);
  }
  const items: EndpointItem[] = [];
  for (const s of [...mesh.services.values()].sort(byName)) {
    const served = families(s);
    for (const p of s.ports) {
      for (const e of p.endpoints) {
        const family = addressFamily(e.address);
        if (served.length > 0 && !served.includes(family)) continue;
        const cluster = clusterId(s, p, family);
        const counted = stats(endpointId(cluster, e));
        const more = carried.get(liveKey(cluster, addressToWords(e.address), e.port));
        items.push({
          namespace: s.namespace,
          service: s.name,
          cluster: clusterName(s, p),
          address: e.address,
          port: e.port,
          protocol: p.protocol,
          weight: e.weight,
          locality: e.locality ?? null,
          workload: e.workload === undefined ? null : (mesh.workloads.get(e.workload)?.name ?? e.workload),
          connectionsOpened: Number((counted?.udpConnected ?? 0n) + (counted?.closed ?? 0n)) + (more?.active ?? 0),
          connectionsActive: more?.active ?? 0,
          connectionsFailed: Number(counted?.failed ?? 0n),
          requests: Number(counted?.requests ?? 0n),
          datagrams: Number(counted?.datagrams ?? 0n),
          sentBytes: Number(counted?.sentBytes ?? 0n) + (more?.sent ?? 0),
          receivedBytes: Number(counted?.receivedBytes ?? 0n) + (more?.received ?? 0),
          retransmits: Number(counted?.retransmits ?? 0n) + (more?.retransmits ?? 0),
          srttUs: counted === undefined || counted.srttUs === 0 ? null : counted.srttUs,
        });
      }
    }
  }
  return items;
}

const liveKey = (cluster: bigint, addr: readonly number[], port: number): string =>
  `${cluster} ${addr.join('.')} ${port}`;

export function listenerItems(mesh: Mesh, stats: (cluster: bigint) => KmClusterStats | undefined): ListenerItem[] {
  const items: ListenerItem[] = [];
  for (const s of [...mesh.services.values()].sort(byName)) {
    for (const p of s.ports) {
      if (p.listener !== undefined) continue;
      for (const address of s.addresses) {
        const family = addressFamily(address);
        items.push({
          namespace: s.namespace,
          service: s.name,
          address,
          port: p.port,
          protocol: p.protocol,
          cluster: clusterName(s, p),
          policy: p.policy.balance,
          endpoints: p.endpoints.filter((e) => addressFamily(e.address) === family).length,
          refused: Number(stats(clusterId(s, p, family))?.refused ?? 0n),
        });
      }
    }
  }
  return items;
}
