/** A Listener, checked: which addresses it takes, and what becomes of their connections. */
import { fromBinary, type Message, type MessageShape } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { canonicalAddress } from '../../../base/address.ts';
import {
  type Filter,
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatchSchema,
  FilterChainSchema,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type Listener,
  ListenerSchema,
  type TcpProxy,
  TcpProxySchema,
  TrafficDirection,
} from '../gen/messages.gen.ts';
import { FieldUse, refuse } from '../refusal.ts';
import { hostAndPort } from './address.ts';
import type { VirtualHostSpec } from './route-spec.ts';
import { configurationOf } from './routes.ts';

export interface WeightedName {
  readonly cluster: string;
  readonly weight: number;
}

/** Where requests are routed by: a RouteConfiguration that is asked for, or one that stands in the listener. */
export type HttpSpec = { readonly rds: string } | { readonly virtualHosts: readonly VirtualHostSpec[] };

/** What becomes of the connections to some addresses. */
export interface ChainSpec {
  /** Canonical; `0.0.0.0` and `::` are every address. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** For HTTP; null: there are no routes. */
  readonly http: HttpSpec | null;
  /** For everything else; null: nothing is said, or it passes to where it was going. */
  readonly tcp: readonly WeightedName[] | null;
  /** Connections that are not HTTP reach the listener too. */
  readonly detect: boolean;
}

export interface ListenerSpec {
  readonly name: string;
  /** Empty: it does not concern connections that pods open. */
  readonly chains: readonly ChainSpec[];
  readonly notes: readonly string[];
}

const listenerUse = new FieldUse(ListenerSchema, {
  read: 'name address additional_addresses filter_chains default_filter_chain traffic_direction use_original_dst internal_listener',
  quiet: `stat_prefix per_connection_buffer_limit_bytes metadata deprecated_v1 drain_type listener_filters
    listener_filters_timeout continue_on_listener_filters_timeout transparent freebind socket_options
    tcp_fast_open_queue_length connection_balance_config reuse_port enable_reuse_port access_log tcp_backlog_size
    max_connections_to_accept_per_socket_event bind_to_port enable_mptcp ignore_global_conn_limit bypass_overload_manager`,
});
const chainUse = new FieldUse(FilterChainSchema, {
  read: 'filter_chain_match filters transport_socket',
  quiet: 'name metadata transport_socket_connect_timeout on_demand_configuration',
});
const matchUse = new FieldUse(FilterChainMatchSchema, {
  read: 'destination_port prefix_ranges transport_protocol application_protocols server_names',
});
const managerUse = new FieldUse(HttpConnectionManagerSchema, {
  read: 'rds route_config http_filters codec_type',
  quiet: `stat_prefix add_user_agent tracing common_http_protocol_options http_protocol_options http2_protocol_options
    http3_protocol_options server_name server_header_transformation max_request_headers_kb stream_idle_timeout
    request_timeout request_headers_timeout drain_timeout delayed_close_timeout access_log access_log_flush_interval
    flush_access_log_on_new_request access_log_options use_remote_address xff_num_trusted_hops skip_xff_append via
    generate_request_id preserve_external_request_id always_set_request_id_in_response forward_client_cert_details
    set_current_client_cert_details proxy_100_continue upgrade_configs normalize_path merge_slashes
    path_with_escaped_slashes_action request_id_extension stream_error_on_invalid_http_message
    path_normalization_options strip_trailing_host_dot strip_matching_host_port strip_any_host_port proxy_status_config
    append_x_forwarded_port append_local_overload add_proxy_protocol_connection_state internal_address_config
    scheme_header_transformation represent_ipv4_remote_address_as_ipv4_mapped_ipv6`,
});
const proxyUse = new FieldUse(TcpProxySchema, {
  read: 'cluster weighted_clusters hash_policy',
  quiet: `stat_prefix idle_timeout downstream_idle_timeout upstream_idle_timeout access_log max_connect_attempts
    access_log_flush_interval flush_access_log_on_connected access_log_options on_demand`,
  noted: { max_downstream_connection_duration: 'connections have no time limit' },
});

const prefix = 'type.googleapis.com/';
const managerType = `${prefix}${HttpConnectionManagerSchema.typeName}`;
const proxyType = `${prefix}${TcpProxySchema.typeName}`;

