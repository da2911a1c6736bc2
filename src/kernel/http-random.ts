/** Random texts of HTTP/1.1, right and wrong, the same for the same seed. Not for the product. */

const names = [
  'Accept',
  'User-Agent',
  'X-User',
  'cookie',
  'x_under_score',
  'X-Long-Name-Of-A-Field',
  'a',
  "!#$%&'*+^`|~",
  'Hosts',
  'Content-Lengths',
  'Connect',
  'Upgrades',
  'Expects',
  'Keep-Alive',
  'TE',
  'Trailer',
] as const;
const values = [
  '*/*',
  'text/html,application/json;q=0.9',
  '',
  'a',
  'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101',
  'tab\tinside',
  'obs \xe9\xff text',
  '~\x7e~',
  'close',
  'x'.repeat(300),
  '\t',
  'a  b',
  'chunked',
  '0',
] as const;
const methods = [
  'GET',
  'GET',
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'OPTIONS',
  'DELETE',
  'CONNECT',
  'PATCH',
  'M-SEARCH',
  'PRI',
  'FROBNICATE',
  'GETS',
  'G',
] as const;
const hosts = [
  'shop.example',
  'Shop.Example:80',
  'a',
  '10.0.0.1:8080',
  '[2001:db8::1]',
  '[::1]:443',
  'my_svc.ns:1',
  'a:',
  'a.b.',
] as const;
const oddHosts = [
  '',
  'a b',
  'a,b',
  'u@a',
  'a:b',
  'a:99999',
  'a:123456',
  '[::1',
  '[]',
  '[g::1]',
  'a%20',
  'a/b',
  ':80',
  'é',
  'a;b',
  '[::1]x',
  'x'.repeat(261),
] as const;
const targets = [
  '/',
  '/a/b?c=d',
  '/?',
  '/??a?b',
  '//',
  '/a%20b',
  '/"<>\\^`{|}',
  '*',
  '/x'.repeat(100),
  `/${'q?'.repeat(100)}`,
] as const;
const oddTargets = [
  '',
  '/a b',
  '/a#b',
  '/é',
  'a',
  '/\x7f',
  '/\t',
  'http:/a',
  'http://',
  'ftp://a/',
  '**',
  '?a',
  '/a\0',
] as const;
const versions = [
  '1.1',
  '1.1',
  '1.1',
  '1.1',
  '1.1',
  '1.0',
  '1.2',
  '2.0',
  '0.9',
  '1.',
  '1.10',
  '01.1',
  '1,1',
  '1.x',
] as const;
const lineEnds = ['\r\n', '\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\r\n ', '\0\r\n'] as const;
const pieces = [
  '\r\n',
  '\r',
  '\n',
  ' ',
  '\t',
  ':',
  '\0',
  ',',
  'chunked',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  '\r\n\r\n',
  '\x7f',
  '\xff',
  '#',
  '?',
  'HTTP/1.1',
  '//',
  'Connection: close\r\n',
  '0',
  ';',
] as const;
const connections = [
  'close',
  'keep-alive',
  'Upgrade',
  'keep-alive, Upgrade',
  'a,close',
  ' close ,',
  ',,',
  'closed',
  'x\tclose',
  'KEEP-ALIVE',
  'close\t',
  'a'.repeat(129),
  ','.repeat(300),
] as const;
const lengths = [
  '0',
  '5',
  '005',
  '123456789012345678',
  '1234567890123456789',
  '',
  '-1',
  '+1',
  '5, 5',
  '5 5',
  '0x5',
  '5,',
  '１',
] as const;
const codings = [
  'chunked',
  'Chunked',
  'chunked ',
  'gzip, chunked',
  'chunked, chunked',
  'identity',
  '',
  'chunkedx',
  'xchunked',
  'chunked;a',
  '"chunked"',
] as const;
const statuses = [
  '200 OK',
  '200 OK',
  '200 OK',
  '404 Not Found',
  '204 No Content',
  '304 Not Modified',
  '500 Oops',
  '200',
  '200 ',
  '206 Partial\tContent',
  '301 Moved \xe9',
  '101 Switching Protocols',
  '302 Found',
  '999 X',
  '099 X',
  '20 OK',
  '2000 OK',
  'abc',
  '200OK',
  '',
  '200 a\0b',
] as const;
const responsePadding = [' ', ' ', ' ', '', '\t', '   '] as const;
const extensions = [';a', ';a=b', ';a="b;c"', ' ;a', ';', '; \t', ';\x01', ';a\n', ' ', `;${'e'.repeat(100)}`] as const;

