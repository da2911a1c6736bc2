/** Turns one value into the bytes that the kernel keeps in a map, and back. Sizes are in bytes. */
export interface Codec<T> {
  readonly size: number;
  encode(value: T, view: DataView, offset: number): void;
  decode(view: DataView, offset: number): T;
}

/** The type that a codec carries. */
export type CodecValue<C> = C extends Codec<infer T> ? T : never;

// Every architecture that Kmesh runs on (x86-64, arm64) is little-endian, and a BPF object is of the host's byte order.
export const u8: Codec<number> = {
  size: 1,
  encode: (value, view, offset) => view.setUint8(offset, value),
  decode: (view, offset) => view.getUint8(offset),
};
export const s8: Codec<number> = {
  size: 1,
  encode: (value, view, offset) => view.setInt8(offset, value),
  decode: (view, offset) => view.getInt8(offset),
};
export const u16: Codec<number> = {
  size: 2,
  encode: (value, view, offset) => view.setUint16(offset, value, true),
  decode: (view, offset) => view.getUint16(offset, true),
};
export const s16: Codec<number> = {
  size: 2,
  encode: (value, view, offset) => view.setInt16(offset, value, true),
  decode: (view, offset) => view.getInt16(offset, true),
};
export const u32: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value, true),
  decode: (view, offset) => view.getUint32(offset, true),
};
export const s32: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setInt32(offset, value, true),
  decode: (view, offset) => view.getInt32(offset, true),
};
export const u64: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigUint64(offset, value, true),
  decode: (view, offset) => view.getBigUint64(offset, true),
};
export const s64: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigInt64(offset, value, true),
  decode: (view, offset) => view.getBigInt64(offset, true),
};
/** `__be16`: network byte order in the kernel, a plain number here. */
export const be16: Codec<number> = {
  size: 2,
  encode: (value, view, offset) => view.setUint16(offset, value, false),
  decode: (view, offset) => view.getUint16(offset, false),
};
/** `__be32`: network byte order in the kernel, a plain number here. */
export const be32: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value, false),
  decode: (view, offset) => view.getUint32(offset, false),
};
/** `__be64`: network byte order in the kernel, a bigint here. */
export const be64: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigUint64(offset, value, false),
  decode: (view, offset) => view.getBigUint64(offset, false),
};
export const bool: Codec<boolean> = {
  size: 1,
  encode: (value, view, offset) => view.setUint8(offset, value ? 1 : 0),
  decode: (view, offset) => view.getUint8(offset) !== 0,
};

/** `__u8 name[size]`: raw bytes. A shorter value is filled with zeros, a longer one is a RangeError. */
export function bytes(size: number): Codec<Uint8Array> {
  return {
    size,
    encode(value, view, offset) {
      if (value.length > size) throw new RangeError(`${value.length} bytes do not fit into ${size}`);
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, size);
      target.set(value);
      target.fill(0, value.length);
    },
    decode: (view, offset) => {
      const start = view.byteOffset + offset;
      return new Uint8Array(view.buffer, start, size).slice();
    },
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** `char name[size]`: UTF-8 that ends at the first NUL or at the end. A longer value is a RangeError. */
export function chars(size: number): Codec<string> {
  const raw = bytes(size);
  return {
    size,
    encode: (value, view, offset) => raw.encode(encoder.encode(value), view, offset),
    decode(view, offset) {
      const all = raw.decode(view, offset);
      const end = all.indexOf(0);
      return decoder.decode(end < 0 ? all : all.subarray(0, end));
    },
  };
}

/** A fixed number of equal elements. The value must have exactly that many. */
export function array<T>(element: Codec<T>, length: number): Codec<readonly T[]> {
  return {
    size: element.size * length,
    encode(value, view, offset) {
      if (value.length !== length) throw new RangeError(`${value.length} elements given, ${length} expected`);
      let at = offset;
      for (const item of value) {
        element.encode(item, view, at);
        at += element.size;
      }
    },
    decode(view, offset) {
      const out: T[] = [];
      for (let i = 0; i < length; i++) out.push(element.decode(view, offset + i * element.size));
      return out;
    },
  };
}

/** Encodes into fresh memory. */
export function toBytes<T>(codec: Codec<T>, value: T): Uint8Array {
  const out = new Uint8Array(codec.size);
  codec.encode(value, new DataView(out.buffer), 0);
  return out;
}

/** Adds counters: two values of one shape whose leaves are numbers or bigints (others are taken from the first). */
export function addCounters<T>(a: T, b: T): T {
  return addLeaves(a, b) as T;
}

function addLeaves(a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (typeof a === 'bigint' && typeof b === 'bigint') return BigInt.asUintN(64, a + b);
  if (Array.isArray(a) && Array.isArray(b)) return a.map((item, i) => addLeaves(item, b[i]));
  if (a instanceof Uint8Array || typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a;
  const other = b as Record<string, unknown>;
  return Object.fromEntries(Object.entries(a).map(([name, value]) => [name, addLeaves(value, other[name])]));
}
