/** Workloads: pods and WorkloadEntries, what selects them, and who has which address. */
import type { Lookup } from './endpoints.ts';
import type { ModelProblems } from './modelproblems.ts';
import type { DataplaneMode } from './objects.ts';
import { sameStrings } from './same.ts';
import { SelectorIndex } from './selectors.ts';
import type { Workload } from './types.ts';
import {
  AddressBook,
  makeWorkload,
  netnsPath,
  type ResolveNetns,
  readsNetns,
  sameLabels,
  samePlace,
  sameWorkload,
  type WorkloadObject,
  workloadUid,
} from './workloads.ts';

export interface MembersOptions {
  readonly resolveNetns: ResolveNetns;
  readonly problems: ModelProblems;
  /** Told of each selector that picks a workload that changes. */
  readonly selected: (id: string) => void;
}

/** What an update changed. */
export interface MemberChanges {
  readonly workloads: Set<string>;
  /** uids and addresses that are there now, are gone, or have other labels: endpoints that name them are others now. */
  readonly moved: ReadonlySet<string>;
}

export class Members {
  readonly workloads = new Map<string, Workload>();
  readonly selectors = new SelectorIndex();
  readonly lookup: Lookup = {
    workload: (uid) => this.workloads.get(uid),
    pods: (namespace) => this.#pods.get(namespace),
    byAddress: (address) => this.#addresses.find(address),
  };
  readonly #options: MembersOptions;
  readonly #modes = new Map<string, DataplaneMode>();
  readonly #objects = new Map<string, WorkloadObject>();
  /** uids of the pods of each namespace, by name. */
  readonly #pods = new Map<string, Map<string, string>>();
  readonly #addresses = new AddressBook();
  #dirty = new Set<string>();

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  setMode(namespace: string, mode: DataplaneMode): void {
    if ((this.#modes.get(namespace) ?? '') === mode) return;
    if (mode === '') this.#modes.delete(namespace);
    else this.#modes.set(namespace, mode);
    for (const uid of this.selectors.membersIn(namespace)) this.#dirty.add(uid);
  }

  set(object: WorkloadObject): void {
    const uid = workloadUid(object);
    const old = this.#objects.get(uid);
    if (old !== undefined) this.#touch(uid, old);
    this.#objects.set(uid, object);
    if (object.kind === 'Pod') {
      const pods = this.#pods.get(object.namespace);
      if (pods === undefined) this.#pods.set(object.namespace, new Map([[object.name, uid]]));
      else pods.set(object.name, uid);
    }
    this.selectors.setMember(uid, object.namespace, object.labels);
    this.#touch(uid, object);
  }

  remove(key: Pick<WorkloadObject, 'kind' | 'namespace' | 'name'>): void {
    const uid = workloadUid(key);
    const old = this.#objects.get(uid);
    if (old === undefined) return;
    this.#touch(uid, old);
    this.#objects.delete(uid);
    if (key.kind === 'Pod') this.#pods.get(key.namespace)?.delete(key.name);
    this.selectors.removeMember(uid, key.namespace);
  }

  /** Marks the pods whose addresses come from their network namespaces. */
  reevaluateNetns(): void {
    for (const [uid, object] of this.#objects) if (readsNetns(object)) this.#touch(uid, object);
  }

  /** What a selector picks, sorted. */
  selected(id: string): WorkloadObject[] {
    return this.selectors.membersOf(id).flatMap((uid) => this.#objects.get(uid) ?? []);
  }

  #touch(uid: string, object: WorkloadObject): void {
    this.#dirty.add(uid);
    for (const id of this.selectors.selectorsOf(object.namespace, object.labels)) this.#options.selected(id);
  }

  update(): MemberChanges {
    const workloads = new Set<string>();
    const moved = new Set<string>();
    for (const uid of this.#dirty) {
      const object = this.#objects.get(uid);
      const old = this.workloads.get(uid);
      const mode = this.#modes.get(object?.namespace ?? '') ?? '';
      const made = object === undefined ? undefined : makeWorkload(object, mode, this.#options.resolveNetns);
      this.#noteNetns(uid, object, made);
      if (made === undefined ? old === undefined : old !== undefined && sameWorkload(old, made)) continue;
      workloads.add(uid);
      if (made === undefined) this.workloads.delete(uid);
      else this.workloads.set(uid, made);
      const before = old?.addresses ?? [];
      const after = made?.addresses ?? [];
      const stays = old !== undefined && made !== undefined && sameStrings(before, after);
      if (stays && sameLabels(old.labels, made.labels) && samePlace(old, made)) continue;
      moved.add(uid);
      for (const address of before) this.#addresses.remove(address, uid);
      for (const address of after) this.#addresses.add(address, uid);
      for (const address of [...before, ...after]) moved.add(address);
    }
    this.#dirty = new Set();
    return { workloads, moved };
  }

  #noteNetns(uid: string, object: WorkloadObject | undefined, made: Workload | undefined): void {
    const { problems } = this.#options;
    const missing = object !== undefined && readsNetns(object) && made?.addresses.length === 0;
    if (!missing) {
      problems.clear(`workload ${uid}`);
      return;
    }
    const reason = `no addresses in network namespace ${netnsPath(object.netns)} (yet): the pod gets no traffic`;
    const path = ['metadata', 'annotations', 'kmesh.net/netns'];
    problems.set(`workload ${uid}`, [{ severity: 'warning', code: 'KM2007', object, path, reason: () => reason }]);
  }
}
