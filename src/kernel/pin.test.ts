import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { attachCgroup } from './attach.ts';
import { findCgroup2 } from './cgroup.ts';
import { u32, u64 } from './codec.ts';
import { openLibbpf } from './libbpf.ts';
import { ensureLink, openLink } from './link.ts';
import { rawMap } from './map.ts';
import { loadObjects } from './object.ts';
import {
  ensureBpffs,
  listPins,
  mapsDirectory,
  openPin,
  openPinnedMaps,
  pinMaps,
  removeTree,
  replacePin,
} from './pin.ts';
import { close } from './syscall.ts';
import { errorOf, rootOnly, testCgroup, testObject, testPins } from './testing.ts';

const skip = rootOnly();
const numbers = { key: u32, value: u64 };

test('pinned maps are gone on with, and one that does not fit any more is named', { skip }, () => {
  using root = testPins('reuse');
  const directory = mapsDirectory(root.path, '0123456789ab');
  const objects = [testObject('maps')];
  const libbpf = openLibbpf();
  const first = loadObjects(libbpf, { objects, pinnedMaps: directory });
  assert.deepEqual([first.reused, first.notReused], [[], []], 'nothing is pinned yet');
  first.maps.get('km_test_array')?.as(numbers).set(3, 33n);
  first.maps.get('km_test_lru')?.as(numbers).set(4, 44n);
  pinMaps(directory, first.maps.values());
  first.close();

  const second = loadObjects(libbpf, { objects, pinnedMaps: directory, maxEntries: { km_test_lru: 2048 } });
  assert.equal(second.reused.length, second.maps.size - 1);
  assert.deepEqual(second.notReused, [{ map: 'km_test_lru', reason: 'maximum of entries is 1024, not 2048' }]);
  assert.equal(second.maps.get('km_test_array')?.as(numbers).get(3), 33n);
  assert.equal(second.maps.get('km_test_lru')?.as(numbers).get(4), undefined);
  pinMaps(directory, second.maps.values());
  assert.deepEqual(listPins(directory), [...second.maps.keys()].sort());
  assert.deepEqual(listPins(join(root.path, '0123456789ab')), []);
  second.close();

  const third = loadObjects(libbpf, { objects, pinnedMaps: directory, maxEntries: { km_test_lru: 2048 } });
  assert.deepEqual(third.notReused, []);
  third.close();
});

test('a set of maps is whole after a death between any two steps', { skip }, () => {
  using root = testPins('steps');
  const directory = join(root.path, 'maps');
  const libbpf = openLibbpf();
  const loaded = loadObjects(libbpf, { objects: [testObject('refused')], wanted: () => false });
  const names = (): string[] => {
    const opened = openPinnedMaps(directory);
    for (const fd of opened.values()) close(fd);
    return [...opened.keys()];
  };
  pinMaps(directory, loaded.maps.values());
  // Dead while the new set was half made: the old one counts.
  mkdirSync(`${directory}-new`);
  assert.deepEqual(names(), ['km_test_refused']);
  // Dead between the two renames: the old one is put back.
  renameSync(directory, `${directory}-old`);
  assert.deepEqual(names(), ['km_test_refused']);
  pinMaps(directory, loaded.maps.values());
  assert.deepEqual(listPins(root.path), []);
  assert.deepEqual(names(), ['km_test_refused']);
  loaded.close();
});

/** Loads, pins, attaches, says so, and waits for its end. */
const child = (root: string, cgroup: string): string => `
  import { loadObjects } from '${join(import.meta.dirname, 'object.ts')}';
  import { openLibbpf } from '${join(import.meta.dirname, 'libbpf.ts')}';
  import { attachCgroup } from '${join(import.meta.dirname, 'attach.ts')}';
  import { ensureLink } from '${join(import.meta.dirname, 'link.ts')}';
  import { pinMaps } from '${join(import.meta.dirname, 'pin.ts')}';
  const loaded = loadObjects(openLibbpf(), { objects: ['${testObject('cgroup')}'] });
  const program = loaded.programs.get('km_test_first');
  pinMaps('${root}/maps', loaded.maps.values());
  ensureLink('${root}/links/connect', program, () => attachCgroup(program, '${cgroup}'));
  console.log('pinned');
  setInterval(() => {}, 1000);
`;

