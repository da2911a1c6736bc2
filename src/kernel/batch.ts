import type { Codec } from './codec.ts';
import { allocate, BpfAttr, bpfCommand, errno, type Memory } from './syscall.ts';

/** Errors by which a kernel says that it has no batch for this map type, or none at all (before 5.6). */
const unsupported = new Set<number>([errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUPP]);

/** Offsets in the batch member of union bpf_attr. */
const field = { inBatch: 0, outBatch: 8, keys: 16, values: 24, count: 32, mapFd: 36, elemFlags: 40 } as const;

/** Writes or deletes many keys in one bpf(2) call. */
export class BatchWriter<K, V> {
  readonly #attr: BpfAttr;
  readonly #command: number;
  readonly #key: Codec<K>;
  readonly #value: Codec<V> | null;
  #memory: { readonly pairs: number; readonly keys: Memory; readonly values: Memory } | null = null;
  #works = true;

  /** `value` null: the command takes keys only. */
  constructor(fd: number, command: number, key: Codec<K>, value: Codec<V> | null, flags: number) {
    this.#attr = new BpfAttr().u32(field.mapFd, fd).u64(field.elemFlags, BigInt(flags));
    this.#command = command;
    this.#key = key;
    this.#value = value;
  }

  /** Null when the kernel has no batch here: use single calls. `done` pairs were taken. */
  run(pairs: readonly (readonly [K, V | null])[]): { readonly errno: number; readonly done: number } | null {
    if (!this.#works || pairs.length < 2) return null;
    const { keys, values } = this.#buffers(pairs.length);
    const [keyCodec, valueCodec] = [this.#key, this.#value];
    let i = 0;
    for (const [key, value] of pairs) {
      keyCodec.encode(key, keys.view, i * keyCodec.size);
      if (valueCodec !== null && value !== null) valueCodec.encode(value, values.view, i * valueCodec.size);
      i++;
    }
    this.#attr.u64(field.keys, keys).u64(field.values, values).u32(field.count, pairs.length);
    const result = this.#attr.call(this.#command);
    if (result >= 0) return { errno: 0, done: pairs.length };
    if (unsupported.has(-result)) {
      this.#works = false;
      return null;
    }
    return { errno: -result, done: Math.min(this.#attr.view.getUint32(field.count, true), pairs.length) };
  }

  #buffers(pairs: number): { readonly keys: Memory; readonly values: Memory } {
    if (this.#memory === null || this.#memory.pairs < pairs) {
      const [keys, values] = [allocate(pairs * this.#key.size), allocate(pairs * (this.#value?.size ?? 0))];
      this.#memory = { pairs, keys, values };
    }
    return this.#memory;
  }
}

export interface BatchChunk {
  readonly unsupported: boolean;
  /** 0 or what failed. */
  readonly errno: number;
  readonly count: number;
  readonly last: boolean;
  readonly keys: DataView;
  readonly values: DataView;
}

/** Reads a map in pieces. The views of a piece are overwritten by the next. */
export class BatchReader {
  readonly #attr: BpfAttr;
  readonly #keySize: number;
  readonly #valueSize: number;
  /** Where the kernel goes on: a bucket number or a key. Two, because it may read one while it writes the other. */
  readonly #positions: readonly [Memory, Memory];
  #size: number;
  #keys: Memory;
  #values: Memory;
  #round = 0;

  constructor(fd: number, keySize: number, valueSize: number, size: number) {
    this.#attr = new BpfAttr().u32(field.mapFd, fd);
    this.#keySize = keySize;
    this.#valueSize = valueSize;
    this.#positions = [allocate(keySize), allocate(keySize)];
    // A hash returns whole buckets: with room for too few it says ENOSPC.
    this.#size = Math.max(size, 16);
    this.#keys = allocate(this.#size * keySize);
    this.#values = allocate(this.#size * valueSize);
  }

  next(): BatchChunk {
    const [from, to] = this.#round % 2 === 0 ? this.#positions : [this.#positions[1], this.#positions[0]];
    for (;;) {
      const attr = this.#attr.u64(field.inBatch, this.#round === 0 ? 0n : from).u64(field.outBatch, to);
      attr.u64(field.keys, this.#keys).u64(field.values, this.#values).u32(field.count, this.#size);
      const error = -Math.min(attr.call(bpfCommand.MAP_LOOKUP_BATCH), 0);
      if (error === errno.ENOSPC) {
        this.#grow();
        continue;
      }
      const first = this.#round++ === 0;
      const last = error === errno.ENOENT;
      const failed = error !== 0 && !last;
      return {
        unsupported: first && unsupported.has(error),
        errno: failed ? error : 0,
        count: failed ? 0 : attr.view.getUint32(field.count, true),
        last,
        keys: this.#keys.view,
        values: this.#values.view,
      };
    }
  }

  #grow(): void {
    this.#size *= 2;
    this.#keys = allocate(this.#size * this.#keySize);
    this.#values = allocate(this.#size * this.#valueSize);
  }
}
