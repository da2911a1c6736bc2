import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Log } from '../base/log.ts';
import { workloadId } from '../compile/service.ts';
import { workload } from '../model/testing.ts';
import type { Workload } from '../model/types.ts';
import { type DeviceAccess, Enroller, type EnrolTable, type Locate } from './enroller.ts';
import type { HttpState } from './namespace-programs.ts';

let held: Map<bigint, bigint>;
let namespaces: Map<string, { readonly identity: string; readonly cookie: bigint }>;
let lines: string[];
let steps: string[];
let wire: Map<bigint, readonly [first: number, count: number]>;
let http: HttpState;
let forgotten: string[];
/** As `annotated` of src/node does it; `lost` is looked for again. */
const locate: Locate = ({ netns: path }) =>
  path === undefined || path === 'lost'
    ? { reason: 'no network namespace is known', retry: path === 'lost' }
    : { path };

const table = (maxEntries: number): EnrolTable => ({
  name: 'km_enrolment',
  maxEntries,
  entries: () =>
    [...held].map(([cookie, workload]) => {
      const [wireFirst, wireCount] = wire.get(cookie) ?? [1024, 31_744];
      return [cookie, { workload, wireFirst, wireCount }] as const;
    }),
  write: (entries) => {
    if (entries.length > 0) steps.push(`open ${entries.map(([cookie]) => cookie).join(' ')}`);
    for (const [cookie, { workload, wireFirst, wireCount }] of entries) {
      held.set(cookie, workload);
      wire.set(cookie, [wireFirst, wireCount]);
    }
  },
  remove: (cookies) => {
    if (cookies.length > 0) steps.push(`close ${cookies.join(' ')}`);
    for (const cookie of cookies) held.delete(cookie);
  },
});
const netns = {
  identity: (path: string) => namespaces.get(path)?.identity ?? null,
  cookie: (path: string) => namespaces.get(path)?.cookie ?? 0n,
  forget: (path: string) => forgotten.push(path),
};
/** Programs at devices, in the order of what is asked of them and of the gate. */
const devices: DeviceAccess = {
  join: (paths) => {
    const fresh = [...paths.keys()].filter((cookie) => !held.has(cookie));
    if (fresh.length > 0) steps.push(`attach ${fresh.join(' ')}`);
    return new Map([...paths.keys()].map((cookie) => [cookie, http]));
  },
  keepOnly: (cookies) => {
    steps.push(`keep ${[...cookies].join(' ')}, gate ${[...held.keys()].join(' ')}`);
  },
  due: () => false,
  differences: () => [],
  devices: 1,
};
const enroller = (maxEntries = 10): Enroller => {
  const log = new Log({ format: 'text', level: 'info', write: (line) => lines.push(line) });
  return new Enroller(table(maxEntries), netns, devices, locate, log.logger('enrol'));
};
const pod = (name: string, path?: string, enrolled = true): Workload =>
  workload(name, { enrolled, ...(path === undefined ? {} : { netns: path }) });

beforeEach(() => {
  held = new Map();
  lines = [];
  steps = [];
  forgotten = [];
  wire = new Map();
  http = { wire: { first: 1024, count: 31_744 }, devices: ['veth2'], reason: null };
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

test('programs are attached before the gate opens, and given up after it has closed', () => {
  const e = enroller();
  e.sync([pod('a', '/run/netns/a'), pod('b', '/run/netns/b')]);
  e.sync([pod('b', '/run/netns/b')]);
  assert.deepEqual(steps, ['attach 11 12', 'open 11 12', 'keep 11 12, gate 11 12', 'close 11', 'keep 12, gate 12']);
  assert.deepEqual(e.devicesOf('Kubernetes//Pod/shop/b'), ['veth2']);
  assert.deepEqual(e.devicesOf('Kubernetes//Pod/shop/a'), []);
});

test('a namespace that cannot send HTTP is enrolled without, says why, and gets it when it can', () => {
  const e = enroller();
  http = { wire: { first: 0, count: 0 }, devices: [], reason: 'it has no network device yet' };
  const uid = 'Kubernetes//Pod/shop/a';
  for (let i = 0; i < 2; i++) e.sync([pod('a', '/run/netns/a')]);
  assert.deepEqual(wire.get(11n), [0, 0]);
  assert.equal(e.state(uid), 'enrolled, HTTP off: it has no network device yet');
  http = { wire: { first: 5000, count: 1000 }, devices: ['veth2'], reason: null };
  for (let i = 0; i < 2; i++) e.sync([pod('a', '/run/netns/a')]);
  assert.deepEqual(wire.get(11n), [5000, 1000]);
  assert.equal(e.state(uid), 'enrolled');
  assert.deepEqual(
    lines.map((line) => line.slice(line.indexOf(' enrol: ') + 8).trim()),
    [
      `workload enrolled workload=${uid}`,
      `HTTP is off for a workload workload=${uid} reason="it has no network device yet"`,
      `HTTP is on for a workload workload=${uid}`,
    ],
  );
});

test('another run of ports in the kernel is a difference', () => {
  const e = enroller();
  e.sync([pod('a', '/run/netns/a')]);
  wire.set(11n, [1024, 10]);
  assert.equal(e.differences().length, 2);
});

test('a workload whose namespace may be found later is looked for again, and the path of one that left is forgotten', () => {
  const e = enroller();
  e.sync([pod('none')]);
  assert.equal(e.due(), false);
  e.sync([pod('lost', 'lost')]);
  assert.equal(e.due(), true);
  e.sync([pod('lost', '/run/netns/a')]);
  assert.equal(e.due(), false);
  assert.equal(e.netnsOf('Kubernetes//Pod/shop/lost'), '/run/netns/a');
  assert.deepEqual(forgotten, []);
  e.sync([]);
  assert.deepEqual(forgotten, ['/run/netns/a']);
});

test('what a pod that is being made lacks is no warning until the pod is ready', () => {
  const e = enroller();
  const uid = 'Kubernetes//Pod/shop/lost';
  const lost = pod('lost', 'lost');
  for (let i = 0; i < 2; i++) e.sync([{ ...lost, ready: false }]);
  assert.deepEqual([lines, e.state(uid)], [[], 'pending: no network namespace is known']);
  for (let i = 0; i < 2; i++) e.sync([lost]);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /WARN enrol: workload cannot be enrolled yet/);
});
