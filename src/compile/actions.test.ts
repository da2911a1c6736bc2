import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardAction, HeaderEdits, RedirectAction } from '../model/http.ts';
import { actionRecord } from './actions.ts';
import { type ActionRecord, nameHash } from './routes/action-records.ts';

const none: HeaderEdits = { set: [], add: [], remove: [] };
const v1 = { service: 'shop/reviews.shop.svc.cluster.local', port: 80, subset: 'v1' };
const forward: ForwardAction = {
  kind: 'forward',
  clusters: [{ cluster: v1, weight: 1, headers: none }],
  headers: none,
  connectRetries: 2,
};
const record = (action: Parameters<typeof actionRecord>[0]): ActionRecord =>
  actionRecord(action, ({ subset }) => (subset === 'v1' ? 1n : 2n), 'test');
const editsOf = (own: Partial<HeaderEdits>, route: Partial<HeaderEdits>, rest: Partial<ForwardAction> = {}) => {
  const clusters = [{ cluster: v1, weight: 1, headers: { ...none, ...own } }];
  const made = record({ ...forward, ...rest, clusters, headers: { ...none, ...route } });
  assert.equal(made.kind, 'forward');
  return made.kind === 'forward' ? made.splits[0]?.edits : [];
};

test('weights: clusters without one are left out, and without any the answer is 500', () => {
  const clusters = [v1, { ...v1, subset: 'v2' }].map((cluster, i) => ({ cluster, weight: i * 10, headers: none }));
  assert.deepEqual(record({ ...forward, clusters }), {
    kind: 'forward',
    retries: 2,
    splits: [{ cluster: 2n, weight: 10, edits: [] }],
  });
  const lost = record({ ...forward, clusters, lost: 5 });
  assert.deepEqual(lost.kind === 'forward' ? lost.splits.map((one) => [one.cluster, one.weight]) : lost.kind, [
    [2n, 10],
    [0n, 5],
  ]);
  const unweighted = clusters.map((one) => ({ ...one, weight: 0 }));
  const abort = { status: 503, share: 500 };
  assert.deepEqual(record({ ...forward, clusters: unweighted, abort }), {
    kind: 'forward',
    retries: 2,
    splits: [{ cluster: 0n, weight: 1, edits: [] }],
    abort,
  });
});

test('headers of cluster and route become one list: a later set or removal undoes an earlier addition', () => {
  assert.deepEqual(
    editsOf(
      { set: [['X-A', 'cluster']], add: [['x-b', 'cluster']], remove: ['X-C'] },
      {
        set: [['x-a', 'route']],
        add: [
          ['x-c', 'again'],
          ['x-b', 'route'],
        ],
        remove: ['x-d'],
      },
    ),
    [
      { kind: 'remove', name: 'x-d' },
      { kind: 'add', line: 'x-b: cluster\r\n' },
      { kind: 'set', name: 'x-a', line: 'x-a: route\r\n' },
      { kind: 'set', name: 'x-c', line: 'x-c: again\r\n' },
      { kind: 'add', line: 'x-b: route\r\n' },
    ],
  );
  assert.deepEqual(editsOf({ add: [['x-a', '1']] }, { remove: ['X-A'] }), [{ kind: 'remove', name: 'x-a' }]);
});

test('setting host is a change of the authority; path changes stand beside it', () => {
  assert.deepEqual(editsOf({}, { set: [['Host', 'other.example']] }, { path: { kind: 'path', value: '/x' } }), [
    { kind: 'host', text: 'other.example' },
    { kind: 'path', text: '/x' },
  ]);
  const segments = (prefix: string, value: string) =>
    editsOf({}, {}, { path: { kind: 'segments', prefix, value }, host: 'h' })?.[1];
  assert.deepEqual(segments('/a/', '/b/'), { kind: 'segments', bytes: 2, text: '/b' });
  assert.deepEqual(segments('/', '/'), { kind: 'segments', bytes: 0, text: '' });
  assert.deepEqual(editsOf({}, {}, { path: { kind: 'prefix', prefix: '/é/', value: '' } }), [
    { kind: 'prefix', bytes: 4, text: '' },
  ]);
});

