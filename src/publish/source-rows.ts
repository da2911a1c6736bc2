/**
 * Which predicates over the source hold for each enrolled workload, for each route table that has such predicates
 * (km_source). Rows of a table are written before it and deleted after it; one that is all zeros is left out, since a
 * missing row reads as zeros.
 */
import { type Source, sourceBits } from '../compile/http.ts';
import type { KmSource, KmSourceKey } from '../kernel/gen/layout.gen.ts';
import type { SourceMatch } from '../model/http.ts';
import { sizeFlags } from './capacity.ts';
import { Retired } from './retired.ts';
import type { Table } from './tables.ts';

interface Row {
  readonly key: KmSourceKey;
  bits: readonly bigint[];
}

const zeros = [0n, 0n, 0n, 0n] as const;
const nameOf = (key: KmSourceKey): string => `${key.generation} ${key.workload}`;
const same = (a: readonly bigint[], b: readonly bigint[]): boolean => a.every((word, i) => word === b[i]);

export class SourceRows {
  readonly #table: Table<KmSourceKey, KmSource>;
  /** What the kernel holds. */
  readonly #rows = new Map<string, Row>();
  /** Predicates of the tables in use, by generation. */
  readonly #predicates = new Map<bigint, readonly SourceMatch[]>();
  readonly #retired: Retired<string>;
  #workloads: ReadonlyMap<bigint, Source> = new Map();
  /** Rows that are to be written for tables that were just added. */
  #planned = 0;

  constructor(table: Table<KmSourceKey, KmSource>, graceMs: number) {
    this.#table = table;
    this.#retired = new Retired(graceMs);
  }

  get waiting(): boolean {
    return this.#retired.size > 0;
  }

  adopt(): void {
    for (const [key, { bits }] of this.#table.entries()) this.#rows.set(nameOf(key), { key, bits });
  }

  /** Takes over a table's predicates, if its rows fit; else the reason. {@link write} writes them. */
  add(generation: bigint, predicates: readonly SourceMatch[]): string | null {
    if (predicates.length === 0 || this.#predicates.has(generation)) return null;
    const more = [...this.#rowsOf(generation, predicates)].filter(([name]) => !this.#rows.has(name)).length;
    const used = this.#rows.size + this.#planned;
    const { maxEntries } = this.#table;
    if (used + more <= maxEntries) {
      this.#predicates.set(generation, predicates);
      this.#planned += more;
      return null;
    }
    return `KM3001 km_source is full (${used}/${maxEntries}, ${more} more needed): raise ${sizeFlags.source}`;
  }

  /** The workloads that may send requests, by their ids. */
  setWorkloads(workloads: ReadonlyMap<bigint, Source>): void {
    this.#workloads = workloads;
  }

  /** Brings the rows of all tables in use to what the workloads are. Returns how many were written. */
  write(): number {
    const wanted = this.#wanted();
    const changed: Row[] = [];
    for (const [name, row] of wanted) {
      this.#retired.revive(name);
      const held = this.#rows.get(name);
      if (held === undefined || !same(held.bits, row.bits)) changed.push(row);
    }
    for (const [name, { key, bits }] of this.#rows) {
      // Not deleted while a request may be reading it.
      if (this.#inUse(key) && !wanted.has(name) && !same(bits, zeros)) changed.push({ key, bits: zeros });
    }
    this.#table.write(
      changed.map(({ key, bits }) => [key, { bits }] as const),
      'in-place',
    );
    for (const row of changed) this.#rows.set(nameOf(row.key), row);
    this.#planned = 0;
    return changed.length;
  }

  /** Only these tables are in use now: rows of others, and of workloads that have gone, are deleted after the grace period. */
  keep(generations: ReadonlySet<bigint>, now: number): void {
    for (const generation of this.#predicates.keys()) {
      if (!generations.has(generation)) this.#predicates.delete(generation);
    }
    for (const [name, { key }] of this.#rows) {
      const known = this.#predicates.has(key.generation);
      // What the bits of a table mean that an earlier daemon left is not known: its rows stay as they are.
      if (known ? this.#workloads.has(key.workload) : generations.has(key.generation)) continue;
      if (!this.#retired.has(name)) this.#retired.add(name, now);
    }
  }

  reap(now: number): number {
    const due = this.#retired.takeDue(now);
    this.#table.remove(due.flatMap((name) => this.#rows.get(name)?.key ?? []));
    for (const name of due) this.#rows.delete(name);
    return due.length;
  }

  /** What the kernel holds otherwise, one line each. */
  differences(): string[] {
    const found: string[] = [];
    for (const [, { key, bits }] of this.#wanted()) {
      if (!same(this.#table.get(key)?.bits ?? zeros, bits)) {
        found.push(`source ${key.workload} of route table ${key.generation} has other bits in the kernel`);
      }
    }
    return found;
  }

  #inUse({ generation, workload }: KmSourceKey): boolean {
    return this.#predicates.has(generation) && this.#workloads.has(workload);
  }

  #wanted(): Map<string, Row> {
    return new Map(
      [...this.#predicates].flatMap(([generation, predicates]) => [...this.#rowsOf(generation, predicates)]),
    );
  }

  *#rowsOf(generation: bigint, predicates: readonly SourceMatch[]): Generator<readonly [string, Row]> {
    for (const [workload, source] of this.#workloads) {
      const bits = sourceBits(predicates, source);
      const key = { generation, workload };
      if (!same(bits, zeros)) yield [nameOf(key), { key, bits }];
    }
  }
}
