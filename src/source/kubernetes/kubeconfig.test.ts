/** Kubeconfigs as people have them, used on a server that asks for certificates and tokens over real TLS. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { KmError } from '../../base/errors.ts';
import { systemTimers } from '../timers.ts';
import { ApiClient } from './client.ts';
import { findAccess } from './kubeconfig.ts';
import { TestTimers } from './testing.ts';

const never = new AbortController().signal;

describe('kubeconfig', () => {
  let directory: string;
  let server: ReturnType<typeof createServer>;
  let url: string;
  /** What the last request proved: its certificate's name, and its Authorization. */
  let seen: { certificate: string; authorization: string };
  let unauthorized = false;
  const pem = (name: string) => readFileSync(join(directory, name), 'utf8');
  const path = (name: string) => join(directory, name);

  const certificate = (name: string, extension: string): void => {
    const openssl = (...args: readonly string[]) =>
      execFileSync('openssl', [...args], { cwd: directory, stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    if (name === 'ca') {
      openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=test-ca', '-out', 'ca.crt');
      return;
    }
    openssl('req', ...key, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    writeFileSync(path(`${name}.ext`), extension);
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-out', `${name}.crt`);
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kmesh-kubeconfig-'));
    certificate('ca', '');
    certificate('server', 'subjectAltName=IP:127.0.0.1,DNS:api.test');
    certificate('client', 'extendedKeyUsage=clientAuth');
    server = createServer(
      {
        cert: pem('server.crt'),
        key: pem('server.key'),
        ca: pem('ca.crt'),
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request: IncomingMessage, response) => {
        const socket = request.socket as TLSSocket;
        const peer = socket.authorized ? String(socket.getPeerCertificate().subject.CN) : '';
        seen = { certificate: peer, authorization: request.headers.authorization ?? '' };
        response.writeHead(unauthorized ? 401 : 200).end('{"ok":true}');
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server?.closeAllConnections();
    server?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const config = (cluster: object, user: object, name = 'config'): string => {
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'main',
      clusters: [{ name: 'c', cluster: { server: url, ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [
        { name: 'main', context: { cluster: 'c', user: 'u' } },
        { name: 'nobody', context: { cluster: 'c', user: '' } },
      ],
    });
    writeFileSync(path(name), text);
    return path(name);
  };
  const client = (
    kubeconfig: string | null,
    env: Readonly<Record<string, string>> = {},
    context: string | null = null,
  ) => new ApiClient(findAccess({ kubeconfig, context, env, timers: systemTimers }), systemTimers);
  const get = async (one: ApiClient): Promise<typeof seen> => {
    assert.deepEqual(await one.get('/x', never), { ok: true });
    one.close();
    return seen;
  };
  const ca = { 'certificate-authority': 'ca.crt' };
  const base64 = (name: string) => Buffer.from(pem(name)).toString('base64');

  test('a client certificate in files beside the kubeconfig, and written into it', async () => {
    const files = config(ca, { 'client-certificate': 'client.crt', 'client-key': 'client.key' });
    assert.deepEqual(await get(client(files)), { certificate: 'client', authorization: '' });
    const inline = config(
      { 'certificate-authority-data': base64('ca.crt') },
      { 'client-certificate-data': base64('client.crt'), 'client-key-data': base64('client.key') },
    );
    assert.deepEqual(await get(client(inline)), { certificate: 'client', authorization: '' });
  });

  test('a token, a file of a token that is read anew, a name with a password', async () => {
    assert.equal((await get(client(config(ca, { token: 'abc' })))).authorization, 'Bearer abc');
    writeFileSync(path('token'), 'first\n');
    const one = client(config(ca, { tokenFile: 'token' }));
    await one.get('/x', never);
    assert.equal(seen.authorization, 'Bearer first');
    writeFileSync(path('token'), 'second\n');
    assert.equal((await get(one)).authorization, 'Bearer second');
    const basic = await get(client(config(ca, { username: 'ann', password: 'pw' })));
    assert.equal(basic.authorization, `Basic ${Buffer.from('ann:pw').toString('base64')}`);
  });

  test('a program that gives a token is asked again when the server refuses it, or it expires', async () => {
    const program = path('login');
    writeFileSync(
      program,
      `#!/bin/sh
echo x >> ${path('asked')}
n=$(wc -l < ${path('asked')})
echo "{\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":\\"$EXTRA-$1-$n\\",\\"expirationTimestamp\\":\\"2025-01-01T00:10:00Z\\"}}"
`,
      { mode: 0o755 },
    );
    const user = { exec: { apiVersion: 'v1', command: './login', args: ['a'], env: [{ name: 'EXTRA', value: 'e' }] } };
    const timers = new TestTimers();
    const access = findAccess({ kubeconfig: config(ca, user), context: null, env: {}, timers });
    const one = new ApiClient(access, systemTimers);
    const authorization = async (): Promise<string> => {
      await one.get('/x', never);
      return seen.authorization;
    };
    assert.equal(await authorization(), 'Bearer e-a-1');
    assert.equal(await authorization(), 'Bearer e-a-1');
    unauthorized = true;
    await assert.rejects(one.get('/x', never), { status: 401 });
    unauthorized = false;
    assert.equal(await authorization(), 'Bearer e-a-2');
    timers.advance(9 * 60_000);
    assert.equal(await authorization(), 'Bearer e-a-2');
    timers.advance(40_000);
    assert.equal(await authorization(), 'Bearer e-a-3');
    one.close();
  });

  test('a program that fails says so', async () => {
    const user = { exec: { command: 'false', installHint: 'install the cloud tool' } };
    await assert.rejects(client(config(ca, user)).get('/x', never), (error: unknown) => {
      assert.ok(error instanceof KmError);
      assert.equal(error.code, 'KM1021');
      assert.match(error.message, /^credentials program false: .*install the cloud tool/s);
      return true;
    });
  });

  test('a server that is not the one is refused', async () => {
    await assert.rejects(client(config({}, {})).get('/x', never), /self-signed|unable to verify|unable to get/);
    const named = config({ ...ca, 'tls-server-name': 'other.test' }, {});
    await assert.rejects(client(named).get('/x', never), /other\.test/);
    assert.equal((await get(client(config({ ...ca, 'tls-server-name': 'api.test' }, {})))).certificate, '');
    assert.equal((await get(client(config({ 'insecure-skip-tls-verify': true }, {})))).certificate, '');
  });

  test('KUBECONFIG of several files: the first one’s entries count', async () => {
    const first = config(ca, { token: 'first' }, 'one');
    const second = config({}, { token: 'second' }, 'two');
    const env = { KUBECONFIG: `${path('missing')}:${first}:${second}` };
    assert.equal((await get(client(null, env))).authorization, 'Bearer first');
    assert.equal((await get(client(null, env, 'nobody'))).authorization, '');
    assert.equal(
      (await get(client(second.replace(/two$/, 'one'), { KUBECONFIG: second }))).authorization,
      'Bearer first',
    );
  });

  test('a pod’s own account, whose token is read anew', async () => {
    const account = path('account');
    mkdirSync(account);
    writeFileSync(join(account, 'token'), 'pod');
    writeFileSync(join(account, 'ca.crt'), pem('ca.crt'));
    const { port } = new URL(url);
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: port };
    const options = { kubeconfig: null, context: null, env, timers: systemTimers, accountDirectory: account };
    const one = new ApiClient(findAccess(options), systemTimers);
    await one.get('/x', never);
    assert.equal(seen.authorization, 'Bearer pod');
    writeFileSync(join(account, 'token'), 'pod2');
    assert.equal((await get(one)).authorization, 'Bearer pod2');
    const six = findAccess({ ...options, env: { ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' } });
    assert.equal(six.server, `https://[fd00::1]:${port}`);
  });

  const refusals: readonly (readonly [string, () => string | null, string | null, RegExp])[] = [
    ['no file', () => path('nothing'), null, /^cannot read .*nothing: ENOENT/],
    ['none named', () => null, null, /^no API server is named/],
    ['no such context', () => config(ca, {}), 'prod', /^the kubeconfig has no context "prod"/],
    ['a proxy', () => config({ 'proxy-url': 'http://p' }, {}), null, /cluster c: proxy-url is not supported/],
    ['an old way to log in', () => config(ca, { 'auth-provider': { name: 'gcp' } }), null, /auth-provider is not supp/],
    ['another’s name', () => config(ca, { as: 'root' }), null, /user u: as is not supported/],
    ['no URL', () => config({ server: 'api' }, {}), null, /cluster c: server must be a URL, not "api"/],
    ['a number', () => config(ca, { token: 5 }), null, /user u: token must be a string/],
  ];
  for (const [what, kubeconfig, context, message] of refusals) {
    test(`refused: ${what}`, () => {
      const env = { HOME: directory };
      assert.throws(() => findAccess({ kubeconfig: kubeconfig(), context, env, timers: systemTimers }), {
        code: 'KM1021',
        message,
      });
    });
  }

  test('refused: no YAML, with its line', () => {
    writeFileSync(path('bad'), 'apiVersion: v1\nclusters: [\n');
    const options = { kubeconfig: path('bad'), context: null, env: {}, timers: systemTimers };
    assert.throws(() => findAccess(options), { code: 'KM1021', message: /bad:\d+: / });
  });
});
