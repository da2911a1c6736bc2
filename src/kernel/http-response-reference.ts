/**
 * Follows a response of HTTP/1.1, or a chunked body, byte by byte as docs/adr/014-http-parser.md says. The tests compare the
 * kernel's parser with it. Not for the product.
 */

export type Phase = 'head' | 'length' | 'chunked' | 'until-close' | 'opaque' | 'done' | 'unknown';

export interface Followed {
  readonly phase: Phase;
  /** 0 while the head is not complete. */
  readonly status: number;
  /** The connection ends with this response. */
  readonly close: boolean;
  /** Position behind the response, null while it has not ended. */
  readonly end: number | null;
}

export interface Asked {
  /** It answers HEAD. */
  readonly noBody: boolean;
  /** It answers CONNECT. */
  readonly tunnel: boolean;
}

/** Bytes of a chunk's extensions, and of a body's trailers. */
export const longestLine = 16_384;

class More extends Error {}
class Bad extends Error {}

const token = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]$/;
const inValue = /^[\t\x20-\x7e\x80-\xff]$/;
const digit = /^[0-9]$/;

/** What the text's characters, one a byte, say when they are all there is so far. */
export function followResponse(text: string, asked: Asked): Followed {
  return new Follower(text, asked).follow();
}

/** The same for a chunked body: whether it is one so far, and where it ends. */
export function followChunks(text: string): { readonly bad: boolean; readonly end: number | null } {
  const reader = new Reader(text);
  try {
    readChunks(reader);
    return { bad: false, end: reader.at };
  } catch (error) {
    if (error instanceof More) return { bad: false, end: null };
    if (error instanceof Bad) return { bad: true, end: null };
    throw error;
  }
}

class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get left(): number {
    return this.#text.length - this.at;
  }

  peek(): string {
    const character = this.#text[this.at];
    if (character === undefined) throw new More();
    return character;
  }

  take(kind: RegExp): string {
    const character = this.peek();
    if (!kind.test(character)) throw new Bad();
    this.at++;
    return character;
  }

  expect(text: string): void {
    for (const character of text) {
      if (this.peek() !== character) throw new Bad();
      this.at++;
    }
  }

  /** Up to a character that is not of the kind. */
  while(kind: RegExp, most = Number.POSITIVE_INFINITY): string {
    let taken = '';
    while (kind.test(this.peek())) {
      if (taken.length >= most) throw new Bad();
      taken += this.take(kind);
    }
    return taken;
  }
}

function readChunks(reader: Reader): void {
  for (;;) {
    const size = reader.while(/^[0-9A-Fa-f]$/, 15);
    if (size === '') throw new Bad();
    if (reader.peek() === ';') {
      reader.at++;
      reader.while(inValue, longestLine);
    }
    reader.expect('\r\n');
    const length = Number(`0x${size}`);
    if (length === 0) break;
    if (reader.left < length) throw new More();
    reader.at += length;
    reader.expect('\r\n');
  }
  let bytes = 0;
  while (reader.peek() !== '\r') {
    const name = reader.take(token) + reader.while(token, longestLine - bytes);
    reader.expect(':');
    bytes += name.length;
    const value = reader.while(inValue, longestLine - bytes);
    reader.expect('\r\n');
    bytes += value.length + 1;
  }
  reader.expect('\r\n');
}

class Follower {
  readonly #reader: Reader;
  readonly #asked: Asked;
  #phase: Phase = 'head';
  #status = 0;
  #close = false;
  #old = false;
  #keep = false;
  #length: bigint | null = null;
  #codings: string[] | null = null;

  constructor(text: string, asked: Asked) {
    this.#reader = new Reader(text);
    this.#asked = asked;
  }

  follow(): Followed {
    let end: number | null = null;
    try {
      let status = this.#readHead();
      while (status < 200 && status !== 101) status = this.#readHead();
      this.#status = status;
      this.#close ||= this.#old && !this.#keep;
      this.#readBody();
      if (this.#phase === 'done') end = this.#reader.at;
    } catch (error) {
      if (error instanceof Bad) this.#phase = 'unknown';
      else if (!(error instanceof More)) throw error;
    }
    return { phase: this.#phase, status: this.#status, close: this.#close, end };
  }

  #readHead(): number {
    const reader = this.#reader;
    this.#close = false;
    this.#keep = false;
    this.#length = null;
    this.#codings = null;
    reader.expect('HTTP/1.');
    this.#old = reader.take(digit) === '0';
    reader.expect(' ');
    const status = Number(reader.take(digit) + reader.take(digit) + reader.take(digit));
    const behind = reader.take(/^[ \r]$/);
    if (status < 100) throw new Bad();
    if (behind === ' ') {
      reader.while(inValue);
      reader.expect('\r');
    }
    reader.expect('\n');
    while (reader.peek() !== '\r') this.#readField();
    reader.expect('\r\n');
    return status;
  }

  #readField(): void {
    const reader = this.#reader;
    const name = this.#readName();
    if (name === 'content-length') this.#readLength();
    else if (name === 'transfer-encoding') this.#readList((coding) => this.#readCoding(coding), true);
    else if (name === 'connection') this.#readList((option) => this.#readOption(option), false);
    else reader.while(inValue);
    reader.expect('\r\n');
  }

  /** A name that matters, or nothing at the first byte that tells it from those. */
  #readName(): string {
    let name = '';
    for (;;) {
      if (name !== '' && this.#reader.peek() === ':') {
        this.#reader.at++;
        return name;
      }
      name += this.#reader.take(token).toLowerCase();
      if (!['content-length', 'transfer-encoding', 'connection'].some((one) => one.startsWith(name))) return '';
    }
  }

  #readLength(): void {
    const reader = this.#reader;
    if (this.#length !== null) throw new Bad();
    reader.while(/^[ \t]$/);
    const digits = reader.while(digit, 18);
    if (digits === '') throw new Bad();
    reader.while(/^[ \t]$/);
    this.#length = BigInt(digits);
  }

  #readList(element: (text: string) => void, coding: boolean): void {
    if (coding) this.#codings ??= [];
    for (;;) {
      const text = this.#reader.while(/^(?!,)[\t\x20-\x7e\x80-\xff]$/).replace(/^[ \t]+|[ \t]+$/g, '');
      // What ends it has to be there, be it right or not.
      const behind = this.#reader.take(/^[,\r]$/);
      if (text !== '') element(text.toLowerCase());
      if (behind === ',') continue;
      this.#reader.at--;
      return;
    }
  }

  #readCoding(coding: string): void {
    if (this.#codings?.at(-1) === 'chunked') throw new Bad();
    this.#codings?.push(coding);
  }

  #readOption(option: string): void {
    if (option === 'close') this.#close = true;
    if (option === 'keep-alive') this.#keep = true;
  }

  #readBody(): void {
    const status = this.#status;
    const reader = this.#reader;
    if (status === 101 || (this.#asked.tunnel && status < 300)) this.#phase = 'opaque';
    else if (this.#asked.noBody || status === 204 || status === 304) this.#phase = 'done';
    else if (this.#codings !== null) {
      if (this.#length !== null || this.#old) throw new Bad();
      this.#phase = this.#codings.at(-1) === 'chunked' ? 'chunked' : 'until-close';
      if (this.#phase === 'until-close') return;
      readChunks(reader);
      this.#phase = 'done';
    } else if (this.#length === null) this.#phase = 'until-close';
    else {
      this.#phase = 'length';
      if (reader.left < this.#length) return;
      reader.at += Number(this.#length);
      this.#phase = 'done';
    }
  }
}
