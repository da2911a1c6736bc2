/**
 * From a settled change of a source to the kernel, in one synchronous run: model, compile, publish, enrol. Whatever
 * fails on the way is logged with its object, and the kernel keeps its last good state.
 */
import { KmError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Source } from '../compile/http.ts';
import {
  type CompiledService,
  compileService,
  type Refusal,
  type RouteCompiler,
  workloadId,
} from '../compile/service.ts';
import type { Enroller } from '../enrol/enroller.ts';
import type { Layers } from '../model/layers.ts';
import type { MeshBuilder } from '../model/mesh.ts';
import type { ObjectChanges } from '../model/objects.ts';
import type { MeshDelta, Problem, Workload } from '../model/types.ts';
import type { Names } from '../probe/names.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { NodeView } from './agent.ts';

export interface ControllerParts {
  /** Of the objects. */
  readonly builder: MeshBuilder;
  /** The objects' mesh, and those of control planes. */
  readonly layers: Layers;
  readonly names: Names;
  /** Keeps the route tables that are in force. */
  readonly compiler: RouteCompiler;
  readonly enroller: Enroller;
  readonly node: Pick<NodeView, 'isHere' | 'changed' | 'enrolled'>;
  /** Makes a publisher that has read the kernel's tables. */
  readonly adopt: () => Publisher;
  readonly log: Logger;
  /** Some object cannot be read and has no earlier version in this process, or a source has not said all yet. */
  readonly unreadable: () => boolean;
  /** Sources that are still to be read, one line each. */
  readonly waiting: () => readonly string[];
  /** Told after each publish: seconds it took. */
  readonly onPublished: (seconds: number) => void;
}

/** How often retired records are looked at while there are any. */
const reapEveryMs = 250;

