import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { findCgroup2 } from '../kernel/cgroup.ts';
import { rootOnly, run, testNamespace } from '../kernel/testing.ts';
import { NetnsFinder } from './netns-finder.ts';
import { PodProcesses } from './pod-processes.ts';

const skip = rootOnly();
const uid = (digit: number): string => `aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeee${digit}`;

/** A node: a directory of kept namespaces, and a cgroup that stands for its root. */
let directory = '';
let cgroup = '';
const running: ChildProcess[] = [];

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'kmesh-netns-'));
  if (skip === false) cgroup = join(findCgroup2(), `km-test-${process.pid}-node`);
});
afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  if (existsSync(cgroup)) removeCgroup(cgroup);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** A second passes between two looks. */
let now = 0;
const finder = (): NetnsFinder =>
  new NetnsFinder({
    directory,
    processes: new PodProcesses(cgroup),
    now: () => {
      now += 1000;
      return now;
    },
  });

/** As a container runtime keeps it. A link stands for its bind mount: both lead to the namespace. */
function keep(namespace: { readonly path: string }, name: string): string {
  const path = join(directory, name);
  symlinkSync(namespace.path, path);
  return path;
}

/** A process of a pod's container, in a namespace or in that of this test. */
async function start(podUid: string, namespace: { readonly path: string } | null): Promise<number> {
  const path = join(cgroup, 'kubepods', `pod${podUid}`, 'container');
  mkdirSync(path, { recursive: true });
  const sleep = ['sh', '-c', 'echo up; exec sleep 600'];
  const command = namespace === null ? sleep : ['nsenter', `--net=${namespace.path}`, ...sleep];
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  await once(child.stdout, 'data');
  writeFileSync(join(path, 'cgroup.procs'), String(child.pid));
  return child.pid ?? 0;
}

/** Parents come after their children. */
function removeCgroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  }
  rmdirSync(path);
}

/** As a pod has it: the address of a device that has a carrier. */
function device(namespace: { readonly name: string }, ip: string): void {
  run('ip', '-n', namespace.name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'peer0');
  run('ip', '-n', namespace.name, 'addr', 'add', `${ip}/32`, 'dev', 'eth0');
  for (const name of ['eth0', 'peer0']) run('ip', '-n', namespace.name, 'link', 'set', name, 'up');
}

test('a kept namespace with the pod’s address is the pod’s', { skip }, () => {
  using a = testNamespace('a');
  using b = testNamespace('b');
  device(a, '10.9.0.1');
  device(b, '10.9.0.2');
  const path = keep(a, 'cni-a');
  keep(b, 'cni-b');
  const found = finder();
  assert.deepEqual(found.find({ runtimeUid: uid(1), addresses: ['10.9.0.1'] }), { path });
  assert.match(JSON.stringify(found.find({ runtimeUid: uid(1), addresses: ['10.9.0.3'] })), /not found/);
  assert.match(JSON.stringify(found.find({ runtimeUid: uid(1), addresses: [] })), /not found/);
});

test('an address that comes to a kept namespace later is seen', { skip }, () => {
  using a = testNamespace('a');
  const path = keep(a, 'cni-a');
  const found = finder();
  assert.match(JSON.stringify(found.find({ runtimeUid: uid(1), addresses: ['10.9.0.1'] })), /not found/);
  device(a, '10.9.0.1');
  assert.deepEqual(found.find({ runtimeUid: uid(1), addresses: ['10.9.0.1'] }), { path });
});

test('a pod that gives itself another one’s address is not taken for it', { skip }, async () => {
  using victim = testNamespace('a');
  using thief = testNamespace('b');
  device(victim, '10.9.0.1');
  device(thief, '10.9.0.1');
  const path = keep(victim, 'cni-z');
  keep(thief, 'cni-a');
  const found = finder();
  const pod = { runtimeUid: uid(1), addresses: ['10.9.0.1'] };
  assert.deepEqual(found.find(pod), { reason: '2 network namespaces on this node may be its' });
  await start(uid(1), victim);
  assert.deepEqual(found.find(pod), { path });
});

test('a namespace that no file keeps is found by the processes in the pod’s cgroup', { skip }, async () => {
  using a = testNamespace('a');
  device(a, '10.9.0.1');
  const pid = await start(uid(2), a);
  const pod = { runtimeUid: uid(2), addresses: [] };
  assert.deepEqual(finder().find(pod), { path: `/proc/${pid}/ns/net` });
  // One that a container has made for itself is not the pod's.
  using own = testNamespace('own');
  await start(uid(2), own);
  assert.deepEqual(finder().find({ ...pod, addresses: ['10.9.0.1'] }), { path: `/proc/${pid}/ns/net` });
});

test('a pod in the network of the node is never taken', { skip }, async () => {
  await start(uid(3), null);
  const found = finder();
  assert.match(JSON.stringify(found.find({ runtimeUid: uid(3), addresses: [] })), /in the node's own/);
  assert.equal(found.pathOf('/proc/1/ns/net'), null);
});

test('what a CNI plugin calls /var/run/netns/NAME is the file of this name here', { skip }, () => {
  using a = testNamespace('a');
  const path = keep(a, 'cni-a');
  const found = finder();
  assert.equal(found.pathOf('/var/run/netns/cni-a'), path);
  assert.equal(found.pathOf('/run/netns/cni-a'), path);
  assert.equal(found.pathOf('/run/netns/cni-b'), null);
  assert.equal(found.pathOf('/run/netns/..'), null);
  assert.equal(
    found.pathOf(a.path.replace('/run/netns', '/run/netns/.')),
    a.path.replace('/run/netns', '/run/netns/.'),
  );
});
