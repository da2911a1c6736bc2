import assert from 'node:assert/strict';
import { test as nodeTest } from 'node:test';
import { httpLoad } from './clients.ts';
import { Lab } from './lab.ts';
import { startNginx } from './nginx.ts';
import { requireRoot } from './root.ts';
import { Wire } from './wire.ts';

const test = requireRoot(nodeTest);
const anyone = [{ from: 'server', path: '/' }];

test('packets are lost in both directions at the share that was asked for, and TCP mends it', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startNginx(server, { port: 80, extra: ' $request_uri' });
  using wire = Wire.attach(client);
  for (const address of [server.ip4, server.ip6]) {
    const before = { ingress: wire.count('ingress'), egress: wire.count('egress') };
    wire.set({ loseOut: 0.05, loseIn: 0.05 });
    const flags = ['--requests', '2000', '--connections', '8', '--timeout', '20000'];
    const result = await httpLoad(client, address, 80, anyone, flags);
    assert.deepEqual([result.answers, result.errors], [{ server: 2000 }, {}]);
    assert.ok(result.maxUs > 100_000, `no request waited for a retransmission: ${result.maxUs} us`);
    for (const direction of ['ingress', 'egress'] as const) {
      const seen = Number(wire.count(direction).seen - before[direction].seen);
      const lost = Number(wire.count(direction).lost - before[direction].lost);
      assert.ok(seen > 2000, `${direction}: ${seen} packets`);
      // 2 000 packets at 5 %: a standard deviation of 0.5 %.
      assert.ok(lost / seen > 0.025 && lost / seen < 0.075, `${direction}: ${lost} of ${seen}`);
    }
    wire.set({});
    const mended = wire.count('egress').lost;
    await httpLoad(client, address, 80, anyone, ['--requests', '500']);
    assert.equal(wire.count('egress').lost, mended);
  }
});

test('a port that loses everything answers nobody, others do', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startNginx(server, { port: 80, extra: ' $request_uri' });
  await startNginx(server, { port: 81, extra: ' $request_uri' });
  using wire = Wire.attach(server);
  wire.set({ loseIn: 1, port: 81 });
  const silent = await httpLoad(client, server.ip4, 81, anyone, ['--requests', '1', '--timeout', '300']);
  assert.deepEqual(silent.errors, { TIMEOUT: 2 });
  assert.ok(wire.count('ingress').lost >= 2n);
  assert.equal((await httpLoad(client, server.ip4, 80, anyone, ['--requests', '10'])).answers['server'], 10);
});

test('packets overtake each other, and the receiver sees it', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startNginx(server, { port: 80, extra: ' $request_uri' });
  using wire = Wire.attach(client);
  await wire.prepareLate();
  wire.set({ late: 0.2 });
  const flags = ['--requests', '3000', '--connections', '4', '--pieces', '--pad', '3000'];
  const result = await httpLoad(client, server.ip4, 80, anyone, flags);
  assert.deepEqual([result.answers, result.errors], [{ server: 3000 }, {}]);
  assert.ok(wire.count('egress').held > 500n, String(wire.count('egress').held));
  // nstat's counters are the namespace's own.
  const counters = await server.output(['nstat', '-asz', 'TcpExtTCPOFOQueue']);
  assert.ok(Number(/TcpExtTCPOFOQueue\s+(\d+)/.exec(counters)?.[1]) > 100, counters);
});
