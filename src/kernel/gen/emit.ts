import { createHash } from 'node:crypto';
import { mapTypeName } from '../maptype.ts';
import type { Enum, Layout, Shape, Struct } from './btf.ts';

const header = '// Generated from the BTF of build/bpf/*.bpf.o by tools/gen-layout.ts. Do not edit.\n';

/** `km_listener_key` as `kmListenerKey`. */
const camel = (name: string): string =>
  name.toLowerCase().replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => camel(name).replace(/^./, (letter) => letter.toUpperCase());
const literal = (value: number | bigint): string => (typeof value === 'bigint' ? `${value}n` : String(value));
const property = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name}'`);

/**
 * First 12 hex digits of the hash over everything that kernel and user space must agree on: structs, enums, constants
 * and maps, but not how many entries a map has, which is a setting.
 */
export function schemaHash(layout: Layout): string {
  const everything = [layout.structs, layout.enums, layout.constants, layout.maps].map((part) => [...part]);
  const text = JSON.stringify(everything, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** TypeScript source with a type and a codec for each struct, the enums, the maps and the schema's hash. */
export function emitLayout(layout: Layout): string {
  return new Emitter(layout).emit();
}

class Emitter {
  readonly #layout: Layout;
  /** Names imported from codec.ts. */
  readonly #imports = new Set<string>();
  /** Codecs with a size (`bytes(16)`), one constant each. */
  readonly #shared = new Map<string, string>();
  /** The same for those that need a struct's codec: they stand after all structs. */
  readonly #late = new Map<string, string>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  emit(): string {
    const { structs, enums, constants } = this.#layout;
    const readable = [...structs.values()].filter((struct) => struct.unreadable === null);
    const hidden = [...structs.values()].filter((struct) => struct.unreadable !== null);
    const maps = this.#maps();
    const body = [
      ...[...constants].map(([name, value]) => `export const ${camel(name)} = ${literal(value)};\n`),
      ...[...enums.values()].map(emitEnum),
      ...readable.map((struct) => this.#struct(struct)),
    ];
    const declare = (codecs: ReadonlyMap<string, string>) =>
      [...codecs].map(([expression, name]) => `const ${name} = ${expression};\n`).join('');
    const shared = declare(this.#shared);
    body.push(declare(this.#late), maps);
    const left = hidden.map((struct) => `// ${struct.name} is the kernel side's own: ${struct.unreadable}.\n`).join('');
    const imports = [...this.#imports].sort().join(', ');
    const lines = [
      header,
      imports === '' ? '' : `import { ${imports} } from '../codec.ts';\n`,
      readable.length === 0 ? '' : "import type { Codec } from '../codec.ts';\n",
      `\n/** Changes whenever an object of another layout could not share this one's maps. */\n`,
      `export const schema = '${schemaHash(this.#layout)}';\n`,
      left === '' ? '' : `\n${left}`,
      shared === '' ? '' : `\n${shared}`,
    ];
    return `${lines.join('')}\n${body.filter((part) => part !== '').join('\n')}`;
  }

  #struct(struct: Struct): string {
    const name = camel(struct.name);
    const type = pascal(struct.name);
    const covered = new Uint8Array(struct.size);
    const encode: string[] = [];
    const decode: string[] = [];
    const members: string[] = [];
    for (const { name: raw, offset, shape } of struct.fields) {
      const field = camel(raw);
      covered.fill(1, offset, offset + sizeOf(shape));
      members.push(`  readonly ${field}: ${this.#typeOf(shape)};\n`);
      encode.push(`    ${this.#encode(shape, `value.${field}`, at(offset))};\n`);
      decode.push(`      ${field}: ${this.#decode(shape, at(offset))},\n`);
    }
    // Padding is part of a key: it must be zero, whatever the buffer held before.
    for (const [hole, size] of holes(covered)) encode.push(`    view.setUint${size * 8}(${at(hole)}, 0);\n`);
    return `export interface ${type} {\n${members.join('')}}\n
export const ${name}: Codec<${type}> = {
  size: ${struct.size},
  encode(value, view, offset) {\n${encode.join('')}  },
  decode(view, offset) {\n    return {\n${decode.join('')}    };\n  },\n};\n`;
  }

  #typeOf(shape: Shape): string {
    switch (shape.kind) {
      case 'int':
        return shape.size === 8 ? 'bigint' : 'number';
      case 'bool':
        return 'boolean';
      case 'bytes':
        return 'Uint8Array';
      case 'chars':
        return 'string';
      case 'struct':
        return pascal(this.#readable(shape.name));
      case 'array':
        return `readonly ${this.#typeOf(shape.element)}[]`;
    }
  }

  #readable(name: string): string {
    const struct = this.#layout.structs.get(name);
    if (struct?.unreadable) throw new Error(`struct ${name} is needed by user space, but ${struct.unreadable}`);
    return name;
  }

  #encode(shape: Shape, value: string, offset: string): string {
    if (shape.kind !== 'int') return `${this.codec(shape)}.encode(${value}, view, ${offset})`;
    const order = shape.size === 1 ? '' : `, ${!shape.bigEndian}`;
    return `view.set${accessor(shape)}(${offset}, ${value}${order})`;
  }

  #decode(shape: Shape, offset: string): string {
    if (shape.kind !== 'int') return `${this.codec(shape)}.decode(view, ${offset})`;
    return `view.get${accessor(shape)}(${offset}${shape.size === 1 ? '' : `, ${!shape.bigEndian}`})`;
  }

  /** An expression for the codec of a shape. */
  codec(shape: Shape): string {
    switch (shape.kind) {
      case 'struct':
        return camel(this.#readable(shape.name));
      case 'bool':
        return this.#import('bool');
      case 'int':
        if (shape.bigEndian) return this.#import(`be${shape.size * 8}`);
        return this.#import(`${shape.signed ? 's' : 'u'}${shape.size * 8}`);
      case 'bytes':
      case 'chars':
        return this.#share(`${this.#import(shape.kind)}(${shape.size})`, `${shape.kind}${shape.size}`);
      case 'array': {
        const element = this.codec(shape.element);
        if (shape.element.kind !== 'struct') {
          return this.#share(`${this.#import('array')}(${element}, ${shape.length})`, `${element}x${shape.length}`);
        }
        this.#late.set(`${this.#import('array')}(${element}, ${shape.length})`, `${element}x${shape.length}`);
        return `${element}x${shape.length}`;
      }
    }
  }

  #import(name: string): string {
    this.#imports.add(name);
    return name;
  }

  #share(expression: string, name: string): string {
    this.#shared.set(expression, name);
    return name;
  }

  #maps(): string {
    const maps = [...this.#layout.maps.values()];
    const nothing = (): string => this.#share(`${this.#import('bytes')}(0)`, 'nothing');
    const entries = maps.map((map) => {
      const key = map.key === null ? nothing() : this.codec(map.key);
      const value = map.value === null ? nothing() : this.codec(map.value);
      const type = mapTypeName(map.type);
      return `  ${property(map.name)}: { type: '${type}', key: ${key}, value: ${value}, flags: ${map.flags} },\n`;
    });
    return `/** Every map by name. The value of a per-CPU map is one CPU's. */
export const mapTypes = {\n${entries.join('')}} as const;\n`;
  }
}

/** Unused bytes as aligned pieces of 4, 2 or 1. */
function holes(covered: Uint8Array): [offset: number, size: number][] {
  const found: [number, number][] = [];
  const free = (start: number, size: number) =>
    start % size === 0 && start + size <= covered.length && !covered.subarray(start, start + size).includes(1);
  for (let i = 0; i < covered.length; ) {
    const size = [4, 2, 1].find((wanted) => free(i, wanted)) ?? 0;
    if (size > 0) found.push([i, size]);
    i += Math.max(size, 1);
  }
  return found;
}

const at = (offset: number): string => (offset === 0 ? 'offset' : `offset + ${offset}`);

function accessor(shape: Shape & { kind: 'int' }): string {
  return `${shape.size === 8 ? 'Big' : ''}${shape.signed ? 'Int' : 'Uint'}${shape.size * 8}`;
}

function sizeOf(shape: Shape): number {
  if (shape.kind === 'bool') return 1;
  return shape.kind === 'array' ? sizeOf(shape.element) * shape.length : shape.size;
}

/** Enumerators without the words that all of them start with: `KM_POLICY_RANDOM` of km_policy is `RANDOM`. */
function emitEnum(definition: Enum): string {
  const name = camel(definition.name);
  const values = definition.values.filter(({ name: value }) => !value.startsWith('__'));
  const cut = prefixLength(
    definition.name,
    values.map((value) => value.name),
  );
  const entries = values.map((value) => `  ${property(value.name.slice(cut))}: ${literal(value.value)},\n`);
  return `export const ${name} = {\n${entries.join('')}} as const;
export type ${pascal(definition.name)} = (typeof ${name})[keyof typeof ${name}];\n`;
}

function prefixLength(enumName: string, names: readonly string[]): number {
  const own = `${enumName.toUpperCase()}_`;
  if (names.every((name) => name.startsWith(own))) return own.length;
  const words = names.map((name) => name.split('_'));
  const first = words[0] ?? [];
  let common = 0;
  while (common < first.length - 1 && words.every((w) => w.length > common + 1 && w[common] === first[common]))
    common++;
  return first.slice(0, common).reduce((length, word) => length + word.length + 1, 0);
}
