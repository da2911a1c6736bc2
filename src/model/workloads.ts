/** Pods and WorkloadEntries as workloads, and the way back from an address to its workload. */
import { canonicalAddress } from '../base/address.ts';
import type { DataplaneMode, KubeletPod, Labels, PodObject, WorkloadEntryObject } from './objects.ts';
import { sameStrings } from './same.ts';
import type { Workload } from './types.ts';

export type WorkloadObject = PodObject | WorkloadEntryObject;

/** Finds a network namespace by path: its path, and the addresses of its interfaces but loopback. Null: not there. */
export type ResolveNetns = (path: string) => { readonly path: string; readonly addresses: readonly string[] } | null;

export function workloadUid(object: Pick<WorkloadObject, 'kind' | 'namespace' | 'name'>): string {
  return `Kubernetes//${object.kind}/${object.namespace}/${object.name}`;
}

/** Path of the annotation `kmesh.net/netns`: a name without a slash is one of `ip netns`. */
export function netnsPath(annotation: string): string {
  return annotation.includes('/') ? annotation : `/run/netns/${annotation}`;
}

/**
 * Whether a pod's addresses are read from its network namespace: it names one, and has no status that tells them. Not of a
 * pod of an API server, whose author could name another pod's: its kubelet tells its addresses.
 */
export function readsNetns(object: WorkloadObject): object is PodObject {
  if (object.kind !== 'Pod' || object.kubelet !== undefined) return false;
  return object.netns !== '' && object.addresses.length === 0 && !object.finished;
}

export function makeWorkload(object: WorkloadObject, mode: DataplaneMode, resolve: ResolveNetns): Workload {
  const { kind, namespace, name, labels, owner, serviceAccount, origin } = object;
  const common = { uid: workloadUid(object), kind, namespace, name, serviceAccount, labels, owner, origin };
  const located = object.locality === '' ? {} : { locality: object.locality };
  if (object.kind === 'WorkloadEntry') {
    return { ...common, ...located, addresses: [object.address], ready: true, enrolled: false, hostNetwork: false };
  }
  const { hostNetwork, finished } = object;
  const wanted = (object.dataplaneMode || mode) === 'kmesh';
  const found = readsNetns(object) ? resolve(netnsPath(object.netns)) : null;
  const addresses = found === null ? object.addresses : found.addresses.flatMap((text) => canonicalAddress(text) ?? []);
  return {
    ...common,
    // The address of a pod that has ended may belong to another one by now.
    addresses: finished ? [] : addresses,
    ready: object.ready && !finished,
    enrolled: wanted && !hostNetwork && !finished,
    hostNetwork,
    ...(object.netns === '' ? {} : { netns: found?.path ?? netnsPath(object.netns) }),
    ...located,
    ...(object.node === '' ? {} : { node: object.node }),
    ...(object.kubelet === undefined ? {} : { kubelet: object.kubelet }),
  };
}

export function sameLabels(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

export function samePlace(a: Workload, b: Workload): boolean {
  return a.node === b.node && a.locality === b.locality;
}

export function sameWorkload(a: Workload, b: Workload): boolean {
  return (
    a.uid === b.uid &&
    a.serviceAccount === b.serviceAccount &&
    a.owner === b.owner &&
    a.ready === b.ready &&
    a.enrolled === b.enrolled &&
    a.hostNetwork === b.hostNetwork &&
    a.netns === b.netns &&
    sameKubelet(a.kubelet, b.kubelet) &&
    samePlace(a, b) &&
    a.origin === b.origin &&
    sameStrings(a.addresses, b.addresses) &&
    sameLabels(a.labels, b.labels)
  );
}

function sameKubelet(a: KubeletPod | undefined, b: KubeletPod | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.uid === b.uid && a.runtimeUid === b.runtimeUid && a.redirection === b.redirection;
}

/** Who has an address. Several may: pods of the host's network share its address. */
export class AddressBook {
  readonly #uids = new Map<string, readonly string[]>();

  add(address: string, uid: string): void {
    const uids = this.#uids.get(address) ?? [];
    if (!uids.includes(uid)) this.#uids.set(address, [...uids, uid].sort());
  }

  remove(address: string, uid: string): void {
    const left = (this.#uids.get(address) ?? []).filter((other) => other !== uid);
    if (left.length > 0) this.#uids.set(address, left);
    else this.#uids.delete(address);
  }

  find(address: string): readonly string[] {
    return this.#uids.get(address) ?? [];
  }
}
