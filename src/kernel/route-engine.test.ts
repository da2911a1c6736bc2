/**
 * The kernel's route engine (bpf/include/km_route_engine.h) against the interpreter and the naive matcher, by test runs of
 * a sched_cls program. KMESH_FUZZ sets the number of random cases, KMESH_FUZZ_SEED where they begin.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generationOf } from '../compile/http.ts';
import { recordLayouts } from '../compile/routes/action-records.ts';
import { compileRoutes, type RouteBlob } from '../compile/routes/compile.ts';
import { type Decider, fuzzRoutes } from '../compile/routes/fuzz.ts';
import { type Interpreted, interpret } from '../compile/routes/interpret.ts';
import * as layout from '../compile/routes/layout.ts';
import type { Route, RouteRequest, RouteTable } from '../compile/routes/types.ts';
import { readLayout } from './gen/btf.ts';
import { kmSource, kmSourceKey } from './gen/layout.gen.ts';
import { openLibbpf } from './libbpf.ts';
import { rawMap } from './map.ts';
import { loadObjects } from './object.ts';
import { BpfAttr, bpfCommand, close } from './syscall.ts';
import { rootOnly, testObject } from './testing.ts';
import { testRun } from './testrun.ts';

const skip = rootOnly();
const ethernet = 14;
const requestBytes = 32 + 8 + 4 * 4 + 8 * layout.limit.requestHeaders;
const sizes = [14, 16, 18, 20, 22] as const;
/** enum km_route_status */
const status = { found: 0, noVirtualHost: 1, noRoute: 2, noTable: 3, badTable: 4 } as const;

const engineObject = (): string => testObject('route_engine');

/** Tables in the kernel, and test runs that decide by them. */
class Engine implements Decider, Disposable {
  readonly #loaded = loadObjects(openLibbpf(), { objects: [engineObject()] });
  #handle = 0;
  #sources: readonly string[] = [];

  [Symbol.dispose](): void {
    this.#loaded.close();
  }

  program(name: string) {
    const program = this.#loaded.programs.get(name);
    assert.ok(program, name);
    return program;
  }

  /** Puts a table into the smallest map that takes it, in place 0 of it. Returns its handle. */
  load(blob: RouteBlob): number {
    const length = blob.words.byteLength;
    const bits = sizes.find((size) => length <= 2 ** size);
    assert.ok(bits, `a blob of ${length} bytes fits`);
    this.put(bits, new Uint8Array(blob.words.buffer, blob.words.byteOffset, length));
    this.#handle = bits * 2 ** 24;
    this.#sources = blob.sources;
    return this.#handle;
  }

  put(bits: number, content: Uint8Array): void {
    const outer = this.#loaded.maps.get(`km_route_${bits}`);
    assert.ok(outer);
    const attr = new BpfAttr()
      .u32(0, 2)
      .u32(4, 4)
      .u32(8, 2 ** bits)
      .u32(12, 1);
    const fd = attr.call(bpfCommand.MAP_CREATE);
    assert.ok(fd >= 0, `an array of ${2 ** bits} bytes: ${fd}`);
    const value = new Uint8Array(2 ** bits);
    value.set(content);
    rawMap(fd, 'blob').set(new Uint8Array(4), value);
    outer.set(new Uint8Array(4), new Uint8Array(Uint32Array.of(fd).buffer));
    close(fd);
  }

