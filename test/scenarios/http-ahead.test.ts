/** HTTP: connections to endpoints that are opened by the client's SYN, before there is a request (docs/adr/022-ahead.md). */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad } from '../lab/clients.ts';
import { forgotten, service, virtualService } from '../lab/http-mesh.ts';
import { fastAddresses, fastPort, Shop } from '../lab/http-shop.ts';
import { patience } from '../lab/mesh.ts';
import { python, pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { startTcpEcho } from '../lab/servers.ts';
import { connections, noConnections, until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);

describe('HTTP halves that are opened ahead', {
  skip: process.getuid?.() !== 0 && process.env['CI'] === undefined,
}, () => {
  let shop: Shop;

  before(async () => {
    shop = await Shop.create();
  });
  after(() => shop?.lab.close());

  const kicks = async (): Promise<number> => {
    const [line = ''] = await shop.mesh.metric('kmesh_kernel_events_total{event="kicks"}');
    return Number(line.split(' ').at(-1));
  };

  for (const [i, family] of ([4, 6] as const).entries()) {
    const address = fastAddresses[i] ?? '';
    const ask = async (path: string, from: string, count: number): Promise<void> => {
      const cases = [{ from: `${from} table=`, path, fields: ['host: fast'] }];
      const load = await httpLoad(shop.client, address, 80, cases, ['--new', '--requests', String(count)]);
      assert.deepEqual([load.answers, load.errors], [{ [`${from} table=`]: count }, {}]);
    };
    /** A client that has connected and asks nothing yet. */
    const connect = async () => {
      const asking = shop.client.spawn([...pythonProgram('clients/replay.py'), 'eth0', address, '80'], {
        holdInput: true,
      });
      await asking.line(/^ready$/);
      return asking;
    };
    const nothingLeft = async (): Promise<void> => {
      for (const server of shop.all) await noConnections(server, fastPort, 10_000 * patience);
      await forgotten(shop.mesh);
    };

    test(`where all first requests go to one cluster they need no kick, IPv${family}`, async () => {
      const before = await kicks();
      await ask('/', 'red', 100);
      const learned = (await kicks()) - before;
      assert.ok(learned >= 9 && learned <= 10, `${learned} kicks of 100 new connections`);
      await nothingLeft();
    });

    test(`the endpoint has the connection before the request; another request goes where it belongs, IPv${family}`, async () => {
      await ask('/', 'red', 20);
      const asking = await connect();
      await until('red is connected', async () => (await connections(shop.servers.red, fastPort)).length === 1);
      asking.write('ask fast /green/grass\n');
      await asking.line(/^answer green/);
      // Its own half is still there, and takes the next request of its own.
      assert.equal((await connections(shop.servers.red, fastPort)).length, 1);
      const before = await kicks();
      asking.write('ask fast /\n');
      await asking.line(/^answer red/);
      assert.equal((await kicks()) - before, 0);
      asking.endInput();
      await asking.exited;
      await nothingLeft();
    });

    test(`a client that never asks leaves nothing behind, IPv${family}`, async () => {
      await ask('/', 'red', 20);
      const silent = await connect();
      await until('red is connected', async () => (await connections(shop.servers.red, fastPort)).length === 1);
      silent.endInput();
      await silent.exited;
      await nothingLeft();
    });

    test(`first requests to several clusters are not guessed, IPv${family}`, async () => {
      await ask('/green/grass', 'green', 1);
      const before = await kicks();
      for (const [path, from] of [
        ['/', 'red'],
        ['/green/grass', 'green'],
        ['/sky/blue', 'blue'],
      ] as const) {
        await ask(path, from, 4);
      }
      assert.equal((await kicks()) - before, 12);
      await nothingLeft();
    });
  }

  test('what turns out to be no HTTP takes the half that was opened ahead', async () => {
    const addresses = ['10.96.0.42', 'fd00:10:96::42'] as const;
    await startTcpEcho(shop.servers.red, { name: 'red', port: 9090 });
    const selector = { version: 'v1' };
    shop.mesh.write('plain.yaml', service('plain', { addresses, selector, portName: 'any', targetPort: 9090 }));
    await shop.mesh.settled();
    const script = `
import socket, sys
for hello in (b"\\x16\\x03\\x01\\x00\\x64" + bytes(100), b"\\x00binary"):
    for i in range(30):
        sock = socket.create_connection(("${addresses[0]}", 80))
        for j in range(3):
            sock.sendall(hello)
            want = hello if j else b"red " + hello
            got = b""
            while len(got) < len(want):
                part = sock.recv(1000)
                if not part: sys.exit(f"connection {i} ended")
                got += part
            if got != want: sys.exit(f"connection {i}: {got}")
        sock.close()
print("good")`;
    assert.equal((await shop.client.output([python(), '-c', script])).trim(), 'good');
    await noConnections(shop.servers.red, 9090, 10_000 * patience);
    await forgotten(shop.mesh);
  });

  test('where heads of answers are changed nothing is guessed: such halves are opened with room for that', async () => {
    const addresses = ['10.96.0.41', 'fd00:10:96::41'] as const;
    const rule = '\n- headers: {response: {set: {x-from: mesh}}}\n  route: [{destination: {host: changed}}]';
    const selector = { version: 'v1' };
    shop.mesh.write('changed.yaml', service('changed', { addresses, selector, targetPort: fastPort }));
    shop.mesh.write('changed-routes.yaml', virtualService('changed', rule));
    await shop.mesh.settled();
    const before = await kicks();
    const cases = [{ from: 'red table=', path: '/', fields: ['host: changed'] }];
    const load = await httpLoad(shop.client, addresses[0], 80, cases, ['--new', '--requests', '30']);
    assert.deepEqual([load.answers, load.errors], [{ 'red table=': 30 }, {}]);
    assert.equal((await kicks()) - before, 30);
    await forgotten(shop.mesh);
  });

  test('an endpoint that refuses: connect() works, and the request is answered by another', async () => {
    const addresses = ['10.96.0.40', 'fd00:10:96::40'] as const;
    const selector = { app: 'shop' };
    const ask = (requests: number) => {
      const cases = [{ from: ['red table=', 'green table=', 'blue table='], path: '/', fields: ['host: half'] }];
      return httpLoad(shop.client, addresses[0], 80, cases, ['--new', '--requests', String(requests)]);
    };
    const retries = '\n- route: [{destination: {host: half}}]\n  retries: {attempts: 2, retryOn: connect-failure}';
    shop.mesh.write('half.yaml', service('half', { addresses, selector, targetPort: fastPort }));
    shop.mesh.write('half-routes.yaml', virtualService('half', retries));
    await shop.mesh.settled();
    assert.equal((await ask(20)).failed, 0);
    const rule = ['INPUT', '-p', 'tcp', '--dport', String(fastPort), '-j', 'REJECT', '--reject-with', 'tcp-reset'];
    await shop.servers.red.output(['iptables', '-A', ...rule]);
    try {
      const { answers, errors, failed } = await ask(100);
      assert.deepEqual([errors, failed], [{}, 0]);
      assert.deepEqual(Object.keys(answers).sort(), ['blue table=', 'green table=']);
    } finally {
      await shop.servers.red.output(['iptables', '-D', ...rule]);
    }
    await forgotten(shop.mesh);
  });
});
