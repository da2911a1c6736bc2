import type { ActionRecord, Edit } from './action-records.ts';
import type {
  HeaderMatch,
  PathMatch,
  QueryMatch,
  Route,
  RouteMatch,
  RouteRequest,
  RouteTable,
  TextMatch,
  ValueMatch,
  VirtualHost,
} from './types.ts';

/** Random tables and requests that fit each other, the same for the same seed. For tests and fuzzing. */
export class RandomRoutes {
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

  #chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  #pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }

  #many<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  table(maxRoutes = 12): RouteTable {
    const taken = new Set<string>();
    const virtualHosts: VirtualHost[] = [];
    for (let i = 0; i <= this.below(3); i++) {
      const domains = [this.#domain(), ...this.#many(2, () => this.#domain())].filter((domain) => {
        const key = domain.toLowerCase();
        return !taken.has(key) && taken.add(key);
      });
      virtualHosts.push({ name: `vh${i}`, domains, routes: this.#many(maxRoutes, () => this.#route()) });
    }
    return { name: 'random', virtualHosts };
  }

  #domain(): string {
    const kind = this.below(10);
    if (kind < 3) return '*';
    if (kind < 5) return `*${this.#pick(['.b', '.a.b', '-x.b', '.B'])}`;
    if (kind < 7) return `${this.#pick(['a', 'a.', 'a.b', 'A.'])}*`;
    return this.#host();
  }

  #host(): string {
    return this.#pick(['a', 'a.b', 'b.a.b', 'x-x.b', 'A.B', 'a.a.b', '.b', 'b', '']) || 'c';
  }

  #route(): Route {
    return { match: this.#match(), action: this.#chance(50) ? this.below(2 ** 32) : this.#action() };
  }

  #action(): ActionRecord {
    const abort = this.#chance(20) ? { abort: { status: 503, share: 1 + this.below(1_000_000) } } : {};
    const kind = this.#pick(['forward', 'forward', 'redirect', 'reply'] as const);
    if (kind === 'redirect') return { kind, status: 301, edits: this.#edits(), ...abort };
    if (kind === 'reply') return { kind, status: 200 + this.below(400), fields: '', body: this.text(), ...abort };
    const splits = this.#many(3, () => ({
      cluster: BigInt(this.below(2 ** 32)) << 20n,
      weight: 1 + this.below(1000),
      edits: this.#edits(),
    }));
    return { kind, retries: this.below(4), splits, ...abort };
  }

  #edits(): Edit[] {
    return this.#many(3, (): Edit => {
      const kind = this.#pick(['remove', 'set', 'add', 'host', 'path', 'prefix', 'segments', 'query'] as const);
      if (kind === 'query') return { kind };
      if (kind === 'remove') return { kind, name: this.#headerName() };
      if (kind === 'add') return { kind, line: `x: ${this.text()}\r\n` };
      if (kind === 'set') return { kind, name: 'x-user', line: `X-User: ${this.text()}\r\n` };
      if (kind === 'prefix' || kind === 'segments') return { kind, bytes: this.below(100), text: this.path() };
      return { kind, text: this.text() };
    });
  }

  #match(): RouteMatch {
    return {
      ...(this.#chance(70) && { path: this.#pathMatch() }),
      ...(this.#chance(15) && { methods: this.#many(3, () => this.#method()) }),
      ...(this.#chance(35) && { headers: this.#many(3, () => this.#headerMatch()) }),
      ...(this.#chance(20) && { query: this.#many(2, () => this.#queryMatch()) }),
      ...(this.#chance(15) && { sources: this.#many(2, () => this.#source()) }),
      ...(this.#chance(10) && { fraction: this.#pick([0, 1, 300_000, 500_000, 999_999, 1_000_000]) }),
    };
  }

  #pathMatch(): PathMatch {
    const ignoreCase = this.#chance(20);
    const kind = this.#pick(['exact', 'prefix', 'segments', 'regex'] as const);
    if (kind === 'regex') return { kind, pattern: this.regex(2) };
    return { kind, value: this.path(), ...(ignoreCase && { ignoreCase }) };
  }

  #textMatch(): TextMatch {
    const ignoreCase = this.#chance(20);
    const kind = this.#pick(['exact', 'prefix', 'suffix', 'contains', 'regex'] as const);
    if (kind === 'regex') return { kind, pattern: this.regex(2) };
    return { kind, value: this.text(), ...(ignoreCase && { ignoreCase }) };
  }

  #valueMatch(): ValueMatch {
    const kind = this.below(8);
    if (kind === 0) return { kind: 'present' };
    if (kind === 1) return { kind: 'absent' };
    if (kind > 3) return this.#textMatch();
    const start = BigInt(this.#pick([-120, -10, -1, 0, 1, 7, 10, 99, 100, 1234]));
    return { kind: 'range', start, end: start + BigInt(this.#pick([0, 1, 5, 20, 2000])) };
  }

  #headerMatch(): HeaderMatch {
    return {
      name: this.#headerName(),
      match: this.#valueMatch(),
      ...(this.#chance(25) && { invert: true }),
      ...(this.#chance(20) && { missingAsEmpty: true }),
    };
  }

  #queryMatch(): QueryMatch {
    return { name: this.#parameter(), match: this.#chance(25) ? { kind: 'present' } : this.#textMatch() };
  }

  #method(): string {
    return this.#pick(['GET', 'POST', 'PUT', 'get']);
  }

  #source(): string {
    return this.#pick(['app=a', 'app=b', 'namespace=x', 'port=80']);
  }

  #headerName(): string {
    return this.#pick(['x', 'X-User', 'x-user', 'cookie', 'x-y']);
  }

  #parameter(): string {
    return this.#pick(['a', 'ab', 'b', 'aa', 'user']);
  }

  path(): string {
    return `/${this.#many(3, () => this.#pick(['a', 'b', 'ab', 'A', 'abc', 'é', 'a.b'])).join('/')}${this.#chance(15) ? '/' : ''}`;
  }

  text(): string {
    return this.#many(3, () => this.#pick(['a', 'b', 'ab', 'ba', 'A', 'é', '日', '.', '1'])).join('');
  }

  #value(): string {
    if (this.#chance(30)) return String(this.#pick([-121, -11, -10, -1, 0, 1, 6, 7, 15, 99, 100, 119, 1234, 3000]));
    if (this.#chance(10)) return this.#pick(['+7', '007', '-0', '7 7', '1e3', '0', '00', '+', '-']);
    return this.text();
  }

  /** An expression that RE2 and JavaScript read alike. */
  regex(depth: number): string {
    const parts = Array.from({ length: 1 + this.below(3) }, () => {
      const atom = this.#pick([
        'a',
        'b',
        '/',
        '.',
        '[ab]',
        '[^/]',
        '[^a]',
        '\\d',
        '\\w',
        '\\W',
        'é',
        '日',
        '\\.',
        '[a-z0-9é]',
      ]);
      const whole = depth > 0 && this.#chance(25) ? `(?:${this.regex(depth - 1)})` : atom;
      return `${whole}${this.#pick(['', '', '', '*', '+', '?', '{2}', '{1,2}', '{0,3}', '*?'])}`;
    });
    if (depth > 0 && this.#chance(20)) parts.push(`|${this.regex(depth - 1)}`);
    const anchored = this.#chance(10) ? `^${parts.join('')}` : parts.join('');
    return this.#chance(40) ? `/${anchored.replace(/^\^/, '')}` : this.#chance(10) ? `(?:${anchored})$` : anchored;
  }

  request(): RouteRequest {
    return {
      host: this.#chance(10)
        ? this.text()
        : this.#pick([this.#host(), this.#host().toUpperCase(), `a.${this.#host()}`]),
      path: this.#chance(15) ? this.text() : this.path(),
      query: this.#many(3, () => this.#parameterText()).join('&') + (this.#chance(10) ? '&' : ''),
      method: this.#method(),
      headers: this.#many(5, () => [this.#headerName(), this.#value()] as const),
      random: this.#chance(30) ? this.#pick([0, 1, 299_999, 300_000, 999_999]) : this.below(1_000_000),
      sources: new Set(this.#many(3, () => this.#source())),
    };
  }

  #parameterText(): string {
    if (this.#chance(15)) return this.#parameter();
    return `${this.#chance(10) ? '' : this.#parameter()}=${this.#value()}`;
  }
}