  /** `workload` 0: the request's own sources count. */
  decide(request: RouteRequest, workload = 0n): Interpreted {
    return this.run(encode(request, this.#sources), this.#handle, workload).decision;
  }

  knows(generation: bigint, workload: bigint, bits: readonly bigint[]): void {
    const rows = this.#loaded.maps.get('km_source')?.as({ key: kmSourceKey, value: kmSource });
    assert.ok(rows?.set({ generation, workload }, { bits }));
  }

  run(packet: Uint8Array, handle: number, workload = 0n) {
    new DataView(packet.buffer).setUint32(0, handle, true);
    new DataView(packet.buffer).setBigUint64(4, workload, true);
    const { packet: after, returnValue } = testRun(this.program('km_test_route'), packet);
    const view = new DataView(after.buffer, after.byteOffset + ethernet);
    const [virtualHost, route, action] = [4, 8, 12].map((at) => view.getUint32(at, true));
    assert.equal(view.getUint32(0, true), returnValue);
    return { status: returnValue, decision: decisionOf(returnValue, virtualHost, route, action) };
  }

  /** Nanoseconds of one decision: half of many runs of the request in the scratch slot, without the run's own cost. */
  measure(request: RouteRequest, repeat = 20_000): number {
    const scratch = this.#loaded.maps.get('km_route_scratch');
    assert.ok(scratch);
    const value = new Uint8Array(scratch.info.valueSize);
    const encoded = encode(request, this.#sources);
    value.set(encoded.subarray(ethernet, ethernet + requestBytes));
    const bytes = readLayout(engineObject())
      .structs.get('km_route_scratch')
      ?.fields.find(({ name }) => name === 'bytes');
    assert.ok(bytes);
    value.set(encoded.subarray(ethernet + requestBytes), bytes.offset);
    scratch.setEachCpu(new Uint8Array(4), value);
    const packet = new Uint8Array(64);
    new DataView(packet.buffer).setUint32(0, this.#handle, true);
    const time = (name: string) =>
      Math.min(...Array.from({ length: 5 }, () => testRun(this.program(name), packet, repeat).durationNs));
    assert.equal(testRun(this.program('km_test_route_slot'), packet).returnValue, status.found);
    return time('km_test_route_slot') - time('km_test_nothing');
  }
}

function decisionOf(result: number, virtualHost = 0, route = 0, action = 0): Interpreted {
  if (result === status.noVirtualHost) return { virtualHost: null, route: null };
  if (result === status.noRoute) return { virtualHost, route: null };
  assert.equal(result, status.found);
  return { virtualHost, route: { virtualHost, route, action } };
}

/** A packet for km_test_route: struct km_route_request and the head's bytes. */
function encode(request: RouteRequest, sources: readonly string[]): Uint8Array {
  const parts: Buffer[] = [];
  const texts = [request.host, request.path, request.query, request.method, ...request.headers.flat()];
  const packet = Buffer.alloc(ethernet + requestBytes);
  sources.forEach((source, bit) => {
    const at = ethernet + (bit >> 3);
    if (request.sources.has(source)) packet.writeUInt8(packet.readUInt8(at) | (1 << (bit & 7)), at);
  });
  packet.writeUInt32LE(request.random, ethernet + 32);
  packet.writeUInt32LE(request.headers.length, ethernet + 36);
  let offset = 0;
  texts.forEach((text, index) => {
    const bytes = Buffer.from(text, 'utf8');
    packet.writeUInt16LE(offset, ethernet + 40 + index * 4);
    packet.writeUInt16LE(bytes.length, ethernet + 42 + index * 4);
    offset += bytes.length;
    parts.push(bytes);
  });
  return new Uint8Array(Buffer.concat([packet, ...parts]));
}

const table = (routes: readonly Route[]): RouteTable => ({
  name: 'test',
  virtualHosts: [{ name: 'shop', domains: ['shop.example', '*.shop.example'], routes }],
});

const request: RouteRequest = {
  host: 'shop.example',
  path: '/api/v1/orders/12345/items/678',
  query: 'page=2&sort=price&debug=0',
  method: 'GET',
  headers: [
    ['Host', 'shop.example'],
    ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101'],
    ['Accept', 'text/html,application/json;q=0.9'],
    ['Accept-Encoding', 'gzip, br'],
    ['X-User', 'alice'],
    ['Cookie', 'session=0123456789abcdef'],
  ],
  random: 123_456,
  sources: new Set(),
};

/** Routes of four kinds, a quarter regular expressions, and one for all the rest. */
function manyRoutes(count: number): Route[] {
  const routes = Array.from({ length: count - 1 }, (_, i): Route => {
    const action = i;
    if (i % 4 === 0)
      return { match: { path: { kind: 'regex', pattern: `/api/v${i}/orders/\\d+/items/[0-9a-f]+` } }, action };
    if (i % 4 === 1) return { match: { path: { kind: 'exact', value: `/shop/${i}/product` } }, action };
    if (i % 4 === 2)
      return { match: { path: { kind: 'segments', value: `/static-${i}` }, methods: ['GET', 'HEAD'] }, action };
    const header = { name: 'x-user', match: { kind: 'exact', value: `user-${i % 50}` } } as const;
    return { match: { path: { kind: 'prefix', value: `/legacy/${i}/` }, headers: [header] }, action };
  });
  routes[Math.floor(count / 2)] = {
    match: { path: { kind: 'regex', pattern: '/api/v1/orders/\\d+/items/[0-9a-f]+' }, methods: ['GET'] },
    action: 4711,
  };
  return [...routes, { match: { path: { kind: 'prefix', value: '/' } }, action: count }];
}

test("the compiler's numbers are those of the C types", { skip }, () => {
  const { structs, enums } = readLayout(engineObject());
  const offsets = (name: string) => {
    const struct = structs.get(name);
    assert.ok(struct, name);
    return { size: struct.size, at: new Map(struct.fields.map((field) => [field.name, field.offset / 4])) };
  };
  const same = (name: string, numbers: Readonly<Record<string, number>>, names: Readonly<Record<string, string>>) => {
    const { size, at } = offsets(name);
    assert.equal(size, (numbers['words'] ?? 0) * 4, name);
    for (const [ours, theirs] of Object.entries(names))
      assert.equal(at.get(theirs), numbers[ours], `${name}.${theirs}`);
  };
  same('km_route_header', layout.header, {
    magic: 'magic',
    version: 'version',
    generationLow: 'generation',
    bytes: 'bytes',
    virtualHostCount: 'virtual_host_count',
    hostStart: 'host_start',
    hostClasses: 'host_classes',
    virtualHosts: 'virtual_hosts',
    sourceCount: 'source_count',
  });
  same('km_route_virtual_host', layout.virtualHost, {
    names: 'names',
    lookups: 'lookups',
    actions: 'actions',
    lookupCount: 'lookup_count',
    summaryWords: 'summary_words',
    routeCount: 'route_count',
  });
  same('km_route_lookup', layout.lookup, {
    field: 'field',
    start: 'start',
    classes: 'classes',
    any: 'any',
    absent: 'absent',
    unmatched: 'unmatched',
  });
  same('km_route_names', layout.names, { start: 'start', classes: 'classes', filter: 'filter' });
  assert.equal(offsets('km_route_request').size, requestBytes);
  const fields = enums.get('km_route_field')?.values.map(({ name, value }) => [name, Number(value)]);
  assert.deepEqual(
    fields,
    Object.entries(layout.field).map(([name, value]) => [`KM_ROUTE_FIELD_${name.toUpperCase()}`, value]),
  );
});

test('the numbers of action records are those of the C types', { skip }, () => {
  const { structs, enums } = readLayout(engineObject());
  const { editKinds, ...records } = recordLayouts;
  for (const [name, { size, ...places }] of Object.entries(records)) {
    const struct = structs.get(name);
    assert.ok(struct, name);
    assert.equal(struct.size, size, name);
    const snake = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const theirs = new Map(struct.fields.map((field) => [field.name, field.offset]));
    for (const [field, at] of Object.entries(places)) assert.equal(theirs.get(snake(field)), at, `${name}.${field}`);
    assert.equal(theirs.size, Object.keys(places).length, `fields of ${name}`);
  }
  const values = enums.get('km_edit_kind')?.values.map(({ name, value }) => [name, Number(value)]);
  assert.deepEqual(
    values,
    editKinds.map((kind, i) => [`KM_EDIT_${kind.toUpperCase()}`, i + 1]),
  );
});

test('what a workload is to a table is found by its id', { skip }, () => {
  using engine = new Engine();
  // A virtual host looks at 64 things at most, a table tells 256 sources apart.
  const hosts = [0, 1, 2, 3].map((host) => {
    const own = Array.from({ length: 50 }, (_, i): Route => {
      return { match: { sources: [`p${host * 50 + i}`] }, action: host * 50 + i };
    });
    return { name: `h${host}`, domains: [`h${host}`], routes: [...own, { match: {}, action: 777 }] };
  });
  const blob = compileRoutes({ name: 'test', virtualHosts: hosts });
  engine.load(blob);
  const generation = generationOf(blob.words);
  const bit = (n: number) => [0, 1, 2, 3].map((word) => (n >> 6 === word ? 1n << BigInt(n & 63) : 0n));
  for (const n of [0, 63, 64, 130, 199]) engine.knows(generation, BigInt(1000 + n), bit(n));
  engine.knows(generation + 1n, 5n, bit(1));
  const actionFor = (workload: bigint, host = 0) =>
    engine.decide({ ...request, host: `h${host}` }, workload).route?.action;
  for (const n of [0, 63, 64, 130, 199]) assert.equal(actionFor(BigInt(1000 + n), Math.floor(n / 50)), n);
  assert.equal(actionFor(4n), 777, 'a workload that nothing is known of');
  assert.equal(actionFor(5n), 777, 'known to another table only');
});

test('kernel, interpreter and model agree on random tables and requests', { skip }, () => {
  using engine = new Engine();
  const cases = Number(process.env['KMESH_FUZZ'] ?? 10_000);
  const seed = Number(process.env['KMESH_FUZZ_SEED'] ?? 1);
  const result = fuzzRoutes({ seed, cases, deciders: [engine] });
  assert.equal(result.cases, cases);
  assert.ok(result.routed > cases / 4 && result.routed < cases, `${result.routed} of ${cases} found a route`);
});

test('they agree on virtual hosts of hundreds of routes', { skip }, () => {
  using engine = new Engine();
  const result = fuzzRoutes({ seed: 9_000, cases: 300, perTable: 100, maxRoutes: 200, deciders: [engine] });
  assert.equal(result.cases, 300);
});

test('10 000 routes, a quarter regular expressions, each found by its own request', { skip }, () => {
  using engine = new Engine();
  const routes = manyRoutes(10_000);
  const blob = compileRoutes(table(routes));
  engine.load(blob);
  for (let i = 0; i < routes.length - 1; i += 97) {
    const path =
      [`/api/v${i}/orders/7/items/beef`, `/shop/${i}/product`, `/static-${i}/logo.png`, `/legacy/${i}/x`][i % 4] ?? '';
    const own: RouteRequest = { ...request, path, headers: [['X-User', `user-${i % 50}`]] };
    const decided = engine.decide(own);
    if (i !== 5000) assert.equal(decided.route?.route, i);
    assert.deepEqual(decided, interpret(blob, own));
    // One more character, and only the last route takes it.
    const other = { ...own, path: `x${path}` };
    assert.equal(engine.decide(other).route, null);
  }
  assert.equal(engine.decide(request).route?.action, 4711);
  assert.equal(engine.decide({ ...request, method: 'POST' }).route?.action, 10_000);
});

test('a head of 16 KiB is stepped over to its end', { skip }, () => {
  using engine = new Engine();
  const long = 'a'.repeat(16_000);
  engine.load(compileRoutes(table([{ match: { path: { kind: 'regex', pattern: '/[ab]*b' } }, action: 1 }])));
  assert.ok(engine.measure({ ...request, path: `/${long}b`, headers: [] }, 100) > 1000);
});

test('values of one header are joined, in any number', { skip }, () => {
  using engine = new Engine();
  const value = Array.from({ length: 100 }, (_, i) => `v${i}`);
  const match = { kind: 'exact', value: value.join(',') } as const;
  engine.load(compileRoutes(table([{ match: { headers: [{ name: 'x-many', match }] }, action: 1 }])));
  const headers = value.map((text) => ['X-Many', text] as const);
  assert.equal(engine.decide({ ...request, headers }).route?.action, 1);
  assert.equal(engine.decide({ ...request, headers: headers.slice(1) }).route, null);
});

test('a damaged blob cannot lead the engine out of its bounds', { skip }, () => {
  using engine = new Engine();
  const blob = compileRoutes(table(manyRoutes(20)));
  const handle = engine.load(blob);
  const packet = encode(request, []);
  const sound = new Uint8Array(blob.words.buffer, blob.words.byteOffset, blob.words.byteLength);
  const seen = new Set<number>();
  for (let i = 0; i < 300; i++) {
    const damaged = sound.slice();
    // Some places first, then any: what counts is that each run ends with a status.
    for (let hit = 0; hit < 20; hit++) {
      const at = i < 100 ? (16 + i * 8 + hit) % sound.length : (i * 7919 + hit * 104_729) % sound.length;
      damaged[at] = (i * 31 + hit * 17) & 255;
    }
    engine.put(handle >>> 24, damaged);
    seen.add(testRun(engine.program('km_test_route'), withHandle(packet, handle)).returnValue);
  }
  assert.ok([...seen].every((result) => result >= 0 && result <= 5));
  assert.ok(seen.size > 1, 'damage is seen');
});

test('a table that is not there, or of another version', { skip }, () => {
  using engine = new Engine();
  const packet = encode(request, []);
  assert.equal(testRun(engine.program('km_test_route'), withHandle(packet, 20 * 2 ** 24)).returnValue, status.noTable);
  assert.equal(testRun(engine.program('km_test_route'), withHandle(packet, 99 * 2 ** 24)).returnValue, status.noTable);
  engine.put(14, new Uint8Array(64).fill(1));
  assert.equal(testRun(engine.program('km_test_route'), withHandle(packet, 14 * 2 ** 24)).returnValue, status.badTable);
});

test('10 000 routes cost about what 10 cost', { skip }, (t) => {
  using engine = new Engine();
  const cost = [10, 1000, 10_000].map((count) => {
    const blob = compileRoutes(table(manyRoutes(count)));
    engine.load(blob);
    const ns = engine.measure(request);
    t.diagnostic(`${count} routes: ${ns} ns a request, ${Math.ceil(blob.words.byteLength / 1024)} KiB`);
    return ns;
  });
  // A sanity limit, far above what an idle machine shows: the figures are in docs/adr/010-route-tables.md.
  assert.ok((cost[2] ?? 0) < 5 * (cost[0] ?? 0) + 5000);
});

function withHandle(packet: Uint8Array, handle: number): Uint8Array {
  const copy = packet.slice();
  new DataView(copy.buffer).setUint32(0, handle, true);
  return copy;
}
