/** Who of several holds a Lease: an API server with one object and its versions, and time as the test tells it. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Log } from '../base/log.ts';
import { ApiClient } from '../source/kubernetes/client.ts';
import { plainAccess, TestTimers } from '../source/kubernetes/testing.ts';
import { Lease, leaseSeconds } from './lease.ts';

interface Stored {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

async function setUp(t: TestContext) {
  const state = { stored: null as Stored | null, version: 1, refuse: 0, writes: 0 };
  const answer = (response: ServerResponse, code: number, value: unknown): void => {
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  const write = (request: IncomingMessage, response: ServerResponse): void => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const value = JSON.parse(Buffer.concat(parts).toString('utf8')) as Stored;
      const { stored } = state;
      const conflict =
        request.method === 'POST'
          ? stored !== null
          : stored === null || value.metadata.resourceVersion !== stored.metadata.resourceVersion;
      if (conflict) return answer(response, 409, { reason: 'Conflict', message: 'the object has been modified' });
      state.version++;
      state.writes++;
      state.stored = { ...value, metadata: { ...value.metadata, resourceVersion: String(state.version) } };
      return answer(response, request.method === 'POST' ? 201 : 200, state.stored);
    });
  };
  const server = createServer((request, response) => {
    if (state.refuse !== 0) answer(response, state.refuse, { reason: 'No', message: 'no' });
    else if (request.method !== 'GET') write(request, response);
    else if (state.stored === null) answer(response, 404, { reason: 'NotFound', message: 'not found' });
    else answer(response, 200, state.stored);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const timers = new TestTimers();
  const lines: string[] = [];
  const log = new Log({
    format: 'text',
    level: 'debug',
    write: (text) => {
      lines.push(text);
    },
  }).logger('status');
  const leases: Lease[] = [];
  const join = (identity: string) => {
    const client = new ApiClient(plainAccess(url), timers);
    const told: boolean[] = [];
    const onHeld = (held: boolean): void => {
      told.push(held);
    };
    const lease = new Lease({ client, timers, log, namespace: 'mesh', name: 'status', identity, onHeld });
    leases.push(lease);
    t.after(() => client.close());
    lease.start();
    return { lease, told };
  };
  t.after(async () => {
    for (const lease of leases) await lease.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const until = async (what: string, done: () => boolean): Promise<void> => {
    const end = performance.now() + 5000;
    while (!done()) {
      if (performance.now() > end)
        throw new Error(`not within 5 s: ${what}; ${JSON.stringify(state)} ${lines.join('')}`);
      await delay(2);
    }
  };
  /** All that wait for their next look have looked. */
  const pass = async (milliseconds: number, waiting: number): Promise<void> => {
    timers.advance(milliseconds);
    await until('all wait again', () => timers.waits().filter((one) => one > 100 && one !== 30_000).length >= waiting);
  };
  return { state, timers, lines, join, until, pass };
}

test('the first holds it, and goes on; the second waits until it is let go', async (t) => {
  const { state, join, until, pass } = await setUp(t);
  const a = join('a');
  await until('a holds it', () => a.lease.held);
  const b = join('b');
  await pass(0, 2);
  for (let i = 0; i < 8; i++) await pass(5000, 2);
  assert.deepEqual([a.lease.held, b.lease.held], [true, false]);
  assert.ok(state.writes >= 8, 'renewed');
  await a.lease.close();
  assert.equal(state.stored?.spec.holderIdentity, '');
  await pass(5000, 1);
  await until('b holds it', () => b.lease.held);
  assert.deepEqual([a.told, b.told, state.stored?.spec.leaseTransitions], [[true, false], [true], 1]);
});

test('a holder that is silent loses it after its time, and not before', async (t) => {
  const { state, join, until, pass } = await setUp(t);
  state.stored = {
    metadata: { resourceVersion: '1' },
    spec: { holderIdentity: 'dead', leaseTransitions: 4, leaseDurationSeconds: leaseSeconds } as Stored['spec'],
  };
  const a = join('a');
  await pass(0, 1);
  for (let passed = 0; passed < leaseSeconds - 5; passed += 5) await pass(5000, 1);
  assert.equal(a.lease.held, false);
  await pass(5000, 1);
  await until('a holds it', () => a.lease.held);
  assert.equal(state.stored?.spec.leaseTransitions, 5);
});

test('without the right to it nothing is held, and it is said once', async (t) => {
  const { state, lines, join, until, pass } = await setUp(t);
  state.refuse = 403;
  const a = join('a');
  await until('it is said', () => lines.length > 0);
  await pass(0, 1);
  await pass(60_000, 1);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /no status of routes is written/);
  state.refuse = 0;
  await pass(60_000, 1);
  await until('a holds it', () => a.lease.held);
});

test('who cannot renew it in time does not hold it any more', async (t) => {
  const { state, join, until, pass } = await setUp(t);
  const a = join('a');
  await until('a holds it', () => a.lease.held);
  await pass(0, 1);
  state.refuse = 500;
  await pass(5000, 1);
  assert.equal(a.lease.held, true);
  for (let i = 0; i < 2; i++) await pass(5000, 1);
  assert.deepEqual(a.told, [true, false]);
});
