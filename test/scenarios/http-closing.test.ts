/** HTTP: clients and servers that leave in every state. Nobody hangs, no server keeps a connection, the kernel forgets all. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad, leave, leaveStates, leaveWays } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { forgotten, service } from '../lab/http-mesh.ts';
import { colors, Shop, shopAddresses } from '../lab/http-shop.ts';
import { file, patience, pod } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { type BadMode, startBad } from '../lab/servers.ts';
import { connections, noConnections, until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const eachCount = 5;

/** Mode, its number, curl's exit code, what curl printed: the same without a mesh (test/lab/http-clients.test.ts). */
const badServers: readonly (readonly [mode: BadMode, number: number, code: number, output: RegExp])[] = [
  ['silent', 0, 28, /^$/],
  ['deaf', 0, 28, /^$/],
  ['reset', 0, 56, /^$/],
  ['hang-up', 0, 52, /^$/],
  ['reset-head', 0, 56, /^$/],
  ['idle', 50, 0, /^bad\n$/],
  ['one', 0, 0, /^bad\n$/],
  ['timeout', 50, 0, /^bad\n$/],
  ['half-close', 0, 0, /^bad\n$/],
  ['http10', 0, 0, /^bad\n$/],
  ['until-close', 0, 0, /^bad\n$/],
  ['cut', 0, 18, /^k{500}$/],
  ['reset-body', 0, 56, /^k*$/],
  ['garbage', 0, 1, /^$/],
  ['interim', 3, 0, /^bad\n$/],
  ['surplus', 0, 0, /^bad\n$/],
  ['pieces', 0, 0, /^bad\n$/],
];
const badPort = 9000;
const badAddresses = (i: number): readonly [string, string] => [`10.96.1.${i + 1}`, `fd00:10:96:1::${i + 1}`];

describe('HTTP closing', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;
  let bad: Host;
  before(async () => {
    shop = await Shop.create();
    bad = await shop.lab.pod('bad');
    for (const [i, [mode, number]] of badServers.entries()) await startBad(bad, { port: badPort + i, mode, number });
    shop.mesh.write(
      'bad.yaml',
      file(
        pod(bad, { app: 'bad' }),
        ...badServers.map(([mode], i) =>
          service(mode, { addresses: badAddresses(i), selector: { app: 'bad' }, targetPort: badPort + i }),
        ),
      ),
    );
    await shop.mesh.settled();
  });
  after(() => shop?.lab.close());

  const nothingLeft = async (): Promise<void> => {
    for (const server of shop.all) await noConnections(server, 8080, 5000 * patience);
    await forgotten(shop.mesh);
  };

  for (const state of leaveStates) {
    test(`clients that leave (${state}) leave nothing behind`, async () => {
      for (const how of leaveWays) {
        for (const address of shopAddresses) {
          const path = state === 'answer' ? '/bytes?n=3000000' : '/slow?ms=20';
          const left = await leave(shop.client, { address, port: 80, state, how, count: eachCount, path });
          assert.deepEqual([left.done, left.errors], [eachCount, {}], `${how} ${address}`);
          assert.ok(left.slowestMs < 5000 * patience, `${how}: ${left.slowestMs} ms`);
        }
      }
      await nothingLeft();
    });
  }

  test('a client that ends its direction behind a whole request still gets the whole answer', async () => {
    for (const address of shopAddresses) {
      for (const state of ['request', 'answer', 'idle'] as const) {
        const options = {
          address,
          port: 80,
          state,
          how: 'shutdown',
          path: '/bytes?n=100000',
          count: eachCount,
        } as const;
        const { ends } = await leave(shop.client, options);
        // In the state `answer` the first byte was read before the counting began.
        assert.deepEqual(ends, { [state === 'request' ? 'fin/1' : 'fin/0']: eachCount }, state);
      }
      // An answer that comes long after the server has acknowledged the client's end.
      const slow = {
        address,
        port: 80,
        state: 'request',
        how: 'shutdown',
        path: '/slow?ms=50',
        count: eachCount,
      } as const;
      assert.deepEqual((await leave(shop.client, slow)).ends, { 'fin/1': eachCount });
    }
    await nothingLeft();
  });

  test('a client that is killed while an answer comes is known to the server at once', async () => {
    const busy = shop.client.spawn(['curl', '-sS', '-N', `http://${shopAddresses[0]}/trickle?n=100000&ms=5`]);
    const connected = async (): Promise<number> => {
      const each = await Promise.all(shop.all.map((server) => connections(server, 8080)));
      return each.flat().length;
    };
    await until('the connection is there', async () => (await connected()) === 1);
    await busy.kill('SIGKILL');
    await nothingLeft();
  });

  test('parked halves end with the client', async () => {
    const cases = [{ from: colors, path: '/' }];
    for (const address of shopAddresses) {
      const load = await httpLoad(shop.client, address, 80, cases, ['--requests', '200']);
      assert.deepEqual([load.failed, Object.keys(load.answers).length], [0, 3], 'three servers, one connection');
    }
    await nothingLeft();
  });

  for (const [i, [mode, , code, output]] of badServers.entries()) {
    test(`a server that does this to its client: ${mode}`, async () => {
      for (const [j, address] of badAddresses(i).entries()) {
        const url = `http://${j === 0 ? address : `[${address}]`}/`;
        const from = performance.now();
        const result = await shop.client.exec(['curl', '-sS', '-m', String(patience), url]);
        assert.deepEqual([result.code, output.test(result.stdout)], [code, true], `${result.stdout}${result.stderr}`);
        assert.ok(performance.now() - from < 3000 * patience);
      }
      await noConnections(bad, badPort + i, 5000 * patience);
    });
  }

  test('a connection that its server ends while nothing is asked is at its end for the client too', async () => {
    const [address] = badAddresses(badServers.findIndex(([mode]) => mode === 'idle'));
    // Says how long the end took to come, and what it was.
    const wait = `
import socket, sys, time
s = socket.create_connection((sys.argv[1], 80)); s.settimeout(5)
s.sendall(b"GET / HTTP/1.1\\r\\nHost: idle\\r\\n\\r\\n")
data = b""
while b"bad\\n" not in data: data += s.recv(4096)
print(repr(s.recv(4096)))`;
    assert.equal(await shop.client.output(['python3', '-c', wait, address]), "b''\n");
  });

  test('a server that is killed with connections open: its clients are told', async () => {
    const hold = `
import socket, sys
s = socket.create_connection((sys.argv[1], 80)); s.settimeout(10)
s.sendall(b"GET / HTTP/1.1\\r\\nHost: silent\\r\\n\\r\\n")
print("asked", flush=True)
try: print(repr(s.recv(1)))
except ConnectionResetError: print("reset")`;
    const victim = await startBad(bad, { port: 9100, mode: 'silent' });
    const addresses = ['10.96.1.100', 'fd00:10:96:1::100'] as const;
    shop.mesh.write('victim.yaml', service('victim', { addresses, selector: { app: 'bad' }, targetPort: 9100 }));
    await shop.mesh.settled();
    const client = shop.client.spawn(['python3', '-c', hold, addresses[0]]);
    await client.line(/^asked$/);
    await until('the request is there', async () => (await connections(bad, 9100)).some((line) => /^ESTAB/.test(line)));
    await victim.kill('SIGKILL');
    await client.exited;
    assert.match(client.stdout, /^asked\n(b''|reset)\n$/);
  });

  test('when all is done the kernel has forgotten every connection', async () => {
    await nothingLeft();
  });
});
