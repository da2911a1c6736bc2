/** Layer 4: who gets the connections of an enrolled pod. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { EndpointItem } from '../../src/api/types.ts';
import { manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { balanced, entry, file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';
import { startUdpEcho } from '../lab/servers.ts';

const test = requireRoot(nodeTest);

/** 30 000 connections: a share of 1/3 has a standard deviation of 0.27 %, of 1/10 of 0.17 %. */
const many = patience === 1 ? 30_000 : 1_000;
const tolerance = patience === 1 ? 0.02 : 0.07;

/** 6 000 datagrams: 0.61 % standard deviation; 200 on a slow machine: 3.3 %. */
const udpTolerance = patience === 1 ? 0.03 : 0.16;

/** VIP, endpoint, port: both by connect() and by sendto(); every address shown must be the one just asked for. */
const turning = `
import socket, sys
vip, direct, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
for target in (vip, 53), (direct, port), (vip, 53):
    s.connect(target)
    assert s.getpeername() == target, s.getpeername()
    s.send(b"x")
    assert s.recvfrom(99)[1] == target
print("connected as asked")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
# Every endpoint is asked through the service first, so that each one's answers are shown as the service's.
for _ in range(60):
    s.sendto(b"x", (vip, 53))
    assert s.recvfrom(99)[1] == (vip, 53)
s.sendto(b"x", (direct, port))
source = s.recvfrom(99)[1]
assert source == (direct, port), source
print("sent as asked")
`;

const names = ['red', 'green', 'blue'] as const;
const udpPort = 5353;

