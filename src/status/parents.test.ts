/** `status.parents` is shared with other controllers, and written only when something changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controllerName, mergeParents, type ParentStatus } from './parents.ts';

const now = new Date('2026-03-01T12:00:00.700Z');
const later = new Date('2026-03-02T12:00:00Z');
const parentRef = (name: string, more: object = {}) => ({ group: '', kind: 'Service', name, ...more });
const said = (name: string, status: 'True' | 'False' = 'True', message = ''): ParentStatus => ({
  parentRef: parentRef(name),
  conditions: [{ type: 'Accepted', status, reason: status === 'True' ? 'Accepted' : 'NoMatchingParent', message }],
});
const foreign = (name: string) => ({ parentRef: parentRef(name), controllerName: 'example.com/other', conditions: [] });

/** Merges and takes the list, which must have changed. */
function merged(existing: unknown, wanted: readonly ParentStatus[], generation: number, at = now) {
  const list = mergeParents(existing, wanted, generation, at);
  assert.ok(list !== null);
  return list as readonly {
    readonly parentRef: { readonly name: string };
    readonly controllerName: string;
    readonly conditions: readonly { readonly lastTransitionTime: string; readonly observedGeneration: number }[];
  }[];
}

test('what is not there is added, with whole seconds', () => {
  assert.deepEqual(merged(undefined, [said('web')], 3), [
    {
      ...{ parentRef: parentRef('web'), controllerName },
      conditions: [
        {
          ...{ type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration: 3 },
          lastTransitionTime: '2026-03-01T12:00:00Z',
        },
      ],
    },
  ]);
});

test('the same again is not written; another generation, message or status is', () => {
  const first = merged(undefined, [said('web')], 1);
  assert.equal(mergeParents(first, [said('web')], 1, later), null);
  const next = merged(first, [said('web')], 2, later);
  assert.equal(next[0]?.conditions[0]?.observedGeneration, 2);
  assert.equal(next[0]?.conditions[0]?.lastTransitionTime, '2026-03-01T12:00:00Z', 'the status is the same');
  assert.notEqual(mergeParents(first, [said('web', 'True', 'more')], 1, later), null);
  const bad = merged(first, [said('web', 'False')], 1, later);
  assert.equal(bad[0]?.conditions[0]?.lastTransitionTime, '2026-03-02T12:00:00Z');
});

test('entries of others stay where they are; ours go with their parents, and a condition that is no more goes', () => {
  const first = merged([foreign('a'), foreign('web')], [said('web'), said('api')], 1);
  assert.deepEqual(
    first.map((one) => `${one.controllerName} ${one.parentRef.name}`),
    ['example.com/other a', 'example.com/other web', `${controllerName} web`, `${controllerName} api`],
  );
  const next = merged(first, [said('api')], 1);
  assert.deepEqual(
    next.map(({ parentRef: { name } }) => name),
    ['a', 'web', 'api'],
  );
  assert.equal(next[2], first[3], 'untouched');
  assert.deepEqual(merged(next, [], 1), [foreign('a'), foreign('web')]);
  assert.equal(mergeParents([foreign('a')], [], 1, now), null);
  const both = { ...said('web'), conditions: [...said('web').conditions, ...said('web').conditions] };
  const two = {
    ...both,
    conditions: both.conditions.map((one, i) => (i === 0 ? one : { ...one, type: 'ResolvedRefs' as const })),
  };
  assert.equal(merged(merged(undefined, [two], 1), [said('web')], 1)[0]?.conditions.length, 1);
});

test('one Service by two ports has two entries', () => {
  const at = (port: number): ParentStatus => ({ ...said('web'), parentRef: parentRef('web', { port }) });
  assert.equal(merged(undefined, [at(80), at(81)], 1).length, 2);
});

test('the list has at most 32 entries', () => {
  const many = Array.from({ length: 40 }, (_, i) => said(`s${i}`));
  assert.equal(merged([foreign('a')], many, 1).length, 32);
});
