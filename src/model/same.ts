/** Comparison by value, so that what has not changed stays the same object. */
import type { ClusterPolicy } from './http.ts';
import type { Endpoint, Service, ServicePort, Subset } from './types.ts';

export function sameStrings(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i];
      return (
        one.address === other?.address &&
        one.port === other.port &&
        one.weight === other.weight &&
        one.locality === other.locality &&
        one.workload === other.workload
      );
    })
  );
}

function samePolicy(a: ClusterPolicy, b: ClusterPolicy): boolean {
  return (
    a.balance === b.balance &&
    a.perConnection === b.perConnection &&
    a.connectTimeoutMs === b.connectTimeoutMs &&
    JSON.stringify(a.hash) === JSON.stringify(b.hash) &&
    JSON.stringify(a.limits) === JSON.stringify(b.limits)
  );
}

function sameSubset(a: Subset, b: Subset | undefined): boolean {
  return (
    a.name === b?.name &&
    a.unready === b.unready &&
    samePolicy(a.policy, b.policy) &&
    sameEndpoints(a.endpoints, b.endpoints)
  );
}

function samePort(a: ServicePort, b: ServicePort | undefined): boolean {
  return (
    a.name === b?.name &&
    a.port === b.port &&
    a.protocol === b.protocol &&
    a.appProtocol === b.appProtocol &&
    a.unready === b.unready &&
    a.mode === b.mode &&
    samePolicy(a.policy, b.policy) &&
    a.routing === b.routing &&
    a.listener === b.listener &&
    sameEndpoints(a.endpoints, b.endpoints) &&
    a.subsets.length === b.subsets.length &&
    a.subsets.every((one, i) => sameSubset(one, b.subsets[i]))
  );
}

export function samePorts(a: readonly ServicePort[], b: readonly ServicePort[]): boolean {
  return a.length === b.length && a.every((port, i) => samePort(port, b[i]));
}

/** The new version with those of the old one's ports that are the same. */
export function keepPorts(old: Service, made: Service): Service {
  const ports = made.ports.map((port) => old.ports.find((one) => samePort(port, one)) ?? port);
  return { ...made, ports };
}

export function sameService(a: Service, b: Service): boolean {
  return (
    a.key === b.key &&
    a.kind === b.kind &&
    a.name === b.name &&
    a.affinitySeconds === b.affinitySeconds &&
    a.waypoint === b.waypoint &&
    a.origin === b.origin &&
    sameStrings(a.addresses, b.addresses) &&
    samePorts(a.ports, b.ports)
  );
}
