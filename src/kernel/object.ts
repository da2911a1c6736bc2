import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { basename } from 'node:path';
import { KmError } from '../base/errors.ts';
import { type Constant, constantNames, setConstants } from './constants.ts';
import { type Libbpf, libbpfErrorName, type Pointer } from './libbpf.ts';
import { type MapInfo, mapInfo, type RawMap, rawMap } from './map.ts';
import { mapTypeName } from './maptype.ts';
import { openPinnedMaps } from './pin.ts';
import { allocate, close, cString, duplicate, errnoName, type Memory, raiseMemlock } from './syscall.ts';
import { describeRefusal } from './verifier.ts';

/** A loaded program. The file descriptor is its owner's until {@link LoadedObjects.close}. */
export interface Program {
  readonly name: string;
  /** ELF section, such as `cgroup/connect4`. */
  readonly section: string;
  readonly fd: number;
  /** enum bpf_prog_type */
  readonly type: number;
  /** enum bpf_attach_type */
  readonly attachType: number;
}

export interface LoadRequest {
  /** Paths of the object files, in the order in which they are loaded. */
  readonly objects: readonly string[];
  /** Entries of maps by name, instead of what the object says. KM4005 when no object has the map. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Values of `const volatile` variables by name. KM4005 when no object has the variable. */
  readonly constants?: Readonly<Record<string, Constant>>;
  /** Directory with pinned maps to go on with; one that does not exist is an empty one. */
  readonly pinnedMaps?: string;
  /** Groups of maps that point into each other: their pins are taken over all together or not at all. */
  readonly together?: readonly (readonly string[])[];
  /** Daemon flag that sizes each map, for error messages. */
  readonly settings?: Readonly<Record<string, string>>;
  /** False leaves a program out, for kernels that lack what it needs. */
  readonly wanted?: (program: { readonly name: string; readonly section: string }) => boolean;
}

/** Programs and maps in the kernel; they live while a descriptor, a link or a pin holds them. */
export interface LoadedObjects {
  readonly maps: ReadonlyMap<string, RawMap>;
  readonly programs: ReadonlyMap<string, Program>;
  /** Names of maps taken over from pins. */
  readonly reused: readonly string[];
  /** Maps whose pin does not fit any more, and why; new empty ones stand for them. */
  readonly notReused: readonly { readonly map: string; readonly reason: string }[];
  /** Closes all file descriptors. */
  close(): void;
}

/** The kernel keeps at most this of a log before 6.4, and gives up on a program whose log is longer. */
const logSize = 16 * 1024 * 1024 - 1;

/**
 * Opens and loads objects together. A map of one name is one map in all of them. Errors: KM4002 (file), KM4003 (refused
 * by the verifier), KM4004 (anything else in loading), KM4005 (names that no object has, or definitions that differ).
 * On an error nothing stays loaded.
 */
export function loadObjects(libbpf: Libbpf, request: LoadRequest): LoadedObjects {
  raiseMemlock();
  const loader = new Loader(libbpf, request);
  try {
    return loader.load();
  } catch (error) {
    loader.discard();
    throw error;
  } finally {
    loader.closeObjects();
  }
}

interface OpenObject {
  readonly path: string;
  readonly pointer: Pointer;
  /** Memory that libbpf goes on reading while the object is open. */
  readonly keep: readonly unknown[];
}

class Loader {
  readonly #libbpf: Libbpf;
  readonly #request: LoadRequest;
  readonly #objects: OpenObject[] = [];
  readonly #maps = new Map<string, RawMap>();
  readonly #programs = new Map<string, Program>();
  readonly #reused: string[] = [];
  readonly #notReused: { map: string; reason: string }[] = [];
  readonly #pinned: ReadonlyMap<string, number>;
  /** Pins that would fit but are not taken, and why. */
  readonly #passedOver = new Map<string, string>();
  /** Where the kernel says why it refuses; only pages that it writes become real. */
  readonly #log = allocate(logSize);

  constructor(libbpf: Libbpf, request: LoadRequest) {
    this.#libbpf = libbpf;
    this.#request = request;
    this.#pinned = request.pinnedMaps === undefined ? new Map() : openPinnedMaps(request.pinnedMaps);
  }