/** Filters that look at a connection and let it pass. */
const quietFilters: ReadonlySet<string> = new Set([
  'istio.metadata_exchange',
  'istio.stats',
  'envoy.filters.network.sni_cluster',
  'envoy.filters.network.metadata_exchange',
]);
/** HTTP filters that decide nothing without settings of a route. */
const quietHttpFilters: ReadonlySet<string> = new Set([
  'istio.metadata_exchange',
  'istio.alpn',
  'istio.stats',
  'envoy.filters.http.router',
  'envoy.filters.http.fault',
  'envoy.filters.http.cors',
  'envoy.filters.http.grpc_stats',
  'envoy.filters.http.grpc_web',
  'envoy.filters.http.health_check',
]);
const httpProtocols: ReadonlySet<string> = new Set(['http/1.0', 'http/1.1', 'h2c']);

/** Istio's clusters that lead to where the client asked for, or nowhere. */
export const passThrough: ReadonlySet<string> = new Set(['PassthroughCluster', 'InboundPassthroughCluster']);
export const blackHole = 'BlackHoleCluster';

/** Throws FieldError. */
export function listenerSpec(message: Listener): ListenerSpec {
  const { name } = message;
  if (name === '') refuse('name', 'missing');
  const notes: string[] = [];
  // What comes in is nobody's to steer here, and sidecars' own listeners get connections by redirection.
  const foreign =
    message.trafficDirection === TrafficDirection.INBOUND ||
    message.useOriginalDst === true ||
    message.listenerSpecifier.case === 'internalListener' ||
    name === 'virtualOutbound' ||
    name === 'virtualInbound';
  if (foreign) {
    if (blocksTheRest(message)) {
      notes.push(
        'filter_chains: REGISTRY_ONLY is enforced for HTTP at known ports; what else goes to no service passes',
      );
    }
    return { name, chains: [], notes };
  }
  listenerUse.check(message, '', notes);
  const first = hostAndPort(message.address, 'address', false);
  const more = message.additionalAddresses.map((one, i) =>
    hostAndPort(one.address, `additional_addresses[${i}].address`, false),
  );
  const all = [first, ...more].filter(({ port }) => port === first.port).map(({ host }) => host);
  if (all.length <= more.length) refuse('additional_addresses', 'another port is not supported');
  const chains: Read[] = message.filterChains.map((chain, i) => readChain(chain, `filter_chains[${i}]`, notes));
  if (message.defaultFilterChain !== undefined) {
    chains.push(readChain(message.defaultFilterChain, 'default_filter_chain', notes));
  }
  if (chains.length === 0) refuse('filter_chains', 'empty');
  return { name, chains: joined(chains, all, first.port), notes };
}

/** Istio's REGISTRY_ONLY: a chain for whatever comes to a listener for everything leads nowhere. */
function blocksTheRest({ name, filterChains, defaultFilterChain }: Listener): boolean {
  if (name !== 'virtualOutbound') return false;
  const chains = [...filterChains, ...(defaultFilterChain === undefined ? [] : [defaultFilterChain])];
  return chains.some(
    ({ filterChainMatch, filters }) =>
      filterChainMatch?.destinationPort === undefined &&
      filters.some(
        (filter) =>
          filter.configType.case === 'typedConfig' &&
          filter.configType.value.typeUrl === proxyType &&
          configOf(TcpProxySchema, filter).clusterSpecifier.value === blackHole,
      ),
  );
}

interface Read {
  readonly addresses: readonly string[] | null;
  readonly port: number | null;
  /** Only connections that speak HTTP without TLS. */
  readonly onlyHttp: boolean;
  /** Only TLS connections. */
  readonly onlyTls: boolean;
  readonly http: HttpSpec | null;
  readonly tcp: readonly WeightedName[] | null;
}

