import assert from 'node:assert/strict';
import { test } from 'node:test';
import { netfilterInUse } from './netfilter.ts';
import { countFilters, deviceName, ingressQdisc, netDevices, queuelessDevices } from './netlink.ts';
import { allNetns, netnsId, withNetns } from './netns.ts';
import { viewNetns, viewOwnNetns } from './netns-devices.ts';
import { errorOf, rootOnly, run, testIfindex, testNamespace, testVeth } from './testing.ts';

const skip = rootOnly();

test('the other end of a veth is found where it is: here, elsewhere, or beside it', { skip }, () => {
  using node = testNamespace('node');
  using pod = testNamespace('pod');
  using far = testNamespace('far');
  // Numbers that differ from one end to the other.
  run('ip', '-n', node.name, 'link', 'add', 'spare', 'type', 'bridge');
  const [, outer] = testVeth(pod.name, 'eth0', node.name, 'host0');
  const [inner] = testVeth(pod.name, 'eth1', far.name, 'far0');
  run('ip', '-n', pod.name, 'link', 'add', 'bridge0', 'type', 'bridge');
  const [left, right] = testVeth(pod.name, 'left', pod.name, 'right');
  const bridge = testIfindex(pod.name, 'bridge0');
  const device = (side: 'outer' | 'inner', ifindex: number, name: string) => ({ side, ifindex, name });
  const view = withNetns(node.path, () => viewNetns(pod.path));
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  assert.deepEqual(view.devices.toSorted(byName), [
    device('inner', bridge, 'bridge0'),
    device('inner', inner, 'eth1'),
    device('outer', outer, 'host0'),
    device('inner', left, 'left'),
    device('inner', right, 'right'),
  ]);
  // From a third place both cables end out of reach.
  assert.deepEqual(
    viewNetns(pod.path)
      .devices.filter(({ side }) => side === 'outer')
      .map(({ name }) => name),
    [],
  );
  const own = withNetns(node.path, () => viewOwnNetns(node.path, new Set([outer])));
  assert.deepEqual(own.devices, [device('inner', testIfindex(node.name, 'spare'), 'spare')]);
});

test('addresses and ports are those of the namespace', { skip }, () => {
  using pod = testNamespace('ports');
  run('ip', '-n', pod.name, 'link', 'add', 'bridge0', 'type', 'bridge');
  run('ip', '-n', pod.name, 'link', 'set', 'bridge0', 'up');
  run('ip', '-n', pod.name, 'address', 'add', '10.98.0.7/32', 'dev', 'bridge0');
  const set =
    'echo 20000 30000 >/proc/sys/net/ipv4/ip_local_port_range; echo 8080,9000-9010 >/proc/sys/net/ipv4/ip_local_reserved_ports';
  run('ip', 'netns', 'exec', pod.name, 'sh', '-c', set);
  const { addresses, localPorts, reservedPorts } = viewNetns(pod.path);
  assert.deepEqual(addresses, ['10.98.0.7']);
  assert.deepEqual(localPorts, [20_000, 30_000]);
  assert.deepEqual(reservedPorts, [
    [8080, 8080],
    [9000, 9010],
  ]);
  using fresh = testNamespace('defaults');
  assert.deepEqual(viewNetns(fresh.path), {
    number: null,
    devices: [],
    addresses: [],
    localPorts: [32_768, 60_999],
    reservedPorts: [],
  });
  assert.match(
    errorOf(() => viewNetns('/nowhere')),
    /^KM4011 /,
  );
});

test('many devices come in more than one answer', { skip }, () => {
  using pod = testNamespace('many');
  const names = Array.from({ length: 200 }, (_, i) => `bridge${i}`);
  withNetns(pod.path, () => {
    for (const name of names) run('ip', 'link', 'add', name, 'type', 'bridge');
    const devices = netDevices();
    assert.deepEqual(new Set(devices.map(({ name }) => name)), new Set(['lo', ...names]));
    const last = devices.at(-1);
    assert.ok(last);
    assert.equal(deviceName(last.ifindex), last.name);
    assert.equal(deviceName(99_999), null);
  });
});

test('the qdisc at the ingress place and the filters in it are seen', { skip }, () => {
  using pod = testNamespace('qdiscs');
  const [left, right] = testVeth(pod.name, 'left', pod.name, 'right');
  withNetns(pod.path, () => {
    assert.equal(ingressQdisc(left), null);
    assert.equal(countFilters(left), 0);
    run('tc', 'qdisc', 'add', 'dev', 'left', 'clsact');
    run('tc', 'qdisc', 'add', 'dev', 'right', 'ingress');
    assert.equal(ingressQdisc(left), 'clsact');
    assert.equal(ingressQdisc(right), 'ingress');
    assert.equal(countFilters(left), 0);
    run('tc', 'filter', 'add', 'dev', 'left', 'egress', 'bpf', 'da', 'bytecode', '1,6 0 0 4294967295');
    assert.equal(countFilters(left), 1);
    assert.equal(countFilters(99_999), 0);
  });
});

test('devices without a queue are told from those with one', { skip }, () => {
  using pod = testNamespace('queues');
  const [left, right] = testVeth(pod.name, 'left', pod.name, 'right');
  withNetns(pod.path, () => {
    run('tc', 'qdisc', 'add', 'dev', 'right', 'root', 'pfifo');
    assert.deepEqual([queuelessDevices().has(left), queuelessDevices().has(right)], [true, false]);
    run('tc', 'qdisc', 'del', 'dev', 'right', 'root');
    run('tc', 'qdisc', 'add', 'dev', 'right', 'clsact');
    assert.ok(queuelessDevices().has(right), 'clsact is no queue');
  });
});

test('a rule of netfilter in the namespace is seen', { skip }, () => {
  using pod = testNamespace('netfilter');
  withNetns(pod.path, () => {
    assert.equal(netfilterInUse(), null);
    run('iptables', '-A', 'FORWARD', '-j', 'ACCEPT');
    assert.match(netfilterInUse() ?? '', /^(nftables|iptables \(filter\))$/);
  });
});

test('every namespace that is mounted or that a process is in is found once', { skip }, () => {
  using pod = testNamespace('all');
  const all = allNetns();
  assert.ok(all.includes(pod.path));
  const inodes = all.map((path) => netnsId(path).split(':')[1]);
  assert.equal(new Set(inodes).size, inodes.length);
});
