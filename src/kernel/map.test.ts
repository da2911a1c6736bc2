import assert from 'node:assert/strict';
import { createServer, type Server, Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { array, be16, be32, bytes, type Codec, s32, u8, u32, u64 } from './codec.ts';
import { openLibbpf } from './libbpf.ts';
import { type MapType, possibleCpus, type RawMap, rawMap, update } from './map.ts';
import { type LoadedObjects, loadObjects } from './object.ts';
import { errorOf, rootOnly, testObject } from './testing.ts';

const skip = rootOnly();
let loaded: LoadedObjects;

before(() => {
  if (skip) return;
  loaded = loadObjects(openLibbpf(), {
    objects: [testObject('maps')],
    maxEntries: { km_test_hash: 20_000 },
    settings: { km_test_hash: '--max-things', km_test_percpu_hash: '--max-others' },
  });
});
after(() => loaded?.close());

function raw(name: string): RawMap {
  const map = loaded.maps.get(name);
  assert.ok(map);
  return map;
}

/** struct km_test_counter */
const counter: Codec<{ readonly packets: bigint; readonly errors: number }> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.packets, true);
    view.setUint32(offset + 8, value.errors, true);
  },
  decode: (view, offset) => ({ packets: view.getBigUint64(offset, true), errors: view.getUint32(offset + 8, true) }),
};

const numbers: MapType<number, bigint> = { key: u32, value: u64 };

test('a hash: set, get, flags of an update, delete, iterate, clear', { skip }, () => {
  const map = raw('km_test_lru').as(numbers);
  assert.equal(map.get(1), undefined);
  assert.equal(map.set(1, 2n ** 64n - 1n), true);
  assert.equal(map.get(1), 2n ** 64n - 1n);
  assert.equal(map.set(1, 5n, update.NOEXIST), false);
  assert.equal(map.set(9, 5n, update.EXIST), false);
  assert.equal(map.set(2, 5n, update.NOEXIST), true);
  assert.deepEqual(
    new Map(map.entries()),
    new Map([
      [1, 2n ** 64n - 1n],
      [2, 5n],
    ]),
  );
  assert.equal(map.delete(1), true);
  assert.equal(map.delete(1), false);
  assert.equal(map.count(), 1);
  map.clear();
  assert.deepEqual([...map.entries()], []);
  assert.equal(map.info.type, 9);
  assert.ok(map.info.id > 0);
  assert.ok(map.memoryBytes() > 1000);
});

const key = (i: number): Uint8Array => {
  const out = new Uint8Array(20);
  new DataView(out.buffer).setUint32(0, i, true);
  return out;
};
const value = (i: number): Uint8Array => {
  const out = new Uint8Array(80);
  new DataView(out.buffer).setUint32(8, i, true);
  return out;
};

test('batches larger than one call: write, read, delete with keys that are missing', { skip }, () => {
  const map = raw('km_test_hash');
  map.setAll(Array.from({ length: 10_000 }, (_, i) => [key(i), value(i)] as const));
  assert.equal(map.count(), 10_000);
  const seen = new Set(
    [...map.entries()].map(([k, v]) => {
      const number = new DataView(k.buffer).getUint32(0, true);
      assert.equal(new DataView(v.buffer).getUint32(8, true), number);
      return number;
    }),
  );
  assert.equal(seen.size, 10_000);
  const some = [...Array.from({ length: 6_000 }, (_, i) => key(i)), key(77_777), ...[9_998, 9_999].map(key)];
  assert.equal(map.deleteAll([key(66_666), ...some]), 6_002);
  assert.equal(map.deleteAll(some), 0);
  assert.equal(map.count(), 3_998);
  map.setAll(
    [
      [key(6_500), value(1)],
      [key(3), value(3)],
    ],
    update.NOEXIST,
  );
  assert.equal(new DataView(map.get(key(6_500))?.buffer ?? new ArrayBuffer(80)).getUint32(8, true), 6_500);
  map.clear();
  assert.equal(map.count(), 0);
});

test('a value with a lock is copied under it', { skip }, () => {
  const map = raw('km_test_hash');
  assert.equal(map.set(key(1), value(42)), true);
  assert.equal(map.set(key(1), value(43), update.EXIST | update.LOCK), true);
  assert.equal(new DataView((map.get(key(1), true) ?? value(0)).buffer).getUint32(8, true), 43);
  map.setAll(
    [
      [key(1), value(44)],
      [key(1), value(45)],
    ],
    update.LOCK,
  );
  assert.equal(new DataView((map.get(key(1), true) ?? value(0)).buffer).getUint32(8, true), 45);
  map.clear();
});

test('a full map says which flag sizes it and how far a batch came', { skip }, () => {
  const map = raw('km_test_hash');
  const pairs = Array.from({ length: 20_001 }, (_, i) => [key(i), value(i)] as const);
  const full = /^KM4006 map km_test_hash is full \(20000 entries\); --max-things sets its size: /;
  assert.match(
    errorOf(() => map.setAll(pairs)),
    new RegExp(`${full.source}batch update after 20000 pairs$`),
  );
  assert.equal(map.count(), 20_000);
  assert.match(
    errorOf(() => map.set(key(20_000), value(0))),
    full,
  );
  map.clear();

  const small = raw('km_test_small');
  for (let i = 0; i < 4; i++) small.set(bytesOf(16, i), bytesOf(4, i));
  assert.match(
    errorOf(() => small.set(bytesOf(16, 5), bytesOf(4, 5))),
    /^KM4006 map km_test_small is full \(4 entries\): update$/,
  );
  small.clear();
});

const bytesOf = (size: number, first: number): Uint8Array => {
  const out = new Uint8Array(size);
  out[0] = first;
  return out;
};