export class RandomHttp {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 0x9e3779b1 + 1) >>> 0;
  }

  /** An integer from 0 to limit, exclusive (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** A request's head, most often a good one, each byte a character; sometimes with bytes behind it. */
  head(): string {
    const odd = this.chance(60) ? 0 : 6;
    const host = this.chance(odd) ? this.pick(oddHosts) : this.pick(hosts);
    const method = this.pick(methods);
    const lines = [
      `${method} ${this.#target(method, host, odd)} HTTP/${this.chance(odd * 4) ? this.pick(versions) : '1.1'}`,
    ];
    const fields = Array.from({ length: this.below(this.chance(2) ? 140 : 6) }, () => this.#field());
    if (!this.chance(odd)) fields.push(`${this.#cased('Host')}: ${this.chance(odd) ? this.pick(hosts) : host}`);
    const body = this.below(100);
    if (body < 20) fields.push(`${this.#cased('Content-Length')}: ${this.#good(lengths, odd)}`);
    if (body > 18 && body < 36) fields.push(`${this.#cased('Transfer-Encoding')}: ${this.#good(codings, odd)}`);
    if (this.chance(25))
      fields.push(`${this.#cased('Connection')}: ${this.pick(connections.slice(0, odd ? undefined : 11))}`);
    if (this.chance(10)) fields.push(`${this.#cased('Upgrade')}: ${this.pick(['websocket', 'h2c', ''])}`);
    if (this.chance(10))
      fields.push(`${this.#cased('Expect')}: ${this.pick(['100-continue', '100-Continue', '100', '200-ok'])}`);
    this.#shuffle(fields);
    lines.push(...fields, '');
    const text = lines.map((line) => line + (this.chance(odd / 3) ? this.pick(lineEnds) : '\r\n')).join('');
    return this.#changed(text, odd) + (this.chance(20) ? this.pick(['GET / HTTP/1.1\r\n', 'x'.repeat(20), '\0']) : '');
  }

  /** A response, most often a good one, sometimes behind interim ones, with bytes behind it. */
  response(): string {
    const odd = this.chance(60) ? 0 : 6;
    let text = '';
    for (let count = this.chance(10) ? this.below(3) : 0; count > 0; count--)
      text += `HTTP/1.1 ${this.pick(['100 Continue', '103 Early Hints'])}\r\n${this.chance(30) ? 'Link: </a>\r\n' : ''}\r\n`;
    const version = this.chance(90) ? '1.1' : this.pick(['1.0', '1.0', '1.2']);
    const fields = Array.from({ length: this.below(8) }, () => this.#field());
    let body = 'x'.repeat(this.below(40));
    const framing = this.below(100);
    if (framing < 45) {
      const length = this.chance(odd) ? this.pick(lengths) : String(body.length);
      fields.push(
        `${this.#cased('Content-Length')}:${this.pick(responsePadding)}${length}${this.chance(90) ? '' : ' \t'}`,
      );
    }
    if (framing >= 43 && framing < 90) {
      const coding = this.chance(odd)
        ? this.pick(codings)
        : this.pick(['chunked', 'Chunked', 'gzip, chunked', 'gzip,\tchunked ,']);
      fields.push(`${this.#cased('Transfer-Encoding')}:${this.pick(responsePadding)}${coding}`);
      body = this.chunks();
    }
    if (this.chance(30))
      fields.push(`${this.#cased('Connection')}:${this.pick(responsePadding)}${this.pick(connections)}`);
    this.#shuffle(fields);
    const lines = [`HTTP/${version} ${this.pick(statuses.slice(0, odd === 0 ? 14 : undefined))}`, ...fields, ''];
    text += lines.map((line) => line + (this.chance(odd / 3) ? this.pick(lineEnds) : '\r\n')).join('');
    return this.#changed(text + body, odd) + this.pick(['', '', 'HTTP/1.1 200 OK\r\n\r\n', 'xx']);
  }

  /** A chunked body, most often a good one. */
  chunks(): string {
    let text = '';
    for (let count = this.below(5); count > 0; count--) {
      const data = 'd'.repeat(this.chance(90) ? 1 + this.below(30) : 300 + this.below(3000));
      const size = data.length.toString(16);
      text += `${this.chance(10) ? '000' : ''}${this.chance(50) ? size : size.toUpperCase()}`;
      text += `${this.chance(80) ? '' : this.pick(extensions)}\r\n${data}\r\n`;
    }
    text += `${this.chance(80) ? '0' : '0000'}${this.chance(90) ? '' : this.pick(extensions)}\r\n`;
    for (let count = this.chance(80) ? 0 : this.below(4); count > 0; count--) text += `${this.#field()}\r\n`;
    return `${text}\r\n`;
  }

  /** The same, more often with something wrong, and bytes behind it. */
  oddChunks(): string {
    return this.#changed(this.chunks(), this.chance(50) ? 0 : 6) + this.pick(['', 'GET / HTTP/1.1\r\n']);
  }

  /** The text in packets, cut at random. */
  cut(text: string): string[] {
    const packets: string[] = [];
    const most = this.pick([3, 20, 20, 200, 200, 2500, 2500, 2500, this.chance(40) ? 1 : 7]);
    for (let at = 0; at < text.length; ) {
      const length = 1 + this.below(text.length > 600 ? Math.max(most, 100) : most);
      packets.push(text.slice(at, at + length));
      at += length;
    }
    return packets;
  }

  /** The text with bytes changed, inserted, left out or said twice. */
  #changed(text: string, odd: number): string {
    let changed = text;
    for (let count = odd === 0 ? 0 : this.below(4); count > 1; count--) {
      const at = this.below(changed.length + 1);
      const length = this.below(this.chance(80) ? 3 : 40);
      const middle = this.chance(40) ? this.pick(pieces) : String.fromCharCode(this.below(256));
      const twice = this.chance(15) ? changed.slice(at, at + 30) : '';
      changed = changed.slice(0, at) + middle + twice + changed.slice(at + length);
    }
    return changed;
  }

  #good(items: readonly string[], odd: number): string {
    return this.pick(this.chance(odd * 6) ? items : items.slice(0, 3));
  }

  #target(method: string, host: string, odd: number): string {
    if (this.chance(odd)) return this.pick(oddTargets);
    if (method === 'CONNECT' && !this.chance(10)) return this.chance(90) ? host : this.pick(hosts);
    if (method === 'OPTIONS' && this.chance(30)) return '*';
    if (this.chance(10))
      return `${this.pick(['http', 'HTTPS', 'https', 'Http'])}://${this.chance(90) ? host : this.pick(hosts)}${this.pick(targets)}`;
    return this.pick(targets);
  }

  #field(): string {
    const space = this.chance(80) ? ' ' : this.pick(['', '\t', '   ', ' \t ', ' '.repeat(250 + this.below(10))]);
    const after = this.chance(90) ? '' : this.pick([' ', '\t\t', ' '.repeat(250 + this.below(10))]);
    const name = this.chance(97) ? this.pick(names) : 'n'.repeat(120 + this.below(12));
    return `${name}:${space}${this.pick(values)}${after}`;
  }

  #cased(name: string): string {
    return this.chance(60)
      ? name
      : [...name].map((c) => (this.chance(50) ? c.toLowerCase() : c.toUpperCase())).join('');
  }

  #shuffle(items: string[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const [one = '', other = ''] = [items[i], items[j]];
      items[i] = other;
      items[j] = one;
    }
  }
}
