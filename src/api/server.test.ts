import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { errorTable, KmError } from '../base/errors.ts';
import { fixtureBackend } from './fixture.ts';
import { checkOrigin } from './guard.ts';
import { type AdminServer, startAdminServer } from './server.ts';

const hasIpv6Loopback = (networkInterfaces()['lo'] ?? []).some(({ address }) => address === '::1');

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly host?: string;
}

function call(port: number, path: string, ask: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body, host = '127.0.0.1' } = ask;
    const request = httpRequest({ host, port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function errorOf(answer: Answer): string {
  assert.equal(answer.headers['content-type'], 'application/json');
  const parsed: unknown = JSON.parse(answer.text);
  assert.ok(typeof parsed === 'object' && parsed !== null && 'error' in parsed && typeof parsed.error === 'string');
  const code = parsed.error.split(' ')[0] ?? '';
  assert.ok(code in errorTable, `${code} is in the error table`);
  return parsed.error;
}

describe('admin API', () => {
  const backend = fixtureBackend();
  const errors: unknown[] = [];
  let server: AdminServer;
  const ask = (path: string, options?: Ask) => call(server.port, path, options);

  before(async () => {
    server = await startAdminServer({ backend, host: 'localhost', port: 0, onError: (error) => errors.push(error) });
  });
  after(() => server.stop());

  test('localhost is every loopback address that the machine has, on one port', async () => {
    const v6 = hasIpv6Loopback ? [`[::1]:${server.port}`] : [];
    assert.deepEqual(server.addresses, [`127.0.0.1:${server.port}`, ...v6]);
    if (hasIpv6Loopback) assert.equal((await ask('/version', { host: '::1' })).status, 200);
  });

  test('lists have the shape {"items": [...]}, pretty-printed, also when empty or longer than a batch', async () => {
    const services = await backend.services();
    assert.equal((await ask('/services')).text, `${JSON.stringify({ items: services }, null, 2)}\n`);
    const [first] = services;
    assert.ok(first !== undefined);
    backend.set({ services: Array.from({ length: 700 }, (_, i) => ({ ...first, name: `s${i}` })), connections: [] });
    const many = await ask('/services');
    assert.equal(many.text, `${JSON.stringify({ items: await backend.services() }, null, 2)}\n`);
    assert.deepEqual(JSON.parse((await ask('/connections')).text), { items: [] });
    backend.reset();
  });

  test('every path of GET / answers, and says JSON or text', async () => {
    const index = await ask('/');
    assert.equal(index.status, 200);
    const paths = [...index.text.matchAll(/^(\S+)\s+(\/\S*)$/gm)];
    assert.ok(paths.length >= 17);
    for (const [, methods = '', path = ''] of paths) {
      if (!methods.includes('GET')) continue;
      const answer = await ask(path);
      assert.equal(answer.status, path.includes('dual-engine') ? 400 : 200, path);
      const other: Record<string, string> = {
        '/debug/ready': 'text/plain; charset=utf-8',
        '/readyz': 'text/plain; charset=utf-8',
        '/healthz': 'text/plain; charset=utf-8',
        '/observe': 'application/x-ndjson',
      };
      const type = other[path] ?? 'application/json';
      assert.equal(answer.headers['content-type'], type, path);
    }
  });

  test('explain takes a question, and says what is wrong with one', async () => {
    const post = (body: string) => ask('/explain', { method: 'POST', body });
    const answer = await post(JSON.stringify({ from: 'frontend', to: 'http://reviews:9080/', headers: [['a', 'b']] }));
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.text).kind, 'routed');
    const asked = { from: 'frontend', namespace: 'default', to: 'http://reviews:9080/', method: 'GET' };
    assert.equal(backend.calls.at(-1), `explain ${JSON.stringify({ ...asked, headers: [['a', 'b']] })}`);
    for (const bad of [
      '',
      '[]',
      '{"from": "a"}',
      '{"from": "a", "to": "b", "headers": ["x"]}',
      '{"from": 1, "to": "b"}',
    ]) {
      const refused = await post(bad);
      assert.equal(refused.status, 400, bad);
      assert.match(errorOf(refused), /^KM5003 /);
    }
    backend.reset();
  });

  test('observe is a line for each value', async () => {
    const lines = (text: string) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => Object.keys(JSON.parse(line)).join());
    assert.deepEqual(lines((await ask('/observe')).text), ['request', 'request', 'request', 'remembered']);
    assert.deepEqual(lines((await ask('/observe?follow=true')).text).slice(4), ['request', 'lost']);
    assert.equal((await ask('/observe?follow=yes')).status, 400);
  });

  test('ready is 200, and 503 with what is waited for', async () => {
    assert.equal((await ask('/debug/ready')).text, 'ready');
    backend.set({ pending: ['source files', 'kernel'] });
    const answer = await ask('/debug/ready');
    assert.equal(answer.status, 503);
    assert.equal(answer.text, 'not ready, pending: source files, kernel');
    backend.reset();
  });

  test('HEAD is GET without the body', async () => {
    const get = await ask('/version');
    const head = await ask('/version', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    assert.equal(head.headers['content-length'], String(get.text.length));
    assert.equal((await ask('/services', { method: 'HEAD' })).status, 200);
    assert.equal((await ask('/accesslog', { method: 'HEAD' })).status, 405);
  });

  test('an unknown path is 404, another method 405 with Allow', async () => {
    const missing = await ask('/nothing');
    assert.equal(missing.status, 404);
    assert.match(errorOf(missing), /^KM5001 /);
    for (const [path, method, allow] of [
      ['/services', 'DELETE', 'GET, HEAD'],
      ['/debug/loggers', 'PUT', 'GET, HEAD, POST'],
      ['/monitoring', 'GET', 'POST'],
    ] as const) {
      const answer = await ask(path, { method });
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.allow, allow);
      assert.match(errorOf(answer), /^KM5002 /);
    }
  });

  test('a dump of the mode that does not run is 400', async () => {
    for (const path of ['/debug/config_dump/dual-engine', '/debug/config_dump/bpf/dual-engine']) {
      const answer = await ask(path);
      assert.equal(answer.status, 400);
      assert.match(errorOf(answer), /^KM5004 .*kernel-native, not dual-engine/);
    }
  });

  test('bigint in a dump is a number, beyond 2^53 a string', async () => {
    backend.set({ kernelDump: { small: 7n, cookie: 2n ** 64n - 1n } });
    const answer = await ask('/debug/config_dump/bpf/kernel-native');
    assert.deepEqual(JSON.parse(answer.text), { small: 7, cookie: '18446744073709551615' });
    backend.reset();
  });

  test('loggers are listed, filtered and set', async () => {
    const one = await ask('/debug/loggers?name=bpf');
    assert.deepEqual(JSON.parse(one.text), { items: [{ name: 'bpf', level: 'info' }] });
    assert.equal((await ask('/debug/loggers?name=nope')).status, 404);
    const set = await ask('/debug/loggers', { method: 'POST', body: '{"name":"bpf","level":"debug"}' });
    assert.deepEqual(JSON.parse(set.text), { items: [{ name: 'bpf', level: 'debug' }] });
    const level = await ask('/debug/loggers', { method: 'POST', body: '{"name":"bpf","level":"loud"}' });
    assert.equal(level.status, 400);
    assert.match(errorOf(level), /^KM5003 .*loud/);
    const name = await ask('/debug/loggers', { method: 'POST', body: '{"name":"x","level":"debug"}' });
    assert.equal(name.status, 404);
    assert.match(errorOf(name), /^KM5006 no logger "x"; there are default, bpf/);
    backend.reset();
  });

  test('a bad body or parameter is 400 and changes nothing', async () => {
    const wrong: readonly (readonly [string, string])[] = [
      ['/debug/loggers', ''],
      ['/debug/loggers', '{"name":'],
      ['/debug/loggers', '[]'],
      ['/debug/loggers', '{"name":"bpf","level":3}'],
      ['/debug/loggers', JSON.stringify({ name: 'bpf', level: 'd'.repeat(300) })],
      ['/accesslog', ''],
      ['/accesslog?enable=yes', ''],
      ['/accesslog?enable=true&format=xml', ''],
      ['/monitoring?enable=', ''],
    ];
    for (const [path, body] of wrong) {
      const answer = await ask(path, { method: 'POST', body });
      assert.equal(answer.status, 400, path + body);
      assert.match(errorOf(answer), /^KM5003 /);
    }
    assert.deepEqual(backend.calls, []);
  });

  test('a body over 64 KiB is 413, told or chunked', async () => {
    const body = JSON.stringify({ name: 'bpf', level: 'x'.repeat(70_000) });
    for (const headers of [{ 'content-length': String(body.length) }, { 'transfer-encoding': 'chunked' }]) {
      const answer = await ask('/debug/loggers', { method: 'POST', headers, body });
      assert.equal(answer.status, 413);
      assert.match(errorOf(answer), /^KM5007 /);
    }
  });

  test('access log and monitoring are toggled', async () => {
    assert.deepEqual(JSON.parse((await ask('/accesslog?enable=true&format=json', { method: 'POST' })).text), {
      enabled: true,
      format: 'json',
    });
    assert.equal((await ask('/accesslog?enable=false', { method: 'POST' })).status, 200);
    assert.equal((await ask('/monitoring?enable=false', { method: 'POST' })).status, 200);
    assert.deepEqual(backend.calls, ['accesslog true json', 'accesslog false undefined', 'monitoring false']);
    backend.reset();
  });

  test('a failing backend is 500 with its code, or KM5008', async () => {
    errors.length = 0;
    backend.set({ fail: new Error('boom') });
    const plain = await ask('/services');
    assert.equal(plain.status, 500);
    assert.equal(errorOf(plain), 'KM5008 boom');
    backend.set({ fail: new KmError('KM5009', 'coded') });
    assert.equal(errorOf(await ask('/status')), 'KM5009 coded');
    assert.equal(errors.length, 2);
    const circular: { self?: unknown } = {};
    circular.self = circular;
    backend.reset();
    backend.set({ configDump: circular });
    assert.equal((await ask('/debug/config_dump/kernel-native')).status, 500);
    backend.reset();
  });

  test('a Host that a web page could have chosen is refused', async () => {
    for (const host of [
      'evil.example',
      'evil.example:15200',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'a b',
    ]) {
      const answer = await ask('/version', { headers: { host } });
      assert.equal(answer.status, 403, host);
      assert.match(errorOf(answer), /^KM5005 /);
    }
    for (const host of ['localhost', 'LOCALHOST:15200', '127.0.0.1', '[::1]:80', '10.0.0.7:15200']) {
      assert.equal((await ask('/version', { headers: { host } })).status, 200, host);
    }
  });

  test('a POST from a page of another origin is refused', async () => {
    const path = '/monitoring?enable=false';
    for (const origin of ['https://evil.example', 'null', 'http://localhost:8080']) {
      assert.equal((await ask(path, { method: 'POST', headers: { origin } })).status, 403);
    }
    assert.deepEqual(backend.calls, []);
    const own = { origin: `http://localhost:${server.port}`, host: `localhost:${server.port}` };
    assert.equal((await ask(path, { method: 'POST', headers: own })).status, 200);
    backend.reset();
  });
});

