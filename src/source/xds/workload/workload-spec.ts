/** A Workload of Istio's workload API, checked, as the model has it. */
import { sameStrings } from '../../../model/same.ts';
import type { Origin, Workload } from '../../../model/types.ts';
import { IstioNetworkMode, IstioTunnelProtocol, type IstioWorkload, IstioWorkloadStatus } from '../gen/messages.gen.ts';
import { refuse } from '../refusal.ts';
import { addressOf, type Interner, portOf, waypointOf } from './fields.ts';

/** Its part in a service. */
export interface Membership {
  /** `NAMESPACE/HOSTNAME` */
  readonly service: string;
  /** Port of the service → port of the workload, 0: as the service says. */
  readonly ports: ReadonlyMap<number, number>;
}

export interface WorkloadSpec {
  readonly workload: Workload;
  readonly healthy: boolean;
  readonly weight: number;
  readonly memberships: readonly Membership[];
  /** Its addresses have to be asked for by name. */
  readonly hostname: string;
}

const tunnels = new Map<number, string>(Object.entries(IstioTunnelProtocol).map(([name, number]) => [number, name]));

/** Throws FieldError. */
export function workloadSpec(message: IstioWorkload, origin: Origin, intern: Interner): WorkloadSpec {
  const { uid, name, namespace } = message;
  if (uid === '') refuse('workload.uid', 'missing');
  const text = (one: string): string => intern.of(one);
  const network = text(message.network);
  const waypoint = waypointOf(message.waypoint);
  const { locality } = message;
  const workload: Workload = {
    uid,
    kind: uid.includes('//Pod/') ? 'Pod' : 'WorkloadEntry',
    namespace: text(namespace),
    name,
    serviceAccount: text(message.serviceAccount === '' ? 'default' : message.serviceAccount),
    labels: noLabels,
    owner: text(message.workloadName === '' ? name : message.workloadName),
    addresses: message.addresses.map((bytes, i) => addressOf(bytes, `workload.addresses[${i}]`)),
    ready: message.status === IstioWorkloadStatus.HEALTHY,
    enrolled: false,
    hostNetwork: message.networkMode === IstioNetworkMode.HOST_NETWORK,
    ...(message.node === '' ? {} : { node: text(message.node) }),
    origin,
    ...(network === '' ? {} : { network }),
    ...(locality === undefined
      ? {}
      : {
          locality: { region: text(locality.region), zone: text(locality.zone), subzone: text(locality.subzone) },
        }),
    ...(waypoint === undefined ? {} : { waypoint: text(waypoint) }),
    ...(message.tunnelProtocol === IstioTunnelProtocol.NONE
      ? {}
      : { tunnel: tunnels.get(message.tunnelProtocol) ?? String(message.tunnelProtocol) }),
    ...(message.trustDomain === '' ? {} : { trustDomain: text(message.trustDomain) }),
    ...(message.clusterId === '' ? {} : { clusterId: text(message.clusterId) }),
    ...(message.authorizationPolicies.length === 0
      ? {}
      : { authorizationPolicies: message.authorizationPolicies.map(text) }),
  };
  if (message.status !== IstioWorkloadStatus.HEALTHY && message.status !== IstioWorkloadStatus.UNHEALTHY) {
    refuse('workload.status', `unknown value ${message.status}`);
  }
  const memberships = Object.entries(message.services).map(([service, { ports }]): Membership => {
    if (!service.includes('/')) refuse(`workload.services[${service}]`, 'the key is not NAMESPACE/HOSTNAME');
    const field = `workload.services[${service}].ports`;
    return {
      service: text(service),
      ports: new Map(
        ports.map((one, i) => [
          portOf(one.servicePort, `${field}[${i}].service_port`),
          one.targetPort === 0 ? 0 : portOf(one.targetPort, `${field}[${i}].target_port`),
        ]),
      ),
    };
  });
  return {
    workload,
    healthy: workload.ready,
    weight: message.capacity ?? 1,
    memberships,
    hostname: message.hostname,
  };
}

const noLabels = Object.freeze({});

/** Whether a workload looks the same to whoever reads the mesh. */
export function sameSpec(a: WorkloadSpec, b: WorkloadSpec): boolean {
  const { addresses: left, labels: _, locality: la, authorizationPolicies: pa, ...restA } = a.workload;
  const { addresses: right, labels: __, locality: lb, authorizationPolicies: pb, ...restB } = b.workload;
  const keys = Object.keys(restA) as (keyof typeof restA)[];
  return (
    sameStrings(left, right) &&
    sameStrings(pa ?? [], pb ?? []) &&
    la?.region === lb?.region &&
    la?.zone === lb?.zone &&
    la?.subzone === lb?.subzone &&
    keys.length === Object.keys(restB).length &&
    keys.every((key) => restA[key] === restB[key])
  );
}
