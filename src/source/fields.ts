/**
 * Reading one object of a document field by field. Every map has a table that puts its fields into three classes: read,
 * harmless (known, and without effect on traffic here), and refused (known, would change traffic, not supported). A field in
 * none of them is a warning. Findings carry the path of the field; what the walk returns after an error is a harmless
 * placeholder, since an object with an error is never used.
 */
import type { ErrorCode } from '../base/errors.ts';
import { type FieldPath, fieldText } from '../model/fieldpath.ts';

export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  readonly path: FieldPath;
  readonly reason: string;
  /** Findings with the same text here are said once for all objects; empty: say each. */
  readonly onceFor: string;
}

/** Field name to its class: a text is the reason for which it is refused. */
export type FieldTable = ReadonlyMap<string, 'read' | 'harmless' | { readonly refused: string }>;

/** Stands in a table for the fields that it does not name. */
const anyOther = '*';

/**
 * Makes a table. `read` and `harmless` are names with blanks between; `refused` maps a name to the reason. With `closed` a
 * field that is in no class is refused: one that is misspelt would turn a condition into none.
 */
export function fieldTable(fields: {
  readonly read?: string;
  readonly harmless?: string;
  readonly refused?: Readonly<Record<string, string>>;
  readonly closed?: true;
}): FieldTable {
  const table = new Map<string, 'read' | 'harmless' | { readonly refused: string }>();
  for (const name of words(fields.harmless)) table.set(name, 'harmless');
  for (const [name, refused] of Object.entries(fields.refused ?? {})) table.set(name, { refused });
  for (const name of words(fields.read)) table.set(name, 'read');
  if (fields.closed === true) table.set(anyOther, { refused: 'unknown field: check its spelling' });
  return table;
}

function words(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(/\s+/).filter((word) => word !== '');
}

/** A map of the document: reads its fields with their types, and notes what is wrong with them. */
export class Fields {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #findings: Finding[];
  readonly #kind: string;
  readonly #parent: Fields | null;
  readonly #steps: FieldPath;

  private constructor(
    value: Readonly<Record<string, unknown>>,
    findings: Finding[],
    kind: string,
    parent: Fields | null,
    steps: FieldPath,
  ) {
    this.#value = value;
    this.#findings = findings;
    this.#kind = kind;
    this.#parent = parent;
    this.#steps = steps;
  }

  /** The root of an object. `findings` is added to. */
  static root(value: Readonly<Record<string, unknown>>, kind: string, findings: Finding[]): Fields {
    return new Fields(value, findings, kind, null, []);
  }

