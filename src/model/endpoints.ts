/**
 * The endpoints of one port, from EndpointSlices, from pods, or from a ServiceEntry's list. Endpoints of one address and port
 * are one; the first is kept.
 */
import { addressFamily } from '../base/address.ts';
import { hinted, type Nearness } from './hints.ts';
import type { Away } from './localities.ts';
import type {
  EndpointSliceObject,
  EntryEndpoint,
  EntryPort,
  Labels,
  PodObject,
  ServiceObject,
  ServiceObjectPort,
} from './objects.ts';
import type { Endpoint, Workload } from './types.ts';
import type { WorkloadObject } from './workloads.ts';
import { workloadUid } from './workloads.ts';

export interface PortEndpoints {
  readonly endpoints: readonly Endpoint[];
  readonly unready: number;
  /** Those of `unready` that are only not ready, with their places. */
  readonly away: readonly Away[];
  /** Hints have said which of them clients here use: nothing else does then. */
  readonly hinted?: true;
}

/** Whether an endpoint with these labels is meant; null: all are. A workload that is not known has no labels. */
export type Wanted = ((labels: Labels) => boolean) | null;

/** What endpoints are made with. */
export interface Lookup {
  readonly workload: (uid: string) => Workload | undefined;
  /** Pods of a namespace, by name; undefined when it has none. */
  readonly pods: (namespace: string) => ReadonlyMap<string, string> | undefined;
  /** uids of the workloads that have an address. */
  readonly byAddress: (address: string) => readonly string[];
}

/** Families that a service can send to: those of its own addresses, all when it has none. */
type Families = ReadonlySet<4 | 6> | null;

export function families(addresses: readonly string[]): Families {
  return addresses.length === 0 ? null : new Set(addresses.map(addressFamily));
}

class Collector {
  readonly #list: Endpoint[] = [];
  /** Made when the list is too long to look through. */
  #seen: Set<string> | null = null;
  readonly #away: Away[] = [];
  unready = 0;

