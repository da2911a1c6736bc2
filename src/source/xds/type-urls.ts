/** Type URLs that are asked for. A URL that istiod does not know ends the whole stream, so no other is ever sent. */
const prefix = 'type.googleapis.com/';

export const addressType = `${prefix}istio.workload.Address`;
export const authorizationType = `${prefix}istio.security.Authorization`;
export const clusterType = `${prefix}envoy.config.cluster.v3.Cluster`;
export const endpointType = `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`;
export const listenerType = `${prefix}envoy.config.listener.v3.Listener`;
export const routeType = `${prefix}envoy.config.route.v3.RouteConfiguration`;

const short: Readonly<Record<string, string>> = {
  [addressType]: 'WDS',
  [authorizationType]: 'WADS',
  [clusterType]: 'CDS',
  [endpointType]: 'EDS',
  [listenerType]: 'LDS',
  [routeType]: 'RDS',
};

/** What people call the type: `CDS`, `EDS`, …; the URL itself where it has no such name. */
export function shortType(typeUrl: string): string {
  return short[typeUrl] ?? typeUrl;
}
