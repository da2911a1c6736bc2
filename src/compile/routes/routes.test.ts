import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRoutes } from './compile.ts';
import { fuzzRoutes } from './fuzz.ts';
import { interpret } from './interpret.ts';
import { header } from './layout.ts';
import { matchNaively } from './naive.ts';
import type { HeaderMatch, PathMatch, Route, RouteMatch, RouteRequest, RouteTable } from './types.ts';

const request: RouteRequest = {
  host: 'shop',
  path: '/',
  query: '',
  method: 'GET',
  headers: [],
  random: 0,
  sources: new Set(),
};

const table = (...matches: readonly RouteMatch[]): RouteTable => ({
  name: 'test',
  virtualHosts: [{ name: 'shop', domains: ['*'], routes: matches.map((match, action): Route => ({ match, action })) }],
});

/** Which route the compiled table and the model both choose; null for none. */
function decide(routes: RouteTable, change: Partial<RouteRequest>, blob = compileRoutes(routes)): number | null {
  const own = { ...request, ...change };
  const result = interpret(blob, own);
  assert.deepEqual(result, matchNaively(routes, own));
  return result.route?.action ?? null;
}

test('virtual hosts: exact, longest *.x, longest x.*, then *', () => {
  const domains = [['*'], ['*.b.c'], ['*.c'], ['a.*'], ['a.b.*'], ['A.b.c'], ['*-x.c']];
  const hosts: RouteTable = {
    name: 'test',
    virtualHosts: domains.map((own, i) => ({ name: `vh${i}`, domains: own, routes: [{ match: {}, action: i }] })),
  };
  const expected: Readonly<Record<string, number>> = {
    'a.b.c': 5,
    'A.B.C': 5,
    'x.b.c': 1,
    'b.c': 2,
    '.c': 0,
    'a.x': 3,
    'a.b.x': 4,
    'a.b.': 3,
    'y-x.c': 6,
    '-x.c': 2,
    other: 0,
    '': 0,
  };
  for (const [host, virtualHost] of Object.entries(expected)) assert.equal(decide(hosts, { host }), virtualHost, host);
});

test('domains that contradict each other are refused', () => {
  const of = (...domains: string[][]): RouteTable => ({
    name: 'test',
    virtualHosts: domains.map((own, i) => ({ name: `vh${i}`, domains: own, routes: [] })),
  });
  assert.throws(() => compileRoutes(of(['a'], ['A'])), {
    code: 'KM3013',
    message: /vh1 and vh0 both have the domain A/,
  });
  assert.throws(() => compileRoutes(of(['a*b'])), { code: 'KM3013', message: /bad domain "a\*b"/ });
  assert.throws(() => compileRoutes(of(['**'])), { code: 'KM3013' });
});

test('paths: characters, whole segments, case', () => {
  const path = (match: PathMatch, text: string) => decide(table({ path: match }), { path: text }) === 0;
  assert.ok(path({ kind: 'prefix', value: '/a' }, '/ab'));
  assert.ok(!path({ kind: 'segments', value: '/a' }, '/ab'));
  assert.ok(path({ kind: 'segments', value: '/a' }, '/a'));
  assert.ok(path({ kind: 'segments', value: '/a/' }, '/a/b'));
  assert.ok(path({ kind: 'segments', value: '/' }, '/x'));
  assert.ok(path({ kind: 'exact', value: '/A', ignoreCase: true }, '/a'));
  assert.ok(!path({ kind: 'exact', value: '/É', ignoreCase: true }, '/é'), 'only ASCII letters are folded');
});

