import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import {
  attachCgroup,
  attachClsact,
  attachSkMsg,
  attachTcx,
  destroyClsact,
  detachClsact,
  detachSkMsg,
  type Filter,
  queryClsact,
} from './attach.ts';
import { u32, u64 } from './codec.ts';
import { readIterator } from './iterator.ts';
import { openLibbpf } from './libbpf.ts';
import { netnsAddresses, netnsCookie, netnsCookieBySocketOption, netnsId, withNetns } from './netns.ts';
import { loadObjects, type Program } from './object.ts';
import { errorOf, rootOnly, run, testCgroup, testNamespace, testObject } from './testing.ts';

const skip = rootOnly();

function loadTests() {
  const loaded = loadObjects(openLibbpf(), { objects: [testObject('maps'), testObject('cgroup')] });
  const program = (name: string): Program => {
    const found = loaded.programs.get(name);
    assert.ok(found);
    return found;
  };
  const array = loaded.maps.get('km_test_array')?.as({ key: u32, value: u64 });
  const percpu = loaded.maps.get('km_test_percpu')?.as({
    key: u32,
    value: { ...u64, size: 16, encode: () => {} },
  });
  assert.ok(array && percpu);
  return { loaded, program, array, packets: (slot: number) => percpu.getSum(slot) ?? 0n };
}

