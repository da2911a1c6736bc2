/** Istio's standard label sets, in ztunnel's order, from what the kernel's keys of traffic and of requests name. */
import type { KmRequestsKey, KmTrafficKey } from '../kernel/gen/layout.gen.ts';
import { kmDirection } from '../kernel/gen/layout.gen.ts';
import type { Workload } from '../model/types.ts';
import type { Names } from './names.ts';
import { responseFlag } from './reasons.ts';

const partyLabels = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
  'request_protocol',
] as const;

/** Of a TCP metric. */
export const trafficLabels = [...partyLabels, 'response_flags', 'connection_security_policy'] as const;
export type TrafficLabels = Record<(typeof trafficLabels)[number], string>;

/** Of an HTTP metric. */
export const requestLabels = [...partyLabels, 'response_code', 'response_flags', 'connection_security_policy'] as const;
export type RequestLabels = Record<(typeof requestLabels)[number], string>;

type PartyLabels = Record<(typeof partyLabels)[number], string>;

const unknown = 'unknown';
const cluster = 'Kubernetes';

/** Istio's rule: service.istio.io/canonical-name, app.kubernetes.io/name, app, else the owner. */
function canonicalService(w: Workload): string {
  const l = w.labels;
  return l['service.istio.io/canonical-name'] ?? l['app.kubernetes.io/name'] ?? l['app'] ?? w.owner;
}

function canonicalRevision(w: Workload): string {
  const l = w.labels;
  return l['service.istio.io/canonical-revision'] ?? l['app.kubernetes.io/version'] ?? l['version'] ?? 'latest';
}

interface Party {
  readonly workload: string;
  readonly canonical_service: string;
  readonly canonical_revision: string;
  readonly workload_namespace: string;
  readonly principal: string;
  readonly app: string;
  readonly version: string;
  readonly cluster: string;
}

// A principal is an identity that was proven; without mutual TLS nothing was, so it stays unknown as Istio has it.
function party(w: Workload | undefined): Party {
  if (w === undefined) {
    return {
      workload: unknown,
      canonical_service: unknown,
      canonical_revision: 'latest',
      workload_namespace: unknown,
      principal: unknown,
      app: unknown,
      version: unknown,
      cluster: unknown,
    };
  }
  return {
    workload: w.owner,
    canonical_service: canonicalService(w),
    canonical_revision: canonicalRevision(w),
    workload_namespace: w.namespace,
    principal: unknown,
    app: w.labels['app'] ?? unknown,
    version: w.labels['version'] ?? unknown,
    cluster,
  };
}

export function labelsOf(key: KmTrafficKey, names: Names): TrafficLabels {
  const reporter = key.direction === kmDirection.INBOUND ? 'destination' : 'source';
  return {
    ...partiesOf(key, reporter, 'tcp', names),
    response_flags: responseFlag(key.reason),
    connection_security_policy: unknown,
  };
}

/** Requests are told by the side that sends them. */
export function requestLabelsOf(key: KmRequestsKey, names: Names): RequestLabels {
  return {
    ...partiesOf(key, 'source', 'http', names),
    response_code: String(key.status),
    response_flags: responseFlag(key.reason),
    connection_security_policy: unknown,
  };
}

function partiesOf(
  key: Pick<KmTrafficKey, 'source' | 'destination' | 'cluster'>,
  reporter: 'source' | 'destination',
  protocol: 'tcp' | 'http',
  names: Names,
): PartyLabels {
  const service = names.cluster(key.cluster)?.service;
  const source = party(names.workload(key.source));
  const destination = party(names.workload(key.destination));
  return {
    reporter,
    source_workload: source.workload,
    source_canonical_service: source.canonical_service,
    source_canonical_revision: source.canonical_revision,
    source_workload_namespace: source.workload_namespace,
    source_principal: source.principal,
    source_app: source.app,
    source_version: source.version,
    source_cluster: source.cluster,
    destination_service: service?.hostname ?? unknown,
    destination_service_namespace: service?.namespace ?? unknown,
    destination_service_name: service?.name ?? unknown,
    destination_workload: destination.workload,
    destination_canonical_service: destination.canonical_service,
    destination_canonical_revision: destination.canonical_revision,
    destination_workload_namespace: destination.workload_namespace,
    destination_principal: destination.principal,
    destination_app: destination.app,
    destination_version: destination.version,
    destination_cluster: destination.cluster,
    request_protocol: protocol,
  };
}