/** Chains for the same addresses: the first for HTTP and the first for the rest. */
function joined(chains: readonly Read[], addresses: readonly string[], port: number): ChainSpec[] {
  const groups = new Map<string, { addresses: readonly string[]; port: number; chains: Read[] }>();
  for (const chain of chains) {
    const own = { addresses: chain.addresses ?? addresses, port: chain.port ?? port };
    const key = `${own.addresses.join()} ${own.port}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ...own, chains: [chain] });
    else group.chains.push(chain);
  }
  return [...groups.values()].map((group): ChainSpec => {
    const http = group.chains.find((chain) => chain.http !== null) ?? null;
    const rest = group.chains.find((chain) => chain.tcp !== null && !chain.onlyHttp);
    const own = { addresses: group.addresses, port: group.port };
    return {
      ...own,
      http: http?.http ?? null,
      tcp: rest?.tcp?.length ? rest.tcp : null,
      detect: http?.onlyHttp ?? false,
    };
  });
}

function readChain(chain: FilterChain, path: string, notes: string[]): Read {
  chainUse.check(chain, `${path}.`, notes);
  if (chain.transportSocket !== undefined && chain.transportSocket.name !== 'envoy.transport_sockets.raw_buffer') {
    refuse(`${path}.transport_socket`, 'not supported: the mesh does not end TLS');
  }
  const match = readMatch(chain.filterChainMatch, `${path}.filter_chain_match`, notes);
  let http: HttpSpec | null = null;
  let tcp: readonly WeightedName[] | null = null;
  for (const [i, filter] of chain.filters.entries()) {
    const at = `${path}.filters[${i}]`;
    if (quietFilters.has(filter.name)) continue;
    const type = filter.configType.case === 'typedConfig' ? filter.configType.value.typeUrl : '';
    if (type === managerType) http = managerOf(configOf(HttpConnectionManagerSchema, filter), at, notes);
    else if (type === proxyType) tcp = proxyOf(configOf(TcpProxySchema, filter), at, notes);
    else refuse(at, `filter ${filter.name} (${type}) is not supported`);
  }
  if (http === null && tcp === null) refuse(`${path}.filters`, 'nothing says where connections go');
  if (http !== null && match.onlyTls) refuse(path, 'HTTP inside TLS is not supported');
  return { ...match, http, tcp };
}

function configOf<T extends Message>(schema: GenMessage<T>, { configType }: Filter): MessageShape<GenMessage<T>> {
  return fromBinary(schema, configType.case === 'typedConfig' ? configType.value.value : new Uint8Array());
}

function readMatch(match: FilterChainMatch | undefined, path: string, notes: string[]) {
  if (match === undefined) return { addresses: null, port: null, onlyHttp: false, onlyTls: false };
  matchUse.check(match, `${path}.`, notes);
  const { transportProtocol: transport, applicationProtocols: protocols, serverNames } = match;
  if (!['', 'raw_buffer', 'tls'].includes(transport))
    refuse(`${path}.transport_protocol`, `${transport} is not supported`);
  const other = protocols.find((protocol) => !httpProtocols.has(protocol));
  if (other !== undefined) refuse(`${path}.application_protocols`, `${other} is not supported`);
  if (serverNames.length > 0) {
    notes.push(`${path}.server_names: the name in the TLS handshake is not looked at; all connections are taken`);
  }
  const addresses = match.prefixRanges.map(({ addressPrefix, prefixLen }, i) => {
    const field = `${path}.prefix_ranges[${i}]`;
    const address = canonicalAddress(addressPrefix) ?? refuse(field, `${addressPrefix} is no IP address`);
    const whole = address.includes(':') ? 128 : 32;
    if ((prefixLen ?? 0) === 0) return address.includes(':') ? '::' : '0.0.0.0';
    return prefixLen === whole
      ? address
      : refuse(field, `a block of addresses (${addressPrefix}/${prefixLen}) is not supported`);
  });
  return {
    addresses: addresses.length === 0 ? null : addresses,
    port: match.destinationPort ?? null,
    onlyHttp: protocols.length > 0,
    onlyTls: transport === 'tls',
  };
}

function managerOf(message: HttpConnectionManager, path: string, notes: string[]): HttpSpec {
  managerUse.check(message, `${path}.`, notes);
  for (const [i, { name }] of message.httpFilters.entries()) {
    if (!quietHttpFilters.has(name)) refuse(`${path}.http_filters[${i}]`, `${name} is not supported`);
  }
  const { routeSpecifier: by } = message;
  if (by.case === 'rds') {
    const { routeConfigName } = by.value;
    return routeConfigName === '' ? refuse(`${path}.rds.route_config_name`, 'missing') : { rds: routeConfigName };
  }
  if (by.case !== 'routeConfig') return refuse(path, 'only rds and route_config are supported');
  const { virtualHosts, refused, notes: more } = configurationOf(by.value);
  const [first] = refused.values();
  if (first !== undefined) refuse(`${path}.route_config`, first);
  notes.push(...more.map((note) => `${path}.route_config.${note}`));
  return { virtualHosts };
}

/** Empty: connections pass to where they were going. */
function proxyOf(message: TcpProxy, path: string, notes: string[]): WeightedName[] {
  proxyUse.check(message, `${path}.`, notes);
  const { clusterSpecifier: to } = message;
  if (to.case === 'cluster') {
    if (to.value === '') refuse(`${path}.cluster`, 'empty');
    return passThrough.has(to.value) ? [] : [{ cluster: to.value, weight: 1 }];
  }
  if (to.case !== 'weightedClusters') return refuse(path, 'neither cluster nor weighted_clusters');
  return to.value.clusters.map(({ name, weight }, i) => {
    const at = `${path}.weighted_clusters.clusters[${i}]`;
    if (name === '') refuse(`${at}.name`, 'missing');
    if (weight === 0) refuse(`${at}.weight`, '0 is not possible');
    return { cluster: name, weight };
  });
}
