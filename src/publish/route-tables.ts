/**
 * Which route table is in which place of the kernel. A table that changes and keeps its size is replaced where it is; one
 * that needs another size gets a new place, to which its listeners are switched, and the old one is cleared after the
 * grace period. A table that was refused keeps the last good one.
 */
import type { Source } from '../compile/http.ts';
import type { CompiledTable } from '../compile/service.ts';
import { Retired } from './retired.ts';
import { bitsOf, handleOf, placeOf, type RouteStore, type SizeClass, sizeClasses } from './route-store.ts';
import type { SourceRows } from './source-rows.ts';

interface Held {
  readonly handle: number;
  readonly generation: bigint | null;
}

/** A place that an earlier daemon filled, and the listeners that lead there. */
interface Adopted extends Held {
  readonly listeners: Set<string>;
}

export interface PlannedTable {
  /** For the listeners; 0: none is in force. */
  readonly handle: number;
  /** Why the wanted table does not fit, or null. */
  readonly refusal: string | null;
}

export class RouteTables {
  readonly #store: RouteStore;
  readonly #rows: SourceRows;
  readonly #held = new Map<string, Held>();
  readonly #adopted = new Map<number, Adopted>();
  readonly #adoptedOf = new Map<string, Adopted>();
  /** Places that are taken, those to be cleared included. */
  readonly #taken = new Set<number>();
  /** Where the next search for a free place begins. */
  readonly #next = new Map<SizeClass, number>();
  readonly #retired: Retired<number>;
  #writes = new Map<number, Uint32Array>();
  /** Given up in this publish: cleared after the listeners are switched. */
  readonly #leaving = new Set<number>();
  /** Something about tables or workloads has changed since the last {@link retire}. */
  #stale = false;

  constructor(store: RouteStore, rows: SourceRows, graceMs: number) {
    this.#store = store;
    this.#rows = rows;
    this.#retired = new Retired(graceMs);
  }

  get count(): number {
    return this.#held.size + this.#adopted.size;
  }

  sourceDifferences(): string[] {
    return this.#rows.differences();
  }

