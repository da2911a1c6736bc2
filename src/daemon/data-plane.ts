/**
 * The programs and maps in the kernel as one thing: loaded, taken over from an earlier daemon where they fit, attached,
 * and removed. They are pinned, so that they work on without a daemon.
 */
import { existsSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { attachCgroup, attachSkMsg } from '../kernel/attach.ts';
import { findCgroup2 } from '../kernel/cgroup.ts';
import { readCookieByProgram } from '../kernel/cookie-reader.ts';
import { DevicePrograms, isDevicePin, placeName, recordedPlaces, removePlaces } from '../kernel/device-programs.ts';
import { mapTypes, schema } from '../kernel/gen/layout.gen.ts';
import { readIterator } from '../kernel/iterator.ts';
import { type Libbpf, openLibbpf } from '../kernel/libbpf.ts';
import { ensureLink, type Link, openLink } from '../kernel/link.ts';
import { type KernelMap, type MapType, type RawMap, typedMaps } from '../kernel/map.ts';
import { netnsCookie } from '../kernel/netns.ts';
import { type LoadedObjects, loadObjects, type Program } from '../kernel/object.ts';
import { ensureBpffs, linksDirectory, listPins, mapsDirectory, pinMaps, removeTree, unpin } from '../kernel/pin.ts';
import { RoutePlaces } from '../kernel/route-places.ts';
import { Switches } from '../kernel/switches.ts';
import { type Table, type Tables, tablesOf } from '../publish/tables.ts';
import { sizeFlags } from './settings.ts';
import { root } from './version.ts';

const objectsDirectory = join(root, 'build', 'bpf');
const mainObjects = ['sock_addr', 'sockops', 'conn_iter', 'splice', 'request', 'routes'];

/** Tables that point into each other: an old one beside a new empty one would lead nowhere. */
const balancingTables = [
  'km_listener',
  'km_cluster',
  'km_cluster_stats',
  'km_slot',
  'km_endpoint',
  'km_endpoint_stats',
  'km_source',
  'km_route_14',
  'km_route_16',
  'km_route_18',
  'km_route_20',
  'km_route_22',
] as const;

/** Programs that are attached to the cgroup, in the order that lets no reply come back to a hook that is not there. */
export const cgroupPrograms = [
  'km_recvmsg4',
  'km_recvmsg6',
  'km_getpeername4',
  'km_getpeername6',
  'km_sockops',
  'km_sendmsg4',
  'km_sendmsg6',
  'km_connect4',
  'km_connect6',
] as const;

/** The program that sees what the sockets of `requestSockets` send. */
const requestProgram = 'km_request';
const requestSockets = 'km_sock';

/** All hooks but those at devices, which come and go with namespaces. */
export const hookNames: readonly string[] = [...cgroupPrograms, requestProgram];

/** Sockets and tables of routes have no values that user space could read. */
const { km_netns_cookie: _, km_conn, km_event, km_request_event, km_sock, ...tableTypes } = mapTypes;
type TableTypes = typeof tableTypes;
export type Maps = {
  readonly [N in keyof TableTypes]: TableTypes[N] extends MapType<infer K, infer V> ? KernelMap<K, V> : never;
};

export interface DataPlaneOptions {
  readonly bpfFsPath: string;
  readonly cgroup2Path: string | null;
  readonly mapSizes: Readonly<Record<string, number>>;
  /** Accepted connections are to be observed, if this kernel can. */
  readonly inbound: boolean;
  /** Programs at devices: by tcx links where this kernel has them, or by clsact in any case. */
  readonly deviceAttach: 'auto' | 'clsact';
  readonly log: Logger;
}

export class DataPlane {
  readonly maps: Maps;
  /** What the publisher writes. */
  readonly tables: Tables;
  readonly switches: Switches;
  readonly cgroup: string;
  /** The programs at the devices of enrolled namespaces. */
  readonly devicePrograms: DevicePrograms;
  readonly #cgroupId: bigint;
  readonly #options: DataPlaneOptions;
  readonly #loaded: LoadedObjects;
  readonly #libbpf: Libbpf;
  readonly #links = new Map<string, Link>();
  #requestWithoutLink = false;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#libbpf = openLibbpf();
    ensureBpffs(options.bpfFsPath);
    this.cgroup = options.cgroup2Path ?? findCgroup2();
    this.#cgroupId = cgroupIdOf(this.cgroup);
    this.#loaded = this.#load();
    for (const { map, reason } of this.#loaded.notReused) options.log.warn('map is made anew', { map, reason });
    if (this.#loaded.reused.length > 0) options.log.info('adopted pinned maps', { maps: this.#loaded.reused.length });
    this.maps = typedMaps(this.#loaded.maps, tableTypes);
    this.switches = new Switches(this.maps.km_config);
    const tables = tablesOf(this.maps, new RoutePlaces(this.#program('km_route_places')));
    this.tables = { ...tables, listener: announced(tables.listener, () => this.switches.listenersChanged()) };
    this.devicePrograms = new DevicePrograms({
      libbpf: this.#libbpf,
      programs: this.#loaded.programs,
      directory: linksDirectory(options.bpfFsPath),
      tcx: options.deviceAttach === 'auto',
    });
  }

  /** Sockets that were accepted are observed where sock_ops can ask for the namespace; older kernels refuse the program. */
  #load(): LoadedObjects {
    const request = {
      objects: mainObjects.map((name) => join(objectsDirectory, `${name}.bpf.o`)),
      maxEntries: this.#options.mapSizes,
      pinnedMaps: mapsDirectory(this.#options.bpfFsPath, schema),
      settings: sizeFlags,
      together: [balancingTables],
    };
    try {
      return loadObjects(this.#libbpf, { ...request, constants: { km_observe_inbound: 1 } });
    } catch (error) {
      if (!(error instanceof KmError) || error.code !== 'KM4003' || !error.message.includes('km_sockops')) throw error;
      if (this.#options.inbound) {
        this.#options.log.warn('this kernel cannot observe accepted connections (needs 5.15): --inbound has no effect');
      }
      return loadObjects(this.#libbpf, { ...request, constants: { km_observe_inbound: 0 } });
    }
  }

  get eventMap() {
    return this.#rawMap('km_event');
  }

  get requestEventMap() {
    return this.#rawMap('km_request_event');
  }

  /** The spliced connections; null when no program has such a table. */
  get flowMap(): RawMap | null {
    return this.#loaded.maps.get('km_flow') ?? null;
  }

  /** Pins the maps and puts the programs to work; those of an earlier daemon are switched in place, one by one. */
  activate(): void {
    const { bpfFsPath } = this.#options;
    pinMaps(mapsDirectory(bpfFsPath, schema), this.#loaded.maps.values());
    // An earlier daemon may have ended between a change and its telling.
    this.switches.listenersChanged();
    this.#attachRequestProgram();
    for (const name of cgroupPrograms) {
      const program = this.#program(name);
      const path = join(linksDirectory(bpfFsPath), name);
      this.#leaveOtherCgroup(path);
      this.#links.set(
        name,
        ensureLink(path, program, () => attachCgroup(program, this.cgroup)),
      );
    }
    for (const other of otherSchemas(bpfFsPath)) removeTree(join(bpfFsPath, other));
  }

  /**
   * A link stays with its map: one to a map that was made anew is left for a new one. Without links (before 6.10) the map
   * holds the program. Sockets that are in the map keep the program that they were put in with.
   */
  #attachRequestProgram(): void {
    const program = this.#program(requestProgram);
    const sockets = this.#rawMap(requestSockets);
    const path = join(linksDirectory(this.#options.bpfFsPath), requestProgram);
    const pinned = openLink(path);
    if (pinned?.info().target === sockets.info.id) {
      pinned.update(program);
      this.#links.set(requestProgram, pinned);
      return;
    }
    pinned?.close();
    const link = attachSkMsg(program, sockets);
    link?.pin(path);
    if (link !== null) this.#links.set(requestProgram, link);
    this.#requestWithoutLink = link === null;
  }

  /** A link stays with its cgroup for ever: one of another `--cgroup2-path` has to go before the new one is made. */
  #leaveOtherCgroup(path: string): void {
    const link = openLink(path);
    if (link === null) return;
    if (link.info().cgroupId !== this.#cgroupId) {
      this.#options.log.warn('leaving another cgroup', { link: path });
      link.detach();
      unpin(path);
    }
    link.close();
  }

  /** Names of the hooks that run now, but those at devices. A link that somebody else has detached is on nothing any more. */
  hooks(): string[] {
    const isAttached = (name: string, link: Link): boolean =>
      name === requestProgram ? link.info().target !== 0 : link.info().cgroupId !== 0n;
    const running = [...this.#links].flatMap(([name, link]) => (isAttached(name, link) ? [name] : []));
    return (this.#requestWithoutLink ? [...running, requestProgram] : running).sort();
  }

  /** The live connections, struct km_event by struct km_event. */
  liveConnections(): Uint8Array {
    return readIterator(this.#program('km_conn_iter'), { mapFd: this.#rawMap('km_conn').fd });
  }

  netnsCookie(path: string): bigint {
    const cookie = netnsCookie(path, () => readCookieByProgram(this.#libbpf, objectsDirectory, findCgroup2()));
    if (cookie === null) throw new KmError('KM4011', `${path}: the kernel does not tell the namespace's cookie`);
    return cookie;
  }

  /** Gives up the file descriptors; what is pinned works on. */
  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#loaded.close();
  }

  #program(name: string): Program {
    const program = this.#loaded.programs.get(name);
    if (program === undefined) throw new KmError('KM4005', `no eBPF object has a program ${name}`);
    return program;
  }

  #rawMap(name: string) {
    const map = this.#loaded.maps.get(name);
    if (map === undefined) throw new KmError('KM4005', `no eBPF object has a map ${name}`);
    return map;
  }
}

/** A table whose changes are told of. */
function announced<K, V>(table: Table<K, V>, changed: () => void): Table<K, V> {
  return {
    name: table.name,
    maxEntries: table.maxEntries,
    get: (key) => table.get(key),
    entries: () => table.entries(),
    write: (entries, mode) => {
      table.write(entries, mode);
      if (entries.length > 0) changed();
    },
    remove: (keys) => {
      table.remove(keys);
      if (keys.length > 0) changed();
    },
  };
}

/** A cgroup's id is the inode of its directory. */
function cgroupIdOf(path: string): bigint {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch (cause) {
    throw new KmError('KM4010', `cgroup ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const directoriesOf = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

const otherSchemas = (bpfFsPath: string): string[] =>
  existsSync(bpfFsPath) ? directoriesOf(bpfFsPath).filter((name) => name !== schema && name !== 'links') : [];

/** Detaches and unpins everything under `bpfFsPath`. Returns what was there, one line each. */
export function removeDataPlane(bpfFsPath: string): string[] {
  if (!existsSync(bpfFsPath)) return [];
  const removed: string[] = [];
  const links = linksDirectory(bpfFsPath);
  for (const name of listPins(links).filter((pinned) => !isDevicePin(pinned))) {
    const link = openLink(join(links, name));
    link?.detach();
    link?.close();
    removed.push(`hook ${name}`);
  }
  const places = recordedPlaces(links);
  if (places.length > 0) removePlaces(openLibbpf(), links, places);
  removed.push(...places.map((place) => `hook ${placeName(place)}`));
  for (const directory of directoriesOf(bpfFsPath)) {
    if (directory !== 'links') removed.push(`maps ${directory}`);
    removeTree(join(bpfFsPath, directory));
  }
  try {
    rmdirSync(bpfFsPath);
  } catch (cause) {
    throw new KmError('KM4008', `${bpfFsPath} holds something that kmesh did not pin`, { cause });
  }
  return removed;
}
