import { readFileSync } from 'node:fs';
import { KmError } from '../base/errors.ts';
import { BatchReader, BatchWriter } from './batch.ts';
import { addCounters, bytes, type Codec } from './codec.ts';
import { isArray, isPerCpu, mapTypeName, mapTypeNumber } from './maptype.ts';
import { allocate, BpfAttr, bpfCommand, close, errno, errnoName, type Memory } from './syscall.ts';

/** What a map is; sizes in bytes. `valueSize` of a per-CPU map is one CPU's. */
export interface MapInfo {
  /** As the object declares it; the kernel keeps 15 characters of it. */
  readonly name: string;
  readonly id: number;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

/** Codecs of a map's keys and values, as `mapTypes` of the generated layout lists them. */
export interface MapType<K, V> {
  readonly key: Codec<K>;
  readonly value: Codec<V>;
}

/** Flags of an update. EXIST and NOEXIST make it fail (result false) when the key is missing or there. */
export const update = { ANY: 0, NOEXIST: 1, EXIST: 2, LOCK: 4 } as const;

/** Pairs that one bpf(2) call carries in a batch. */
const batchSize = 4096;

/** A map whose keys and values are plain bytes, as the loader hands it out. */
export type RawMap = KernelMap<Uint8Array, Uint8Array>;

/**
 * A map in the kernel. Each call is one bpf(2), except where it says batch. Failures are KmError KM4006 (full, with the
 * flag that sizes the map) and KM4007 (anything else). Not for use from several threads: buffers are shared by its calls.
 */
export class KernelMap<K, V> {
  readonly fd: number;
  readonly info: MapInfo;
  /** Daemon flag that sizes this map, such as `--max-endpoints`. */
  readonly setting: string | null;
  readonly #type: MapType<K, V>;
  readonly #key: Memory;
  readonly #nextKey: Memory;
  readonly #value: Memory;
  readonly #attr = new BpfAttr();
  /** Bytes between two CPUs' values, 0 when there is one value. */
  readonly #stride: number;

  constructor(fd: number, info: MapInfo, type: MapType<K, V>, setting: string | null) {
    if (type.key.size !== info.keySize || type.value.size !== info.valueSize) {
      throw new KmError(
        'KM4005',
        `map ${info.name}: the kernel has ${info.keySize}+${info.valueSize} bytes a pair, the daemon ` +
          `${type.key.size}+${type.value.size}`,
      );
    }
    this.fd = fd;
    this.info = info;
    this.setting = setting;
    this.#type = type;
    this.#stride = isPerCpu(info.type) ? roundUp8(info.valueSize) : 0;
    this.#key = allocate(info.keySize);
    this.#nextKey = allocate(info.keySize);
    this.#value = allocate(this.#valueBytes);
    this.#attr.u32(0, fd).u64(8, this.#key);
  }

  get #valueBytes(): number {
    return this.#stride === 0 ? this.info.valueSize : this.#stride * possibleCpus();
  }

  get name(): string {
    return this.info.name;
  }

  /** The same map with other codecs of the same sizes. It shares the file descriptor. */
  as<K2, V2>(type: MapType<K2, V2>): KernelMap<K2, V2> {
    return new KernelMap(this.fd, this.info, type, this.setting);
  }

