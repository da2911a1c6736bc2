import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';

/**
 * What user space needs to know of an object's BTF (the compiler's own type description): structs and enums whose name
 * starts with `km_`, and the maps. Offsets and sizes in bytes.
 */

/** How a field is stored. `enum` fields are plain integers of the enum's size. */
export type Shape =
  | { readonly kind: 'int'; readonly size: number; readonly signed: boolean; readonly bigEndian: boolean }
  | { readonly kind: 'bool' }
  | { readonly kind: 'struct'; readonly name: string; readonly size: number }
  | { readonly kind: 'bytes'; readonly size: number }
  | { readonly kind: 'chars'; readonly size: number }
  | { readonly kind: 'array'; readonly element: Shape; readonly length: number };

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly shape: Shape;
}

export interface Struct {
  readonly name: string;
  readonly size: number;
  /** Without padding and locks. */
  readonly fields: readonly Field[];
  /** Why user space cannot read it (a pointer, a bit field, a nameless union); such a struct is the kernel side's own. */
  readonly unreadable: string | null;
}

export interface Enum {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly value: number | bigint }[];
}

export interface MapDefinition {
  readonly name: string;
  /** Number of enum bpf_map_type. */
  readonly type: number;
  readonly flags: number;
  readonly key: Shape | null;
  readonly value: Shape | null;
}

/** What one object, or several merged, declare. */
export interface Layout {
  readonly structs: ReadonlyMap<string, Struct>;
  readonly enums: ReadonlyMap<string, Enum>;
  /** Enumerators of nameless enums. */
  readonly constants: ReadonlyMap<string, number | bigint>;
  readonly maps: ReadonlyMap<string, MapDefinition>;
}

interface RawMember {
  readonly name: string;
  readonly type_id: number;
  readonly bits_offset: number;
  readonly bitfield_size?: number;
}

/** One type of `bpftool -j btf dump file`. */
interface RawType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly encoding?: string;
  readonly type_id?: number;
  readonly nr_elems?: number;
  readonly members?: readonly RawMember[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
  readonly vars?: readonly { readonly type_id: number }[];
}

const ownName = /^km_/i;
const anonymous = '(anon)';
const qualifiers = new Set(['CONST', 'VOLATILE', 'RESTRICT', 'TYPEDEF', 'TYPE_TAG']);
/** Kernel objects inside a map value; user space sees and writes zeros there. */
const kernelOnly = new Set(['bpf_spin_lock', 'bpf_timer', 'bpf_list_head', 'bpf_rb_root', 'bpf_refcount']);
const padding = /^_*pad/;

class Unreadable extends Error {}

/** Reads the BTF of one object file. Throws with bpftool's words when the file has none. */
export function readLayout(path: string): Layout {
  const json = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', path], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const { types } = JSON.parse(json) as { types: readonly RawType[] };
  return new Reader(types).layout();
}

class Reader {
  readonly #types: readonly RawType[];

  constructor(types: readonly RawType[]) {
    this.#types = types;
  }

  layout(): Layout {
    const structs = new Map<string, Struct>();
    const enums = new Map<string, Enum>();
    const constants = new Map<string, number | bigint>();
    const maps = new Map<string, MapDefinition>();
    for (const type of this.#types) {
      if (type.kind === 'STRUCT' && ownName.test(type.name)) structs.set(type.name, this.#struct(type));
      if (type.kind === 'ENUM' || type.kind === 'ENUM64') {
        const values = (type.values ?? []).map(({ name, val }) => ({ name, value: val }));
        if (ownName.test(type.name)) enums.set(type.name, { name: type.name, values });
        if (type.name !== anonymous) continue;
        for (const { name, value } of values) if (ownName.test(name)) constants.set(name, value);
      }
      if (type.kind !== 'DATASEC' || type.name !== '.maps') continue;
      for (const { type_id } of type.vars ?? []) {
        const variable = this.#type(type_id);
        maps.set(variable.name, this.#map(variable));
      }
    }
    return { structs, enums, constants, maps };
  }

  #type(id: number | undefined): RawType {
    const type = id === undefined ? undefined : this.#types[id - 1];
    if (type === undefined) throw new Unreadable('void');
    return type;
  }

  #struct(type: RawType): Struct {
    const base = { name: type.name, size: type.size ?? 0 };
    try {
      return { ...base, fields: this.#fields(type, 0), unreadable: null };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return { ...base, fields: [], unreadable: error.message };
    }
  }

  #fields(type: RawType, start: number): Field[] {
    return (type.members ?? []).flatMap((member) => {
      const offset = start + member.bits_offset / 8;
      if (padding.test(member.name)) return [];
      if (member.bitfield_size) throw new Unreadable(`${member.name} is a bit field`);
      const inner = this.#strip(member.type_id).type;
      if (kernelOnly.has(inner.name)) return [];
      if (member.name === anonymous) {
        if (inner.kind === 'STRUCT') return this.#fields(inner, offset);
        throw new Unreadable('a union without a name');
      }
      return [{ name: member.name, offset, shape: this.#shape(member.type_id, member.name) }];
    });
  }

  /** Follows typedefs and qualifiers; says whether a `__be..` typedef was among them. */
  #strip(id: number | undefined): { type: RawType; bigEndian: boolean } {
    let type = this.#type(id);
    let bigEndian = false;
    while (qualifiers.has(type.kind)) {
      if (type.kind === 'TYPEDEF' && /^__be(16|32|64)$/.test(type.name)) bigEndian = true;
      type = this.#type(type.type_id);
    }
    return { type, bigEndian };
  }

  #shape(id: number | undefined, where: string): Shape {
    const { type, bigEndian } = this.#strip(id);
    const size = type.size ?? 0;
    switch (type.kind) {
      case 'INT':
        if (type.encoding === 'BOOL') return { kind: 'bool' };
        if (size > 8) throw new Unreadable(`${where} is an integer of ${size} bytes`);
        return { kind: 'int', size, signed: type.encoding === 'SIGNED', bigEndian };
      case 'ENUM':
      case 'ENUM64':
        return { kind: 'int', size, signed: type.encoding === 'SIGNED', bigEndian: false };
      case 'STRUCT':
        return ownName.test(type.name) ? { kind: 'struct', name: type.name, size } : { kind: 'bytes', size };
      case 'UNION':
        return { kind: 'bytes', size };
      case 'ARRAY':
        return this.#array(type, where);
      default:
        throw new Unreadable(`${where} is a ${type.kind.toLowerCase()}`);
    }
  }

