/**
 * The programs of the enrolled namespaces: which devices need them, attached before a namespace may send HTTP through the
 * mesh, looked after while it is enrolled, and left in place after it has left until its last connection is closed.
 */
import type { Logger } from '../base/log.ts';
import type { DevicePrograms, Place } from '../kernel/device-programs.ts';
import { isInner, placeName, placesOf } from '../kernel/device-programs.ts';
import type { LinkEvents } from '../kernel/link-events.ts';
import { allNetns, withNetns } from '../kernel/netns.ts';
import { type NetnsView, type TrafficDevice, viewNetns, viewOwnNetns } from '../kernel/netns-devices.ts';
import { type WirePorts, wirePorts } from './wire-ports.ts';

/** Whether a namespace can send HTTP through the mesh. */
export interface HttpState {
  /** Source ports on the wire; count 0: HTTP is off. */
  readonly wire: WirePorts;
  /** Devices that carry its traffic, such as `veth2`, or `eth0 (inside)`. */
  readonly devices: readonly string[];
  /** Why HTTP is off; null: it is on. */
  readonly reason: string | null;
}

export interface NamespaceProgramsParts {
  readonly programs: DevicePrograms;
  /** The cookie of the namespace of a path. KM4011. */
  readonly cookie: (path: string) => bigint;
  /** Whether a spliced connection of one of these addresses is open. */
  readonly hasFlows: (addresses: readonly string[]) => boolean;
  /** What has happened to devices since it was asked last. */
  readonly events: () => LinkEvents;
  /** Told of the ports on the wire before a namespace uses them. */
  readonly usePorts: (wire: WirePorts) => void;
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * A namespace is looked into when one of its devices has changed, and so often in any case, for its ports and for programs
 * that somebody has taken away; one whose events are not heard more often. One without a device is looked at each time.
 */
const viewForMs = { heard: 15_000, unheard: 5000 } as const;
/** Namespaces that are looked at in one go without cause: each costs some 300 µs. */
const looksAtOnce = 8;
const noWire: WirePorts = { first: 0, count: 0 };

interface Joined {
  readonly cookie: bigint;
  /** Null: found on record only, and not on this machine now. */
  readonly path: string | null;
  readonly addresses: readonly string[];
  /** By which events name it. */
  readonly number: number | null;
  readonly devices: readonly TrafficDevice[];
  readonly state: HttpState;
  /** Null: it has to be looked at again. */
  readonly readAt: number | null;
}

export class NamespacePrograms {
  readonly #parts: NamespaceProgramsParts;
  readonly #joined = new Map<bigint, Joined>();
  /** Those that have left and may still have connections. */
  readonly #leaving = new Map<bigint, Joined>();
  /** What is attached, by cookie and name of the place. Null: not read yet. */
  #attached: Map<bigint, Map<string, Place>> | null = null;
  #ownCookie: bigint | null = null;

  constructor(parts: NamespaceProgramsParts) {
    this.#parts = parts;
  }

