import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Log } from '../base/log.ts';
import { workloadId } from '../compile/service.ts';
import type { Workload } from '../model/types.ts';
import { Enroller, type EnrolTable } from './enroller.ts';

let held: Map<bigint, bigint>;
let namespaces: Map<string, { readonly identity: string; readonly cookie: bigint }>;
let lines: string[];

const table = (maxEntries: number): EnrolTable => ({
  name: 'km_enrolment',
  maxEntries,
  entries: () => [...held].map(([cookie, workload]) => [cookie, { workload, wireFirst: 0, wireCount: 0 }] as const),
  write: (entries) => {
    for (const [cookie, { workload }] of entries) held.set(cookie, workload);
  },
  remove: (cookies) => {
    for (const cookie of cookies) held.delete(cookie);
  },
});
const netns = {
  identity: (path: string) => namespaces.get(path)?.identity ?? null,
  cookie: (path: string) => namespaces.get(path)?.cookie ?? 0n,
};
const enroller = (maxEntries = 10): Enroller => {
  const log = new Log({ format: 'text', level: 'info', write: (line) => lines.push(line) });
  return new Enroller(table(maxEntries), netns, log.logger('enrol'));
};
const pod = (name: string, path?: string, enrolled = true): Workload => ({
  uid: `Kubernetes//Pod/shop/${name}`,
  kind: 'Pod',
  namespace: 'shop',
  name,
  serviceAccount: 'default',
  labels: {},
  owner: name,
  addresses: [],
  ready: true,
  enrolled,
  hostNetwork: false,
  ...(path === undefined ? {} : { netns: path }),
  origin: { source: 'files', file: 'a.yaml', line: 1 },
});

beforeEach(() => {
  held = new Map();
  lines = [];
  namespaces = new Map([
    ['/run/netns/a', { identity: '4:1:1', cookie: 11n }],
    ['/run/netns/b', { identity: '4:2:1', cookie: 12n }],
  ]);
});

test('the gate holds the namespaces of the workloads that the labels enrol', () => {
  const e = enroller();
  e.sync([pod('a', '/run/netns/a'), pod('b', '/run/netns/b', false)]);
  assert.deepEqual(held, new Map([[11n, workloadId('Kubernetes//Pod/shop/a')]]));
  assert.equal(e.state('Kubernetes//Pod/shop/a'), 'enrolled');
  assert.equal(e.state('Kubernetes//Pod/shop/b'), 'not enrolled');
  e.sync([]);
  assert.equal(held.size, 0);
});

test('what an earlier daemon enrolled stays without a write, or goes', () => {
  held.set(11n, workloadId('Kubernetes//Pod/shop/a'));
  held.set(99n, 5n);
  enroller().sync([pod('a', '/run/netns/a')]);
  assert.deepEqual([...held.keys()], [11n]);
});

test('a namespace that is made anew under its path is enrolled by its new cookie', () => {
  const e = enroller();
  e.sync([pod('a', '/run/netns/a')]);
  namespaces.set('/run/netns/a', { identity: '4:1:2', cookie: 21n });
  e.sync([pod('a', '/run/netns/a')]);
  assert.deepEqual([...held.keys()], [21n]);
});

test('what cannot be enrolled says why: no namespace, one that is taken, a full table', () => {
  const e = enroller(1);
  e.sync([
    pod('none'),
    pod('gone', '/run/netns/c'),
    pod('a', '/run/netns/a'),
    pod('twin', '/run/netns/a'),
    pod('b', '/run/netns/b'),
  ]);
  assert.deepEqual([...held.keys()], [11n]);
  const state = (name: string): string => e.state(`Kubernetes//Pod/shop/${name}`);
  assert.match(state('none'), /^pending: no network namespace is known/);
  assert.equal(state('gone'), 'pending: network namespace /run/netns/c does not exist');
  assert.equal(state('twin'), 'pending: its network namespace is that of shop/a');
  assert.equal(state('b'), 'pending: KM3001 km_enrolment is full (1/1): raise --max-enrolled');
});

test('a state is logged once, and a difference in the kernel is found', () => {
  const e = enroller();
  for (let i = 0; i < 3; i++) e.sync([pod('a', '/run/netns/a')]);
  assert.equal(lines.length, 1);
  held.clear();
  assert.deepEqual(e.differences(), ['network namespace 11 is not enrolled in the kernel']);
});
