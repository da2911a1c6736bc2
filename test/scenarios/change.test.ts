/** What changes while traffic flows: endpoints, the daemon, the mesh itself. No connection may notice. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionItem } from '../../src/api/types.ts';
import { cgroupPath } from '../lab/cgroup.ts';
import { clientResult, type ManyResult, manyConnections, manyConnectionsCommand } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import type { LabProcess } from '../lab/process.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { startTcpEcho } from '../lab/servers.ts';

const test = requireRoot(nodeTest);
/** Says 1000 bytes, reads them back behind the echo's greeting, and stays connected until its stdin ends. */
const talk = `
import socket, sys
s = socket.create_connection(("10.96.0.9", 80))
s.sendall(b"x" * 1000)
n = 0
while n < 1004:
    n += len(s.recv(4096))
print("said", n, flush=True)
sys.stdin.read()
`;

const names = ['red', 'green', 'blue', 'white'] as const;
const keptConnections = 20;
const restarts = patience === 1 ? 5 : 2;
const rate = patience === 1 ? 100 : 10;

describe('change under load', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: Host[];

  const service = (...of: readonly Host[]): string =>
    entry('shop', {
      addresses: ['10.96.0.1', 'fd00:10:96::1'],
      endpoints: of.flatMap((s) => [{ address: s.ip4 }, { address: s.ip6 }]),
    });

  /** Connections at a steady rate; the promise gives what the client saw. */
  const load = (seconds: number): { result: Promise<ManyResult> } => {
    const args = ['10.96.0.1', '80', '--rate', String(rate), '--seconds', String(seconds)];
    const run = client.spawn(manyConnectionsCommand(args));
    return { result: run.exited.then(() => clientResult(run) as unknown as ManyResult) };
  };
  /** Keep-alive connections that have to live on. */
  const kept = async (): Promise<LabProcess> => {
    const args = ['10.96.0.1', '80', '--connections', String(keptConnections), '--rate', '50', '--until-eof'];
    const run = client.spawn([...pythonProgram('clients/keep_alive.py'), ...args], { holdInput: true });
    await run.line(/^ready$/);
    return run;
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startNginx(s, { port: 8080 })));
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client), ...servers.map((s) => pod(s))));
    mesh.write('shop.yaml', service(...servers));
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('endpoints come and go every 100 ms for 30 s: no connection fails', async () => {
    const seconds = patience === 1 ? 30 : 10;
    const { result } = load(seconds);
    let changes = 0;
    for (const end = Date.now() + seconds * 1000; Date.now() < end; changes++) {
      // Always one server stays, and never the same set twice in a row.
      const subset = servers.filter((_, i) => i === changes % servers.length || ((changes >> i) & 1) === 1);
      mesh.write('shop.yaml', service(...subset));
      await delay(100);
    }
    const { answers, errors } = await result;
    assert.deepEqual(errors, {});
    assert.ok(changes > 3 * seconds, `${changes} changes`);
    assert.deepEqual(Object.keys(answers).sort(), [...names].sort());
    mesh.write('shop.yaml', service(...servers));
    await mesh.settled();
  });

  test('an endpoint that is added or removed counts from the next connection on', async () => {
    for (const wanted of [servers.slice(0, 1), servers.slice(1, 3), servers]) {
      mesh.write('shop.yaml', service(...wanted));
      await mesh.settled();
      const { answers } = await manyConnections(client, ['10.96.0.1', '80', '400']);
      assert.deepEqual(Object.keys(answers).sort(), wanted.map((s) => s.name).sort());
    }
  });

  test(`the daemon is killed and started again ${restarts} times: no connection fails, new ones are balanced meanwhile`, async () => {
    const started = servers.length;
    const open = await kept();
    const { result } = load(patience === 1 ? 15 : 60);
    for (let i = 0; i < restarts; i++) {
      await mesh.daemon.kill('SIGKILL');
      const away = await manyConnections(client, ['fd00:10:96::1', '80', '200']);
      assert.deepEqual(away.errors, {});
      assert.equal(Object.keys(away.answers).length, started, 'balanced while the daemon is away');
      await mesh.start(['--log-level', 'debug']);
      assert.match(
        mesh.daemon.stderr,
        /publish: published services=\d+ written=0 removed=0/,
        'nothing is written anew',
      );
    }
    assert.deepEqual((await result).errors, {});
    await endOf(open);
    await mesh.settled();
  });

  test('SIGTERM ends the daemon with exit code 0 and leaves the traffic alone', async () => {
    const open = await kept();
    assert.deepEqual(await mesh.daemon.kill('SIGTERM'), { code: 0, signal: null });
    assert.deepEqual((await manyConnections(client, ['10.96.0.1', '80', '100'])).errors, {});
    await mesh.start();
    await endOf(open);
  });

  test('changes made while the daemon is away are taken over when it starts', async () => {
    await mesh.daemon.kill('SIGKILL');
    mesh.write('shop.yaml', service(...servers.slice(0, 2)));
    assert.equal(Object.keys((await manyConnections(client, ['10.96.0.1', '80', '400'])).answers).length, 4);
    await mesh.start();
    assert.equal(Object.keys((await manyConnections(client, ['10.96.0.1', '80', '400'])).answers).length, 2);
    mesh.write('shop.yaml', service(...servers));
    await mesh.settled();
  });

  test('a table of another size is made anew without a lost connection', async () => {
    const { result } = load(patience === 1 ? 5 : 40);
    const open = await kept();
    await mesh.daemon.kill('SIGTERM');
    await mesh.start(['--max-endpoints', '5000', '--max-listeners', '700']);
    assert.match(mesh.daemon.stderr, /map is made anew map=km_endpoint/);
    await mesh.settled();
    await mesh.daemon.kill('SIGTERM');
    await mesh.start();
    assert.deepEqual((await result).errors, {});
    await endOf(open);
    await mesh.settled();
  });

  test('one table of another size takes those with it that point into it', async () => {
    await mesh.daemon.kill('SIGTERM');
    await mesh.start(['--max-slots', '4000']);
    await mesh.settled();
    assert.deepEqual((await manyConnections(client, ['10.96.0.1', '80', '100'])).errors, {});
    await mesh.daemon.kill('SIGTERM');
    await mesh.start();
    await mesh.settled();
  });

  test('the daemon moves to another cgroup and leaves the first', async () => {
    await mesh.daemon.kill('SIGTERM');
    await mesh.start(['--cgroup2-path', cgroupPath(lab.prefix, 'outside')]);
    const outside = { cgroup: 'outside' } as const;
    assert.deepEqual((await manyConnections(client, ['10.96.0.1', '80', '100'], outside)).errors, {});
    const inside = await manyConnections(client, ['10.96.0.1', '80', '2', '--timeout', '2']);
    assert.equal(inside.failures, 2);
    await mesh.daemon.kill('SIGTERM');
    await mesh.start();
    await mesh.settled();
    assert.deepEqual((await manyConnections(client, ['10.96.0.1', '80', '100'])).errors, {});
  });

  test('a second daemon for the same pins is refused', async () => {
    const second = mesh.launch(['--admin-address', 'localhost:15201', '--metrics-address', '[::]:15021']);
    assert.equal((await second.exited).code, 1);
    assert.match(second.stderr, /KM5012/);
  });

  test('a live connection is listed with what it has carried, across a restart', async () => {
    const server = servers[0] ?? client;
    await startTcpEcho(server, { name: 'red', port: 9090 });
    mesh.write(
      'echo.yaml',
      entry('echo', { addresses: ['10.96.0.9'], targetPort: 9090, endpoints: [{ address: server.ip4 }] }),
    );
    await mesh.settled();
    const talker = client.spawn(['python3', '-c', talk], { holdInput: true });
    await talker.line(/^said 1004$/);
    const listed = async () =>
      (await mesh.get<ConnectionItem>('connections')).filter((c) => c.service === 'echo.example');
    for (const restart of [false, true]) {
      if (restart) {
        await mesh.daemon.kill('SIGKILL');
        await mesh.start();
      }
      const [connection, ...others] = await listed();
      assert.deepEqual(others, []);
      assert.deepEqual(
        [connection?.workload, connection?.destination, connection?.remote, connection?.state],
        ['client', '10.96.0.9:80', `${server.ip4}:9090`, 'ESTABLISHED'],
      );
      assert.deepEqual([connection?.sentBytes, connection?.receivedBytes], [1000, 1004]);
    }
    talker.endInput();
    await talker.exited;
    assert.deepEqual(await listed(), [], 'a connection that was closed is not listed');
  });
});

/** Ends a keep-alive client and checks that none of its connections broke. */
async function endOf(open: LabProcess): Promise<void> {
  open.endInput();
  await open.exited;
  const { errors, connections, requests } = clientResult(open);
  assert.deepEqual(errors, {});
  assert.equal(connections, keptConnections);
  assert.ok(Number(requests) > keptConnections);
}