  #array(type: RawType, where: string): Shape {
    const length = type.nr_elems ?? 0;
    const element = this.#strip(type.type_id).type;
    if (element.kind === 'INT' && element.size === 1) {
      return { kind: element.name === 'char' ? 'chars' : 'bytes', size: length };
    }
    return { kind: 'array', element: this.#shape(type.type_id, where), length };
  }

  /** `__uint(name, N)` is a pointer to an array of N, `__type(name, T)` a pointer to T (libbpf's bpf_helpers.h). */
  #map(variable: RawType): MapDefinition {
    const members = new Map((this.#strip(variable.type_id).type.members ?? []).map((m) => [m.name, m.type_id]));
    const pointed = (name: string): number | undefined => {
      const id = members.get(name);
      return id === undefined ? undefined : this.#type(id).type_id;
    };
    const uint = (name: string): number => {
      const id = pointed(name);
      return id === undefined ? 0 : (this.#type(id).nr_elems ?? 0);
    };
    const shape = (part: 'key' | 'value'): Shape | null => {
      const id = pointed(part);
      if (id !== undefined) return this.#shape(id, `${part} of map ${variable.name}`);
      const size = uint(`${part}_size`) || (part === 'value' && members.has('values') ? 4 : 0);
      if (size === 0) return null;
      if (size === 4) return { kind: 'int', size, signed: false, bigEndian: false };
      return { kind: 'bytes', size };
    };
    return {
      name: variable.name,
      type: uint('type'),
      flags: uint('map_flags'),
      key: shape('key'),
      value: shape('value'),
    };
  }
}

/**
 * Merges what several objects declare. A struct, enum or map of one name must be the same everywhere, because the
 * objects share maps; otherwise an Error names the two files and the difference.
 */
export function mergeLayouts(layouts: readonly (readonly [path: string, layout: Layout])[]): Layout {
  const structs = new Map<string, Struct>();
  const enums = new Map<string, Enum>();
  const constants = new Map<string, number | bigint>();
  const maps = new Map<string, MapDefinition>();
  const firstIn = new Map<string, string>();
  const add = <T>(path: string, what: string, name: string, value: T, into: Map<string, T>) => {
    const known = into.get(name);
    const file = basename(path);
    if (known === undefined) {
      into.set(name, value);
      firstIn.set(`${what} ${name}`, file);
      return;
    }
    const [before, now] = [describe(known), describe(value)];
    const different = Array.from({ length: Math.max(before.length, now.length) }, (_, i) => i).find(
      (i) => before[i] !== now[i],
    );
    if (different === undefined) return;
    const say = (line: string | undefined): string => line ?? 'nothing more';
    throw new Error(
      `${what} ${name} differs: ${firstIn.get(`${what} ${name}`)} has ${say(before[different])}, ` +
        `${file} has ${say(now[different])}`,
    );
  };
  for (const [path, layout] of layouts) {
    for (const [name, value] of layout.structs) add(path, 'struct', name, value, structs);
    for (const [name, value] of layout.enums) add(path, 'enum', name, value, enums);
    for (const [name, value] of layout.constants) add(path, 'constant', name, value, constants);
    for (const [name, value] of layout.maps) add(path, 'map', name, value, maps);
  }
  const sorted = <T>(map: Map<string, T>) => new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { structs: sorted(structs), enums: sorted(enums), constants: sorted(constants), maps: sorted(maps) };
}

/** A declaration as lines to compare and to show. */
function describe(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)];
  return Object.entries(value).flatMap(([name, part]) =>
    Array.isArray(part) ? part.map((item) => JSON.stringify(item, plain)) : [`${name} ${JSON.stringify(part, plain)}`],
  );
}

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