  path(...more: FieldPath): FieldPath {
    const own = [...this.#steps, ...more];
    return this.#parent === null ? own : this.#parent.path(...own);
  }

  error(code: ErrorCode, path: FieldPath, reason: string): void {
    this.#findings.push({ severity: 'error', code, path: this.path(...path), reason, onceFor: '' });
  }

  warn(code: ErrorCode, path: FieldPath, reason: string): void {
    this.#findings.push({ severity: 'warning', code, path: this.path(...path), reason, onceFor: '' });
  }

  /** Notes fields of this map that the table does not know, or refuses. */
  check(table: FieldTable): void {
    for (const name of Object.keys(this.#value)) {
      const known = table.get(name);
      if (known === 'read' || known === 'harmless') continue;
      if (known !== undefined) {
        if (isSet(this.#value[name])) this.error('KM1011', [name], known.refused);
        continue;
      }
      const other = table.get(anyOther);
      if (typeof other === 'object') {
        this.error('KM1011', [name], other.refused);
        continue;
      }
      const path = this.path(name);
      const onceFor = `${this.#kind} ${fieldText(path.map((step) => (typeof step === 'number' ? -1 : step)))}`;
      this.#findings.push({ severity: 'warning', code: 'KM1012', path, reason: 'unknown field, ignored', onceFor });
    }
  }

  /** Whether the field is there with more than null, false, an empty text, list or map. */
  has(name: string): boolean {
    return isSet(this.#value[name]);
  }

  /** A map below this one, with its own table; null when there is none. */
  map(name: string, table: FieldTable | null): Fields | null {
    const value = this.#get(name);
    if (value === undefined) return null;
    if (!isMap(value)) {
      this.error('KM1009', [name], `must be a map, not ${shown(value)}`);
      return null;
    }
    return this.#child(value, table, [name]);
  }

  /** A map that must be there. */
  requiredMap(name: string, table: FieldTable): Fields | null {
    if (this.#get(name) === undefined) this.error('KM1010', [name], 'is missing');
    return this.map(name, table);
  }

  /** A list of maps below this one; empty when there is none. */
  maps(name: string, table: FieldTable | null): Fields[] {
    const maps: Fields[] = [];
    for (const [i, value] of this.#list(name).entries()) {
      if (isMap(value)) maps.push(this.#child(value, table, [name, i]));
      else this.error('KM1009', [name, i], `must be a map, not ${shown(value)}`);
    }
    return maps;
  }

  /** A text; empty when there is none. */
  string(name: string): string {
    const value = this.#get(name);
    if (value === undefined) return '';
    if (typeof value === 'string') return ownText(value);
    this.error('KM1009', [name], `must be a string, not ${shown(value)}${quoteHint(value)}`);
    return '';
  }

  /** A text that must be there. */
  required(name: string): string {
    const text = this.string(name);
    if (text === '' && (this.#get(name) === undefined || this.#value[name] === '')) {
      this.error('KM1010', [name], 'is missing');
    }
    return text;
  }

  strings(name: string): string[] {
    const texts: string[] = [];
    for (const [i, value] of this.#list(name).entries()) {
      if (typeof value === 'string') texts.push(ownText(value));
      else this.error('KM1009', [name, i], `must be a string, not ${shown(value)}${quoteHint(value)}`);
    }
    return texts;
  }

  /** A whole number within bounds, both included; null when there is none. */
  integer(name: string, min: number, max: number): number | null {
    const value = this.#get(name);
    if (value === undefined) return null;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    this.error('KM1009', [name], `must be a number from ${min} to ${max}, not ${shown(value)}`);
    return null;
  }

  /** A number within bounds, both included; null when there is none. */
  number(name: string, min: number, max: number): number | null {
    const value = this.#get(name);
    if (value === undefined) return null;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    this.error('KM1009', [name], `must be a number from ${min} to ${max}, not ${shown(value)}`);
    return null;
  }

  /** A duration as Go writes it (`1.5s`, `1m30s`), in milliseconds; null when there is none. */
  duration(name: string): number | null {
    const text = this.string(name);
    if (text === '') return null;
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ms|us|µs|ns|h|m|s)/g)];
    if (parts.map(([part]) => part).join('') !== text) {
      this.error('KM1009', [name], `must be a duration such as 10s or 250ms, not ${shown(text)}`);
      return null;
    }
    return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (unitMs[unit ?? ''] ?? 0), 0);
  }

  /** A port number, 1 to 65535, that must be there. */
  port(name: string): number {
    if (this.#get(name) === undefined) this.error('KM1010', [name], 'is missing');
    return this.integer(name, 1, 65535) ?? 0;
  }

  boolean(name: string): boolean | null {
    const value = this.#get(name);
    if (value === undefined || typeof value === 'boolean') return value ?? null;
    this.error('KM1009', [name], `must be true or false, not ${shown(value)}`);
    return null;
  }

  /** One of some texts; empty when there is none. */
  oneOf(name: string, allowed: readonly string[]): string {
    const text = this.string(name);
    if (text === '' || allowed.includes(text)) return text;
    this.error('KM1009', [name], `must be ${listed(allowed)}, not ${shown(text)}`);
    return '';
  }

  /** A map of texts, such as labels; empty when there is none. */
  stringMap(name: string): Record<string, string> {
    const texts: Record<string, string> = {};
    for (const [key, value] of this.#entries(name)) {
      if (typeof value === 'string') setKey(texts, ownText(key), ownText(value));
      else this.error('KM1009', [name, key], `must be a string, not ${shown(value)}${quoteHint(value)}`);
    }
    return texts;
  }

  /** A map of whole numbers within bounds, both included; empty when there is none. */
  integers(name: string, min: number, max: number): Record<string, number> {
    const numbers: Record<string, number> = {};
    for (const [key, value] of this.#entries(name)) {
      const good = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
      if (good) setKey(numbers, ownText(key), value);
      else this.error('KM1009', [name, key], `must be a number from ${min} to ${max}, not ${shown(value)}`);
    }
    return numbers;
  }

  /** A map of port names to numbers. */
  portMap(name: string): Record<string, number> {
    const ports: Record<string, number> = {};
    for (const [key, value] of this.#entries(name)) {
      if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536) {
        setKey(ports, ownText(key), value);
      } else this.error('KM1009', [name, key], `must be a number from 1 to 65535, not ${shown(value)}`);
    }
    return ports;
  }

  /** The value as it is in the document, null when there is none. */
  raw(name: string): unknown {
    return this.#get(name) ?? null;
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? (this.#value[name] ?? undefined) : undefined;
  }

  #child(value: Record<string, unknown>, table: FieldTable | null, steps: FieldPath): Fields {
    const child = new Fields(value, this.#findings, this.#kind, this, steps);
    if (table !== null) child.check(table);
    return child;
  }

  #list(name: string): readonly unknown[] {
    const value = this.#get(name);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.error('KM1009', [name], `must be a list, not ${shown(value)}`);
    return [];
  }

  #entries(name: string): [string, unknown][] {
    const value = this.#get(name);
    if (value === undefined) return [];
    if (isMap(value)) return Object.entries(value);
    this.error('KM1009', [name], `must be a map, not ${shown(value)}`);
    return [];
  }
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function setKey<T>(map: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') Object.defineProperty(map, key, { value, enumerable: true });
  else map[key] = value;
}

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

/** A value as a message shows it, cut when it is long. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}..."` : text;
}

/** `a, b or c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`;
}

function quoteHint(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? ' (quote it)' : '';
}

/**
 * A text that owns its characters. V8 makes a long substring (13 characters and more) point into the text that it was cut
 * from, so that one kept name would keep its whole document.
 */
export function ownText(text: string): string {
  return text.length < 13 ? text : Buffer.from(text, 'utf8').toString('utf8');
}
