/**
 * The programs at the devices of enrolled namespaces: attached, switched in place when a daemon starts anew, found again
 * and removed. Each is a tcx link where the kernel has them (6.6), else a filter of a clsact qdisc. What is attached is
 * on record in the directory of links, so that a later daemon or `uninstall` finds it:
 *
 *     PROGRAM-COOKIE-IFINDEX          the tcx link
 *     PROGRAM-COOKIE-IFINDEX-filter   a clsact filter; the pin itself holds the filter's program
 *     SIDE-COOKIE-IFINDEX-clsact      the clsact qdisc was made for such filters
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import {
  attachClsact,
  attachTcx,
  countTcx,
  createClsact,
  type Direction,
  destroyClsact,
  detachClsact,
  type Filter,
  queryClsact,
} from './attach.ts';
import type { Libbpf } from './libbpf.ts';
import { ensureLink, type Link, openLink, programId } from './link.ts';
import { countFilters, deviceName, ingressQdisc } from './netlink.ts';
import { allNetns, withNetns } from './netns.ts';
import type { TrafficDevice } from './netns-devices.ts';
import type { Program } from './object.ts';
import { isPinned, listPins, replacePin, unpin } from './pin.ts';

interface Hook {
  readonly side: TrafficDevice['side'];
  readonly direction: Direction;
  /**
   * What leaves the workload is seen before the programs of others see it, and what comes to it after them: they know the
   * endpoint's address, as with a connection that was decided in connect().
   */
  readonly first: boolean;
}

/** In the order in which they are attached: answers can be led back before anything is sent that needs it. */
const hooks = {
  km_to_pod: { side: 'outer', direction: 'egress', first: false },
  km_from_pod: { side: 'outer', direction: 'ingress', first: true },
  km_to_host: { side: 'inner', direction: 'ingress', first: false },
  km_from_host: { side: 'inner', direction: 'egress', first: true },
} as const satisfies Record<string, Hook>;

type DeviceProgram = keyof typeof hooks;
export const devicePrograms = Object.keys(hooks) as DeviceProgram[];

/** One program at one device of the namespace with this cookie. */
export interface Place {
  readonly program: DeviceProgram;
  readonly cookie: bigint;
  readonly ifindex: number;
}

/** The places that a device of a namespace needs, in the order in which they are filled. */
export function placesOf(cookie: bigint, { side, ifindex }: Pick<TrafficDevice, 'side' | 'ifindex'>): Place[] {
  return devicePrograms
    .filter((program) => hooks[program].side === side)
    .map((program) => ({ program, cookie, ifindex }));
}

/** True for a place at a namespace's own device, which is reached only from inside. */
export const isInner = ({ program }: Place): boolean => hooks[program].side === 'inner';

export const placeName = ({ program, cookie, ifindex }: Place): string => `${program}-${cookie}-${ifindex}`;

/** Filters run by priority: before those that tc numbers by itself (from 49152 down), or after them. */
const priorities = { first: 2, last: 50_000 } as const;

/** By this the filters of one daemon are told from those of another: a hash of where it pins. 0 would be no handle. */
const filterHandle = (directory: string): number =>
  (createHash('sha256').update(directory).digest().readUInt32LE() | 1) >>> 0;

function filterOf({ program, ifindex }: Place, directory: string): Filter {
  const { direction, first } = hooks[program];
  const priority = first ? priorities.first : priorities.last;
  return { ifindex, direction, priority, handle: filterHandle(directory) };
}

const filterPin = (place: Place): string => `${placeName(place)}-filter`;
const qdiscPin = ({ program, cookie, ifindex }: Place): string => `${hooks[program].side}-${cookie}-${ifindex}-clsact`;

export interface DeviceProgramsOptions {
  readonly libbpf: Libbpf;
  /** Loaded programs by name; all of {@link devicePrograms} are there. */
  readonly programs: ReadonlyMap<string, Program>;
  /** Where links are pinned. */
  readonly directory: string;
  /** False: clsact, also where the kernel has tcx. */
  readonly tcx: boolean;
}

export class DevicePrograms {
  readonly #options: DeviceProgramsOptions;
  readonly #ids = new Map<DeviceProgram, number>();
  /** False once this kernel has shown that it has no tcx. */
  #tcx: boolean;

  constructor(options: DeviceProgramsOptions) {
    this.#options = options;
    this.#tcx = options.tcx;
  }