describe('balancing', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: Host[];

  const shares = (answers: Readonly<Record<string, number>>): number[] => {
    const total = Object.values(answers).reduce((a, b) => a + b, 0);
    return names.map((name) => (answers[name] ?? 0) / total);
  };
  const assertShares = (answers: Readonly<Record<string, number>>, wanted: readonly number[]): void => {
    shares(answers).forEach((share, i) => {
      const want = wanted[i] ?? 0;
      assert.ok(Math.abs(share - want) <= tolerance, `${names[i]}: ${share}, wanted ${want}`);
    });
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startNginx(s, { port: 8080 })));
    await Promise.all(servers.map((s) => startUdpEcho(s, { port: udpPort })));
    mesh = meshOf(lab);
    const v4 = servers.map((s) => ({ address: s.ip4 }));
    const v6 = servers.map((s) => ({ address: s.ip6 }));
    const weighted = [8, 1, 1].map((weight, i) => ({ address: servers[i]?.ip4 ?? '', weight }));
    mesh.write(
      'pods.yaml',
      file(namespace('shop', true), pod(client), ...servers.map((s) => pod(s, { app: 'color' }))),
    );
    mesh.write(
      'services.yaml',
      file(
        entry('even', { addresses: ['10.96.0.1', 'fd00:10:96::1'], endpoints: [...v4, ...v6] }),
        entry('weighted', { addresses: ['10.96.0.2'], endpoints: weighted }),
        entry('turns', { addresses: ['10.96.0.3', 'fd00:10:96::3'], endpoints: [...v4, ...v6] }),
        balanced('turns.example', 'ROUND_ROBIN'),
        entry('weighted-turns', { addresses: ['10.96.0.4'], endpoints: weighted }),
        balanced('weighted-turns.example', 'ROUND_ROBIN'),
        entry('empty', { addresses: ['10.96.0.5', 'fd00:10:96::5'], endpoints: [] }),
        entry('dns', {
          addresses: ['10.96.0.53', 'fd00:10:96::53'],
          port: 53,
          protocol: 'UDP',
          targetPort: udpPort,
          endpoints: [...v4, ...v6],
        }),
        entry('no-dns', { addresses: ['10.96.0.54'], port: 53, protocol: 'UDP', endpoints: [] }),
      ),
    );
    mesh.write(
      'sticky.yaml',
      `
apiVersion: v1
kind: Service
metadata: {name: sticky, namespace: shop}
spec:
  clusterIP: 10.96.0.6
  selector: {app: color}
  sessionAffinity: ClientIP
  ports: [{port: 80, targetPort: http}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: every, namespace: shop}
spec:
  hosts: [every.example]
  resolution: STATIC
  ports: [{number: 9999, name: tcp, protocol: TCP, targetPort: 8080}]
  endpoints: [{address: ${servers[0]?.ip4 ?? ''}}]
`,
    );
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  for (const [what, args] of [
    ['IPv4', ['10.96.0.1', '80']],
    ['IPv6', ['fd00:10:96::1', '80']],
    ['IPv4 by an IPv6 socket', ['10.96.0.1', '80', '--family', 'mapped']],
  ] as const) {
    test(`three endpoints get a third each of ${many} connections, and getpeername shows the service: ${what}`, async () => {
      const [host, port, ...flags] = args;
      const result = await manyConnections(client, [
        host,
        port,
        String(many),
        '--parallel',
        '2',
        '--getpeername',
        ...flags,
      ]);
      assert.deepEqual(result.errors, {});
      assert.equal(result.mismatches, 0);
      assertShares(result.answers, [1 / 3, 1 / 3, 1 / 3]);
    });
  }

  test('weights 8:1:1 hold', async () => {
    const result = await manyConnections(client, ['10.96.0.2', '80', String(many), '--parallel', '2']);
    assert.deepEqual(result.errors, {});
    assertShares(result.answers, [0.8, 0.1, 0.1]);
  });

  for (const address of ['10.96.0.3', 'fd00:10:96::3']) {
    test(`round robin is exact for connections one after the other: ${address}`, async () => {
      const { sequence, errors } = await manyConnections(client, [address, '80', '300', '--sequence']);
      assert.deepEqual(errors, {});
      const round = sequence?.slice(0, 3) ?? [];
      assert.deepEqual([...round].sort(), [...names].sort());
      for (const [i, name] of (sequence ?? []).entries()) assert.equal(name, round[i % 3], `connection ${i}`);
    });
  }

  test('weighted round robin gives exactly 8, 1 and 1 of each ten', async () => {
    const { answers } = await manyConnections(client, ['10.96.0.4', '80', '1000']);
    assert.deepEqual(answers, { red: 800, green: 100, blue: 100 });
  });

  test('session affinity keeps a client on one endpoint', async () => {
    const { answers, errors } = await manyConnections(client, ['10.96.0.6', '80', '200']);
    assert.deepEqual(errors, {});
    assert.deepEqual(Object.values(answers), [200]);
  });

  test('a listener on every address serves its port whatever the address', async () => {
    for (const address of ['192.0.2.7', '198.51.100.1']) {
      const { answers } = await manyConnections(client, [address, '9999', '5', '--getpeername']);
      assert.deepEqual(answers, { red: 5 });
    }
  });

  for (const [what, flags] of [
    ['a socket for each, not connected', []],
    ['connected', ['--connected']],
    ['sendmsg and recvmsg', ['--sendmsg']],
    ['one socket for all', ['--one-socket']],
  ] as const) {
    for (const address of ['10.96.0.53', 'fd00:10:96::53']) {
      test(`UDP to ${address}, ${what}: a third each, and answers come from the service's address`, async () => {
        const args = [address, '53', String(many / 5), '--udp', '--getpeername', ...flags];
        const result = await manyConnections(client, args);
        assert.deepEqual(result.errors, {});
        assert.equal(result.mismatches, 0);
        for (const share of shares(result.answers)) assert.ok(Math.abs(share - 1 / 3) < udpTolerance, String(share));
      });
    }
  }

  test('a datagram socket that turns from the service to an endpoint itself sees the endpoint', async () => {
    const direct = servers[0]?.ip4 ?? '';
    const { stdout, stderr } = await client.exec(['python3', '-c', turning, '10.96.0.53', direct, String(udpPort)]);
    assert.equal(stderr, '');
    assert.equal(stdout, 'connected as asked\nsent as asked\n');
  });

  test('an address that means this host is not served by a listener on every address', async () => {
    const { errors } = await manyConnections(client, ['0.0.0.0', '9999', '3']);
    assert.deepEqual(errors, { ECONNREFUSED: 3 });
  });

  test('a service without a usable endpoint refuses at once and is counted by reason', async () => {
    const before = (await mesh.get<{ service: string; refused: number }>('listeners')).filter(
      (l) => l.service === 'empty',
    );
    for (const args of [
      ['10.96.0.5', '80'],
      ['fd00:10:96::5', '80'],
      ['10.96.0.54', '53', '--udp', '--connected'],
    ]) {
      const result = await manyConnections(client, [...args.slice(0, 2), '20', ...args.slice(2)]);
      assert.deepEqual(result.errors, { ECONNREFUSED: 20 });
      assert.ok(result.seconds < 2 * patience, `${result.seconds} s`);
    }
    const after = (await mesh.get<{ service: string; refused: number }>('listeners')).filter(
      (l) => l.service === 'empty',
    );
    assert.deepEqual(
      after.map((l, i) => l.refused - (before[i]?.refused ?? 0)),
      [20, 20],
    );
    const failed = await mesh.metric('istio_tcp_connections_failed_total');
    assert.ok(
      failed.some((line) => line.includes('response_flags="UH"') && line.includes('empty.example')),
      failed.join('\n'),
    );
  });

  test('what the kernel counted is what the client did', async () => {
    const counted = async () =>
      (await mesh.get<EndpointItem>('endpoints')).filter((e) => e.service === 'even' && e.address.includes('.'));
    const before = await counted();
    const { answers } = await manyConnections(client, ['10.96.0.1', '80', '500']);
    const after = await counted();
    const opened = after.map((e, i) => e.connectionsOpened - (before[i]?.connectionsOpened ?? 0));
    assert.deepEqual(
      opened,
      names.map((name) => answers[name] ?? 0),
    );
    const request = 'GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n'.length;
    const sent = after.map((e, i) => e.sentBytes - (before[i]?.sentBytes ?? 0));
    assert.deepEqual(
      sent,
      opened.map((n) => n * request),
    );
  });
});