test('headers: missing, inverted, joined, ranges', () => {
  const header = (match: HeaderMatch, ...values: string[]) =>
    decide(table({ headers: [match] }), { headers: values.map((value) => ['X', value] as const) }) === 0;
  const exact = { kind: 'exact', value: 'a' } as const;
  assert.ok(!header({ name: 'x', match: exact, invert: true }), 'a missing header matches nothing');
  assert.ok(header({ name: 'x', match: exact, invert: true, missingAsEmpty: true }));
  assert.ok(header({ name: 'x', match: { kind: 'absent' } }));
  assert.ok(header({ name: 'x', match: { kind: 'absent' }, invert: true }, ''));
  assert.ok(header({ name: 'x', match: { kind: 'present' }, invert: true }));
  assert.ok(header({ name: 'X', match: { kind: 'exact', value: 'a,b' } }, 'a', 'b'));
  const range = (value: string, start: bigint, end: bigint) =>
    header({ name: 'x', match: { kind: 'range', start, end } }, value);
  for (const [start, end] of [
    [-12n, 105n],
    [0n, 1n],
    [7n, 7n],
    [-9n, -3n],
    [95n, 1000n],
    [-(2n ** 63n), 2n ** 63n - 1n],
  ] as const) {
    const routes = table({ headers: [{ name: 'x', match: { kind: 'range', start, end } }] });
    const blob = compileRoutes(routes);
    for (let value = -120; value < 120; value += 1) {
      const found = decide(routes, { headers: [['x', String(value)]] }, blob) === 0;
      assert.equal(found, start <= BigInt(value) && BigInt(value) < end, `${value} in ${start}..${end}`);
    }
  }
  assert.ok(range('+007', 7n, 8n) && range('-0', 0n, 1n) && !range('7x', 7n, 8n) && !range('', 0n, 1n));
});

test('query parameters: the first of a name, without decoding', () => {
  const query = (name: string, value: string | null, text: string) =>
    decide(table({ query: [{ name, match: value === null ? { kind: 'present' } : { kind: 'exact', value } }] }), {
      query: text,
    }) === 0;
  assert.ok(query('a', '1', 'b=2&a=1&a=2'));
  assert.ok(!query('a', '2', 'a=1&a=2'));
  assert.ok(query('a', '', 'a&b'));
  assert.ok(query('a', '', 'b&a='));
  assert.ok(query('a', '1=2', 'a=1=2'));
  assert.ok(query('a', null, 'aa=1&a'));
  assert.ok(!query('a', null, 'aa=1&ba'));
  assert.ok(!query('', null, ''));
  assert.ok(query('', null, '&a'));
});

test('draws and sources', () => {
  const routes = table({ fraction: 250_000, sources: ['app=a'] }, { sources: ['app=a', 'port=80'] }, { fraction: 0 });
  const sources = new Set(['app=a']);
  assert.equal(decide(routes, { random: 249_999, sources }), 0);
  assert.equal(decide(routes, { random: 250_000, sources }), null);
  assert.equal(decide(routes, { random: 999_999, sources: new Set(['app=a', 'port=80']) }), 1);
  assert.equal(decide(routes, { random: 0 }), null);
});

test('the compiled table decides as the model does, 20 000 random cases', () => {
  const result = fuzzRoutes({ seed: 100_000, cases: 20_000, perTable: 100 });
  assert.ok(result.routed > 5_000 && result.routed < 20_000);
  assert.ok(result.refused < 10, `${result.refused} tables refused`);
});

test('hundreds of routes in a virtual host', () => {
  assert.equal(fuzzRoutes({ seed: 5, cases: 600, perTable: 100, maxRoutes: 250 }).cases, 600);
});

test('patterns whose common automaton would explode share several', () => {
  const words = Array.from({ length: 40 }, (_, i) => `word${String.fromCharCode(97 + (i % 26), 97 + i)}`);
  const routes = table(
    ...words.map((value): RouteMatch => ({ headers: [{ name: 'x', match: { kind: 'contains', value } }] })),
  );
  const blob = compileRoutes(routes);
  for (const [i, word] of words.entries()) {
    const headers = [['x', `zz ${words[39]} ${word} wordword`]] as const;
    assert.equal(decide(routes, { headers }, blob), i);
  }
});

