import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { ClaimAnswer, PodClaim } from '../node/claims.ts';
import type { Sandbox } from './call.ts';
import { CniPods } from './pods.ts';
import { testLog } from './testing.ts';

const sandbox = (container: string, more: Partial<Sandbox> = {}): Sandbox => ({
  container,
  netns: `/run/netns/${container}`,
  namespace: 'shop',
  name: 'web-0',
  uid: 'u1',
  ...more,
});

let claimed: Map<string, PodClaim>;
let known: boolean | null;
let enrolled: boolean;
let claim: () => Promise<ClaimAnswer>;
let ask: (signal: AbortSignal) => Promise<boolean | null>;

beforeEach(() => {
  claimed = new Map();
  known = true;
  enrolled = true;
  claim = async () => ({ result: 'enrolled' });
  ask = () => assert.fail('the API server was asked');
});

const pods = (withServer = true): CniPods =>
  new CniPods({
    claims: {
      claim: (one) => {
        claimed.set(`${one.namespace}/${one.name}`, one);
        return claim();
      },
      release: ({ namespace, name }) => claimed.delete(`${namespace}/${name}`),
      claimed: (namespace, name) => claimed.get(`${namespace}/${name}`) ?? null,
    },
    isWanted: () => known,
    isEnrolled: () => enrolled,
    ask: withServer ? (_pod, signal) => ask(signal) : null,
    log: testLog(),
  });
const later = (answer: ClaimAnswer) => new Promise<ClaimAnswer>((resolve) => setImmediate(() => resolve(answer)));
/** As the watch that tells nothing within the time. */
const never = () => new Promise<never>(() => undefined);
const refused = { code: 'KM5021' };

test('a pod that the sources know goes on when the kernel holds it, and without a question', async () => {
  let held = false;
  claim = async () => {
    await new Promise(setImmediate);
    held = true;
    return { result: 'enrolled' };
  };
  await pods().add(sandbox('a'), 1000);
  assert.ok(held);
  assert.deepEqual(claimed.get('shop/web-0'), { namespace: 'shop', name: 'web-0', uid: 'u1', netns: '/run/netns/a' });
});

test('a pod that cannot be enrolled yet is to be tried again', async () => {
  claim = () => later({ result: 'pending', reason: 'km_enrolment is full' });
  await assert.rejects(pods().add(sandbox('a'), 1000), { ...refused, message: /km_enrolment is full/ });
});

test('of a pod that is younger than the watch the API server is asked', async () => {
  known = null;
  claim = never;
  ask = async () => false;
  await pods().add(sandbox('a'), 1000);
  ask = async () => null;
  await pods().add(sandbox('a'), 1000);
  // It is to be under the mesh: the watch will tell of it.
  ask = async () => true;
  claim = () => later({ result: 'enrolled' });
  await pods().add(sandbox('a'), 1000);
  claim = () => later({ result: 'pending', reason: 'no device' });
  await assert.rejects(pods().add(sandbox('a'), 1000), refused);
});

test('when nobody tells of a pod, its namespace decides', async () => {
  known = null;
  claim = () => later({ result: 'unknown' });
  ask = () => Promise.reject(new Error('connect ECONNREFUSED'));
  await assert.rejects(pods().add(sandbox('a'), 1000), refused);
  await assert.rejects(pods(false).add(sandbox('a'), 1000), refused);
  enrolled = false;
  await pods().add(sandbox('a'), 1000);
  await pods(false).add(sandbox('a'), 1000);
});

test('a question that is not answered ends with the time', async () => {
  known = null;
  let aborted = '';
  ask = (signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted = String(signal.reason);
        reject(signal.reason);
      });
    });
  claim = () => new Promise((resolve) => setTimeout(() => resolve({ result: 'unknown' }), 60));
  await assert.rejects(pods().add(sandbox('a'), 30), refused);
  assert.match(aborted, /no answer within 30 ms/);
});

test('what is left of an earlier start is taken down without the later one', async () => {
  const all = pods();
  await all.add(sandbox('first'), 1000);
  await all.add(sandbox('second'), 1000);
  all.release(sandbox('first', { netns: '' }));
  assert.equal(claimed.get('shop/web-0')?.netns, '/run/netns/second');
  all.check(sandbox('second'));
  assert.throws(() => all.check(sandbox('first')), { code: 'KM5022' });
  all.release(sandbox('second', { netns: '' }));
  assert.equal(claimed.size, 0);
});

test('GC releases the containers that are gone', async () => {
  const all = pods();
  await all.add(sandbox('a'), 1000);
  await all.add(sandbox('b', { name: 'web-1' }), 1000);
  all.keepOnly(new Set(['b']));
  assert.deepEqual([...claimed.keys()], ['shop/web-1']);
});
