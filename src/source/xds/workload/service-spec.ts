/** A Service of Istio's workload API, checked. */
import {
  IstioAppProtocol,
  IstioLoadBalancingHealthPolicy,
  IstioLoadBalancingMode,
  IstioLoadBalancingScope,
  type IstioService,
} from '../gen/messages.gen.ts';
import { refuse } from '../refusal.ts';
import { addressOf, portOf, waypointOf } from './fields.ts';

export interface ServiceSpecPort {
  readonly port: number;
  /** 0: each workload has its own (a named target port). */
  readonly targetPort: number;
  /** As a port of Kubernetes would name it; empty: not known. */
  readonly appProtocol: string;
}

/** A part of a place that two workloads can share, the most important first. */
export type Scope = 'region' | 'zone' | 'subzone' | 'node' | 'cluster' | 'network';

export interface ServiceSpec {
  /** `NAMESPACE/HOSTNAME` */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly ports: readonly ServiceSpecPort[];
  readonly waypoint?: string;
  /** Endpoints that are not healthy are used as well. */
  readonly allowAll: boolean;
  /** `strict`: only endpoints that share all of the scopes; `failover`: those that share most. */
  readonly locality: { readonly mode: 'strict' | 'failover'; readonly scopes: readonly Scope[] } | null;
  /** Clients choose the endpoint themselves: its addresses are left alone. */
  readonly passthrough: boolean;
  /** What of it has no effect, `FIELD: reason`. */
  readonly notes: readonly string[];
}

const scopes: Readonly<Record<number, Scope>> = {
  [IstioLoadBalancingScope.REGION]: 'region',
  [IstioLoadBalancingScope.ZONE]: 'zone',
  [IstioLoadBalancingScope.SUBZONE]: 'subzone',
  [IstioLoadBalancingScope.NODE]: 'node',
  [IstioLoadBalancingScope.CLUSTER]: 'cluster',
  [IstioLoadBalancingScope.NETWORK]: 'network',
};

const protocols: Readonly<Record<number, string>> = {
  [IstioAppProtocol.UNKNOWN]: '',
  [IstioAppProtocol.HTTP11]: 'http',
  [IstioAppProtocol.HTTP2]: 'http2',
  [IstioAppProtocol.GRPC]: 'grpc',
  [IstioAppProtocol.TCP]: 'tcp',
  [IstioAppProtocol.TLS]: 'tls',
};

/** `network`: the daemon's own; addresses of others are left out. Throws FieldError. */
export function serviceSpec(message: IstioService, network: string): ServiceSpec {
  const { name, namespace, hostname } = message;
  if (hostname === '') refuse('service.hostname', 'missing');
  const notes: string[] = [];
  const addresses = message.addresses.flatMap((one, i) => {
    const field = `service.addresses[${i}]`;
    const address = addressOf(one.address, `${field}.address`);
    if (one.length !== undefined && one.length !== one.address.length * 8) {
      notes.push(`${field}.length: a block of addresses (${address}/${one.length}) is not served`);
      return [];
    }
    return one.network === network ? [address] : [];
  });
  const ports: ServiceSpecPort[] = [];
  for (const [i, one] of message.ports.entries()) {
    const field = `service.ports[${i}]`;
    const port = portOf(one.servicePort, `${field}.service_port`);
    const appProtocol = protocols[one.appProtocol];
    if (appProtocol === undefined) refuse(`${field}.app_protocol`, `unknown value ${one.appProtocol}`);
    const targetPort = one.targetPort === 0 ? 0 : portOf(one.targetPort, `${field}.target_port`);
    const at = ports.findIndex((other) => other.port === port);
    const twin = ports[at];
    if (twin === undefined) ports.push({ port, targetPort, appProtocol });
    // TCP and UDP of one number, as every cluster's DNS has them: this API does not tell them apart.
    else if (twin.targetPort === targetPort) ports[at] = { ...twin, appProtocol: twin.appProtocol || appProtocol };
    else refuse(`${field}.service_port`, `${port} is there twice, with two target ports`);
  }
  const waypoint = waypointOf(message.waypoint);
  if (waypoint !== undefined) notes.push(`service.waypoint: ${waypoint} is passed by; traffic goes to the endpoints`);
  return {
    key: `${namespace}/${hostname}`,
    name,
    namespace,
    hostname,
    addresses: [...new Set(addresses)],
    ports,
    ...(waypoint === undefined ? {} : { waypoint }),
    ...balancingOf(message),
    notes,
  };
}

function balancingOf({ loadBalancing }: IstioService): Pick<ServiceSpec, 'allowAll' | 'locality' | 'passthrough'> {
  const none = { allowAll: false, locality: null, passthrough: false };
  if (loadBalancing === undefined) return none;
  const { mode, healthPolicy, routingPreference } = loadBalancing;
  const order = routingPreference.map((value, i) => {
    return scopes[value] ?? refuse(`service.load_balancing.routing_preference[${i}]`, `unknown value ${value}`);
  });
  const allowAll = healthPolicy === IstioLoadBalancingHealthPolicy.ALLOW_ALL;
  switch (mode) {
    case IstioLoadBalancingMode.UNSPECIFIED_MODE:
      return { ...none, allowAll };
    case IstioLoadBalancingMode.STRICT:
      return { ...none, allowAll, locality: { mode: 'strict', scopes: order } };
    case IstioLoadBalancingMode.FAILOVER:
      return { ...none, allowAll, locality: { mode: 'failover', scopes: order } };
    case IstioLoadBalancingMode.PASSTHROUGH:
      return { ...none, allowAll, passthrough: true };
    default:
      return refuse('service.load_balancing.mode', `unknown value ${mode}`);
  }
}
