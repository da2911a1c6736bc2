/**
 * Reads the head of an HTTP/1.1 request byte by byte, as docs/adr/014-http-parser.md says. The tests compare the kernel's
 * parser with it. Not for the product.
 */

export type Verdict = 'complete' | 'incomplete' | 'bad' | 'too-long' | 'version' | 'preface' | 'tls' | 'other';

/** Offset and length. */
export type Range = readonly [number, number];

export interface Head {
  readonly bytes: number;
  /** Sorted names of enum km_http_flags: close, connect, expect, head, upgrade, version-10. */
  readonly flags: readonly string[];
  readonly body: 'none' | 'length' | 'chunked';
  readonly contentLength: bigint;
  readonly method: Range;
  readonly host: Range;
  readonly path: Range;
  readonly query: Range;
  readonly headers: readonly (readonly [name: Range, value: Range])[];
}

/** Lengths in bytes, and counts, above which a head is refused. */
export const limits = {
  head: 16_368,
  headers: 128,
  method: 24,
  name: 128,
  authority: 260,
  padding: 256,
  digits: 18,
  option: 128,
  options: 256,
} as const;

class Stop extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super(verdict);
    this.verdict = verdict;
  }
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const token = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]$/;
const visible = /^[\x21-\x7e]$/;
const inValue = /^[\t\x20-\x7e\x80-\xff]$/;
const authority = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]{2,45}\])(?=:([0-9]{0,5})$|$)/;

/** The verdict on the bytes that a connection (`first`), or its next request, begins with. */
export function readHead(bytes: Uint8Array, first: boolean): { readonly verdict: Verdict; readonly head?: Head } {
  const text = latin1(bytes).slice(0, limits.head);
  try {
    return { verdict: 'complete', head: new HeadReader(text, first).read() };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    if (error.verdict === 'incomplete' && text.length === limits.head) return { verdict: 'too-long' };
    return { verdict: error.verdict };
  }
}

class HeadReader {
  readonly #text: string;
  readonly #first: boolean;
  readonly #flags = new Set<string>();
  readonly #headers: [Range, Range][] = [];
  readonly #fields = new Map<string, string[]>();
  #at = 0;
  #method: Range = [0, 0];
  #host: Range = [0, 0];
  #path: Range = [0, 0];
  #query: Range = [0, 0];
  #authority: string | null = null;

  constructor(text: string, first: boolean) {
    this.#text = text;
    this.#first = first;
  }

  read(): Head {
    this.#readMethod();
    this.#readTarget();
    this.#readVersion();
    while (this.#peek() !== '\r') this.#readField();
    this.#expect('\r\n');
    return this.#conclude();
  }

  #peek(): string {
    const character = this.#text[this.#at];
    if (character === undefined) throw new Stop('incomplete');
    return character;
  }

  #expect(text: string): void {
    for (const character of text) {
      if (this.#peek() !== character) throw new Stop('bad');
      this.#at++;
    }
  }