test('redirects: a port that the scheme implies is not written', () => {
  const edits = (redirect: Partial<RedirectAction>) => {
    const made = record({ kind: 'redirect', status: 301, ...redirect });
    return made.kind === 'redirect' ? made.edits : [];
  };
  assert.deepEqual(edits({ scheme: 'https' }), [
    { kind: 'scheme', text: 'https' },
    { kind: 'port', text: '' },
  ]);
  assert.deepEqual(edits({ scheme: 'https', port: 443 })[1], { kind: 'port', text: '' });
  assert.deepEqual(edits({ port: 443 }), [{ kind: 'port', text: '443' }]);
  assert.deepEqual(edits({ port: 80 }), [{ kind: 'port', text: '' }]);
  assert.deepEqual(edits({ host: 'h', stripQuery: true }), [{ kind: 'host', text: 'h' }, { kind: 'query' }]);
});

test('a reply has a content type when it has a body', () => {
  const reply = { kind: 'reply', status: 404, contentType: 'text/plain' } as const;
  assert.deepEqual(record({ ...reply, body: 'no' }), {
    kind: 'reply',
    status: 404,
    fields: 'content-type: text/plain\r\n',
    body: 'no',
  });
  assert.deepEqual(record({ ...reply, body: '' }), { kind: 'reply', status: 404, fields: '', body: '' });
});

test('what would break a head is refused', () => {
  const refused = (action: () => unknown, message: RegExp) => assert.throws(action, { code: 'KM3014', message });
  refused(() => editsOf({}, { set: [['x', 'a\r\nEvil: 1']] }), /^test: "a\\r\\nEvil: 1" cannot be the value/);
  refused(() => editsOf({}, { add: [['x y', '1']] }), /"x y" is no name/);
  refused(() => editsOf({}, { remove: ['Content-Length'] }), /Content-Length cannot be changed/);
  refused(() => editsOf({}, { add: [['Host', 'x']] }), /Host cannot be changed/);
  refused(() => editsOf({}, {}, { path: { kind: 'path', value: '/a b' } }), /"\/a b" cannot stand in a request line/);
  refused(() => editsOf({}, {}, { path: { kind: 'path', value: '/a?b' } }), /cannot stand/);
  refused(() => editsOf({}, {}, { host: 'a/b' }), /cannot be a request's host/);
  refused(() => record({ kind: 'reply', status: 200, body: 'x', contentType: 'a\nb' }), /cannot be the value/);
});

test('changes of answers: of cluster and route together, by hash of the names that go; empty where others have some', () => {
  const lines = (edits: Partial<HeaderEdits>): HeaderEdits => ({ ...none, ...edits });
  const clusters = [
    {
      cluster: v1,
      weight: 1,
      headers: none,
      responseHeaders: lines({ set: [['X-A', 'cluster']], add: [['X-B', '1']] }),
    },
    { cluster: { ...v1, subset: 'v2' }, weight: 1, headers: none },
  ];
  const made = record({
    ...forward,
    clusters,
    responseHeaders: lines({ set: [['x-a', 'route']], remove: ['Server'] }),
  });
  const names = [nameHash('server'), nameHash('X-A')];
  assert.deepEqual(made.kind === 'forward' ? made.splits.map(({ answer }) => answer) : made.kind, [
    { names: [...names], text: 'X-B: 1\r\nx-a: route\r\n' },
    { names: [...names], text: 'x-a: route\r\n' },
  ]);
  const others = actionRecord(forward, () => 1n, 'test', true);
  assert.deepEqual(others.kind === 'forward' ? others.splits[0]?.answer : null, { names: [], text: '' });
  const bad = (edits: Partial<HeaderEdits>, message: RegExp) =>
    assert.throws(() => record({ ...forward, responseHeaders: lines(edits) }), { code: 'KM3014', message });
  bad({ remove: ['Content-Length'] }, /Content-Length cannot be changed/);
  bad({ set: [['x', 'a\r\nb']] }, /cannot be the value of a header/);
  bad({ set: [['Host', 'a']] }, /an answer has no host/);
  // The value that FNV-1a of 64 bits has for "foobar".
  assert.equal(nameHash('fooBAR'), 0x85944171f73967e8n);
});
