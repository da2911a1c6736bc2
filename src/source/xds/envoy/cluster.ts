/** A Cluster, checked: what kind it is, and how its endpoints share the work. */
import { fromBinary, type JsonObject } from '@bufbuild/protobuf';
import type { ClusterLimits } from '../../../model/http.ts';
import {
  CircuitBreakersThresholdsSchema,
  type Cluster,
  ClusterCommonLbConfigSchema,
  ClusterDiscoveryType,
  ClusterDnsLookupFamily,
  ClusterLbPolicy,
  ClusterLbSubsetConfigLbSubsetFallbackPolicy,
  ClusterSchema,
  HttpProtocolOptionsSchema,
  RoutingPriority,
} from '../gen/messages.gen.ts';
import { FieldUse, refuse } from '../refusal.ts';
import { type Assignment, assignmentOf } from './assignment.ts';

export interface ClusterSpec {
  readonly name: string;
  /** `original`: to where the client asked for, which is what happens without the mesh. */
  readonly kind: 'eds' | 'static' | 'dns' | 'original';
  /** Name of its endpoints; for `eds`. */
  readonly edsName: string;
  /** For `static` and `dns`. */
  readonly assignment: Assignment | null;
  readonly dns: {
    /** LOGICAL_DNS: only the first address is used. */
    readonly onlyFirst: boolean;
    readonly families: readonly (4 | 6)[];
    /** Milliseconds between two lookups. */
    readonly refreshMs: number;
    readonly respectTtl: boolean;
  } | null;
  readonly balance: 'random' | 'round-robin' | 'least-request' | 'maglev';
  readonly connectTimeoutMs: number;
  /** Weights of localities count. */
  readonly localities: boolean;
  /** Endpoints are chosen by metadata; what fits none. Null: by nothing. */
  readonly subsets: { readonly fallback: 'none' | 'any' | JsonObject } | null;
  readonly limits: ClusterLimits | null;
  /** Namespace of its service, where Istio says it; else empty. */
  readonly namespace: string;
  /** What has no effect, `FIELD: reason`. */
  readonly notes: readonly string[];
}

const use = new FieldUse(ClusterSchema, {
  read: `name type cluster_type eds_cluster_config connect_timeout lb_policy load_assignment circuit_breakers transport_socket
    dns_refresh_rate respect_dns_ttl dns_lookup_family lb_subset_config common_lb_config metadata
    typed_extension_protocol_options`,
  quiet: `alt_stat_name per_connection_buffer_limit_bytes max_requests_per_connection common_http_protocol_options
    upstream_http_protocol_options http_protocol_options http2_protocol_options dns_failure_refresh_rate
    wait_for_warm_on_init cleanup_interval protocol_selection upstream_connection_options
    close_connections_on_host_health_failure ignore_health_on_host_removal lrs_server lrs_report_endpoint_metrics
    track_timeout_budgets track_cluster_stats preconnect_policy connection_pool_per_downstream_connection
    ring_hash_lb_config maglev_lb_config original_dst_lb_config least_request_lb_config round_robin_lb_config
    use_tcp_for_dns_lookups filters transport_socket_matches`,
  noted: {
    health_checks: 'the mesh has no health checks of its own; the control plane’s health counts',
    outlier_detection: 'endpoints are not ejected for their answers',
    dns_resolvers: 'names are resolved by the machine’s own resolver',
    dns_resolution_config: 'names are resolved by the machine’s own resolver',
    typed_dns_resolver_config: 'names are resolved by the machine’s own resolver',
    upstream_bind_config: 'connections come from the client’s own address',
  },
});
const commonUse = new FieldUse(ClusterCommonLbConfigSchema, {
  read: 'locality_weighted_lb_config',
  quiet: `healthy_panic_threshold update_merge_window ignore_new_hosts_until_first_hc close_connections_on_host_set_change
    consistent_hashing_lb_config override_host_status zone_aware_lb_config`,
});
const thresholdUse = new FieldUse(CircuitBreakersThresholdsSchema, {
  read: 'priority max_connections max_pending_requests max_requests max_retries',
  quiet: 'retry_budget track_remaining max_connection_pools',
});

const plainSockets: readonly string[] = [
  'envoy.transport_sockets.raw_buffer',
  'envoy.transport_sockets.internal_upstream',
  'raw_buffer',
];

/** Throws FieldError. */
export function clusterSpec(message: Cluster): ClusterSpec {
  const notes: string[] = [];
  const { name } = message;
  if (name === '') refuse('name', 'missing');
  use.check(message, '', notes);
  const kind = kindOf(message);
  const socket = message.transportSocket?.name ?? '';
  // What leads to where the client asked for is left alone.
  if (kind !== 'original' && socket !== '' && !plainSockets.includes(socket))
    refuse('transport_socket.name', `${socket} is not supported: the mesh does not encrypt`);
  if (message.commonLbConfig !== undefined) commonUse.check(message.commonLbConfig, 'common_lb_config.', notes);
  const inline = kind === 'static' || kind === 'dns' ? message.loadAssignment : undefined;
  if (kind === 'dns' && inline === undefined) refuse('load_assignment', 'missing');
  noteHttp2(message, notes);
  return {
    name,
    kind,
    edsName: kind === 'eds' ? message.edsClusterConfig?.serviceName || name : '',
    assignment: inline === undefined ? null : within('load_assignment', () => assignmentOf(inline, kind === 'dns')),
    dns: kind === 'dns' ? dnsOf(message) : null,
    balance: balanceOf(message),
    connectTimeoutMs: milliseconds(message.connectTimeout),
    localities: message.commonLbConfig?.localityConfigSpecifier.case === 'localityWeightedLbConfig',
    subsets: subsetsOf(message),
    limits: limitsOf(message),
    namespace: namespaceOf(message),
    notes,
  };
}

