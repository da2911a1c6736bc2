import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ActionRecord, decodeAction, type Edit, nameHash } from './action-records.ts';
import { compileRoutes } from './compile.ts';
import { virtualHost } from './layout.ts';
import type { Route } from './types.ts';

const tableOf = (actions: readonly Route['action'][]) => ({
  name: 'test',
  virtualHosts: [{ name: 'all', domains: ['*'], routes: actions.map((action): Route => ({ match: {}, action })) }],
});

/** The units of the actions of the only virtual host, by the blob alone. */
function unitsOf(words: Uint32Array, count: number): number[] {
  const host = (words[8] ?? 0) * 2;
  const at = (words[host + virtualHost.actions] ?? 0) * 2;
  return Array.from(words.subarray(at, at + count));
}

const allEdits: readonly Edit[] = [
  { kind: 'remove', name: 'x-a' },
  { kind: 'set', name: 'x-b', line: 'X-B: é\r\n' },
  { kind: 'add', line: 'x-c: 1\r\n' },
  { kind: 'host', text: 'h.example' },
  { kind: 'path', text: '/x' },
  { kind: 'prefix', bytes: 300, text: '' },
  { kind: 'segments', bytes: 2, text: '/y' },
  { kind: 'scheme', text: 'https' },
  { kind: 'port', text: '' },
  { kind: 'query' },
];

test('every kind of action is read back as it was written', () => {
  const abort = { status: 418, share: 999_999 };
  const actions: ActionRecord[] = [
    { kind: 'forward', retries: 3, splits: [{ cluster: 2n ** 64n - 1n, weight: 1, edits: allEdits }] },
    {
      kind: 'forward',
      retries: 0,
      splits: [9, 90, 1].map((weight, i) => ({ cluster: BigInt(i + 1), weight, edits: [] })),
      abort,
    },
    {
      kind: 'forward',
      retries: 1,
      splits: [
        { cluster: 1n, weight: 1, edits: [], answer: { names: [nameHash('X-A'), 2n ** 64n - 1n], text: 'x-a: é\r\n' } },
        { cluster: 2n, weight: 1, edits: [], answer: { names: [], text: '' } },
      ],
    },
    { kind: 'redirect', status: 308, edits: allEdits, abort },
    { kind: 'redirect', status: 301, edits: [] },
    { kind: 'reply', status: 503, fields: 'content-type: text/plain\r\n', body: 'sorry, 日' },
    { kind: 'reply', status: 500, fields: '', body: '', abort },
  ];
  const { words } = compileRoutes(tableOf(actions));
  const units = unitsOf(words, actions.length);
  assert.deepEqual(
    units.map((unit) => decodeAction(words, unit)),
    actions,
  );
});

test('weights of any total keep their shares', () => {
  const weights = [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 30];
  const action: ActionRecord = {
    kind: 'forward',
    retries: 0,
    splits: weights.map((weight, i) => ({ cluster: BigInt(i + 1), weight, edits: [] })),
  };
  const { words } = compileRoutes(tableOf([action]));
  const read = decodeAction(words, unitsOf(words, 1)[0] ?? 0);
  assert.equal(read.kind, 'forward');
  const shares = read.kind === 'forward' ? read.splits.map(({ weight }) => weight) : [];
  const [given, got] = [weights, shares].map((all) => all.map((w) => w / all.reduce((a, b) => a + b)));
  given?.forEach((share, i) => {
    assert.ok(Math.abs(share - (got?.[i] ?? 0)) < 1e-8);
  });
});

test('equal actions, texts and lists of changes are stored once', () => {
  const action = (cluster: bigint, edits = allEdits): ActionRecord => ({
    kind: 'forward',
    retries: 0,
    splits: [{ cluster, weight: 1, edits }],
  });
  const size = (...actions: ActionRecord[]) => compileRoutes(tableOf(actions)).words.byteLength;
  const one = size(action(1n));
  // The second number of an action shares a unit with the first.
  assert.equal(size(action(1n), action(1n, [...allEdits])), one);
  const [record, split] = [40, 24];
  assert.equal(size(action(1n), action(2n)), one + record + split);
});

test('an action that is too large is refused with the name of its route', () => {
  const refused = (action: ActionRecord, message: RegExp) =>
    assert.throws(
      () =>
        compileRoutes({
          name: 'shop',
          virtualHosts: [{ name: 'all', domains: ['*'], routes: [{ match: {}, action, name: 'big' }] }],
        }),
      { code: 'KM3012', message },
    );
  const splits = Array.from({ length: 65 }, (_, i) => ({ cluster: BigInt(i), weight: 1, edits: [] }));
  refused(
    { kind: 'forward', retries: 0, splits },
    /^route table shop, virtual host all, route big has 65 clusters, at most 64/,
  );
  refused({ kind: 'reply', status: 200, fields: '', body: 'x'.repeat(4097) }, /4097 bytes of one text, at most 4096/);
  const edits = Array.from({ length: 65 }, (_, i): Edit => ({ kind: 'remove', name: `x-${i}` }));
  refused({ kind: 'redirect', status: 301, edits }, /65 changes of the head, at most 64/);
  const answer = { names: [1n, 2n], text: 'x'.repeat(497) };
  refused(
    { kind: 'forward', retries: 0, splits: [{ cluster: 1n, weight: 1, edits: [], answer }] },
    /2 names and 497 bytes of new headers for answers, at most 512 bytes are possible, a name counts 8/,
  );
});
