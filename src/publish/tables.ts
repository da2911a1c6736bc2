/** The kernel's tables as the publisher needs them: the typed maps of src/kernel fit this shape. */
import type {
  KmCluster,
  KmClusterStats,
  KmEndpoint,
  KmEndpointStats,
  KmListener,
  KmListenerKey,
  KmSlot,
} from '../kernel/gen/layout.gen.ts';

/** How a batch treats keys that are there: `any` writes all, `create` leaves them, `in-place` writes under their lock. */
export type WriteMode = 'any' | 'create' | 'in-place';

export interface Table<K, V> {
  readonly name: string;
  readonly maxEntries: number;
  get(key: K): V | undefined;
  entries(): Iterable<readonly [K, V]>;
  write(entries: readonly (readonly [K, V])[], mode: WriteMode): void;
  /** Keys that are not there are no error. */
  remove(keys: readonly K[]): void;
}

export interface Tables {
  readonly listener: Table<KmListenerKey, KmListener>;
  readonly cluster: Table<bigint, KmCluster>;
  readonly clusterStats: Table<bigint, KmClusterStats>;
  readonly slot: Table<number, KmSlot>;
  readonly endpoint: Table<bigint, KmEndpoint>;
  readonly endpointStats: Table<bigint, KmEndpointStats>;
  readonly workloadAddress: Table<{ readonly addr: readonly number[] }, bigint>;
}
