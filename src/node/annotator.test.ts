import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { Log } from '../base/log.ts';
import { workload } from '../model/testing.ts';
import type { Workload } from '../model/types.ts';
import { ApiClient } from '../source/kubernetes/client.ts';
import { plainAccess } from '../source/kubernetes/testing.ts';
import { systemTimers, type Timers } from '../source/timers.ts';
import { Annotator } from './annotator.ts';

/** An API server as far as a patch goes. */
let server: Server;
let client: ApiClient;
let annotator: Annotator;
let status: number;
let requests: { readonly line: string; readonly type: string | undefined; readonly body: unknown }[];
let lines: string[];
let later: (() => void)[];
let waiting: { readonly count: number; readonly done: () => void } | null;
/** Only the annotator's own waits are skipped. */
const timers: Timers = {
  ...systemTimers,
  after: (_, action) => {
    later.push(action);
    return () => undefined;
  },
};

beforeEach(async () => {
  status = 200;
  requests = [];
  lines = [];
  later = [];
  waiting = null;
  server = createServer((request: IncomingMessage, response) => {
    void text(request).then((body) => {
      const { method, url, headers } = request;
      requests.push({ line: `${method} ${url}`, type: headers['content-type'], body: JSON.parse(body) });
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ kind: 'Status', message: 'as told' }), () => {
        if (waiting !== null && requests.length >= waiting.count) waiting.done();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new ApiClient(plainAccess(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), systemTimers);
  const log = new Log({ format: 'text', level: 'info', write: (line) => lines.push(line) }).logger('node');
  annotator = new Annotator({ client, timers, log });
});
afterEach(async () => {
  annotator.close();
  client.close();
  await new Promise((resolve) => server.close(resolve));
});

/** Until so many requests were answered, and the annotator has seen it. */
async function answered(count: number): Promise<void> {
  await new Promise<void>((done) => {
    if (requests.length >= count) done();
    else waiting = { count, done };
  });
  while (annotator.busy) await new Promise((resolve) => setImmediate(resolve));
}

const pod = (name: string, redirection: boolean): Workload =>
  workload(name, { kubelet: { uid: `uid-${name}`, runtimeUid: `uid-${name}`, redirection } });

test('an enrolled pod is annotated by a merge patch of its status, with its uid', async () => {
  annotator.sync([pod('a', false), pod('b', true)], () => true);
  await answered(1);
  assert.deepEqual(requests, [
    {
      line: 'PATCH /api/v1/namespaces/shop/pods/a/status',
      type: 'application/merge-patch+json',
      body: { metadata: { uid: 'uid-a', annotations: { 'kmesh.net/redirection': 'enabled' } } },
    },
  ]);
  // It is not told again while the source has not shown it yet.
  annotator.sync([pod('a', false)], () => true);
  annotator.sync([pod('a', true)], () => true);
  assert.equal(requests.length, 1);
});

test('a pod that left loses the annotation, one on its way keeps what it has', async () => {
  annotator.sync([pod('a', true), pod('b', true)], (w) => (w.name === 'a' ? false : null));
  await answered(1);
  assert.deepEqual(
    requests.map(({ body }) => body),
    [{ metadata: { uid: 'uid-a', annotations: { 'kmesh.net/redirection': null } } }],
  );
});

test('what fails is tried again, logged once; a pod that is gone is not', async () => {
  status = 403;
  annotator.sync([pod('a', false)], () => true);
  await answered(1);
  later.shift()?.();
  await answered(2);
  assert.equal(lines.filter((line) => line.includes('cannot be annotated')).length, 1);
  status = 404;
  later.shift()?.();
  await answered(3);
  assert.equal(later.length, 0);
});

test('many pods are annotated, each once', async () => {
  const all = Array.from({ length: 50 }, (_, i) => pod(`p${i}`, false));
  annotator.sync(all, () => true);
  annotator.sync(all, () => true);
  await answered(50);
  assert.equal(new Set(requests.map(({ line }) => line)).size, 50);
  assert.equal(requests.length, 50);
});
