/** What `tools/gen-xds.ts` generates: the files with the roots, and the messages whose fields are read. */

const core = 'envoy.config.core.v3';
const cluster = 'envoy.config.cluster.v3';
const endpoint = 'envoy.config.endpoint.v3';
const listener = 'envoy.config.listener.v3';
const route = 'envoy.config.route.v3';
const discovery = 'envoy.service.discovery.v3';
const tcp = 'envoy.extensions.filters.network.tcp_proxy.v3';
const hcm = 'envoy.extensions.filters.network.http_connection_manager.v3';
const fault = 'envoy.extensions.filters.http.fault.v3';
const upstream = 'envoy.extensions.upstreams.http.v3';
const matcher = 'envoy.type.matcher.v3';
const workload = 'istio.workload';
const security = 'istio.security';

export const rootFiles: readonly string[] = [
  'envoy/service/discovery/v3/discovery.proto',
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
  'istio/workload.proto',
  'istio/authorization.proto',
];

const of = (scope: string, names: string): string[] => names.split(/\s+/).map((name) => `${scope}.${name}`);

export const keptMessages: readonly string[] = [
  ...of(discovery, 'DiscoveryRequest DiscoveryResponse DeltaDiscoveryRequest DeltaDiscoveryResponse Resource'),
  'google.rpc.Status',
  ...of(
    core,
    'Node Address SocketAddress EnvoyInternalAddress TransportSocket Locality Metadata DataSource HeaderValue HeaderValueOption',
  ),
  ...of(core, 'RuntimeFractionalPercent RuntimeUInt32'),
  'envoy.type.v3.FractionalPercent',
  'envoy.type.v3.Int64Range',
  ...of(matcher, 'StringMatcher RegexMatcher'),
  ...of(cluster, 'Cluster Cluster.EdsClusterConfig Cluster.LbSubsetConfig Cluster.LbSubsetConfig.LbSubsetSelector'),
  ...of(cluster, 'Cluster.CommonLbConfig CircuitBreakers CircuitBreakers.Thresholds'),
  ...of(
    endpoint,
    'ClusterLoadAssignment ClusterLoadAssignment.Policy LocalityLbEndpoints LbEndpoint Endpoint Endpoint.AdditionalAddress',
  ),
  ...of(listener, 'Listener AdditionalAddress FilterChain FilterChainMatch Filter'),
  `${core}.CidrRange`,
  ...of(tcp, 'TcpProxy TcpProxy.WeightedCluster TcpProxy.WeightedCluster.ClusterWeight'),
  ...of(hcm, 'HttpConnectionManager Rds HttpFilter'),
  ...of(route, 'RouteConfiguration VirtualHost Route RouteMatch HeaderMatcher QueryParameterMatcher RouteAction'),
  ...of(route, 'RouteAction.HashPolicy RouteAction.HashPolicy.Header RouteAction.HashPolicy.Cookie'),
  ...of(route, 'RouteAction.HashPolicy.ConnectionProperties WeightedCluster WeightedCluster.ClusterWeight'),
  ...of(route, 'RedirectAction DirectResponseAction RetryPolicy'),
  ...of(fault, 'HTTPFault FaultAbort'),
  ...of(upstream, 'HttpProtocolOptions HttpProtocolOptions.ExplicitHttpConfig'),
  ...of(workload, 'Address Service LoadBalancing Workload Locality PortList Port ApplicationTunnel GatewayAddress'),
  ...of(workload, 'WeightedWaypoint NetworkAddress NamespacedHostname Extension'),
  ...of(security, 'Authorization Group Rules Match Address ServiceAccountMatch StringMatch'),
];

/** Fields of kept messages that are only decoded where they are needed: there are many of them. */
export const lazyFields: readonly string[] = [`${endpoint}.LbEndpoint.metadata`];
