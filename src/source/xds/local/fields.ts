/** A map of a YAML file, read field by field; what nobody read is refused, as ztunnel does. */
import { addressToBytes, canonicalAddress, parsePrefix } from '../../../base/address.ts';
import { refuse } from '../refusal.ts';

export type YamlMap = Readonly<Record<string, unknown>>;

export class Reader {
  readonly #map: YamlMap;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      refuse(path || 'document', 'must be a map');
    this.#map = value as YamlMap;
    this.#path = path === '' ? '' : `${path}.`;
  }

  path(name: string): string {
    return `${this.#path}${name}`;
  }

  raw(name: string): unknown {
    this.#read.add(name);
    return this.#map[name] ?? null;
  }

  text(name: string, otherwise = ''): string {
    const value = this.raw(name);
    if (value === null) return otherwise;
    return typeof value === 'string' ? value : refuse(this.path(name), 'must be a text');
  }

  flag(name: string): boolean {
    const value = this.raw(name);
    if (value === null) return false;
    return typeof value === 'boolean' ? value : refuse(this.path(name), 'must be true or false');
  }

  number(name: string, otherwise: number): number {
    const value = this.raw(name);
    if (value === null) return otherwise;
    return isWhole(value) ? value : refuse(this.path(name), 'must be a whole number');
  }

  /** One of these names, in any case (`Healthy`); the value is its number. */
  choice(name: string, table: Readonly<Record<string, number>>, otherwise: number): number {
    const text = this.text(name);
    if (text === '') return otherwise;
    const key = text.replaceAll('_', '').toUpperCase();
    const found = Object.entries(table).find(([one]) => one.replaceAll('_', '') === key)?.[1];
    return found ?? refuse(this.path(name), `must be one of ${Object.keys(table).join(', ')}, not ${text}`);
  }

  list(name: string): readonly unknown[] {
    const value = this.raw(name);
    if (value === null) return [];
    return Array.isArray(value) ? value : refuse(this.path(name), 'must be a list');
  }

  texts(name: string): string[] {
    return this.list(name).map((value, i) =>
      typeof value === 'string' ? value : refuse(`${this.path(name)}[${i}]`, 'must be a text'),
    );
  }

  map(name: string): Reader | null {
    const value = this.raw(name);
    return value === null ? null : new Reader(value, this.path(name));
  }

  /** Ports by port, `{80: 8080}`. */
  ports(name: string): { servicePort: number; targetPort: number }[] {
    const value = this.raw(name);
    if (value === null) return [];
    if (typeof value !== 'object') return refuse(this.path(name), 'must be a map of ports');
    return Object.entries(value as object).map(([from, to]) => {
      const field = `${this.path(name)}.${from}`;
      if (!/^[0-9]{1,5}$/.test(from) || !isWhole(to)) refuse(field, 'must be a port by a port');
      return { servicePort: Number(from), targetPort: Number(to) };
    });
  }

  /** Names of all fields, which count as read. */
  names(): string[] {
    for (const name of Object.keys(this.#map)) this.#read.add(name);
    return Object.keys(this.#map);
  }

  /** Refuses what was not read. */
  end(): void {
    const unknown = Object.keys(this.#map).find((name) => !this.#read.has(name));
    if (unknown !== undefined) refuse(this.path(unknown), 'unknown field');
  }
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}

/** 4 or 16 bytes. */
export function addressBytes(text: string, field: string): Uint8Array {
  const canonical = canonicalAddress(text);
  const bytes = canonical === null ? null : addressToBytes(canonical);
  if (canonical === null || bytes === null) return refuse(field, `${JSON.stringify(text)} is no IP address`);
  return canonical.includes(':') ? bytes : bytes.slice(12);
}

/** `NETWORK/ADDRESS`, or an address. */
export function networkAddress(text: string, field: string): { network: string; address: Uint8Array } {
  const slash = text.indexOf('/');
  return { network: text.slice(0, Math.max(0, slash)), address: addressBytes(text.slice(slash + 1), field) };
}

export function prefixBytes(text: string, field: string): { address: Uint8Array; length: number } {
  const prefix = parsePrefix(text);
  if (prefix === null) return refuse(field, `${JSON.stringify(text)} is no block of addresses`);
  return { address: addressBytes(prefix.address, field), length: prefix.bits };
}
