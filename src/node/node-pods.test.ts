import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { workload } from '../model/testing.ts';
import type { Workload } from '../model/types.ts';
import type { PodClaim } from './claims.ts';
import type { Found, WantedPod } from './netns-finder.ts';
import { NodePods } from './node-pods.ts';

let directory: string;
let workloads: Map<string, Workload>;
let enrolled: Set<string>;
let asked: WantedPod[];
let found: Found;
let ready: boolean;
let pods: NodePods;
/** What the enroller would do: enrol whatever is located. */
const enrol = (): void => {
  for (const w of workloads.values()) if (w.enrolled && 'path' in pods.locate(w)) enrolled.add(w.uid);
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kmesh-pods-'));
  workloads = new Map();
  enrolled = new Set();
  asked = [];
  found = { reason: 'not there' };
  ready = true;
  pods = new NodePods({
    node: 'n1',
    finder: {
      find: (pod) => {
        asked.push(pod);
        return found;
      },
      pathOf: (path) => path,
    },
    workload: (uid) => workloads.get(uid),
    state: (uid) => (enrolled.has(uid) ? 'enrolled' : 'pending: not there'),
    ready: () => ready,
    enrol,
  });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Stands for a file that keeps a namespace. */
function file(name: string): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  return path;
}

function pod(name: string, rest: Partial<Workload> = {}, podUid = `uid-${name}`): Workload {
  const w = workload(name, {
    addresses: ['10.0.0.1'],
    node: 'n1',
    kubelet: { uid: podUid, runtimeUid: podUid, redirection: false },
    origin: { source: 'kubernetes', file: `kubernetes Pod shop/${name}`, line: 0 },
    ...rest,
  });
  workloads.set(w.uid, w);
  return w;
}
const claimOf = (name: string, netns: string, uid = `uid-${name}`): PodClaim => ({
  namespace: 'shop',
  name,
  uid,
  netns,
});

test('pods of this node are here, and so is what a file of this machine names', () => {
  const inFile = { source: 'files', file: 'a.yaml', line: 1 };
  const { node: _, ...nowhere } = pod('a');
  assert.equal(pods.isHere(pod('a')), true);
  assert.equal(pods.isHere(pod('a', { node: 'n2' })), false);
  assert.equal(pods.isHere(nowhere), false);
  assert.equal(pods.isHere({ ...nowhere, origin: inFile }), true);
});

test('a pod of the cluster cannot choose its network namespace, one of a file can', () => {
  const netns = '/proc/1/ns/net';
  assert.deepEqual(pods.locate(pod('a', { netns })), { reason: 'not there', retry: true });
  const origin = { source: 'files', file: 'a.yaml', line: 1 };
  assert.deepEqual(pods.locate(pod('a', { netns, origin })), { path: netns });
});

test('what was found is kept until the namespace goes or the pod is another one', () => {
  found = { path: file('cni-a') };
  assert.deepEqual(pods.locate(pod('a')), found);
  assert.deepEqual(pods.locate(pod('a')), found);
  assert.equal(asked.length, 1);
  assert.deepEqual(asked[0], { runtimeUid: 'uid-a', addresses: ['10.0.0.1'] });
  pods.locate(pod('a', {}, 'uid-again'));
  assert.equal(asked.length, 2);
  rmSync(found.path);
  assert.deepEqual(pods.locate(pod('a', {}, 'uid-again')), { reason: 'its network namespace is gone', retry: true });
});

test('a claim comes before what is found, and counts for the pod of its uid only', async () => {
  const path = file('cni-a');
  pod('a');
  assert.deepEqual(await pods.claim(claimOf('a', path), 1000), { result: 'enrolled' });
  assert.deepEqual(asked, []);
  assert.deepEqual(pods.claimed('shop', 'a'), claimOf('a', path));
  assert.deepEqual(pods.locate(pod('a', {}, 'uid-later')), { reason: 'not there', retry: true });
  pods.release({ ...claimOf('a', path), uid: 'uid-later' });
  assert.notEqual(pods.claimed('shop', 'a'), null);
  pods.release(claimOf('a', path));
  assert.equal(pods.claimed('shop', 'a'), null);
});

test('a claim of a pod that nobody enrolled is answered at once', async () => {
  pod('a', { enrolled: false });
  assert.deepEqual(await pods.claim(claimOf('a', file('cni-a')), 60_000), {
    result: 'not enrolled',
    reason: 'no label enrols it',
  });
});

test('a claim waits for the pod to be shown and the programs to run', async () => {
  ready = false;
  const path = file('cni-a');
  // An earlier pod of the name.
  pod('a', { enrolled: false }, 'uid-before');
  const answer = pods.claim(claimOf('a', path), 60_000);
  pods.settle();
  pod('a');
  enrol();
  pods.settle();
  let answered = false;
  void answer.then(() => {
    answered = true;
  });
  await Promise.resolve();
  assert.equal(answered, false);
  ready = true;
  pods.settle();
  assert.deepEqual(await answer, { result: 'enrolled' });
});

test('a claim that comes to nothing in time says why', async () => {
  assert.deepEqual(await pods.claim(claimOf('a', file('cni-a')), 1), { result: 'unknown' });
  pod('b');
  assert.deepEqual(await pods.claim(claimOf('b', join(directory, 'gone')), 1), {
    result: 'pending',
    reason: 'pending: not there',
  });
});

test('a claim goes with its pod', async () => {
  const w = pod('a');
  await pods.claim(claimOf('a', file('cni-a')), 1000);
  workloads.delete(w.uid);
  pods.forget([w.uid]);
  assert.equal(pods.claimed('shop', 'a'), null);
});
