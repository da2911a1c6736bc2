import { KmError } from '../base/errors.ts';
import type { AdminClient } from './client.ts';
import type { Labels } from './selector.ts';

/** One row of a table: an object of the API with what `get` needs to know of it. */
export interface Row {
  readonly item: object;
  /** Empty for kinds without namespaces. */
  readonly namespace: string;
  readonly name: string;
  /** Other things that a user can give instead of the name. */
  readonly alsoKnownAs: readonly string[];
  readonly labels: Labels;
  readonly cells: (wide: boolean, nowMs: number) => readonly string[];
}

/** A kind of object that `get` shows. */
export interface Kind {
  readonly singular: string;
  readonly plural: string;
  readonly aliases: readonly string[];
  readonly namespaced: boolean;
  readonly labelled: boolean;
  /** Without NAMESPACE and NAME. */
  readonly headers: (wide: boolean) => readonly string[];
  /** All of them, by namespace and name, and then by what tells rows of one name apart or in the order that counts. */
  readonly read: (client: AdminClient) => Promise<readonly Row[]>;
}

/** A column after NAME; `wide` ones are shown by `-o wide` alone. */
export interface Column<T> {
  readonly header: string;
  readonly wide?: true;
  readonly cell: (item: T, wide: boolean, nowMs: number) => string;
}

export interface KindSpec<T> {
  readonly singular: string;
  readonly plural: string;
  readonly aliases: readonly string[];
  readonly namespace?: (item: T) => string;
  readonly name: (item: T) => string;
  readonly alsoKnownAs?: (item: T) => readonly string[];
  readonly labels?: (item: T) => Labels;
  /** The API's order means something: rows are not sorted. */
  readonly ordered?: true;
  readonly columns: readonly Column<T>[];
}

/** Makes a kind of its columns. The API's path is the plural. */
export function defineKind<T extends object>(spec: KindSpec<T>): Kind {
  const shown = (wide: boolean) => spec.columns.filter((column) => wide || column.wide !== true);
  const rowOf = (item: T): Row => ({
    item,
    namespace: spec.namespace?.(item) ?? '',
    name: spec.name(item),
    alsoKnownAs: spec.alsoKnownAs?.(item) ?? [],
    labels: spec.labels?.(item) ?? {},
    cells: (wide, nowMs) => understand(spec.plural, () => shown(wide).map((column) => column.cell(item, wide, nowMs))),
  });
  return {
    singular: spec.singular,
    plural: spec.plural,
    aliases: spec.aliases,
    namespaced: spec.namespace !== undefined,
    labelled: spec.labels !== undefined,
    headers: (wide) => shown(wide).map((column) => column.header),
    read: async (client) => {
      const items = await client.list<T>(`/${spec.plural}`);
      return understand(spec.plural, () => {
        const rows = items.map(rowOf);
        return spec.ordered === true ? rows : rows.sort(byName);
      });
    },
  };
}

/** A daemon of another version may lack a field: KM6003 instead of a TypeError. */
function understand<R>(plural: string, read: () => R): R {
  try {
    return read();
  } catch (cause) {
    throw new KmError('KM6003', `GET /${plural}: an item is not as expected: ${String(cause)}`, { cause });
  }
}

function byName(a: Row, b: Row): number {
  return (
    compare(a.namespace, b.namespace) || compare(a.name, b.name) || compare(a.alsoKnownAs.join(), b.alsoKnownAs.join())
  );
}

/** By code unit: the same order in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