export class Controller {
  readonly #parts: ControllerParts;
  readonly #compiler: RouteCompiler;
  #publisher: Publisher;
  #synced = false;
  #failure: string | null = null;
  #refused = new Map<string, string>();
  #reaper: NodeJS.Timeout | null = null;
  /** Set when the kernel's state is not known: the next run publishes everything. */
  #stale = true;
  /** What could not be compiled, by service. */
  readonly #refusals = new Map<string, readonly Refusal[]>();
  /** The last whole publish left records alone that it did not know. */
  #keptOthers = false;
  /** Workloads that are to be under the mesh, by uid. */
  readonly #enrolled = new Map<string, Workload>();

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#compiler = parts.compiler;
    this.#publisher = parts.adopt();
  }

  get counts() {
    return this.#publisher.counts;
  }

  /** The last publish failed, or none was tried: the tables are not what the sources say. */
  get failed(): boolean {
    return this.#failure !== null || !this.#synced;
  }

  /** What keeps the kernel from holding what the sources say. */
  pending(): string[] {
    const pending = [...this.#refused].map(([service, reason]) => `service ${service}: ${reason}`);
    if (this.#failure !== null) pending.push(this.#failure);
    if (!this.#synced) pending.push('the sources have not been read yet');
    pending.push(...this.#parts.waiting());
    return pending;
  }

  /** What the sources say and no kernel table can hold, such as a bad regular expression of a route. */
  problems(): Problem[] {
    return [...this.#refusals].flatMap(([key, refusals]) => {
      const service = this.#parts.layers.mesh.services.get(key);
      if (service === undefined) return [];
      const { kind, namespace, name } = service;
      return refusals.map(({ code, reason, origin, table }): Problem => {
        const { file, line } = origin ?? service.origin;
        const lastGoodInForce = table !== null && this.#publisher.hasRouteTable(table);
        return { severity: 'error', code, kind, namespace, name, file, line, field: '', reason, lastGoodInForce };
      });
    });
  }

  /** Takes over a change of the objects. */
  apply(changes: ObjectChanges): void {
    const started = performance.now();
    this.#apply(this.#parts.builder.apply(changes), started);
  }

  /** Takes over a change of another layer. */
  applyLayer(delta: MeshDelta): void {
    this.#apply(delta, performance.now());
  }

  #apply(delta: MeshDelta, started: number): void {
    const merged = this.#parts.layers.update(delta);
    this.#synced = true;
    this.#take(merged);
    this.#parts.onPublished((performance.now() - started) / 1000);
  }

  /** Looks at network namespaces again, since pods without a status have their addresses from there, and tries again. */
  refresh(namespacesChanged: boolean): void {
    if (!this.#synced || !(namespacesChanged || this.#stale)) return;
    const delta = this.#parts.layers.update(this.#parts.builder.reevaluateNetns());
    if (delta.services.size + delta.workloads.size > 0 || this.#stale) this.#take(delta);
    else this.enrol();
  }

  /** Enrols what can be enrolled, although nothing has changed that a source says. */
  enrol(): void {
    if (!this.#synced || this.#stale) return;
    try {
      this.#enrol();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** All services as the compiler has them now. */
  *compiled(): Generator<CompiledService> {
    for (const service of this.#parts.layers.mesh.services.values()) yield compileService(service, this.#compiler);
  }

  /** What the kernel knows of the sources of requests otherwise than it should, one line each. */
  sourceDifferences(): string[] {
    return this.#publisher.sourceDifferences();
  }

  /** Addresses of the workloads that are under the mesh here. */
  ownAddresses(): readonly string[] {
    return [...this.#enrolled.values()].flatMap(({ addresses }) => addresses);
  }

  close(): void {
    if (this.#reaper !== null) clearTimeout(this.#reaper);
    this.#reaper = null;
  }

  #take(delta: MeshDelta): void {
    const { layers, names } = this.#parts;
    const addresses = names.update(layers.mesh, delta);
    this.#noteEnrolled(delta);
    this.#parts.node.changed(delta);
    try {
      // Ahead of the tables that ask for them.
      if (delta.workloads.size > 0 || this.#stale) this.#publisher.publishSources(this.#sources());
      this.#publish(delta);
      if (this.#stale) this.#publishAddresses();
      else if (addresses.size > 0) {
        this.#publisher.updateAddresses(new Map([...addresses].map((address) => [address, names.ownerOf(address)])));
      }
      this.#enrol();
      this.#stale = false;
      this.#failure = null;
    } catch (error) {
      this.#fail(error);
    }
    this.#reapLater();
  }

  /** What the kernel holds is not known any more: read it again, and publish everything at the next try. */
  #fail(error: unknown): void {
    const reason = error instanceof KmError ? error.line() : String(error);
    if (reason !== this.#failure) this.#parts.log.error('publish failed; the kernel keeps what it has', { reason });
    this.#failure = reason;
    this.#stale = true;
    this.#publisher = this.#parts.adopt();
  }

  #publish(delta: MeshDelta): void {
    const { mesh } = this.#parts.layers;
    const compile = (key: string): CompiledService | null => {
      const service = mesh.services.get(key);
      const compiled = service === undefined ? null : compileService(service, this.#compiler);
      if (compiled === null || compiled.refusals.length === 0) this.#refusals.delete(key);
      else this.#refusals.set(key, compiled.refusals);
      return compiled;
    };
    // What an earlier daemon left is the last good version of objects that this one has never read.
    const keepOthers = this.#parts.unreadable();
    if (this.#keptOthers && !keepOthers) this.#stale = true;
    if (this.#stale) this.#keptOthers = keepOthers;
    // A service that did not fit is tried again with every change: others may have made room.
    const keys = this.#stale ? [...mesh.services.keys()] : [...delta.services, ...this.#refused.keys()];
    const changes = new Map(keys.map((key) => [key, compile(key)] as const));
    const result = this.#stale
      ? this.#publisher.publishAll(withoutNull(changes), keepOthers)
      : this.#publisher.publish(changes);
    this.#reportRefused(result.refused);
    this.#parts.log.debug('published', {
      services: changes.size,
      written: result.written,
      removed: result.removed,
    });
  }

  #reportRefused(refused: ReadonlyMap<string, string>): void {
    for (const [service, reason] of refused) {
      if (this.#refused.get(service) !== reason) this.#parts.log.error('service does not fit', { service, reason });
    }
    this.#refused = new Map(refused);
  }

  /** Workloads that may send requests, by id. */
  #sources(): ReadonlyMap<bigint, Source> {
    return new Map([...this.#enrolled.values()].map((w) => [workloadId(w.uid), w]));
  }

  #publishAddresses(): void {
    const addresses = new Map<string, bigint>();
    for (const w of this.#parts.layers.mesh.workloads.values()) {
      if (w.hostNetwork) continue;
      const id = this.#parts.names.idOf(w.uid) ?? workloadId(w.uid);
      for (const address of w.addresses) addresses.set(address, id);
    }
    this.#publisher.publishAddresses(addresses);
  }

  #enrol(): void {
    this.#parts.enroller.sync(this.#enrolled.values());
    this.#parts.node.enrolled();
  }

  /** A cluster may have a hundred thousand workloads, of which few are here. */
  #noteEnrolled({ workloads }: MeshDelta): void {
    for (const uid of workloads) {
      const workload = this.#parts.layers.mesh.workloads.get(uid);
      if (workload?.enrolled === true && this.#parts.node.isHere(workload)) this.#enrolled.set(uid, workload);
      else this.#enrolled.delete(uid);
    }
  }

  #reapLater(): void {
    this.#reaper ??= setTimeout(() => {
      this.#reaper = null;
      try {
        const { deleted, waiting } = this.#publisher.reap();
        if (waiting) this.#reapLater();
        // What was deleted may have made room.
        if (deleted > 0 && this.#refused.size > 0) this.#take({ services: new Set(), workloads: new Set() });
      } catch (error) {
        this.#fail(error);
      }
    }, reapEveryMs);
  }
}

function withoutNull(changes: ReadonlyMap<string, CompiledService | null>): ReadonlyMap<string, CompiledService> {
  return new Map([...changes].flatMap(([key, compiled]) => (compiled === null ? [] : [[key, compiled] as const])));
}
