import koffi from 'koffi';
import { KmError } from '../base/errors.ts';
import type { Libbpf, Pointer } from './libbpf.ts';
import { allocate } from './syscall.ts';

/**
 * A value for a `const volatile` variable: an integer of 1, 2, 4 or 8 bytes (a bigint where a number is not exact), a
 * boolean, or the bytes of a struct or array. The verifier sees it as a constant and drops branches that it rules out.
 */
export type Constant = number | bigint | boolean | Uint8Array;

interface Variable {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const section = '.rodata';
const kindDatasec = 15;

/** Names of an open object's constants. */
export function constantNames(libbpf: Libbpf, object: Pointer): string[] {
  return variables(libbpf, object).map(({ name }) => name);
}

/** Writes those values that the open, not yet loaded object has variables for. KM4005 when a value does not fit. */
export function setConstants(libbpf: Libbpf, object: Pointer, values: Readonly<Record<string, Constant>>): void {
  const wanted = variables(libbpf, object).filter(({ name }) => Object.hasOwn(values, name));
  if (wanted.length === 0) return;
  const data = sectionData(libbpf, object);
  for (const { name, offset, size } of wanted) {
    const value = values[name];
    if (value === undefined) continue;
    const bytes = toBytes(name, size, value);
    koffi.encode(data, offset, koffi.array('uint8', size, 'Typed'), bytes);
  }
}

/** struct btf_type and struct btf_var_secinfo of linux/btf.h; libbpf has filled in the offsets when it opened the file. */
function variables(libbpf: Libbpf, object: Pointer): Variable[] {
  const btf = libbpf.objectBtf(object);
  const id = btf === 0n ? -1 : libbpf.btfFind(btf, section, kindDatasec);
  if (id < 0) return [];
  const type = libbpf.btfType(btf, id);
  const count = koffi.decode.uint32(type + 4n) & 0xffff;
  return Array.from({ length: count }, (_, i) => {
    const entry = type + 12n + BigInt(i) * 12n;
    const variable = libbpf.btfType(btf, koffi.decode.uint32(entry));
    return {
      name: libbpf.btfName(btf, koffi.decode.uint32(variable)),
      offset: koffi.decode.uint32(entry + 4n),
      size: koffi.decode.uint32(entry + 8n),
    };
  });
}

function sectionData(libbpf: Libbpf, object: Pointer): Pointer {
  for (let map = libbpf.nextMap(object, 0n); map !== 0n; map = libbpf.nextMap(object, map)) {
    if (!libbpf.mapIsInternal(map) || !libbpf.mapName(map).endsWith(section)) continue;
    const size = allocate(8);
    const data = libbpf.mapInitialValue(map, size.address);
    if (data !== 0n && size.view.getBigUint64(0, true) > 0n) return data;
  }
  throw new KmError('KM4005', `the object has no ${section}`);
}

function toBytes(name: string, size: number, value: Constant): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.length === size) return value;
    throw new KmError('KM4005', `constant ${name} has ${size} bytes, ${value.length} given`);
  }
  const number = BigInt(value);
  const bits = size * 8;
  const fits = number >= -(1n << BigInt(bits - 1)) && number < 1n << BigInt(bits);
  if (size > 8 || !fits) throw new KmError('KM4005', `constant ${name} has ${size} bytes: ${value} does not fit`);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, number), true);
  return bytes.slice(0, size);
}