  /**
   * Makes the present program run at a place; one of an earlier daemon is switched in one step. The thread is in the
   * device's namespace. Returns whether anything had to be done. KM4010.
   */
  ensure(place: Place): boolean {
    if (this.runs(place)) return false;
    const { libbpf, directory } = this.#options;
    // The other kind goes last: better for a moment two programs than none.
    if (this.#tcx && this.#ensureLink(place)) removeFilter(libbpf, directory, place);
    else {
      this.#ensureFilter(place);
      removeLink(directory, place);
    }
    return true;
  }

  /** Whether the present program runs at a place. The thread is in the device's namespace. */
  runs(place: Place): boolean {
    const { libbpf, directory } = this.#options;
    const id = this.#id(place.program);
    if (!this.#tcx) return queryClsact(libbpf, filterOf(place, directory)) === id;
    const link = openLink(join(directory, placeName(place)));
    if (link === null) return false;
    const { programId: running, target } = link.info();
    link.close();
    return running === id && target === place.ifindex;
  }

  /**
   * Whether nothing but the programs of one place each way is at a device of the calling thread's namespace: no other
   * program and no filter. KM4013.
   */
  isAlone(ifindex: number): boolean {
    const [links, filters] = this.#tcx ? [1, 0] : [0, 2];
    if (countTcx({ ifindex, direction: 'ingress' }) !== links) return false;
    return countTcx({ ifindex, direction: 'egress' }) === links && countFilters(ifindex) === filters;
  }

  /** Whether the device of a place is there. The thread is in the namespace in which it was. */
  deviceExists({ ifindex }: Place): boolean {
    return deviceName(ifindex) !== null;
  }

  /** Takes a program away. The thread is in the device's namespace, or the device is gone. */
  remove(place: Place): void {
    const { libbpf, directory } = this.#options;
    removeLink(directory, place);
    removeFilter(libbpf, directory, place);
  }

  /** Takes programs away whose namespace is not known. */
  removeAnywhere(places: readonly Place[]): void {
    removePlaces(this.#options.libbpf, this.#options.directory, places);
  }

  /** All places on record. */
  list(): Place[] {
    return recordedPlaces(this.#options.directory);
  }

  /** False when this kernel has no tcx. */
  #ensureLink(place: Place): boolean {
    const { program: name, ifindex } = place;
    const program = this.#program(name);
    const { direction, first } = hooks[name];
    const create = (): Link => {
      const link = attachTcx(program, { ifindex, direction }, first);
      this.#tcx = link !== null;
      if (link === null) throw new KmError('KM4010', `attach ${name}: this kernel has no tcx`);
      return link;
    };
    try {
      ensureLink(join(this.#options.directory, placeName(place)), program, create).close();
      return true;
    } catch (error) {
      if (this.#tcx) throw error;
      return false;
    }
  }

  #ensureFilter(place: Place): void {
    const { libbpf, directory } = this.#options;
    const program = this.#program(place.program);
    let held = ingressQdisc(place.ifindex);
    // At an ingress qdisc the filter for what goes out would see what comes in.
    if (held !== null && held !== 'clsact')
      throw new KmError('KM4010', `attach ${program.name}: device ${place.ifindex} has an ${held} qdisc`);
    // On record first: what a daemon that dies right here has begun is found.
    replacePin(program.fd, join(directory, filterPin(place)));
    const qdisc = join(directory, qdiscPin(place));
    if (held === null) {
      replacePin(program.fd, qdisc);
      held = createClsact(libbpf, place.ifindex) ? null : 'clsact';
      if (held !== null) unpin(qdisc);
    }
    attachClsact(libbpf, program, filterOf(place, directory));
  }

  #id(name: DeviceProgram): number {
    const known = this.#ids.get(name) ?? programId(this.#program(name));
    this.#ids.set(name, known);
    return known;
  }

  #program(name: DeviceProgram): Program {
    const program = this.#options.programs.get(name);
    if (program === undefined) throw new KmError('KM4005', `no eBPF object has a program ${name}`);
    return program;
  }
}

/** Whether a name in the directory of links is about a device. */
export const isDevicePin = (name: string): boolean => placeOfPin(name) !== null || /-clsact$/.test(name);

/** The place that a name is about, or null. */
function placeOfPin(name: string): Place | null {
  const [, program = '', cookie = '', ifindex = ''] = /^(km_\w+)-([0-9]+)-([0-9]+)(?:-filter)?$/.exec(name) ?? [];
  const known = devicePrograms.find((other) => other === program);
  return known === undefined ? null : { program: known, cookie: BigInt(cookie), ifindex: Number(ifindex) };
}

/** All places on record in a directory of links. */
export function recordedPlaces(directory: string): Place[] {
  const places = listPins(directory).flatMap((name) => placeOfPin(name) ?? []);
  return [...new Map(places.map((place) => [placeName(place), place])).values()];
}

/** Takes programs away, whatever namespaces their devices are in. */
export function removePlaces(libbpf: Libbpf, directory: string, places: readonly Place[]): void {
  for (const place of places) removeLink(directory, place);
  let filters = places.filter((place) => isPinned(join(directory, filterPin(place))));
  if (filters.length === 0) return;
  for (const path of allNetns()) {
    const found = filtersIn(path, libbpf, directory, filters);
    filters = filters.filter((place) => !found.includes(place));
    if (filters.length === 0) return;
  }
  // Their devices are gone.
  for (const place of filters) removeFilter(libbpf, directory, place);
}

/** Removes those filters that are in a namespace, and returns them. */
function filtersIn(path: string, libbpf: Libbpf, directory: string, filters: readonly Place[]): readonly Place[] {
  try {
    return withNetns<readonly Place[]>(path, () => {
      const here = filters.filter((place) => queryClsact(libbpf, filterOf(place, directory)) !== null);
      for (const place of here) removeFilter(libbpf, directory, place);
      return here;
    });
  } catch (error) {
    // It ended meanwhile, and its devices with it.
    if (error instanceof KmError && error.code === 'KM4011') return [];
    throw error;
  }
}

function removeLink(directory: string, place: Place): void {
  const path = join(directory, placeName(place));
  const link = openLink(path);
  if (link === null) return;
  link.detach();
  link.close();
  unpin(path);
}

/** Takes a filter on record away, and its qdisc when that was made for us and nothing else is in it. */
function removeFilter(libbpf: Libbpf, directory: string, place: Place): void {
  if (!unpin(join(directory, filterPin(place)))) return;
  const found = detachClsact(libbpf, filterOf(place, directory));
  const { side } = hooks[place.program];
  const twins = placesOf(place.cookie, { side, ifindex: place.ifindex });
  if (twins.some((twin) => isPinned(join(directory, filterPin(twin))))) return;
  const qdisc = join(directory, qdiscPin(place));
  // Where our filter was not, a device of the same number may be another one.
  if (isPinned(qdisc) && found && countFilters(place.ifindex) === 0) destroyClsact(libbpf, place.ifindex);
  unpin(qdisc);
}