/** Puts a path in front of the field of what is refused inside. */
export function within<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error) error.message = `${path}.${error.message}`;
    throw error;
  }
}

function kindOf({ clusterDiscoveryType: type, edsClusterConfig }: Cluster): ClusterSpec['kind'] {
  if (type.case === 'clusterType') return refuse('cluster_type', 'not supported');
  switch (type.value ?? ClusterDiscoveryType.STATIC) {
    case ClusterDiscoveryType.STATIC:
      return 'static';
    case ClusterDiscoveryType.STRICT_DNS:
    case ClusterDiscoveryType.LOGICAL_DNS:
      return 'dns';
    case ClusterDiscoveryType.EDS:
      return edsClusterConfig === undefined ? refuse('eds_cluster_config', 'missing') : 'eds';
    case ClusterDiscoveryType.ORIGINAL_DST:
      return 'original';
    default:
      return refuse('type', `unknown value ${type.value}`);
  }
}

function balanceOf({ lbPolicy }: Cluster): ClusterSpec['balance'] {
  switch (lbPolicy) {
    case ClusterLbPolicy.ROUND_ROBIN:
      return 'round-robin';
    case ClusterLbPolicy.LEAST_REQUEST:
      return 'least-request';
    case ClusterLbPolicy.RANDOM:
    case ClusterLbPolicy.CLUSTER_PROVIDED:
      return 'random';
    case ClusterLbPolicy.RING_HASH:
    case ClusterLbPolicy.MAGLEV:
      return 'maglev';
    default:
      return refuse('lb_policy', `unknown value ${lbPolicy}`);
  }
}

const familiesOf: Readonly<Record<number, readonly (4 | 6)[]>> = {
  // AUTO prefers IPv6 and falls back; here both are asked for, since a client can only use its own family.
  [ClusterDnsLookupFamily.AUTO]: [4, 6],
  [ClusterDnsLookupFamily.V4_ONLY]: [4],
  [ClusterDnsLookupFamily.V6_ONLY]: [6],
  [ClusterDnsLookupFamily.V4_PREFERRED]: [4, 6],
  [ClusterDnsLookupFamily.ALL]: [4, 6],
};

function dnsOf(message: Cluster): NonNullable<ClusterSpec['dns']> {
  const families = familiesOf[message.dnsLookupFamily];
  if (families === undefined) return refuse('dns_lookup_family', `unknown value ${message.dnsLookupFamily}`);
  return {
    onlyFirst: message.clusterDiscoveryType.value === ClusterDiscoveryType.LOGICAL_DNS,
    families,
    // Envoy's default; a rate of nothing would be a flood.
    refreshMs: Math.max(100, milliseconds(message.dnsRefreshRate) || 5000),
    respectTtl: message.respectDnsTtl,
  };
}

function subsetsOf({ lbSubsetConfig }: Cluster): ClusterSpec['subsets'] {
  if (lbSubsetConfig === undefined || lbSubsetConfig.subsetSelectors.length === 0) return null;
  const policy = ClusterLbSubsetConfigLbSubsetFallbackPolicy;
  switch (lbSubsetConfig.fallbackPolicy) {
    case policy.NO_FALLBACK:
      return { fallback: 'none' };
    case policy.ANY_ENDPOINT:
      return { fallback: 'any' };
    case policy.DEFAULT_SUBSET:
      return { fallback: lbSubsetConfig.defaultSubset ?? {} };
    default:
      return refuse('lb_subset_config.fallback_policy', `unknown value ${lbSubsetConfig.fallbackPolicy}`);
  }
}

/** Istio writes the largest number where there is no limit. */
const noLimit = 0xffffffff;

function limitsOf({ circuitBreakers }: Cluster): ClusterLimits | null {
  for (const [i, one] of (circuitBreakers?.thresholds ?? []).entries()) {
    thresholdUse.check(one, `circuit_breakers.thresholds[${i}].`, []);
  }
  const found = circuitBreakers?.thresholds.find(({ priority }) => priority === RoutingPriority.DEFAULT);
  if (found === undefined) return null;
  const limit = (value: number | undefined): number | null => (value === undefined || value === noLimit ? null : value);
  const limits = {
    maxConnections: limit(found.maxConnections),
    maxPendingRequests: limit(found.maxPendingRequests),
    maxRequests: limit(found.maxRequests),
    maxRetries: limit(found.maxRetries),
  };
  return Object.values(limits).every((value) => value === null) ? null : limits;
}

function noteHttp2(message: Cluster, notes: string[]): void {
  const name = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const any = message.typedExtensionProtocolOptions[name];
  if (any === undefined) return;
  const { upstreamProtocolOptions: to } = fromBinary(HttpProtocolOptionsSchema, any.value);
  if (to.case !== 'explicitHttpConfig' || to.value.protocolConfig.case !== 'http2ProtocolOptions') return;
  notes.push(
    'typed_extension_protocol_options.explicit_http_config.http2_protocol_options: requests are sent as they come',
  );
}

function namespaceOf({ metadata }: Cluster): string {
  const services = metadata?.filterMetadata['istio']?.['services'];
  const first = Array.isArray(services) ? services[0] : undefined;
  const found = typeof first === 'object' && first !== null && !Array.isArray(first) ? first['namespace'] : undefined;
  return typeof found === 'string' ? found : '';
}

export function milliseconds(duration: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return duration === undefined ? 0 : Math.round(Number(duration.seconds) * 1000 + duration.nanos / 1_000_000);
}
