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

export const keepRemovedMs = 10 * 60 * 1000;

export class Names {
  readonly #workloads = new Map<bigint, Workload>();
  readonly #clusters = new Map<bigint, ClusterName>();
  /** When those were removed that are not there any more, in milliseconds since start. */
  readonly #removed = new Map<bigint, number>();
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
    return this.#workloads.get(id);
  }

  cluster(id: bigint): ClusterName | undefined {
    return this.#clusters.get(id);
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
    return (this.#workloads.has(id) || this.#clusters.has(id)) && !this.#isOld(id);
  }

  /** Forgets what was removed long ago. */
  prune(): void {
    for (const id of this.#removed.keys()) {
      if (!this.#isOld(id)) continue;
      this.#removed.delete(id);
      this.#workloads.delete(id);
      this.#clusters.delete(id);
    }
  }

  #isOld(id: bigint): boolean {
    const removed = this.#removed.get(id);
    return removed !== undefined && removed < this.#now() - keepRemovedMs;
  }

  #updateWorkload(uid: string, workload: Workload | undefined, touched: Set<string>): void {
    const id = this.#byUid.get(uid) ?? workloadId(uid);
    for (const address of this.#workloads.get(id)?.addresses ?? []) {
      touched.add(address);
      if (this.#byAddress.get(address)?.uid === uid) this.#byAddress.delete(address);
    }
    if (workload === undefined) {
      if (this.#byUid.delete(uid)) this.#removed.set(id, this.#now());
      return;
    }
    this.#byUid.set(uid, id);
    this.#workloads.set(id, workload);
    this.#removed.delete(id);
    if (workload.hostNetwork) return;
    for (const address of workload.addresses) {
      this.#byAddress.set(address, workload);
      touched.add(address);
    }
  }

  #updateService(key: string, service: Service | undefined): void {
    for (const id of this.#byService.get(key) ?? []) this.#removed.set(id, this.#now());
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
          this.#clusters.set(id, { service, port, subset });
          this.#removed.delete(id);
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
