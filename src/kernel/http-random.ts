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