  /** Devices with programs. */
  get devices(): number {
    const places = [...this.#places().values()].flatMap((held) => [...held.values()]);
    return new Set(places.map((place) => `${place.cookie} ${place.ifindex} ${isInner(place)}`)).size;
  }

  /** Numbers of the enrolled namespaces' devices in our own namespace. */
  outerDevices(): ReadonlySet<number> {
    const all = [...this.#joined.values()].flatMap(({ devices }) => devices);
    return new Set(all.filter(({ side }) => side === 'outer').map(({ ifindex }) => ifindex));
  }

  /** Whether {@link join} or {@link keepOnly} would do something although no workload has changed. */
  due(): boolean {
    this.#takeEvents();
    return this.#leaving.size > 0 || [...this.#joined.values()].some((joined) => !this.#isFresh(joined));
  }

  /**
   * Attaches what the namespaces (path by cookie) need, and says of each whether HTTP is on. Cheap when nothing is due.
   * What cannot be attached is a reason in the answer, never an error.
   */
  join(paths: ReadonlyMap<bigint, string>): ReadonlyMap<bigint, HttpState> {
    this.#ownCookie ??= this.#parts.cookie('/proc/thread-self/ns/net');
    const own = this.#ownCookie;
    // Our own namespace goes last: the pods' ends of its cables are not its devices.
    const ordered = [...paths].sort(([a], [b]) => Number(a === own) - Number(b === own));
    this.#takeEvents();
    let looks = looksAtOnce;
    for (const [cookie, path] of ordered) {
      const known = this.#joined.get(cookie);
      if (typeof known?.readAt === 'number') {
        if (this.#isFresh(known) || looks === 0) continue;
        looks -= 1;
      }
      this.#leaving.delete(cookie);
      this.#joined.set(cookie, this.#look(cookie, path, cookie === own));
    }
    const states = new Map(
      [...paths.keys()].map((cookie) => [cookie, this.#joined.get(cookie)?.state ?? off('unknown')] as const),
    );
    for (const { wire } of states.values()) this.#parts.usePorts(wire);
    return states;
  }

  /**
   * Gives up all other namespaces: their programs go as soon as no connection needs them. To be called when the kernel's
   * gate holds them no more.
   */
  keepOnly(cookies: ReadonlySet<bigint>): void {
    for (const [cookie, joined] of this.#joined) {
      if (cookies.has(cookie)) continue;
      this.#joined.delete(cookie);
      this.#leaving.set(cookie, joined);
    }
    for (const cookie of this.#places().keys()) {
      if (!cookies.has(cookie) && !this.#leaving.has(cookie)) this.#leaving.set(cookie, this.#findOnMachine(cookie));
    }
    for (const joined of this.#leaving.values()) {
      if (this.#isAlive(joined) && this.#parts.hasFlows(joined.addresses)) continue;
      this.#leaving.delete(joined.cookie);
      this.#detach(joined.path, [...(this.#places().get(joined.cookie)?.values() ?? [])]);
    }
  }

  /** Programs that do not run where they should, one line each. They are attached again at the next look. */
  differences(): string[] {
    return [...this.#joined.values()].flatMap((joined) => {
      const found = joined.devices.flatMap((device) => this.#missing(joined, device));
      if (found.length > 0) this.#joined.set(joined.cookie, { ...joined, readAt: null });
      return found;
    });
  }

  #isFresh({ readAt, devices, number }: Joined): boolean {
    if (readAt === null || devices.length === 0) return false;
    return this.#parts.now() - readAt < (number === null ? viewForMs.unheard : viewForMs.heard);
  }

  #takeEvents(): void {
    const { others, own, lost } = this.#parts.events();
    if (others.size === 0 && !own && !lost) return;
    for (const [cookie, joined] of this.#joined) {
      const changed = cookie === this.#ownCookie ? own : joined.number !== null && others.has(joined.number);
      if (changed || lost) this.#joined.set(cookie, { ...joined, readAt: null });
    }
  }

  #look(cookie: bigint, path: string, own: boolean): Joined {
    const common = { cookie, path, readAt: this.#parts.now() };
    try {
      const view = own ? viewOwnNetns(path, this.outerDevices()) : viewNetns(path);
      const state = this.#attach(cookie, path, view);
      return { ...common, number: view.number, addresses: view.addresses, devices: view.devices, state };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { ...common, number: null, addresses: [], devices: [], state: off(reason) };
    }
  }

  #attach(cookie: bigint, path: string, { devices, ...ports }: NetnsView): HttpState {
    const wanted = devices.flatMap((device) => placesOf(cookie, device));
    const names = new Set(wanted.map(placeName));
    const held = this.#places().get(cookie) ?? new Map<string, Place>();
    this.#detach(
      path,
      [...held.values()].filter((place) => !names.has(placeName(place))),
    );
    const shown = devices.map(({ side, name }) => (side === 'outer' ? name : `${name} (inside)`));
    try {
      this.#inEach(path, wanted, (place) => {
        const changed = this.#parts.programs.ensure(place);
        this.#record(place);
        if (changed) this.#parts.log.debug('program attached', { place: placeName(place) });
      });
    } catch (error) {
      return off(error instanceof Error ? error.message : String(error), shown);
    }
    if (devices.length === 0) return off('it has no network device yet');
    const wire = wirePorts(ports);
    return typeof wire === 'string' ? off(wire, shown) : { wire, devices: shown, reason: null };
  }

  /** Runs an action for each place with the thread in the place's namespace. */
  #inEach(path: string, places: readonly Place[], action: (place: Place) => void): void {
    const inner = places.filter(isInner);
    for (const place of places) if (!isInner(place)) action(place);
    if (inner.length > 0) withNetns<void>(path, () => inner.forEach(action));
  }

  #detach(path: string | null, places: readonly Place[]): void {
    if (places.length === 0) return;
    const { programs, log } = this.#parts;
    const cookie = places[0]?.cookie;
    if (path !== null && cookie !== undefined && this.#isBehind(path, cookie)) {
      this.#inEach(path, places, (place) => programs.remove(place));
    } else {
      for (const place of places) if (!isInner(place)) programs.remove(place);
      programs.removeAnywhere(places.filter(isInner));
    }
    for (const place of places) {
      this.#forget(place);
      log.debug('program removed', { place: placeName(place) });
    }
  }

  /** Whether the path still leads to the namespace of this cookie. */
  #isBehind(path: string, cookie: bigint): boolean {
    try {
      return this.#parts.cookie(path) === cookie;
    } catch {
      return false;
    }
  }

  #isAlive({ cookie, path }: Joined): boolean {
    const places = [...(this.#places().get(cookie)?.values() ?? [])];
    if (places.some((place) => !isInner(place) && this.#parts.programs.deviceExists(place))) return true;
    return path !== null && places.some(isInner) && this.#isBehind(path, cookie);
  }

  /** Only from a record: some earlier daemon enrolled it. */
  #findOnMachine(cookie: bigint): Joined {
    const path = allNetns().find((candidate) => this.#isBehind(candidate, cookie)) ?? null;
    const common = { cookie, path, number: null, devices: [], state: off('it is leaving'), readAt: null };
    try {
      return { ...common, addresses: path === null ? [] : viewNetns(path).addresses };
    } catch {
      return { ...common, addresses: [] };
    }
  }

  #missing({ cookie, path }: Joined, device: TrafficDevice): string[] {
    const found: string[] = [];
    try {
      this.#inEach(path ?? '', placesOf(cookie, device), (place) => {
        if (this.#parts.programs.runs(place)) return;
        found.push(`${place.program} does not run at device ${device.name} of network namespace ${path}`);
      });
    } catch (error) {
      found.push(error instanceof Error ? error.message : String(error));
    }
    return found;
  }

  #places(): Map<bigint, Map<string, Place>> {
    if (this.#attached === null) {
      this.#attached = new Map();
      for (const place of this.#parts.programs.list()) this.#record(place);
    }
    return this.#attached;
  }

  #record(place: Place): void {
    const all = this.#places();
    const held = all.get(place.cookie) ?? new Map<string, Place>();
    held.set(placeName(place), place);
    all.set(place.cookie, held);
  }

  #forget(place: Place): void {
    const held = this.#places().get(place.cookie);
    held?.delete(placeName(place));
    if (held?.size === 0) this.#places().delete(place.cookie);
  }
}

function off(reason: string, devices: readonly string[] = []): HttpState {
  return { wire: noWire, devices, reason };
}
