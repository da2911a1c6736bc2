/**
 * The route tables in the kernel: blobs as the only value of arrays, in the places of km_route_N. A table's number is the
 * size of its value in bits and its place (KM_ROUTE_HANDLE of bpf/include/km_route_tables.h).
 */
import { generationOf } from '../compile/http.ts';
import { header, routeMagic, routeVersion } from '../compile/routes/layout.ts';
import { createValueArray, readValueArray } from '../kernel/inner-map.ts';
import type { KernelMap } from '../kernel/map.ts';
import { close } from '../kernel/syscall.ts';

/** Sizes of values in bits, ascending. */
export const sizeClasses = [14, 16, 18, 20, 22] as const;
export type SizeClass = (typeof sizeClasses)[number];

export const handleOf = (bits: number, place: number): number => bits * 2 ** 24 + place;
export const bitsOf = (handle: number): number => handle >>> 24;
export const placeOf = (handle: number): number => handle & 0xffffff;

export interface RouteStore {
  /** Places of a size. */
  places(bits: SizeClass): number;
  /** Numbers of the tables that are there. */
  handles(): Iterable<number>;
  /** The blob there, longer than it was by zeros, or null. */
  read(handle: number): Uint32Array | null;
  /** Each takes the place of what is there in one step. */
  put(blobs: readonly (readonly [handle: number, words: Uint32Array])[]): void;
  clear(handles: readonly number[]): void;
}

export type RouteMaps = Readonly<Record<`km_route_${SizeClass}`, KernelMap<number, number>>>;

/** What says of a table which it is, or null where there is none that this version reads. */
export function generationAt(store: Pick<RouteStore, 'read'>, handle: number): bigint | null {
  const words = store.read(handle);
  if (words?.[header.magic] !== routeMagic || words[header.version] !== routeVersion) return null;
  return generationOf(words);
}

export function routeStoreOf(maps: RouteMaps): RouteStore {
  const outer = new Map<number, KernelMap<number, number>>(sizeClasses.map((bits) => [bits, maps[`km_route_${bits}`]]));
  return {
    places: (bits) => maps[`km_route_${bits}`].info.maxEntries,
    *handles() {
      for (const [bits, map] of outer) {
        // One by one: a batch ends at an empty place before Linux 6.14.
        for (let place = 0; place < map.info.maxEntries; place++) {
          if (map.get(place) !== undefined) yield handleOf(bits, place);
        }
      }
    },
    read(handle) {
      const id = outer.get(bitsOf(handle))?.get(placeOf(handle));
      if (id === undefined) return null;
      const value = readValueArray(`km_route_${bitsOf(handle)}`, id);
      return value === null ? null : new Uint32Array(value.buffer, value.byteOffset, value.length / 4);
    },
    put(blobs) {
      for (const [bits, map] of outer) {
        const own = blobs.filter(([handle]) => bitsOf(handle) === bits);
        for (let i = 0; i < own.length; i += putAtOnce) put(map, bits, own.slice(i, i + putAtOnce));
      }
    },
    clear(handles) {
      for (const [bits, map] of outer) map.deleteAll(handles.filter((h) => bitsOf(h) === bits).map(placeOf));
    },
  };
}

/** Each is a descriptor and a copy of the table while it is written. */
const putAtOnce = 64;

function put(map: KernelMap<number, number>, bits: number, blobs: readonly (readonly [number, Uint32Array])[]): void {
  const opened: number[] = [];
  try {
    const entries = blobs.map(([handle, words]): readonly [number, number] => {
      const content = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      const fd = createValueArray(map.name, 2 ** bits, content);
      opened.push(fd);
      return [placeOf(handle), fd];
    });
    // The kernel waits for all readers after an update of the outer map: once for a batch.
    map.setAll(entries);
  } finally {
    for (const fd of opened) close(fd);
  }
}