  /** Steps over characters of a kind. */
  #while(kind: RegExp, most: number, tooMany: () => Verdict): Range {
    const begin = this.#at;
    while (kind.test(this.#peek())) {
      this.#at++;
      if (this.#at - begin > most) throw new Stop(tooMany());
    }
    return [begin, this.#at - begin];
  }

  #slice([offset, length]: Range): string {
    return this.#text.slice(offset, offset + length);
  }

  /** What bytes are that begin no request. */
  #foreign(): Verdict {
    if (!this.#first) return 'bad';
    if (this.#text === '\x16') return 'incomplete';
    if (this.#text.startsWith('\x16\x03')) return 'tls';
    const proxy = '\r\n\r\n\0\r\nQ';
    if (this.#text.startsWith(proxy)) return 'other';
    if (proxy.startsWith(this.#text)) return 'incomplete';
    return /^[\r\n]/.test(this.#text) ? 'bad' : 'other';
  }

  #readMethod(): void {
    this.#method = this.#while(token, limits.method, () => this.#foreign());
    if (this.#method[1] === 0 || this.#peek() !== ' ') throw new Stop(this.#foreign());
    const method = this.#slice(this.#method);
    if (method === 'PRI') {
      this.#at = 0;
      this.#expect('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      throw new Stop(this.#first ? 'preface' : 'version');
    }
    if (method === 'HEAD') this.#flags.add('head');
    if (method === 'CONNECT') this.#flags.add('connect');
    this.#at++;
  }

  #readTarget(): void {
    const form = this.#peek();
    if (this.#flags.has('connect')) this.#readAuthority();
    else if (form === '*' && this.#slice(this.#method) === 'OPTIONS') {
      this.#path = [this.#at, 1];
      this.#at++;
      this.#expect(' ');
      return;
    } else if (form !== '/') {
      const scheme = /^https/i.test(this.#text.slice(this.#at)) ? 'https://' : 'http://';
      for (const character of scheme) {
        if (this.#peek().toLowerCase() !== character) throw new Stop(this.#first ? 'other' : 'bad');
        this.#at++;
      }
      this.#readAuthority();
    }
    const path = this.#at;
    while (visible.test(this.#peek()) && this.#peek() !== '#' && this.#peek() !== '?') this.#at++;
    this.#path = [path, this.#at - path];
    if (this.#peek() === '?') {
      this.#at++;
      const query = this.#at;
      while (visible.test(this.#peek()) && this.#peek() !== '#') this.#at++;
      this.#query = [query, this.#at - query];
    }
    this.#expect(' ');
  }

  #readAuthority(): void {
    const begin = this.#at;
    while (this.#at - begin <= limits.authority && !/^[\0- /?#]$/.test(this.#peek())) this.#at++;
    const end = this.#peek();
    const text = this.#text.slice(begin, this.#at);
    const host = hostOf(text);
    if (host === null) throw new Stop('bad');
    const connect = this.#flags.has('connect');
    if (connect && (end !== ' ' || !/:[0-9]/.test(text.slice(host.length)))) throw new Stop('bad');
    if (!connect && end !== '/') throw new Stop('bad');
    this.#authority = text;
    this.#host = [begin, host.length];
  }

  #readVersion(): void {
    this.#expect('HTTP/');
    const major = this.#digit();
    this.#expect('.');
    const minor = this.#digit();
    this.#expect('\r\n');
    if (major !== '1') throw new Stop('version');
    if (minor === '0') this.#flags.add('version-10');
  }

  #digit(): string {
    const digit = this.#peek();
    if (!/^[0-9]$/.test(digit)) throw new Stop('bad');
    this.#at++;
    return digit;
  }

  #readField(): void {
    const name = this.#while(token, limits.name, () => 'too-long');
    if (name[1] === 0) throw new Stop('bad');
    this.#expect(':');
    this.#while(/^[ \t]$/, limits.padding, () => 'bad');
    const begin = this.#at;
    while (inValue.test(this.#peek())) this.#at++;
    const all = this.#text.slice(begin, this.#at);
    this.#expect('\r\n');
    const text = all.replace(/[ \t]+$/, '');
    if (all.length - text.length > limits.padding) throw new Stop('bad');
    if (this.#headers.length === limits.headers) throw new Stop('too-long');
    const value: Range = [begin, text.length];
    this.#headers.push([name, value]);
    this.#readKnown(this.#slice(name).toLowerCase(), text, begin);
  }

  /** The fields that framing and routing hang on. */
  #readKnown(name: string, text: string, begin: number): void {
    const earlier = this.#fields.get(name) ?? [];
    this.#fields.set(name, [...earlier, text]);
    const once = ['host', 'content-length', 'transfer-encoding'].includes(name);
    if (once && earlier.length > 0) throw new Stop('bad');
    if (name === 'host') {
      const host = text.length > limits.authority ? null : hostOf(text);
      if (host === null) throw new Stop('bad');
      if (this.#authority === null) this.#host = [begin, host.length];
    }
    if (name === 'content-length' && !/^[0-9]{1,18}$/.test(text)) throw new Stop('bad');
    if (name === 'transfer-encoding' && text.toLowerCase() !== 'chunked') throw new Stop('bad');
    if (name === 'connection') {
      const options = text.replace(/,$/, '').split(',');
      if (options.length > limits.options || options.some((option) => option.length > limits.option))
        throw new Stop('bad');
    }
  }

  #has(name: string, value: string): boolean {
    return (this.#fields.get(name) ?? []).some((text) =>
      text
        .toLowerCase()
        .split(',')
        .some((element) => element.replace(/^[ \t]+|[ \t]+$/g, '') === value),
    );
  }

  #conclude(): Head {
    const old = this.#flags.has('version-10');
    const connect = this.#flags.has('connect');
    const host = this.#fields.get('host')?.[0];
    const length = this.#fields.get('content-length')?.[0];
    const chunked = this.#fields.has('transfer-encoding');
    const same = host?.toLowerCase() === this.#authority?.toLowerCase();
    if (host !== undefined && this.#authority !== null && !connect && !same) throw new Stop('bad');
    if (old ? chunked : host === undefined) throw new Stop('bad');
    if (chunked && length !== undefined) throw new Stop('bad');
    if (connect && (chunked || length !== undefined)) throw new Stop('bad');
    if (this.#has('connection', 'close') || (old && !this.#has('connection', 'keep-alive'))) this.#flags.add('close');
    const upgrade = (this.#fields.get('upgrade') ?? []).some((text) => text !== '');
    if (!old && upgrade && this.#has('connection', 'upgrade')) this.#flags.add('upgrade');
    const expectations = this.#fields.get('expect') ?? [];
    if (!old && expectations.some((text) => text.toLowerCase() === '100-continue')) this.#flags.add('expect');
    return {
      bytes: this.#at,
      flags: [...this.#flags].sort(),
      body: chunked ? 'chunked' : length === undefined ? 'none' : 'length',
      contentLength: BigInt(length ?? 0),
      method: this.#method,
      host: this.#host,
      path: this.#path,
      query: this.#query,
      headers: this.#headers,
    };
  }
}

/** The host of `host [ ":" [ port ] ]`, null when it is not that. */
function hostOf(text: string): string | null {
  if (text.length > limits.authority) return null;
  const match = authority.exec(text);
  return match === null || Number(match[1] ?? 0) > 65_535 ? null : match[0];
}
