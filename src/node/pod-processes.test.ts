import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PodProcesses } from './pod-processes.ts';

/** A directory with the files of a cgroup hierarchy: what is looked at are names and numbers only. */
let root = '';
const cgroup = (path: string, ...pids: number[]): void => {
  mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, path, 'cgroup.procs'), pids.map((pid) => `${pid}\n`).join(''));
};
const uid = (digit: number): string => `11111111-2222-4333-8444-55555555555${digit}`;

before(() => {
  root = mkdtempSync(join(tmpdir(), 'kmesh-cgroups-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

const layouts: readonly (readonly [what: string, path: string, uid: string])[] = [
  ['cgroupfs driver, best effort', `a/kubepods/besteffort/pod${uid(1)}`, uid(1)],
  ['cgroupfs driver, guaranteed', `a/kubepods/pod${uid(2)}`, uid(2)],
  [
    'systemd driver',
    `b/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid(3).replaceAll('-', '_')}.slice`,
    uid(3),
  ],
  [
    'kind: a kubelet with a root of its own',
    `c/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${uid(4).replaceAll('-', '_')}.slice`,
    uid(4),
  ],
  [
    'a static pod, whose uid is a hash',
    'd/kubepods/burstable/pod0123456789abcdef0123456789abcdef',
    '0123456789abcdef0123456789abcdef',
  ],
];

for (const [what, path, wanted] of layouts) {
  test(`processes of a pod are found: ${what}`, () => {
    cgroup(path);
    cgroup(join(path, 'sandbox'), 10);
    cgroup(join(path, 'container'), 11, 0, 12);
    const processes = new PodProcesses(root);
    assert.deepEqual(processes.of(wanted).sort(), [10, 11, 12]);
    // Once more, now that it is known where pods are.
    assert.deepEqual(processes.of(wanted).sort(), [10, 11, 12]);
  });
}

test('what is not a pod of this uid is no answer', () => {
  cgroup(`e/kubepods/pod${uid(7)}/c`, 1);
  cgroup(`e/system.slice/app-pod${uid(8)}.service`, 2);
  const processes = new PodProcesses(root);
  assert.deepEqual(processes.of(uid(9)), []);
  assert.deepEqual(processes.of(uid(8)), []);
  rmSync(join(root, `e/kubepods/pod${uid(7)}`), { recursive: true });
  assert.deepEqual(processes.of(uid(7)), []);
  assert.deepEqual(new PodProcesses(join(root, 'no')).of(uid(7)), []);
});
