/** A Workload of Istio's workload API, checked, as the model has it. */
import { sameStrings } from '../../../model/same.ts';
import type { Origin, Workload } from '../../../model/types.ts';
import { IstioNetworkMode, IstioTunnelProtocol, type IstioWorkload, IstioWorkloadStatus } from '../gen/messages.gen.ts';
import { refuse } from '../refusal.ts';
import { addressOf, Interner, portOf, waypointOf } from './fields.ts';

/** Its part in a service. */
export interface Membership {
  /** `NAMESPACE/HOSTNAME` */
  readonly service: string;
  /** Port of the service → port of the workload, 0: as the service says. */
  readonly ports: ReadonlyMap<number, number>;
}

/** The model's workload, and what only the services need: one object, for there may be a hundred thousand. */
export interface WorkloadSpec extends Workload {
  readonly weight: number;
  readonly memberships: readonly Membership[];
  /** Its addresses have to be asked for by name. */
  readonly hostname: string;
}

const tunnels = new Map<number, string>(Object.entries(IstioTunnelProtocol).map(([name, number]) => [number, name]));

/** Gives one and the same object for equal ones: workloads share their places, accounts and ports. */
export class Sharing {
  readonly text = new Interner();
  readonly #memberships = new Map<string, readonly Membership[]>();

  memberships(key: string, make: () => readonly Membership[]): readonly Membership[] {
    return remembered(this.#memberships, key, make);
  }
}

/** What comes and goes must not stay for ever. */
const most = 100_000;

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const old = known.get(key);
  if (old !== undefined) return old;
  if (known.size >= most) known.clear();
  const made = make();
  known.set(key, made);
  return made;
}

/** `given`: its name as the control plane put it beside. Throws FieldError. */
export function workloadSpec(
  message: IstioWorkload,
  given: string | null,
  origin: Origin,
  sharing: Sharing,
): WorkloadSpec {
  const { name, locality } = message;
  if (message.uid === '') refuse('workload.uid', 'missing');
  if (given !== null && message.uid !== given) refuse('workload.uid', `it is ${message.uid}`);
  if (message.status !== IstioWorkloadStatus.HEALTHY && message.status !== IstioWorkloadStatus.UNHEALTHY) {
    refuse('workload.status', `unknown value ${message.status}`);
  }
  const uid = given ?? message.uid;
  const text = (one: string): string => sharing.text.of(one);
  const waypoint = waypointOf(message.waypoint);
  const { workloadName } = message;
  const optional: { -readonly [K in keyof Workload]?: Workload[K] } = {};
  if (message.node !== '') optional.node = text(message.node);
  if (message.network !== '') optional.network = text(message.network);
  if (locality !== undefined) {
    const { region, zone, subzone } = locality;
    optional.locality = sharing.text.of(`${region}/${zone}/${subzone}`.replace(/\/+$/, ''));
  }
  if (waypoint !== undefined) optional.waypoint = text(waypoint);
  if (message.tunnelProtocol !== IstioTunnelProtocol.NONE) {
    optional.tunnel = tunnels.get(message.tunnelProtocol) ?? String(message.tunnelProtocol);
  }
  if (message.trustDomain !== '') optional.trustDomain = text(message.trustDomain);
  if (message.clusterId !== '') optional.clusterId = text(message.clusterId);
  const { authorizationPolicies: policies } = message;
  if (policies.length > 0) optional.authorizationPolicies = policies.map(text);
  return {
    uid,
    kind: uid.includes('//Pod/') ? 'Pod' : 'WorkloadEntry',
    namespace: text(message.namespace),
    name,
    serviceAccount: text(message.serviceAccount === '' ? 'default' : message.serviceAccount),
    labels: noLabels,
    owner: workloadName === '' || workloadName === name ? name : text(workloadName),
    addresses: message.addresses.map((bytes, i) => addressOf(bytes, `workload.addresses[${i}]`)),
    ready: message.status === IstioWorkloadStatus.HEALTHY,
    enrolled: false,
    hostNetwork: message.networkMode === IstioNetworkMode.HOST_NETWORK,
    origin,
    weight: message.capacity ?? 1,
    memberships: membershipsOf(message, sharing),
    hostname: message.hostname,
    ...optional,
  };
}

function membershipsOf({ services }: IstioWorkload, sharing: Sharing): readonly Membership[] {
  const entries = Object.entries(services);
  const key = entries
    .map(([service, { ports }]) => `${service} ${ports.map((one) => `${one.servicePort}:${one.targetPort}`).join()}`)
    .join(' ');
  return sharing.memberships(key, () =>
    entries.map(([service, { ports }]): Membership => {
      if (!service.includes('/')) refuse(`workload.services[${service}]`, 'the key is not NAMESPACE/HOSTNAME');
      const field = `workload.services[${service}].ports`;
      return {
        service,
        ports: new Map(
          ports.map((one, i) => [
            portOf(one.servicePort, `${field}[${i}].service_port`),
            one.targetPort === 0 ? 0 : portOf(one.targetPort, `${field}[${i}].target_port`),
          ]),
        ),
      };
    }),
  );
}

const noLabels = Object.freeze({});

/** Whether a workload looks the same to whoever reads the mesh. */
export function sameSpec(a: WorkloadSpec, b: WorkloadSpec): boolean {
  return (
    a.serviceAccount === b.serviceAccount &&
    a.namespace === b.namespace &&
    a.name === b.name &&
    a.owner === b.owner &&
    a.ready === b.ready &&
    a.hostNetwork === b.hostNetwork &&
    a.node === b.node &&
    a.network === b.network &&
    a.waypoint === b.waypoint &&
    a.tunnel === b.tunnel &&
    a.trustDomain === b.trustDomain &&
    a.clusterId === b.clusterId &&
    a.locality === b.locality &&
    sameStrings(a.addresses, b.addresses) &&
    sameStrings(a.authorizationPolicies ?? [], b.authorizationPolicies ?? [])
  );
}