  add(address: string, port: number, weight: number, workload: string | undefined, locality: string): void {
    if (this.#has(address, port)) return;
    this.#list.push({
      address,
      port,
      weight,
      ...(workload === undefined ? {} : { workload }),
      ...(locality === '' ? {} : { locality }),
    });
  }

  /** An endpoint that is not ready. */
  miss(addresses: readonly string[], workload: string | undefined, locality: string): void {
    this.unready++;
    for (const address of addresses) this.#away.push({ family: addressFamily(address), locality, workload });
  }

  #has(address: string, port: number): boolean {
    if (this.#list.length < 16) return this.#list.some((one) => one.address === address && one.port === port);
    this.#seen ??= new Set(this.#list.map((one) => `${one.address} ${one.port}`));
    const key = `${address} ${port}`;
    if (this.#seen.has(key)) return true;
    this.#seen.add(key);
    return false;
  }

  result(): PortEndpoints {
    return { endpoints: this.#list, unready: this.unready, away: this.#away };
  }
}

/**
 * Slices match by port name and protocol. An endpoint's workload is the pod that targetRef names, if there is one, else who has
 * the address. When no endpoint of the port is ready, those that still serve while they terminate
 * are used, as kube-proxy does, and whom they are meant for does not matter.
 */
export function fromSlices(
  slices: readonly EndpointSliceObject[],
  port: ServiceObjectPort,
  allowed: Families,
  lookup: Lookup,
  wanted: Wanted = null,
  near: Nearness | null = null,
): PortEndpoints {
  const ready = new Collector();
  const draining = new Collector();
  const matchOf = ({ ports }: EndpointSliceObject) =>
    ports.find((one) => one.name === port.name && one.protocol === port.protocol);
  const meant =
    near === null || near.localOnly || !near.hints
      ? null
      : hinted(
          slices.filter((slice) => matchOf(slice) !== undefined),
          near.place,
        );
  for (const slice of slices) {
    const match = matchOf(slice);
    if (match === undefined) continue;
    const pods = lookup.pods(slice.namespace);
    for (const endpoint of slice.endpoints) {
      const { address, state, pod, zone } = endpoint;
      if (allowed !== null && !allowed.has(addressFamily(address))) continue;
      const uid = pods?.get(pod) ?? workloadAt(address, lookup);
      if (wanted !== null && !wanted(labelsOf(uid, lookup))) continue;
      if (near?.localOnly === true && !isLocal(endpoint.node, uid, near, lookup)) continue;
      if (state === 'ready' && meant !== null && !meant(endpoint)) continue;
      const locality = localityOf(uid, lookup) || (zone === '' ? '' : `/${zone}`);
      if (state !== 'ready') ready.miss([address], uid, locality);
      if (state !== 'unready') (state === 'ready' ? ready : draining).add(address, match.port, 1, uid, locality);
    }
  }
  const result: PortEndpoints = { ...ready.result(), ...(meant === null ? {} : { hinted: true }) };
  const last = draining.result().endpoints;
  if (result.endpoints.length > 0 || last.length === 0) return result;
  return { endpoints: last, away: [], unready: Math.max(0, result.unready - last.length) };
}

/** Whether an endpoint is on the clients' node: as its slice says it, else its pod. A pod that names its namespace is here. */
function isLocal(node: string | undefined, uid: string | undefined, { place }: Nearness, lookup: Lookup): boolean {
  const workload = uid === undefined ? undefined : lookup.workload(uid);
  const said = node ?? workload?.node;
  return said === undefined ? workload?.netns !== undefined : said === place.node;
}

/** The workload with this address; one with its own network first. */
function workloadAt(address: string, lookup: Lookup): string | undefined {
  const uids = lookup.byAddress(address);
  return uids.find((uid) => lookup.workload(uid)?.hostNetwork === false) ?? uids[0];
}

function localityOf(uid: string | undefined, lookup: Lookup): string {
  return (uid === undefined ? undefined : lookup.workload(uid)?.locality) ?? '';
}

function labelsOf(uid: string | undefined, lookup: Lookup): Labels {
  return (uid === undefined ? undefined : lookup.workload(uid)?.labels) ?? {};
}

/** Pods that the service selects. `unnamed`: there are pods, and none has the named target port. */
export function fromPods(
  pods: readonly PodObject[],
  service: ServiceObject,
  port: ServiceObjectPort,
  allowed: Families,
  lookup: Lookup,
  wanted: Wanted = null,
  near: Nearness | null = null,
): PortEndpoints & { readonly unnamed: boolean } {
  const collector = new Collector();
  let named = 0;
  for (const pod of pods) {
    const workload = lookup.workload(workloadUid(pod));
    if (workload === undefined || pod.finished || !(wanted?.(pod.labels) ?? true)) continue;
    const number = targetPort(pod, port);
    if (number === null) continue;
    named++;
    const usable = workload.addresses.filter((address) => allowed === null || allowed.has(addressFamily(address)));
    const { uid, locality = '' } = workload;
    if (near?.localOnly === true && !isLocal(undefined, uid, near, lookup)) continue;
    if (!workload.ready && !service.publishNotReady) collector.miss(usable, uid, locality);
    else if (workload.addresses.length === 0) collector.unready++;
    else for (const address of usable) collector.add(address, number, 1, uid, locality);
  }
  return { ...collector.result(), unnamed: typeof port.targetPort === 'string' && pods.length > 0 && named === 0 };
}

function targetPort(pod: PodObject, port: ServiceObjectPort): number | null {
  if (typeof port.targetPort === 'number') return port.targetPort;
  const match = pod.ports.find((one) => one.name === port.targetPort && one.protocol === port.protocol);
  return match?.port ?? null;
}

/** A ServiceEntry's own list. A weight of 0 is an endpoint out of use. Its labels are those in the list, if it has any there. */
export function fromList(
  list: readonly EntryEndpoint[],
  port: EntryPort,
  allowed: Families,
  lookup: Lookup,
  wanted: Wanted = null,
): PortEndpoints {
  const collector = new Collector();
  for (const { address, ports, weight, labels, locality } of list) {
    if (allowed !== null && !allowed.has(addressFamily(address))) continue;
    const uid = workloadAt(address, lookup);
    const own = Object.keys(labels).length > 0;
    if (wanted !== null && !wanted(own ? labels : labelsOf(uid, lookup))) continue;
    if (weight === 0) collector.unready++;
    else collector.add(address, ports[port.name] ?? port.targetPort, weight, uid, locality || localityOf(uid, lookup));
  }
  return collector.result();
}

/** The workloads that a ServiceEntry selects: WorkloadEntries with their own ports and weights, and pods. */
export function fromWorkloads(
  objects: readonly WorkloadObject[],
  port: EntryPort,
  allowed: Families,
  lookup: Lookup,
  wanted: Wanted = null,
): PortEndpoints {
  const collector = new Collector();
  for (const object of objects) {
    const workload = lookup.workload(workloadUid(object));
    if (!(wanted?.(object.labels) ?? true)) continue;
    if (workload === undefined || (object.kind === 'Pod' && object.finished)) continue;
    const weight = object.kind === 'Pod' ? 1 : object.weight;
    const number = (object.kind === 'Pod' ? undefined : object.ports[port.name]) ?? port.targetPort;
    const { uid, locality = '' } = workload;
    const usable = workload.addresses.filter((address) => allowed === null || allowed.has(addressFamily(address)));
    if (weight === 0 || workload.addresses.length === 0) collector.unready++;
    else if (!workload.ready) collector.miss(usable, uid, locality);
    else for (const address of usable) collector.add(address, number, weight, uid, locality);
  }
  return collector.result();
}