  /** Of the tables in force. */
  names(): string[] {
    return [...this.#held.keys()];
  }

  has(name: string): boolean {
    return this.#held.has(name);
  }

  get waiting(): boolean {
    return this.#retired.size > 0 || this.#rows.waiting;
  }

  /** Reads what the kernel holds; `listeners` are those in use, with their tables' numbers. */
  adopt(listeners: Iterable<readonly [name: string, handle: number]>, now: number): void {
    for (const handle of this.#store.handles()) this.#taken.add(handle);
    for (const [name, handle] of listeners) {
      if (handle === 0) continue;
      const known = this.#adopted.get(handle);
      const adopted = known ?? { handle, generation: this.#store.generation(handle), listeners: new Set<string>() };
      adopted.listeners.add(name);
      this.#adopted.set(handle, adopted);
      this.#adoptedOf.set(name, adopted);
      this.#taken.add(handle);
    }
    this.#rows.adopt();
    this.#stale = true;
    for (const handle of this.#taken) if (!this.#adopted.has(handle)) this.#retired.add(handle, now);
  }

  /** The workloads that may send requests. Takes effect with the next {@link write}. */
  setWorkloads(workloads: ReadonlyMap<bigint, Source>): void {
    this.#rows.setWorkloads(workloads);
    this.#stale = true;
  }

  /** Finds the place of a table and prepares its write. */
  plan(table: CompiledTable, listeners: readonly string[]): PlannedTable {
    const held = this.#held.get(table.name) ?? this.#claim(table, listeners);
    const { routes } = table;
    if (routes === null) return { handle: held?.handle ?? 0, refusal: null };
    const full = this.#rows.add(routes.generation, routes.sources);
    if (full !== null) return { handle: held?.handle ?? 0, refusal: full };
    if (held?.generation === routes.generation) return { handle: held.handle, refusal: null };
    const { words } = routes.blob;
    const handle = this.#placeFor(words.byteLength, held);
    if (handle === null) return { handle: held?.handle ?? 0, refusal: this.#fullReason(words.byteLength) };
    this.#stale = true;
    this.#writes.set(handle, words);
    if (held !== undefined && held.handle !== handle) this.#leaving.add(held.handle);
    this.#held.set(table.name, { handle, generation: routes.generation });
    return { handle, refusal: null };
  }

  /** The listeners of a table have gone, or have another one. */
  forget(name: string): void {
    const held = this.#held.get(name);
    if (held === undefined) return;
    this.#held.delete(name);
    this.#stale = true;
    this.#leaving.add(held.handle);
  }

  /** No service of the mesh has claimed what is left of an earlier daemon. */
  forgetUnclaimed(): void {
    this.#stale = true;
    for (const handle of this.#adopted.keys()) this.#leaving.add(handle);
    this.#adopted.clear();
  }

  /** Writes rows of sources and then tables: before the listeners. Returns how many of both were written. */
  write(): number {
    const rows = this.#stale ? this.#rows.write() : 0;
    const writes = [...this.#writes];
    this.#writes = new Map();
    this.#store.put(writes);
    return rows + writes.length;
  }

  /** After the listeners. Returns how many places were given up. */
  retire(now: number): number {
    if (!this.#stale) return 0;
    const count = this.#leaving.size;
    for (const handle of this.#leaving) this.#retired.add(handle, now);
    this.#leaving.clear();
    const inForce = [...this.#held.values(), ...this.#adopted.values()].map(({ generation }) => generation ?? 0n);
    this.#rows.keep(new Set(inForce), now);
    this.#stale = false;
    return count;
  }

  /** Clears what was given up long enough ago. */
  reap(now: number): number {
    const due = this.#retired.takeDue(now);
    this.#store.clear(due);
    for (const handle of due) this.#taken.delete(handle);
    return due.length + this.#rows.reap(now);
  }

  /** The place to which an earlier daemon led these listeners, unless it led others there as well. */
  #claim({ name, routes }: CompiledTable, listeners: readonly string[]): Held | undefined {
    for (const listener of listeners) {
      const adopted = this.#adoptedOf.get(listener);
      if (adopted === undefined || !this.#adopted.has(adopted.handle)) continue;
      const own = [...adopted.listeners].every((one) => listeners.includes(one));
      if (!own && routes !== null && routes.generation !== adopted.generation) continue;
      this.#adopted.delete(adopted.handle);
      this.#stale = true;
      this.#held.set(name, adopted);
      return adopted;
    }
    return undefined;
  }

  /** Where a blob of this size goes: where it is, or a free place of the smallest size that has one. */
  #placeFor(bytes: number, held: Held | undefined): number | null {
    const fitting = sizeClasses.filter((bits) => bytes <= 2 ** bits);
    const [smallest] = fitting;
    if (held !== undefined && bitsOf(held.handle) === smallest) return held.handle;
    for (const bits of fitting) {
      const handle = this.#freePlace(bits);
      if (handle !== null) return handle;
    }
    return null;
  }

  #freePlace(bits: SizeClass): number | null {
    const places = this.#store.places(bits);
    const start = this.#next.get(bits) ?? 0;
    for (let i = 0; i < places; i++) {
      const handle = handleOf(bits, (start + i) % places);
      if (this.#taken.has(handle)) continue;
      this.#taken.add(handle);
      this.#next.set(bits, placeOf(handle) + 1);
      return handle;
    }
    return null;
  }

  #fullReason(bytes: number): string {
    const bits = sizeClasses.find((one) => bytes <= 2 ** one) ?? 22;
    const places = this.#store.places(bits);
    return `KM3001 km_route_${bits} is full (${places}/${places}), and so are those of larger tables`;
  }
}