test('kill -9 leaves programs at work; the next process adopts them and switches in place', { skip }, async () => {
  using root = testPins('kill');
  using cgroup = testCgroup('kill');
  const daemon = spawn(process.execPath, ['--input-type=module', '-e', child(root.path, cgroup.path)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(daemon.stdout, 'data');
  daemon.kill('SIGKILL');
  await once(daemon, 'exit');

  cgroup.enter();
  await refusedConnect();
  const loaded = loadObjects(openLibbpf(), { objects: [testObject('cgroup')], pinnedMaps: join(root.path, 'maps') });
  const counts = loaded.maps.get('km_test_array')?.as(numbers);
  assert.deepEqual(loaded.notReused, []);
  assert.deepEqual([counts?.get(1), counts?.get(2)], [1n, 0n], "the dead process's program counted");

  const second = loaded.programs.get('km_test_second');
  assert.ok(second);
  const path = join(root.path, 'links/connect');
  const before = openLink(path);
  const link = ensureLink(path, second, () => assert.fail('the pinned link is used'));
  assert.equal(link.info().id, before?.info().id);
  await refusedConnect();
  assert.deepEqual([counts?.get(1), counts?.get(2)], [1n, 1n]);

  before?.detach();
  const again = ensureLink(path, second, () => attachCgroup(second, cgroup.path));
  assert.notEqual(again.info().id, link.info().id, 'a link that is dead is made anew');
  await refusedConnect();
  assert.deepEqual([counts?.get(1), counts?.get(2)], [1n, 2n]);
  again.detach();
  for (const each of [before, link, again]) each?.close();
  loaded.close();
});

async function refusedConnect(): Promise<void> {
  const socket = connect(1, '127.0.0.1');
  await once(socket, 'error');
}

test('a pin is replaced in one step and opens what it holds', { skip }, () => {
  using root = testPins('replace');
  const path = join(root.path, 'sub/thing');
  const loaded = loadObjects(openLibbpf(), { objects: [testObject('maps')], wanted: () => false });
  const [a, b] = [loaded.maps.get('km_test_array'), loaded.maps.get('km_test_lru')];
  assert.ok(a && b);
  assert.equal(openPin(path), null);
  for (const map of [a, b]) {
    replacePin(map.fd, path);
    const fd = openPin(path);
    assert.ok(fd !== null);
    assert.equal(rawMap(fd, 'x').info.id, map.info.id);
    close(fd);
  }
  assert.deepEqual(listPins(join(root.path, 'sub')), ['thing']);
  assert.match(
    errorOf(() => replacePin(a.fd, join(root.path, 'with.dot'))),
    /^KM4008 pin .*with\.dot-new: EPERM$/,
  );
  loaded.close();
});

test('a directory that is not on bpffs is refused', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'km-pin-'));
  assert.equal(
    errorOf(() => ensureBpffs(directory)),
    `KM4008 ${directory} is not on a BPF file system`,
  );
  assert.deepEqual(listPins(join(directory, 'missing')), []);
  removeTree(join(directory, 'missing'));
  rmdirSync(directory);
});

test('cgroup v2 is found by type, wherever it is', () => {
  const line = (root: string, at: string, type: string) =>
    `30 20 0:26 ${root} ${at} rw,nosuid shared:4 - ${type} none rw`;
  assert.equal(
    findCgroup2([line('/', '/sys/fs/cgroup', 'tmpfs'), line('/', '/odd\\040place', 'cgroup2')].join('\n')),
    '/odd place',
  );
  assert.equal(findCgroup2([line('/part', '/a', 'cgroup2'), line('/', '/b', 'cgroup2')].join('\n')), '/b');
  assert.match(
    errorOf(() => findCgroup2(line('/', '/sys/fs/cgroup', 'cgroup'))),
    /^KM4009/,
  );
});
