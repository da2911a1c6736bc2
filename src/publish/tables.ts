/** The kernel's tables as the publisher needs them: the typed maps of src/kernel fit this shape. */

import type {
  KmAddressKey,
  KmCluster,
  KmClusterStats,
  KmEndpoint,
  KmEndpointStats,
  KmListener,
  KmListenerKey,
  KmSlot,
  KmSource,
  KmSourceKey,
} from '../kernel/gen/layout.gen.ts';
import { type KernelMap, update } from '../kernel/map.ts';
import type { RoutePlaces } from '../kernel/route-places.ts';
import { type RouteMaps, type RouteStore, routeStoreOf } from './route-store.ts';

/** How a batch treats keys that are there: `any` replaces them, `in-place` writes under their lock. */
export type WriteMode = 'any' | 'in-place';

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
  readonly workloadAddress: Table<KmAddressKey, bigint>;
  readonly source: Table<KmSourceKey, KmSource>;
  readonly routes: RouteStore;
}

/** The typed maps that tables are made of; {@link typedMaps} gives them. */
export interface TableMaps extends RouteMaps {
  readonly km_listener: KernelMap<KmListenerKey, KmListener>;
  readonly km_cluster: KernelMap<bigint, KmCluster>;
  readonly km_cluster_stats: KernelMap<bigint, KmClusterStats>;
  readonly km_slot: KernelMap<number, KmSlot>;
  readonly km_endpoint: KernelMap<bigint, KmEndpoint>;
  readonly km_endpoint_stats: KernelMap<bigint, KmEndpointStats>;
  readonly km_workload_address: KernelMap<KmAddressKey, bigint>;
  readonly km_source: KernelMap<KmSourceKey, KmSource>;
}

export function tablesOf(maps: TableMaps, routes: RoutePlaces): Tables {
  return {
    listener: tableOf(maps.km_listener),
    cluster: tableOf(maps.km_cluster),
    clusterStats: tableOf(maps.km_cluster_stats),
    slot: tableOf(maps.km_slot),
    endpoint: tableOf(maps.km_endpoint),
    endpointStats: tableOf(maps.km_endpoint_stats),
    workloadAddress: tableOf(maps.km_workload_address),
    source: tableOf(maps.km_source),
    routes: routeStoreOf(maps, routes),
  };
}

const flagsOf: Readonly<Record<WriteMode, number>> = { any: update.ANY, 'in-place': update.LOCK };

export function tableOf<K, V>(map: KernelMap<K, V>): Table<K, V> {
  return {
    name: map.name,
    maxEntries: map.info.maxEntries,
    get: (key) => map.get(key),
    entries: () => map.entries(),
    write: (entries, mode) => map.setAll(entries, flagsOf[mode]),
    remove: (keys) => {
      map.deleteAll(keys);
    },
  };
}