/** Two namespaces with a veth between them, 10.99.0.1 and 10.99.0.2. */
function pair() {
  const [left, right] = [testNamespace('left'), testNamespace('right')];
  run('ip', '-n', left.name, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', right.name);
  for (const [ns, address] of [
    [left, '10.99.0.1/24'],
    [right, '10.99.0.2/24'],
  ] as const) {
    run('ip', '-n', ns.name, 'address', 'add', address, 'dev', 'veth0');
    run('ip', '-n', ns.name, 'link', 'set', 'veth0', 'up');
  }
  const dispose = () => {
    left[Symbol.dispose]();
    right[Symbol.dispose]();
  };
  return { left, right, [Symbol.dispose]: dispose };
}

/** Sends packets from the left until `seen` holds; a link that was just set up may drop the first. */
function sendUntil(from: string, seen: () => boolean): void {
  const send = 'for i in 1 2 3; do echo x > /dev/udp/10.99.0.2/9; done';
  const deadline = Date.now() + 5000;
  while (!seen()) {
    assert.ok(Date.now() < deadline, 'no packet was seen');
    run('ip', 'netns', 'exec', from, 'bash', '-c', send);
  }
}

const ifindex = (name: string): number => Number(run('ip', '-n', name, '-o', 'link', 'show', 'veth0').split(':')[0]);

test('tcx in another namespace sees packets, is switched in place and ends with its link', { skip }, (context) => {
  using net = pair();
  const { loaded, program, packets } = loadTests();
  const index = ifindex(net.right.name);
  const link = withNetns(net.right.path, () =>
    attachTcx(program('km_test_count'), { ifindex: index, direction: 'ingress' }),
  );
  if (link === null) return context.skip('this kernel has no tcx');
  sendUntil(net.left.name, () => packets(1) > 0n);
  assert.equal(packets(0), 0n);
  const number = link.info().programId;
  link.update(program('km_test_record'));
  assert.notEqual(link.info().programId, number);
  const counted = packets(1);
  sendUntil(net.left.name, () => packets(0) > 0n);
  assert.equal(packets(1), counted, 'the first program is out');
  link.detach();
  const recorded = packets(0);
  run('ip', 'netns', 'exec', net.left.name, 'bash', '-c', 'echo x > /dev/udp/10.99.0.2/9');
  assert.equal(packets(0), recorded, 'nothing runs after the detach');
  link.close();
  loaded.close();
});

test('clsact in another namespace sees packets; attaching again replaces; detaching leaves no filter', { skip }, () => {
  using net = pair();
  const libbpf = openLibbpf();
  const { loaded, program, packets } = loadTests();
  const filter: Filter = { ifindex: ifindex(net.right.name), direction: 'ingress', priority: 7, handle: 1 };
  withNetns(net.right.path, () => {
    assert.equal(queryClsact(libbpf, filter), null);
    assert.equal(detachClsact(libbpf, filter), false);
    attachClsact(libbpf, program('km_test_count'), filter);
  });
  sendUntil(net.left.name, () => packets(1) > 0n);
  const shown = () => run('tc', '-n', net.right.name, 'filter', 'show', 'dev', 'veth0', 'ingress');
  assert.match(shown(), /pref 7 bpf .*km_test_count/);
  withNetns(net.right.path, () => {
    const before = queryClsact(libbpf, filter);
    attachClsact(libbpf, program('km_test_record'), filter);
    assert.notEqual(queryClsact(libbpf, filter), before);
  });
  assert.equal(shown().match(/handle 0x1/g)?.length, 1);
  withNetns(net.right.path, () => {
    assert.equal(detachClsact(libbpf, filter), true);
    assert.equal(queryClsact(libbpf, filter), null);
    assert.equal(destroyClsact(libbpf, filter.ifindex), true);
  });
  assert.equal(run('tc', '-n', net.right.name, 'qdisc', 'show', 'dev', 'veth0').includes('clsact'), false);
  assert.match(
    errorOf(() => attachClsact(libbpf, program('km_test_count'), { ...filter, ifindex: 987654 })),
    /^KM4010 attach km_test_count to ingress of device 987654: E(NODEV|INVAL)$/,
  );
  loaded.close();
});

test('an sk_msg program is attached to a sockhash and taken away', { skip }, () => {
  const { loaded, program } = loadTests();
  const sockets = loaded.maps.get('km_test_sockets');
  assert.ok(sockets);
  const message = program('km_test_message');
  const link = attachSkMsg(message, sockets);
  if (link === null) assert.equal(detachSkMsg(message, sockets), true);
  else link.close();
  assert.match(
    errorOf(() => attachSkMsg(program('km_test_count'), sockets)),
    /^KM4010 attach km_test_count to map km_test_sockets: EINVAL$/,
  );
  loaded.close();
});

test('a connect hook stores with the socket, and the iterator reads it back', { skip }, async () => {
  using cgroup = testCgroup('iterator');
  const { loaded, program, array } = loadTests();
  const storage = loaded.maps.get('km_test_storage');
  assert.ok(storage);
  const link = attachCgroup(program('km_test_second'), cgroup.path);
  const server = createServer((socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const dump = () => readIterator(program('km_test_dump'), { mapFd: storage.fd });
  assert.equal(dump().length, 0);
  cgroup.enter();
  const client = connect(address.port, '127.0.0.1');
  await once(client, 'connect');
  assert.equal(array.get(2), 1n);
  const records = dump();
  assert.equal(records.length, 16, 'one socket, one struct km_test_event');
  const view = new DataView(records.buffer, records.byteOffset);
  assert.equal(view.getUint32(0, true), 2);
  const cookie = netnsCookieBySocketOption();
  if (cookie !== null) assert.equal(view.getBigUint64(8, true), cookie);
  assert.match(
    errorOf(() => readIterator(program('km_test_dump'))),
    /^KM4012 iterator km_test_dump: attach: E/,
  );
  assert.match(
    errorOf(() => attachCgroup(program('km_test_first'), '/nowhere')),
    /^KM4010 .*ENOENT/,
  );
  client.destroy();
  server.close();
  link.close();
  loaded.close();
});

/** DEVICE:INODE of the namespace that this thread is in; its time is made anew at each look when nothing holds it. */
function inodeHere(): string {
  const { dev, ino } = statSync('/proc/thread-self/ns/net');
  return `${dev}:${ino}`;
}

test('a namespace is entered and left again, also when the action fails', { skip }, () => {
  using net = pair();
  const home = inodeHere();
  const { dev, ino } = statSync(net.left.path);
  assert.equal(
    withNetns(net.left.path, () => inodeHere()),
    `${dev}:${ino}`,
  );
  assert.throws(
    () =>
      withNetns(net.left.path, () => {
        throw new RangeError('inside');
      }),
    RangeError,
  );
  const late = (async () => {}) as unknown as () => undefined;
  assert.throws(() => withNetns(net.left.path, late), TypeError);
  assert.equal(inodeHere(), home);
  assert.deepEqual(netnsAddresses(net.left.path), ['10.99.0.1']);
  assert.equal('veth0' in networkInterfaces(), false);
  assert.notEqual(netnsId(net.left.path), netnsId(net.right.path));
  const cookies = [net.left.path, net.right.path, '/proc/self/ns/net'].map((path) => netnsCookie(path, () => 0n));
  if (netnsCookieBySocketOption() !== null) assert.equal(new Set(cookies).size, 3);
  assert.match(
    errorOf(() => withNetns('/nowhere', () => 0)),
    /^KM4011 \/nowhere: ENOENT/,
  );
  assert.match(
    errorOf(() => withNetns('/proc/self/ns/mnt', () => 0)),
    /^KM4011 \/proc\/self\/ns\/mnt: EINVAL$/,
  );
});