  load(): LoadedObjects {
    for (const path of this.#request.objects) this.#open(path);
    this.#checkNames();
    this.#refuseBrokenGroups();
    for (const object of this.#objects) {
      const prepared = this.#prepareMaps(object);
      this.#choosePrograms(object);
      this.#load(object);
      this.#keepMaps(prepared);
      this.#keepPrograms(object);
    }
    const maps = this.#maps;
    const programs = this.#programs;
    const closeAll = (): void => {
      for (const { fd } of [...maps.values(), ...programs.values()]) close(fd);
    };
    return { maps, programs, reused: this.#reused, notReused: this.#notReused, close: closeAll };
  }

  closeObjects(): void {
    for (const { pointer } of this.#objects) this.#libbpf.closeObject(pointer);
    for (const fd of this.#pinned.values()) close(fd);
  }

  discard(): void {
    for (const { fd } of [...this.#maps.values(), ...this.#programs.values()]) close(fd);
  }

  #open(path: string): void {
    const bytes = readObject(path);
    // An object's name becomes a prefix of its .rodata map's name.
    const name = cString(basename(path).replace(/\..*$/, ''));
    // struct bpf_object_open_opts of libbpf 1.0; a size of 80 takes in kernel_log_level, 0: a log only of what failed.
    const options = allocate(80);
    options.view.setBigUint64(0, 80n, true);
    options.view.setBigUint64(8, name.address, true);
    options.view.setBigUint64(56, this.#log.address, true);
    options.view.setBigUint64(64, BigInt(logSize), true);
    const { result, messages } = this.#libbpf.quietly(() => this.#libbpf.openMem(bytes, bytes.length, options.address));
    if (result === 0n) throw new KmError('KM4002', `${path}: ${lastMessage(messages)}`);
    this.#objects.push({ path, pointer: result, keep: [bytes, name, options] });
  }

  #checkNames(): void {
    const maps = new Set(
      this.#objects.flatMap((object) => this.#mapsOf(object).map((map) => this.#libbpf.mapName(map))),
    );
    const variables = new Set(this.#objects.flatMap(({ pointer }) => constantNames(this.#libbpf, pointer)));
    for (const name of Object.keys(this.#request.maxEntries ?? {})) {
      if (!maps.has(name)) throw new KmError('KM4005', `no eBPF object has a map ${name}`);
    }
    for (const name of Object.keys(this.#request.constants ?? {})) {
      if (!variables.has(name)) throw new KmError('KM4005', `no eBPF object has a constant ${name}`);
    }
    for (const { pointer } of this.#objects) setConstants(this.#libbpf, pointer, this.#request.constants ?? {});
  }

  #mapsOf({ pointer }: OpenObject): Pointer[] {
    const all: Pointer[] = [];
    for (let map = this.#libbpf.nextMap(pointer, 0n); map !== 0n; map = this.#libbpf.nextMap(pointer, map)) {
      // .rodata, .bss and .data are each object's own.
      if (!this.#libbpf.mapIsInternal(map)) all.push(map);
    }
    return all;
  }

  #programsOf({ pointer }: OpenObject): Pointer[] {
    const all: Pointer[] = [];
    for (let p = this.#libbpf.nextProgram(pointer, 0n); p !== 0n; p = this.#libbpf.nextProgram(pointer, p)) all.push(p);
    return all;
  }

  /** Passes over the pins of a whole group when one of them is missing or does not fit. */
  #refuseBrokenGroups(): void {
    const misfits = new Map<string, string>();
    for (const object of this.#objects) {
      for (const map of this.#mapsOf(object)) {
        const name = this.#libbpf.mapName(map);
        const entries = this.#request.maxEntries?.[name];
        const definition = this.#definition(map, name);
        const wanted = entries === undefined ? definition : { ...definition, maxEntries: entries };
        const pinned = this.#pinned.get(name);
        const difference = pinned === undefined ? 'it is not pinned' : incompatibility(wanted, mapInfo(pinned, name));
        if (difference !== null) misfits.set(name, difference);
      }
    }
    for (const group of this.#request.together ?? []) {
      const misfit = group.find((name) => misfits.has(name));
      if (misfit === undefined) continue;
      for (const name of group) {
        if (!this.#pinned.has(name)) continue;
        const reason = misfits.get(name) ?? `${misfit} does not fit: ${misfits.get(misfit)}`;
        this.#passedOver.set(name, reason);
      }
    }
  }

  /** Sets sizes and hands libbpf the maps that exist already. Returns those that it will create. */
  #prepareMaps(object: OpenObject): Pointer[] {
    return this.#mapsOf(object).filter((map) => {
      const name = this.#libbpf.mapName(map);
      const entries = this.#request.maxEntries?.[name];
      if (entries !== undefined) this.#check(object, this.#libbpf.setMapMaxEntries(map, entries), `map ${name}`);
      const wanted = this.#definition(map, name);
      const shared = this.#maps.get(name);
      if (shared !== undefined) {
        const difference = incompatibility(wanted, shared.info);
        if (difference !== null) throw new KmError('KM4005', `map ${name} differs in ${object.path}: ${difference}`);
        this.#check(object, this.#libbpf.reuseMapFd(map, shared.fd), `map ${name}`);
        return false;
      }
      const pinned = this.#pinned.get(name);
      if (pinned === undefined) return true;
      const difference = this.#passedOver.get(name) ?? incompatibility(wanted, mapInfo(pinned, name));
      if (difference !== null) {
        this.#notReused.push({ map: name, reason: difference });
        return true;
      }
      this.#check(object, this.#libbpf.reuseMapFd(map, pinned), `map ${name}`);
      this.#reused.push(name);
      return true;
    });
  }

  #definition(map: Pointer, name: string): MapInfo {
    return {
      name,
      id: 0,
      type: this.#libbpf.mapType(map),
      keySize: this.#libbpf.mapKeySize(map),
      valueSize: this.#libbpf.mapValueSize(map),
      maxEntries: this.#libbpf.mapMaxEntries(map),
      flags: this.#libbpf.mapFlags(map),
    };
  }

  #choosePrograms(object: OpenObject): void {
    const wanted = this.#request.wanted;
    if (wanted === undefined) return;
    for (const program of this.#programsOf(object)) {
      const name = this.#libbpf.programName(program);
      const load = wanted({ name, section: this.#libbpf.programSection(program) });
      this.#check(object, this.#libbpf.setProgramAutoload(program, load), `program ${name}`);
    }
  }

  #load(object: OpenObject): void {
    this.#log.bytes[0] = 0;
    const { result, messages } = this.#libbpf.quietly(() => this.#libbpf.load(object.pointer));
    if (result >= 0) return;
    const failed = /prog '([^']+)': (?:BPF program load failed|failed to load)/.exec(messages)?.[1];
    const log = textOf(this.#log);
    const error = libbpfErrorName(result);
    if (failed !== undefined && log !== '') {
      throw new KmError('KM4003', `${describeRefusal(failed, basename(object.path), error, release(), log)}`);
    }
    throw new KmError('KM4004', `${object.path}: ${error} on kernel ${release()}: ${lastMessage(messages)}`);
  }

  #keepMaps(maps: readonly Pointer[]): void {
    for (const pointer of maps) {
      const name = this.#libbpf.mapName(pointer);
      const fd = this.#own(this.#libbpf.mapFd(pointer), `map ${name}`);
      this.#maps.set(name, rawMap(fd, name, this.#request.settings?.[name] ?? null));
    }
  }

  #keepPrograms(object: OpenObject): void {
    for (const pointer of this.#programsOf(object)) {
      const name = this.#libbpf.programName(pointer);
      const fd = this.#libbpf.programFd(pointer);
      if (fd < 0) continue;
      if (this.#programs.has(name)) throw new KmError('KM4005', `two eBPF objects have a program ${name}`);
      this.#programs.set(name, {
        name,
        section: this.#libbpf.programSection(pointer),
        fd: this.#own(fd, `program ${name}`),
        type: this.#libbpf.programType(pointer),
        attachType: this.#libbpf.programAttachType(pointer),
      });
    }
  }

  /** libbpf closes its descriptors with the object; these stay. */
  #own(fd: number, what: string): number {
    const copy = duplicate(fd);
    if (copy < 0) throw new KmError('KM4004', `${what}: ${errnoName(copy)}`);
    return copy;
  }

