import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { u32, u64 } from './codec.ts';
import { openLibbpf } from './libbpf.ts';
import { typedMaps } from './map.ts';
import { incompatibility, type LoadRequest, loadObjects } from './object.ts';
import { chargesMemlock, errnoName, kernelVersion } from './syscall.ts';
import { errorOf, rootOnly, testObject } from './testing.ts';
import { testRun } from './testrun.ts';

const skip = rootOnly();
const packet = new Uint8Array(64);

function load(request: LoadRequest) {
  const loaded = loadObjects(openLibbpf(), request);
  return { ...loaded, [Symbol.dispose]: () => loaded.close() };
}

function program(loaded: ReturnType<typeof load>, name: string) {
  const found = loaded.programs.get(name);
  assert.ok(found, `${name} is loaded`);
  return found;
}

test('constants set at load time are what the program sees', { skip }, () => {
  using loaded = load({ objects: [testObject('maps')], constants: { km_test_answer: 77, km_test_big: 2n ** 60n } });
  assert.equal(testRun(program(loaded, 'km_test_record'), packet).returnValue, 77);
  using untouched = load({ objects: [testObject('maps')] });
  assert.equal(testRun(program(untouched, 'km_test_record'), packet).returnValue, 1, 'the value of the source');
});

test('a constant that does not fit or does not exist is refused', { skip }, () => {
  const objects = [testObject('maps')];
  const refuse = (constants: NonNullable<LoadRequest['constants']>) => errorOf(() => load({ objects, constants }));
  assert.equal(refuse({ km_test_mode: 256 }), 'KM4005 constant km_test_mode has 1 bytes: 256 does not fit');
  assert.equal(refuse({ km_test_mode: new Uint8Array(2) }), 'KM4005 constant km_test_mode has 1 bytes, 2 given');
  assert.equal(refuse({ km_nowhere: 1 }), 'KM4005 no eBPF object has a constant km_nowhere');
  assert.equal(
    errorOf(() => load({ objects, maxEntries: { km_nowhere: 1 } })),
    'KM4005 no eBPF object has a map km_nowhere',
  );
});

test('a map of one name is one map in all objects, with the size that was asked for', { skip }, () => {
  using loaded = load({
    objects: [testObject('maps'), testObject('cgroup')],
    maxEntries: { km_test_array: 99, km_test_ring: 5000 },
  });
  assert.equal(loaded.maps.get('km_test_array')?.info.maxEntries, 99);
  assert.equal(loaded.maps.get('km_test_ring')?.info.maxEntries, 8192, 'a ring buffer is rounded up to a power of two');
  assert.deepEqual([...loaded.programs.keys()].sort(), [
    'km_test_count',
    'km_test_dump',
    'km_test_first',
    'km_test_message',
    'km_test_record',
    'km_test_second',
  ]);
  const { km_test_array: array } = typedMaps(loaded.maps, { km_test_array: { key: u32, value: u64 } });
  array.set(98, 5n);
  assert.equal(array.get(98), 5n);
  assert.match(
    errorOf(() => typedMaps(loaded.maps, { km_missing: { key: u32, value: u64 } })),
    /^KM4005 no eBPF object has a map km_missing/,
  );
});

test('programs that are not wanted are left out', { skip }, () => {
  using loaded = load({ objects: [testObject('maps')], wanted: ({ section }) => section !== 'sk_msg' });
  assert.deepEqual([...loaded.programs.keys()].sort(), ['km_test_count', 'km_test_record']);
});

test('objects that define a map differently do not load together', { skip }, () => {
  assert.match(
    errorOf(() => load({ objects: [testObject('maps'), testObject('other')] })),
    /^KM4005 map km_test_array differs in .*other\.bpf\.o: value size is 8, not 16$/,
  );
});

test("a refused program is shown with the reason first and the log's end", { skip }, () => {
  const descriptors = openDescriptors();
  const message = errorOf(() => load({ objects: [testObject('maps'), testObject('refused')] }));
  const [first = '', ...rest] = message.split('\n');
  assert.equal(
    first,
    `KM4003 program km_test_unchecked of refused.bpf.o refused by kernel ${release()} (EACCES): ` +
      "R0 invalid mem access 'map_value_or_null'",
  );
  assert.ok(rest.length >= 3 && rest.length <= 16, `${rest.length} lines`);
  assert.ok(
    rest.some((line) => /\d+: \(79\) r0 = \*\(u64 \*\)\(r0 \+ ?0\)/.test(line)),
    message,
  );
  assert.equal(openDescriptors(), descriptors, 'nothing stays open after a failure');
});

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

test('a file that is missing or no object is named', { skip }, () => {
  assert.match(
    errorOf(() => load({ objects: ['/nowhere/x.bpf.o'] })),
    /^KM4002 \/nowhere\/x\.bpf\.o: ENOENT/,
  );
  const text = join(import.meta.dirname, 'object.test.ts');
  assert.match(
    errorOf(() => load({ objects: [text] })),
    /^KM4002 .*object\.test\.ts: .*(ELF|elf|object)/,
  );
});

test('maps are compatible only when nothing but the content may differ', () => {
  const info = { name: 'm', id: 1, type: 1, keySize: 4, valueSize: 8, maxEntries: 10, flags: 0 };
  assert.equal(incompatibility(info, { ...info, id: 7, name: 'short' }), null);
  assert.equal(incompatibility(info, { ...info, type: 9 }), 'type is lru_hash, not hash');
  assert.equal(incompatibility({ ...info, maxEntries: 20 }, info), 'maximum of entries is 10, not 20');
});

test('kernel versions and errno names', () => {
  assert.deepEqual(kernelVersion('5.10.0-46-amd64'), [5, 10]);
  assert.equal(chargesMemlock([5, 10]), true);
  assert.equal(chargesMemlock([5, 11]), false);
  assert.equal(chargesMemlock([6, 1]), false);
  assert.deepEqual(
    [errnoName(-28), errnoName(95), errnoName(524), errnoName(9999)],
    ['ENOSPC', 'EOPNOTSUPP', 'ENOTSUPP', 'errno 9999'],
  );
});
