/**
 * What the kernel's ids mean. Names of what was removed are kept for a while, since connections outlive the pods and
 * services that they went to.
 */

import { addressFamily, hostPort } from '../base/address.ts';
import { clusterId, workloadId } from '../compile/service.ts';
import type { Mesh, MeshDelta, Service, ServicePort, Workload } from '../model/types.ts';

export interface ClusterName {
  readonly service: Service;
  readonly port: ServicePort;
  /** Name of the subset; empty: all endpoints. */
  readonly subset: string;
}

/** The service and port behind an address that clients connect to by TCP. */
export interface ListenerName {
  readonly service: Service;
  readonly port: ServicePort;
}

interface Entry<T> {
  value: T;
  /** Milliseconds since start when it was removed; null while it exists. */
  removed: number | null;
}

export const keepRemovedMs = 10 * 60 * 1000;

export class Names {
  readonly #workloads = new Map<bigint, Entry<Workload>>();
  readonly #clusters = new Map<bigint, Entry<ClusterName>>();
  readonly #byUid = new Map<string, bigint>();
  readonly #byService = new Map<string, readonly bigint[]>();
  readonly #byAddress = new Map<string, Workload>();
  readonly #listeners = new Map<string, ListenerName>();
  readonly #listenersOf = new Map<string, readonly string[]>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  workload(id: bigint): Workload | undefined {
    return this.#workloads.get(id)?.value;
  }

  cluster(id: bigint): ClusterName | undefined {
    return this.#clusters.get(id)?.value;
  }

  /** Of services that are there now. */
  listenerAt(address: string, port: number): ListenerName | undefined {
    const any = addressFamily(address) === 4 ? '0.0.0.0' : '::';
    return this.#listeners.get(hostPort(address, port)) ?? this.#listeners.get(hostPort(any, port));
  }

  workloadAt(address: string): Workload | undefined {
    return this.#byAddress.get(address);
  }

  /** Takes over what changed in the mesh. The addresses that workloads got or gave up. */
  update(mesh: Mesh, delta: MeshDelta): ReadonlySet<string> {
    const addresses = new Set<string>();
    for (const uid of delta.workloads) this.#updateWorkload(uid, mesh.workloads.get(uid), addresses);
    for (const key of delta.services) this.#updateService(key, mesh.services.get(key));
    return addresses;
  }

  /** Id of a workload that is there now. */
  idOf(uid: string): bigint | undefined {
    return this.#byUid.get(uid);
  }

  /** Id of the workload that has an address; null: none has. */
  ownerOf(address: string): bigint | null {
    const owner = this.#byAddress.get(address);
    return owner === undefined ? null : (this.#byUid.get(owner.uid) ?? null);
  }

  /** False for what was removed long ago or was never known; its name may be needed once more until {@link prune}. */
  exists(id: bigint): boolean {
    const entry = this.#workloads.get(id) ?? this.#clusters.get(id);
    return entry !== undefined && !this.#isOld(entry);
  }

  /** Forgets what was removed long ago. */
  prune(): void {
    for (const map of [this.#workloads, this.#clusters]) {
      for (const [id, entry] of map) if (this.#isOld(entry)) map.delete(id);
    }
  }

  #isOld(entry: Entry<unknown>): boolean {
    return entry.removed !== null && entry.removed < this.#now() - keepRemovedMs;
  }

  #updateWorkload(uid: string, workload: Workload | undefined, touched: Set<string>): void {
    const id = this.#byUid.get(uid) ?? workloadId(uid);
    for (const address of this.#workloads.get(id)?.value.addresses ?? []) {
      touched.add(address);
      if (this.#byAddress.get(address)?.uid === uid) this.#byAddress.delete(address);
    }
    if (workload === undefined) {
      const entry = this.#workloads.get(id);
      if (entry !== undefined) entry.removed = this.#now();
      this.#byUid.delete(uid);
      return;
    }
    this.#byUid.set(uid, id);
    this.#workloads.set(id, { value: workload, removed: null });
    if (workload.hostNetwork) return;
    for (const address of workload.addresses) {
      this.#byAddress.set(address, workload);
      touched.add(address);
    }
  }

  #updateService(key: string, service: Service | undefined): void {
    for (const id of this.#byService.get(key) ?? []) {
      const entry = this.#clusters.get(id);
      if (entry !== undefined) entry.removed = this.#now();
    }
    this.#byService.delete(key);
    for (const at of this.#listenersOf.get(key) ?? []) {
      if (this.#listeners.get(at)?.service.key === key) this.#listeners.delete(at);
    }
    this.#listenersOf.delete(key);
    if (service === undefined) return;
    const ids: bigint[] = [];
    for (const port of service.ports) {
      for (const family of [4, 6] as const) {
        for (const subset of ['', ...port.subsets.map(({ name }) => name)]) {
          const id = clusterId(service, port, family, subset);
          this.#clusters.set(id, { value: { service, port, subset }, removed: null });
          ids.push(id);
        }
      }
    }
    this.#byService.set(key, ids);
    const served = service.ports.filter(({ protocol, listener }) => protocol === 'TCP' && listener === undefined);
    const listeners = served.flatMap((port) => service.addresses.map((a) => [hostPort(a, port.port), port] as const));
    for (const [at, port] of listeners) this.#listeners.set(at, { service, port });
    this.#listenersOf.set(
      key,
      listeners.map(([at]) => at),
    );
  }
}