  #check(object: OpenObject, result: number, what: string): void {
    if (result < 0) throw new KmError('KM4004', `${object.path}: ${what}: ${libbpfErrorName(result)}`);
  }
}

/** Why a map that exists cannot stand for one that an object declares, or null. */
export function incompatibility(wanted: MapInfo, existing: MapInfo): string | null {
  if (wanted.type !== existing.type) return `type is ${mapTypeName(existing.type)}, not ${mapTypeName(wanted.type)}`;
  const numbers = ['keySize', 'valueSize', 'flags', 'maxEntries'] as const;
  const labels = { keySize: 'key size', valueSize: 'value size', flags: 'flags', maxEntries: 'maximum of entries' };
  for (const field of numbers) {
    if (wanted[field] !== existing[field]) return `${labels[field]} is ${existing[field]}, not ${wanted[field]}`;
  }
  return null;
}

function readObject(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new KmError('KM4002', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function textOf(memory: Memory): string {
  const end = memory.bytes.indexOf(0);
  return Buffer.from(memory.bytes.subarray(0, end < 0 ? memory.bytes.length : end)).toString('utf8');
}

/** libbpf says the cause first and what failed by it last; all lines without its prefix. */
function lastMessage(messages: string): string {
  const lines = messages.split('\n').map((line) => line.replace(/^libbpf: /, '').trim());
  return lines.filter((line) => line !== '').join('; ') || 'no message from libbpf';
}
