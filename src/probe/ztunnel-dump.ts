/** The mesh as ztunnel's `/config_dump` shows it, for tools that read that: `istioctl ztunnel-config ... -f`. */
import { parseLocality } from '../model/localities.ts';
import type { Mesh, Service, Workload } from '../model/types.ts';

/** `policies`: as the sources have them. */
export function ztunnelDump(mesh: Mesh, policies: readonly unknown[]): unknown {
  return {
    workloads: [...mesh.workloads.values()].map(workload),
    services: [...mesh.services.values()].map(service),
    policies,
    certificates: [],
    workloadState: {},
  };
}

function workload(w: Workload): unknown {
  return {
    uid: w.uid,
    workloadIps: w.addresses,
    ...(w.waypoint === undefined ? {} : { waypoint: { destination: w.waypoint } }),
    protocol: w.tunnel ?? 'TCP',
    name: w.name,
    namespace: w.namespace,
    serviceAccount: w.serviceAccount,
    workloadName: w.owner,
    workloadType: 'pod',
    canonicalName: w.labels['service.istio.io/canonical-name'] ?? w.labels['app'] ?? w.owner,
    canonicalRevision: w.labels['service.istio.io/canonical-revision'] ?? w.labels['version'] ?? 'latest',
    clusterId: w.clusterId ?? '',
    trustDomain: w.trustDomain ?? 'cluster.local',
    locality: parseLocality(w.locality ?? ''),
    node: w.node ?? '',
    network: w.network ?? '',
    status: w.ready ? 'Healthy' : 'Unhealthy',
    hostname: '',
    capacity: 1,
    applicationTunnel: { protocol: 'NONE' },
    authorizationPolicies: w.authorizationPolicies ?? [],
  };
}

function service(s: Service): unknown {
  const endpoints = new Map<string, { workloadUid: string; service: string; port: Record<string, number> }>();
  for (const port of s.ports) {
    for (const e of port.endpoints) {
      const id = e.workload ?? e.address;
      const known = endpoints.get(id) ?? { workloadUid: e.workload ?? '', service: '', port: {} };
      known.port[String(port.port)] = e.port;
      endpoints.set(id, known);
    }
  }
  return {
    name: s.name,
    namespace: s.namespace,
    hostname: s.hostname,
    vips: s.addresses.map((address) => `/${address}`),
    ports: Object.fromEntries(s.ports.map((p) => [String(p.port), p.endpoints[0]?.port ?? p.port])),
    ...(s.waypoint === undefined ? {} : { waypoint: { destination: s.waypoint } }),
    endpoints: Object.fromEntries(endpoints),
    subjectAltNames: [],
    ipFamilies: '',
  };
}
