/** The kernel's tables as they are now, readable: `GET /debug/config_dump/bpf/MODE`. */
import { addressFromWords, hostPort } from '../base/address.ts';
import { listenerName } from '../publish/keys.ts';
import type { Maps } from './data-plane.ts';

export function kernelDump(maps: Maps): unknown {
  return {
    listeners: [...maps.km_listener.entries()].map(([key, value]) => ({ listener: listenerName(key), ...value })),
    clusters: [...maps.km_cluster.entries()].map(([id, cluster]) => ({
      id: String(id),
      ...cluster,
      digest: String(cluster.digest),
      stats: maps.km_cluster_stats.get(id) ?? null,
      endpoints: Array.from({ length: cluster.slots }, (_, i) => maps.km_slot.get(cluster.first + i)).map((slot) => ({
        endpoint: String(slot?.endpoint),
        alias: String(slot?.alias),
        threshold: slot?.threshold,
      })),
    })),
    endpoints: [...maps.km_endpoint.entries()].map(([id, e]) => ({
      id: String(id),
      address: hostPort(addressFromWords(e.addr), e.port),
      usable: e.usable === 1,
      cluster: String(e.cluster),
      workload: String(e.workload),
      stats: maps.km_endpoint_stats.get(id) ?? null,
    })),
    enrolments: [...maps.km_enrolment.entries()].map(([cookie, e]) => ({
      netnsCookie: String(cookie),
      workload: String(e.workload),
      wirePorts: e.wireCount === 0 ? null : [e.wireFirst, e.wireFirst + e.wireCount - 1],
    })),
    workloadAddresses: [...maps.km_workload_address.entries()].map(([key, id]) => ({
      address: addressFromWords(key.addr),
      workload: String(id),
    })),
    config: maps.km_config.get(0) ?? null,
  };
}
