import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fixtureRequests } from '../api/fixture-http.ts';
import type { RequestItem } from '../api/types.ts';
import { type FilterOptions, requestFilter } from './observe-filter.ts';
import { type Lab, startLab } from './testing.ts';

const all: FilterOptions = {
  pod: [],
  fromPod: [],
  toPod: [],
  namespace: [],
  fromNamespace: [],
  toNamespace: [],
  toService: [],
  fromIp: [],
  toIp: [],
  httpStatus: [],
  httpMethod: [],
  httpPath: [],
};

test('filters: alternatives of one flag, all flags', () => {
  /** Indices of the fixture's requests: 200 of the frontend, 404 of the frontend, 503 of batch-1. */
  const shown = (change: Partial<FilterOptions>): number[] => {
    const filter = requestFilter({ ...all, ...change });
    return fixtureRequests.flatMap((item, i) => (filter(item) ? [i] : []));
  };
  assert.deepEqual(shown({}), [0, 1, 2]);
  assert.deepEqual(shown({ pod: ['front'] }), [0, 1]);
  assert.deepEqual(shown({ pod: ['shop/reviews'] }), [0]);
  assert.deepEqual(shown({ fromPod: ['shop/reviews'] }), []);
  assert.deepEqual(shown({ toPod: ['reviews-v1'] }), [0]);
  assert.deepEqual(shown({ toPod: ['other/reviews-v1'] }), []);
  assert.deepEqual(shown({ namespace: ['other'] }), [2]);
  assert.deepEqual(shown({ fromNamespace: ['shop', 'other'] }), [0, 1, 2]);
  assert.deepEqual(shown({ toNamespace: ['shop'] }), [0]);
  assert.deepEqual(shown({ toService: ['shop/rev'] }), [0, 1, 2]);
  assert.deepEqual(shown({ toService: ['default/reviews'] }), []);
  assert.deepEqual(shown({ fromIp: ['fd00:244::1'] }), [2]);
  assert.deepEqual(shown({ toIp: ['10.244.1.11'] }), [0]);
  assert.deepEqual(shown({ httpStatus: ['4+', '503'] }), [1, 2]);
  assert.deepEqual(shown({ httpMethod: ['post'] }), [1]);
  assert.deepEqual(shown({ httpPath: ['^/reviews/[0-9]$'] }), [0, 2]);
  assert.deepEqual(shown({ httpStatus: ['5+'], fromNamespace: ['shop'] }), []);
  for (const bad of ['x', '4', '4xx', '0404']) {
    assert.throws(() => requestFilter({ ...all, httpStatus: [bad] }), { code: 'KM6005' }, bad);
  }
  assert.throws(() => requestFilter({ ...all, httpPath: ['('] }), { code: 'KM6005' });
});

describe('observe', () => {
  let lab: Lab;
  before(async () => {
    lab = await startLab();
  });
  after(() => lab.server.stop());
  const run = async (line: string) => {
    const { code, stdout, stderr } = await lab.ctl(line);
    assert.equal(code, 0, stderr);
    return { lines: stdout === '' ? [] : stdout.trimEnd().split('\n'), stderr };
  };

  test('compact: who, where to, what, how it ended', async () => {
    assert.deepEqual((await run('observe')).lines, [
      '2026-08-03T12:00:00.125Z shop/frontend:41978 -> shop/reviews-v1:9080 (shop/reviews) ' +
        'GET http://reviews/reviews/7 200 1.25ms route default',
      '2026-08-03T12:00:00.125Z shop/frontend:41978 -> 10.96.0.20:9080 (shop/reviews) ' +
        'POST http://reviews/old 404 NR 1.25ms',
      '2026-08-03T12:00:00.125Z other/batch-1:41978 -> 10.96.0.20:9080 (shop/reviews) ' +
        'GET http://reviews/reviews/7… 503 UH 1.25ms route default',
    ]);
  });

  test('JSON is the API’s, a line each; --last counts what the filters leave', async () => {
    const items = async (line: string) => (await run(line)).lines.map((text) => JSON.parse(text) as RequestItem);
    assert.deepEqual(await items('observe -o json'), fixtureRequests);
    assert.deepEqual(await items('observe -o json --last 1 --from-pod shop/frontend'), fixtureRequests.slice(1, 2));
    assert.deepEqual(await items('observe -o json --first 1'), fixtureRequests.slice(0, 1));
    assert.deepEqual((await run('observe --last 0')).lines, []);
  });

  test('-f shows what comes, and what is missing', async () => {
    const live = await run('observe -f');
    assert.equal(live.lines.length, 1);
    assert.equal(live.stderr, '1 requests are missing here: the reader was too slow\n');
    assert.equal((await run('observe -f --last 2 --first 3')).lines.length, 3);
    assert.equal((await run('observe -f --http-status 404')).lines.length, 0);
  });

  test('a bad filter is wrong usage', async () => {
    for (const line of ['observe --http-status 4xx', 'observe --last x', 'observe --http-path (']) {
      assert.equal((await lab.ctl(line)).code, 64, line);
    }
  });
});