test('what would take too much is refused with its name', () => {
  const explosive = table({ path: { kind: 'regex', pattern: '(?:a|b)*a(?:a|b){20}' } });
  assert.throws(() => compileRoutes(explosive), {
    code: 'KM3011',
    message: /virtual host shop: .*takes too many states/,
  });
  const large = table(
    ...Array.from({ length: 300 }, (_, i): RouteMatch => ({ path: { kind: 'exact', value: `/${i}` } })),
  );
  assert.throws(() => compileRoutes(large, { maxBytes: 8192 }), { code: 'KM3012', message: /at most 8 KiB/ });
  const headers = Array.from({ length: 70 }, (_, i): HeaderMatch => ({ name: `h${i}`, match: { kind: 'present' } }));
  assert.throws(() => compileRoutes(table({ headers })), { code: 'KM3012', message: /looks at 70 things, at most 64/ });
  const sources = Array.from({ length: 257 }, (_, i) => `app=${i}`);
  assert.throws(() => compileRoutes(table({ sources })), { code: 'KM3012', message: /257 kinds of source/ });
});

test('equal tables are equal bytes, other tables have other generations', () => {
  const one = compileRoutes(table({ path: { kind: 'prefix', value: '/a' } })).words;
  assert.deepEqual(compileRoutes(table({ path: { kind: 'prefix', value: '/a' } })).words, one);
  const other = compileRoutes(table({ path: { kind: 'prefix', value: '/b' } })).words;
  const generation = (words: Uint32Array) => words.subarray(header.generationLow, header.generationHigh + 1);
  assert.notDeepEqual(generation(other), generation(one));
});

test('virtual hosts of one shape are stored once', () => {
  const hosts = (count: number): RouteTable => ({
    name: 'test',
    virtualHosts: Array.from({ length: count }, (_, i) => ({
      name: `vh${i}`,
      domains: [`h${i}`],
      routes: Array.from(
        { length: 50 },
        (__, j): Route => ({ match: { path: { kind: 'exact', value: `/${j}` } }, action: j }),
      ),
    })),
  });
  const [few, many] = [10, 110].map((count) => compileRoutes(hosts(count)).words.byteLength);
  assert.ok((many ?? 0) - (few ?? 0) < 100 * 100, `${few} and ${many} bytes`);
});

test('10 000 routes, a quarter regular expressions, fit', () => {
  const matches = Array.from({ length: 10_000 }, (_, i): RouteMatch => {
    if (i % 4 === 0) return { path: { kind: 'regex', pattern: `/api/v${i % 3}/tenant-${i}/[a-z0-9-]+/items/\\d+` } };
    if (i % 4 === 1) return { path: { kind: 'exact', value: `/shop/${i}/product/detail` } };
    if (i % 4 === 2) return { path: { kind: 'segments', value: `/svc-${i}/static` }, methods: ['GET', 'HEAD'] };
    const match = { kind: 'exact', value: `v${i % 50}` } as const;
    return { path: { kind: 'prefix', value: `/legacy/${i}/` }, headers: [{ name: 'x-version', match }] };
  });
  const blob = compileRoutes(table(...matches, { path: { kind: 'prefix', value: '/' } }));
  assert.ok(blob.words.byteLength < 4 * 1024 * 1024, `${blob.words.byteLength} bytes`);
  const route = (change: Partial<RouteRequest>) => interpret(blob, { ...request, ...change }).route?.action;
  assert.equal(route({ path: '/api/v2/tenant-9992/a-b/items/17' }), 9992);
  assert.equal(route({ path: '/shop/5001/product/detail' }), 5001);
  assert.equal(route({ path: '/svc-4002/static/x', method: 'HEAD' }), 4002);
  assert.equal(route({ path: '/legacy/9999/', headers: [['X-Version', 'v49']] }), 9999);
  assert.equal(route({ path: '/legacy/9999/', headers: [['X-Version', 'v4']] }), 10_000);
});
