/**
 * The route tables in the kernel: blobs as the only value of arrays, in the places of km_route_N. A table's number is the
 * size of its value in bits and its place (KM_ROUTE_HANDLE of bpf/include/km_route_tables.h).
 */
import { createValueArray } from '../kernel/inner-map.ts';
import type { KernelMap } from '../kernel/map.ts';
import type { RoutePlaces } from '../kernel/route-places.ts';
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
  /** Numbers of the tables that are there, of all sizes or of one. */
  handles(size?: SizeClass): Iterable<number>;
  /** What says of the table there which it is, or null where there is none. */
  generation(handle: number): bigint | null;
  /** Each takes the place of what is there in one step. */
  put(blobs: readonly (readonly [handle: number, words: Uint32Array])[]): void;
  clear(handles: readonly number[]): void;
}

export type RouteMaps = Readonly<Record<`km_route_${SizeClass}`, KernelMap<number, number>>>;

export function routeStoreOf(maps: RouteMaps, reader: RoutePlaces): RouteStore {
  const outer = new Map<number, KernelMap<number, number>>(sizeClasses.map((bits) => [bits, maps[`km_route_${bits}`]]));
  return {
    places: (bits) => maps[`km_route_${bits}`].info.maxEntries,
    *handles(size) {
      for (const [bits, map] of outer) {
        if (size === undefined || size === bits) yield* reader.taken(handleOf(bits, 0), map.info.maxEntries);
      }
    },
    generation: (handle) => reader.generation(handle),
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