test('a name that the server was told to bind is a good Host', () => {
  const headers = { host: 'Node-1.example.:15200' };
  checkOrigin({ method: 'GET', headers }, 'node-1.example');
  assert.throws(() => checkOrigin({ method: 'GET', headers }, 'node-2.example'), { code: 'KM5005' });
});

test('an address binds that address alone', async () => {
  const server = await startAdminServer({ backend: fixtureBackend(), host: '127.0.0.2', port: 0 });
  assert.deepEqual(server.addresses, [`127.0.0.2:${server.port}`]);
  assert.equal((await call(server.port, '/version', { host: '127.0.0.2' })).status, 200);
  await assert.rejects(call(server.port, '/version'), { code: 'ECONNREFUSED' });
  await server.stop();
});

test('a port that is taken on either address is KM5009', async () => {
  for (const host of hasIpv6Loopback ? ['127.0.0.1', '::1'] : ['127.0.0.1']) {
    const other = createServer().listen(0, host);
    await once(other, 'listening');
    const address = other.address();
    assert.ok(typeof address === 'object' && address !== null);
    const start = startAdminServer({ backend: fixtureBackend(), host: 'localhost', port: address.port });
    await assert.rejects(start, { code: 'KM5009' });
    other.close();
  }
});

test('stop lets a running request finish and frees the port', async () => {
  const backend = fixtureBackend();
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const slow = {
    ...backend,
    version: async () => {
      entered.resolve();
      await gate.promise;
      return backend.version();
    },
  };
  const server = await startAdminServer({ backend: slow, host: 'localhost', port: 0 });
  const running = call(server.port, '/version');
  await entered.promise;
  const stopped = server.stop();
  gate.resolve();
  assert.equal((await running).status, 200);
  await stopped;
  await assert.rejects(call(server.port, '/version'), { code: 'ECONNREFUSED' });
});