test('an array: fixed indexes, batch read, clear makes zeros', { skip }, () => {
  const map = raw('km_test_array').as(numbers);
  map.setAll([
    [0, 1n],
    [3, 4n],
    [15, 16n],
  ]);
  const entries = [...map.entries()];
  assert.equal(entries.length, 16);
  assert.deepEqual(
    entries.filter(([, v]) => v !== 0n),
    [
      [0, 1n],
      [3, 4n],
      [15, 16n],
    ],
  );
  assert.match(
    errorOf(() => map.set(16, 1n)),
    /^KM4007 map km_test_array \(array\): update: E2BIG$/,
  );
  map.clear();
  assert.equal(
    [...map.entries()].every(([, v]) => v === 0n),
    true,
  );
});

test("per-CPU maps give each CPU's value or their sum", { skip }, () => {
  const map = raw('km_test_percpu').as({ key: u32, value: counter });
  map.setEachCpu(0, { packets: 2n, errors: 3 });
  assert.deepEqual(
    map.getPerCpu(0),
    Array.from({ length: possibleCpus() }, () => ({ packets: 2n, errors: 3 })),
  );
  const sum = { packets: 2n * BigInt(possibleCpus()), errors: 3 * possibleCpus() };
  assert.deepEqual(map.getSum(0), sum);
  assert.deepEqual(
    [...map.entries()],
    [
      [0, sum],
      [1, { packets: 0n, errors: 0 }],
    ],
  );
  assert.throws(() => map.get(0), TypeError);
  assert.throws(() => map.set(0, { packets: 0n, errors: 0 }), TypeError);
  map.clear();
  assert.deepEqual(map.getSum(0), { packets: 0n, errors: 0 });

  const hash = raw('km_test_percpu_hash').as({ key: u32, value: u32 });
  for (let i = 0; i < 64; i++) hash.setEachCpu(i, i);
  assert.deepEqual(new Map(hash.entries()).get(63), 63 * possibleCpus());
  assert.match(
    errorOf(() => hash.setEachCpu(64, 1)),
    /^KM4006 map km_test_percpu_hash is full .*--max-others/,
  );
  hash.clear();
  assert.equal(hash.count(), 0);
});

test('padding inside a key does not make it another key', { skip }, () => {
  const gap = { key: array(u64, 2), value: u32 };
  const map = raw('km_test_small').as(gap);
  map.set([1n, 2n], 7);
  assert.equal(map.get([1n, 2n]), 7);
  map.clear();
});

test('a map of maps takes file descriptors and shows ids', { skip }, () => {
  const outer = raw('km_test_outer').as({ key: u32, value: u32 });
  const inner = innerMap();
  try {
    assert.equal(outer.set(5, inner.fd), true);
    assert.deepEqual([...outer.entries()], [[5, inner.info.id]]);
    assert.equal(outer.delete(5), true);
    assert.equal(outer.count(), 0);
  } finally {
    inner.close();
  }
});

/** Another map of the inner type, as a second load of the object makes it: km_test_array has other entries. */
function innerMap(): RawMap {
  const other = loadObjects(openLibbpf(), { objects: [testObject('maps')], maxEntries: { km_test_array: 4 } });
  const map = other.maps.get('km_test_array');
  assert.ok(map);
  for (const each of other.maps.values()) if (each !== map) each.close();
  return map;
}

test('a sockhash and a socket storage take sockets by file descriptor', { skip }, async () => {
  const { server, client } = await connection();
  try {
    const fd = (client as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
    const sockets = raw('km_test_sockets').as(numbers);
    assert.equal(sockets.set(1, BigInt(fd)), true);
    assert.ok((sockets.get(1) ?? 0n) > 0n, 'a lookup gives the socket cookie');
    assert.equal(sockets.count(), 1, 'a sockhash has no batch: it is read one entry a call');
    assert.deepEqual(
      [...sockets.entries()].map(([k]) => k),
      [1],
    );
    assert.equal(sockets.delete(1), true);

    const storage = raw('km_test_storage').as({ key: s32, value: array(u32, 4) });
    assert.equal(storage.get(fd), undefined);
    assert.equal(storage.set(fd, [1, 2, 3, 4]), true);
    assert.deepEqual(storage.get(fd), [1, 2, 3, 4]);
    assert.equal(storage.delete(fd), true);
  } finally {
    client.destroy();
    server.close();
  }
});

async function connection(): Promise<{ server: Server; client: Socket }> {
  const server = createServer((socket) => socket.on('error', () => {})).unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const client = new Socket();
  await new Promise<void>((resolve) => client.connect(address.port, '127.0.0.1', resolve));
  return { server, client };
}

test('codecs of another size than the map are refused', { skip }, () => {
  assert.match(
    errorOf(() => raw('km_test_lru').as({ key: u32, value: u32 })),
    /^KM4005 map km_test_lru: the kernel has 4\+8 bytes a pair, the daemon 4\+4$/,
  );
  assert.match(
    errorOf(() => rawMap(0, 'nothing')),
    /^KM4007 map nothing: info: EINVAL$/,
  );
});

test('codecs refuse what does not fit', () => {
  const view = new DataView(new ArrayBuffer(16));
  assert.throws(() => bytes(4).encode(new Uint8Array(5), view, 0), RangeError);
  assert.throws(() => array(u8, 2).encode([1], view, 0), RangeError);
  be16.encode(0x1234, view, 0);
  be32.encode(0xfffffffe, view, 2);
  assert.equal(Buffer.from(view.buffer, 0, 6).toString('hex'), '1234fffffffe');
  assert.equal(be32.decode(view, 2), 0xfffffffe);
});