  /** The value of a key, or undefined. With `locked` the value's bpf_spin_lock is held while it is copied. */
  get(key: K, locked = false): V | undefined {
    this.#oneValue();
    if (!this.#lookup(key, locked ? update.LOCK : 0)) return undefined;
    return this.#type.value.decode(this.#value.view, 0);
  }

  /** A per-CPU map's values, one for each possible CPU. */
  getPerCpu(key: K): V[] | undefined {
    return this.#lookup(key, 0) ? this.#perCpuValues(this.#value.view, 0) : undefined;
  }

  /** A per-CPU map's values added up, field by field (integers only). */
  getSum(key: K): V | undefined {
    return this.getPerCpu(key)?.reduce(addCounters);
  }

  /** Sets one key. Returns false when NOEXIST or EXIST forbade it. */
  set(key: K, value: V, flags: number = update.ANY): boolean {
    this.#oneValue();
    this.#type.value.encode(value, this.#value.view, 0);
    return this.#update(key, flags);
  }

  /** Gives every CPU's copy the same value: zeros to start counting anew. */
  setEachCpu(key: K, value: V): boolean {
    for (let i = 0; i < possibleCpus(); i++) this.#type.value.encode(value, this.#value.view, i * this.#stride);
    return this.#update(key, update.ANY);
  }

  /** Deletes one key. Returns false when it was not there. */
  delete(key: K): boolean {
    this.#type.key.encode(key, this.#key.view, 0);
    const result = this.#attr.u64(16, 0n).u64(24, 0n).call(bpfCommand.MAP_DELETE_ELEM);
    if (result === -errno.ENOENT) return false;
    if (result < 0) throw this.#failure('delete', result);
    return true;
  }

  /**
   * Sets many keys, 4096 a call where the kernel can. On a failure the error says how many pairs were done; those stay.
   */
  setAll(pairs: Iterable<readonly [K, V]>, flags: number = update.ANY): void {
    this.#oneValue();
    // A batch takes no flag but LOCK (linux/bpf.h, BPF_MAP_UPDATE_BATCH).
    const batch = this.#batchWriter(bpfCommand.MAP_UPDATE_BATCH, flags);
    let done = 0;
    for (const chunk of chunks(pairs, batchSize)) {
      const result = (flags & ~update.LOCK) === 0 ? batch.run(chunk) : null;
      if (result === null) {
        for (const [key, value] of chunk) {
          try {
            this.set(key, value, flags);
          } catch (error) {
            throw withProgress(error, done);
          }
          done++;
        }
      } else if (result.errno !== 0) {
        throw this.#failure(`batch update after ${done + result.done} pairs`, -result.errno);
      } else done += chunk.length;
    }
  }

  /** Deletes many keys; those that are not there are passed over. Returns how many were deleted. */
  deleteAll(keys: Iterable<K>): number {
    const batch = this.#batchWriter(bpfCommand.MAP_DELETE_BATCH, 0);
    let deleted = 0;
    for (const chunk of chunks(keys, batchSize)) {
      const result = batch.run(chunk.map((key) => [key, null] as const));
      deleted += result?.done ?? 0;
      if (result?.errno === 0) continue;
      if (result && result.errno !== errno.ENOENT) throw this.#failure('batch delete', -result.errno);
      // The kernel stops at the first key that is missing.
      for (const key of chunk.slice(result?.done ?? 0)) if (this.delete(key)) deleted++;
    }
    return deleted;
  }

  /**
   * All pairs. Each pair is as it was at one moment, but not the map as a whole: keys that come or go meanwhile may be
   * missed. A per-CPU map gives sums.
   */
  *entries(): Generator<[key: K, value: V]> {
    for (const [view, keyAt, value, valueAt] of this.#pairs()) {
      const key = this.#type.key.decode(view, keyAt);
      if (this.#stride === 0) yield [key, this.#type.value.decode(value, valueAt)];
      else {
        const [first, ...rest] = this.#perCpuValues(value, valueAt);
        if (first !== undefined) yield [key, rest.reduce((sum, item) => addCounters(sum, item), first)];
      }
    }
  }

  /** All keys, as {@link entries} finds them. */
  *keys(): Generator<K> {
    for (const [view, keyAt] of this.#pairs()) yield this.#type.key.decode(view, keyAt);
  }

  /** Whether there is no entry; one call, also for maps whose values user space cannot read. */
  isEmpty(): boolean {
    const result = new BpfAttr().u32(0, this.fd).u64(16, this.#nextKey).call(bpfCommand.MAP_GET_NEXT_KEY);
    if (result < 0 && result !== -errno.ENOENT) throw this.#failure('iteration', result);
    return result === -errno.ENOENT;
  }

  /** Number of entries now; counts them. An array is always full. */
  count(): number {
    if (isArray(this.info.type)) return this.info.maxEntries;
    let count = 0;
    for (const _ of this.#pairs()) count++;
    return count;
  }

  /** Deletes every entry; those of an array become zeros. */
  clear(): void {
    if (!isArray(this.info.type)) {
      const raw = this.as({ key: bytes(this.info.keySize), value: bytes(this.info.valueSize) });
      raw.deleteAll([...raw.keys()]);
      return;
    }
    this.#value.bytes.fill(0);
    for (let i = 0; i < this.info.maxEntries; i++) {
      this.#key.view.setUint32(0, i, true);
      this.#checkUpdate(this.#attr.u64(16, this.#value).u64(24, 0n).call(bpfCommand.MAP_UPDATE_ELEM), 0);
    }
  }

  /** Bytes of kernel memory, as the kernel reckons it; exact from 6.4, an estimate of preallocation before. */
  memoryBytes(): number {
    const text = readFileSync(`/proc/self/fdinfo/${this.fd}`, 'utf8');
    return Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** Closes the file descriptor; the map lives on while a pin or a program holds it. */
  close(): void {
    close(this.fd);
  }

  #lookup(key: K, flags: number): boolean {
    this.#type.key.encode(key, this.#key.view, 0);
    return this.#lookupEncoded(flags);
  }

  #lookupEncoded(flags: number): boolean {
    const attr = this.#attr.u64(16, this.#value).u64(24, BigInt(flags));
    const result = attr.call(bpfCommand.MAP_LOOKUP_ELEM);
    if (result === -errno.ENOENT) return false;
    if (result < 0) throw this.#failure('lookup', result);
    return true;
  }

  #update(key: K, flags: number): boolean {
    this.#type.key.encode(key, this.#key.view, 0);
    const attr = this.#attr.u64(16, this.#value).u64(24, BigInt(flags));
    return this.#checkUpdate(attr.call(bpfCommand.MAP_UPDATE_ELEM), flags);
  }

  #checkUpdate(result: number, flags: number): boolean {
    if (result >= 0) return true;
    if (result === -errno.EEXIST && (flags & update.NOEXIST) !== 0) return false;
    if (result === -errno.ENOENT && (flags & update.EXIST) !== 0) return false;
    throw this.#failure('update', result);
  }

  #perCpuValues(view: DataView, offset: number): V[] {
    if (this.#stride === 0) throw new TypeError(`map ${this.name} is not per-CPU`);
    return Array.from({ length: possibleCpus() }, (_, cpu) =>
      this.#type.value.decode(view, offset + cpu * this.#stride),
    );
  }

  #oneValue(): void {
    if (this.#stride !== 0) throw new TypeError(`map ${this.name} has a value for each CPU`);
  }

  #batchWriter(command: number, flags: number): BatchWriter<K, V> {
    const values = command === bpfCommand.MAP_UPDATE_BATCH ? this.#type.value : null;
    return new BatchWriter(this.fd, command, this.#type.key, values, flags & update.LOCK);
  }

  *#pairs(): Generator<readonly [DataView, number, DataView, number]> {
    const stride = this.#valueBytes;
    const reader = new BatchReader(this.fd, this.info.keySize, stride, Math.min(batchSize, this.info.maxEntries));
    for (;;) {
      const chunk = reader.next();
      if (chunk.unsupported) break;
      if (chunk.errno !== 0) throw this.#failure('batch lookup', -chunk.errno);
      for (let i = 0; i < chunk.count; i++) {
        yield [chunk.keys, i * this.info.keySize, chunk.values, i * stride];
      }
      if (chunk.last) return;
    }
    yield* this.#pairsOneByOne();
  }

  /** BPF_MAP_GET_NEXT_KEY starts over when its key was deleted meanwhile; keys that were seen are passed over. */
  *#pairsOneByOne(): Generator<readonly [DataView, number, DataView, number]> {
    const seen = new Set<string>();
    const attr = new BpfAttr().u32(0, this.fd).u64(16, this.#nextKey);
    const limit = 2 * this.info.maxEntries;
    for (let i = 0; i <= limit; i++) {
      const result = attr.call(bpfCommand.MAP_GET_NEXT_KEY);
      if (result === -errno.ENOENT) return;
      if (result < 0) throw this.#failure('iteration', result);
      this.#key.bytes.set(this.#nextKey.bytes);
      const name = Buffer.from(this.#key.bytes).toString('latin1');
      const value = seen.has(name) ? false : this.#lookupEncoded(0);
      seen.add(name);
      const current = allocate(this.info.keySize);
      current.bytes.set(this.#nextKey.bytes);
      attr.u64(8, current);
      if (value) yield [current.view, 0, this.#value.view, 0];
    }
  }

  #failure(what: string, result: number): KmError {
    const { name, maxEntries, type } = this.info;
    if (isFull(type, result)) {
      const advice = this.setting === null ? '' : `; ${this.setting} sets its size`;
      return new KmError('KM4006', `map ${name} is full (${maxEntries} entries)${advice}: ${what}`);
    }
    return new KmError('KM4007', `map ${name} (${mapTypeName(type)}): ${what}: ${errnoName(result)}`);
  }
}

/** A typed map for each entry of `mapTypes`. */
export type TypedMaps<T> = {
  readonly [N in keyof T]: T[N] extends MapType<infer K, infer V> ? KernelMap<K, V> : never;
};

/** Typed maps by name, such as `typedMaps(loaded.maps, mapTypes).km_listener`. KM4005 when one is missing. */
export function typedMaps<T extends Readonly<Record<string, MapType<unknown, unknown>>>>(
  maps: ReadonlyMap<string, RawMap>,
  types: T,
): TypedMaps<T> {
  const entries = Object.entries(types).map(([name, type]) => {
    const map = maps.get(name);
    if (map === undefined) throw new KmError('KM4005', `no eBPF object has a map ${name}`);
    return [name, map.as(type)] as const;
  });
  return Object.fromEntries(entries) as unknown as TypedMaps<T>;
}

/** Wraps a file descriptor that the caller owns. The name is what the object calls it. */
export function rawMap(fd: number, name: string, setting: string | null = null): RawMap {
  const info = mapInfo(fd, name);
  return new KernelMap(fd, info, { key: bytes(info.keySize), value: bytes(info.valueSize) }, setting);
}

/** struct bpf_map_info of linux/bpf.h. */
export function mapInfo(fd: number, name: string): MapInfo {
  const info = allocate(88);
  const result = new BpfAttr().u32(0, fd).u32(4, 88).u64(8, info).call(bpfCommand.OBJ_GET_INFO_BY_FD);
  if (result < 0) throw new KmError('KM4007', `map ${name}: info: ${errnoName(result)}`);
  const u32 = (offset: number): number => info.view.getUint32(offset, true);
  return {
    name,
    type: u32(0),
    id: u32(4),
    keySize: u32(8),
    valueSize: u32(12),
    maxEntries: u32(16),
    flags: u32(20),
  };
}

/** A hash says E2BIG when it is full (ENOMEM too where it allocates), an LPM trie ENOSPC. An array's E2BIG is its index. */
function isFull(type: number, result: number): boolean {
  if (result === -errno.ENOSPC) return true;
  return result === -errno.E2BIG && !isArray(type) && type !== mapTypeNumber('array_of_maps');
}

function withProgress(error: unknown, done: number): unknown {
  if (!(error instanceof KmError)) return error;
  return new KmError(error.code, `${error.message} after ${done} pairs`, { cause: error });
}

function* chunks<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

const roundUp8 = (size: number): number => (size + 7) & ~7;

/** CPUs that may ever come up, which is how many values a per-CPU map keeps (`0-3` or `0,2-5`). */
const possibleCpuCount = readFileSync('/sys/devices/system/cpu/possible', 'utf8')
  .trim()
  .split(',')
  .reduce((last, range) => Math.max(last, Number(range.split('-').at(-1)) + 1), 1);

export function possibleCpus(): number {
  return possibleCpuCount;
}
