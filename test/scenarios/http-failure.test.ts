/** HTTP: endpoints that refuse, that never answer, that are not there; requests that are no HTTP. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { destination, forgotten, service, virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';
import { Wire } from '../lab/wire.ts';

const test = requireRoot(nodeTest);

const connectTimeoutMs = 400;
/** good: one pod that answers. bad: one that refuses. mute: one whose SYNs are lost. */
const services = {
  refusing: { addresses: ['10.96.2.1', 'fd00:10:96:2::1'], selector: { bad: 'yes' } },
  mixed: { addresses: ['10.96.2.2', 'fd00:10:96:2::2'], selector: { mixed: 'yes' } },
  silent: { addresses: ['10.96.2.3', 'fd00:10:96:2::3'], selector: { mute: 'yes' } },
  halfsilent: { addresses: ['10.96.2.4', 'fd00:10:96:2::4'], selector: { halfsilent: 'yes' } },
  empty: { addresses: ['10.96.2.5', 'fd00:10:96:2::5'], selector: { nobody: 'yes' } },
} as const;
const retries = `
- route: [{destination: {host: HOST}}]
  retries: {attempts: 2, retryOn: connect-failure}`;

describe('HTTP failure', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let wire: Wire;

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    const [good, bad, mute] = [await lab.pod('good'), await lab.pod('bad'), await lab.pod('mute')];
    await startNginx(good, { port: 8080, extra: ' $request_uri' });
    await startNginx(mute, { port: 8080, extra: ' $request_uri' });
    wire = Wire.attach(mute);
    wire.set({ loseIn: 1, port: 8080 });
    mesh = meshOf(lab);
    mesh.write(
      'all.yaml',
      file(
        namespace('shop', true),
        pod(client),
        pod(good, { mixed: 'yes', halfsilent: 'yes' }),
        pod(bad, { bad: 'yes', mixed: 'yes' }),
        pod(mute, { mute: 'yes', halfsilent: 'yes' }),
        ...Object.entries(services).map(([name, options]) => service(name, options)),
        ...['silent', 'halfsilent'].map((name) =>
          destination(name, [], `{connectionPool: {tcp: {connectTimeout: ${connectTimeoutMs}ms}}}`),
        ),
        ...['mixed', 'silent', 'halfsilent'].map((name) => virtualService(name, retries.replace('HOST', name))),
      ),
    );
    await mesh.start();
    await mesh.settled();
  });
  after(() => {
    wire?.[Symbol.dispose]();
    return lab?.close();
  });

  const ask = (name: keyof typeof services, family: 4 | 6, from: string | readonly string[], ...flags: string[]) => {
    const address = services[name].addresses[family === 4 ? 0 : 1];
    return httpLoad(client, address, 80, [{ from, path: '/', fields: [`host: ${name}`] }], flags);
  };

  for (const family of [4, 6] as const) {
    test(`an endpoint that refuses: 503 at once, IPv${family}`, async () => {
      const load = await ask('refusing', family, '503', '--requests', '50');
      assert.deepEqual([load.answers, load.errors], [{ 503: 50 }, {}]);
      assert.ok(load.maxUs < 1_000_000 * patience, `${load.maxUs} us`);
    });

    test(`one endpoint of two refuses: every request is answered by the other, IPv${family}`, async () => {
      for (const flags of [[], ['--new']]) {
        const load = await ask('mixed', family, 'good', '--requests', '200', ...flags);
        assert.deepEqual([load.answers, load.errors], [{ good: 200 }, {}]);
        // At once, and not when the client's kernel sends again (200 ms).
        assert.ok(load.p90Us < 150_000 * patience, `${load.p90Us} us`);
        assert.ok(load.maxUs < 1_000_000 * patience, `${load.maxUs} us`);
      }
    });

    test(`an endpoint that never answers: 503 when its time is over, IPv${family}`, async () => {
      const load = await ask('silent', family, '503', '--requests', '3', '--new', '--timeout', '20000');
      assert.deepEqual([load.answers, load.errors], [{ 503: 3 }, {}]);
      assert.ok(load.p50Us > connectTimeoutMs * 1000 * 0.9, `before its time: ${load.p50Us} us`);
      // Three tries, each within its time and the moment until the client's kernel sends again (RTO, doubling).
      assert.ok(load.maxUs < 6_000_000 * patience, `${load.maxUs} us`);
    });

    test(`one endpoint of two never answers: every request is answered by the other, IPv${family}`, async () => {
      const flags = ['--requests', '20', '--new', '--timeout', '20000', '--connections', '4'];
      const load = await ask('halfsilent', family, 'good', ...flags);
      assert.deepEqual([load.answers, load.errors], [{ good: 20 }, {}]);
      assert.ok(load.maxUs < 6_000_000 * patience, `${load.maxUs} us`);
    });

    test(`a service without endpoints answers 503, IPv${family}`, async () => {
      const load = await ask('empty', family, '503', '--requests', '20');
      assert.deepEqual([load.answers, load.errors], [{ 503: 20 }, {}]);
    });

    test(`what is no good HTTP is answered and the connection closed, IPv${family}`, async () => {
      const say = `
import socket, sys
s = socket.create_connection((sys.argv[1], 80)); s.settimeout(5)
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin1"))
data = b""
while more := s.recv(4096): data += more
print(data.split(b"\\r\\n")[0].decode())`;
      const address = services.mixed.addresses[family === 4 ? 0 : 1];
      for (const [request, line] of [
        ['GET / HTTP/1.1\\r\\nHost : mixed\\r\\n\\r\\n', 'HTTP/1.1 400 Bad Request'],
        [
          'GET / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n',
          'HTTP/1.1 400 Bad Request',
        ],
        [
          'GET / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\nx',
          'HTTP/1.1 400 Bad Request',
        ],
        ['GET / HTTP/1.1\\r\\nHost: a\\r\\nX: a\\r\\n b\\r\\n\\r\\n', 'HTTP/1.1 400 Bad Request'],
        ['GET / HTTP/1.1\\r\\nHost: a\\r\\nX: a\\x00b\\r\\n\\r\\n', 'HTTP/1.1 400 Bad Request'],
        [
          `GET / HTTP/1.1\\r\\nHost: a\\r\\nX: ${'x'.repeat(20_000)}\\r\\n\\r\\n`,
          'HTTP/1.1 431 Request Header Fields Too Large',
        ],
      ] as const) {
        assert.equal(await client.output(['python3', '-c', say, address, request]), `${line}\n`, request.slice(0, 99));
      }
    });
  }

  test('when the silent endpoint speaks again it is used again', async () => {
    wire.set({});
    const load = await ask('silent', 4, 'mute', '--requests', '20', '--timeout', '20000');
    assert.deepEqual([load.answers, load.errors], [{ mute: 20 }, {}]);
  });

  test('when all is done the kernel has forgotten every connection', async () => {
    await forgotten(mesh);
  });
});
