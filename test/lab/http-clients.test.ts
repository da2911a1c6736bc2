/** The HTTP servers and clients of the lab against each other, without a mesh: what they say is so when nothing is between. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad, httpLoadCommand, leave, leaveStates, leaveWays, loadResult, writtenInPieces } from './clients.ts';
import type { Host } from './host.ts';
import { httpClients } from './http-clients.ts';
import { Lab } from './lab.ts';
import { startNginx } from './nginx.ts';
import { patternDigest } from './pattern.ts';
import { requireRoot } from './root.ts';
import { type BadMode, startBad, startWeb } from './servers.ts';
import { connections, noConnections, until } from './sockets.ts';

const test = requireRoot(nodeTest);

/** Stays connected until its stdin ends. */
const hold = 'import socket, sys; s = socket.create_connection((sys.argv[1], 8080)); sys.stdin.read()';

describe('HTTP without a mesh', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let client: Host;
  let server: Host;

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    server = await lab.pod('red');
    await startWeb(server, { port: 8080 });
    await startNginx(server, { port: 80, extra: ' $request_uri' });
  });
  after(() => lab?.close());

  const curl = (path: string, ...flags: readonly string[]) =>
    client.exec(['curl', '-sS', '-m', '10', ...flags, `http://${server.ip4}:8080${path}`]);

  test('the server answers everything that a test may ask', async () => {
    const echo = JSON.parse((await curl('/echo/a?b=c', '-X', 'PUT', '-H', 'X-A: 1', '-H', 'x-a: 2')).stdout);
    assert.deepEqual([echo.name, echo.method, echo.path], ['red', 'PUT', '/echo/a?b=c']);
    assert.deepEqual(
      echo.headers.filter(([name]: readonly string[]) => name?.toLowerCase() === 'x-a'),
      [
        ['X-A', '1'],
        ['x-a', '2'],
      ],
    );
    const status = ['-o', '/dev/null', '-w', '%{http_code}'];
    assert.equal((await curl('/status?code=418', ...status)).stdout, '418');
    assert.equal((await curl('/status?code=204', ...status)).stdout, '204');
    assert.equal((await curl('/slow?ms=20')).stdout, 'red\n');
    assert.equal((await curl('/early', '-d', 'x'.repeat(50_000))).stdout, 'red early\n');
    assert.match((await curl('/close', '-v')).stderr, /< connection: close/i);
    assert.equal((await curl('/reset')).code, 56, 'curl: failure in receiving');
    assert.equal((await curl('/cut')).code, 18, 'curl: partial file');
    assert.equal((await curl('/abandon')).code, 52, 'curl: empty reply');
    const refused = ['-H', 'Expect: 100-continue', '-H', 'x-refuse: 1', '-d', 'x'];
    assert.equal((await curl('/digest', ...refused, ...status)).stdout, '417');
    assert.match((await curl('/digest', '-d', 'abc')).stdout, /"length":3,"sha256":"ba7816bf/);
    assert.match((await curl('/anything?x=1')).stdout, /^red \/anything\?x=1$/m);
    assert.equal(patternDigest(0), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    // The first reset and the cut were aborted by the server itself, which is not what is counted.
    assert.equal(JSON.parse((await curl('/stats')).stdout).open, 1);
  });

  for (const httpClient of httpClients) {
    for (const family of ['ip4', 'ip6'] as const) {
      test(`${httpClient.name} has nothing to complain of, ${family}`, async () => {
        assert.deepEqual(await httpClient.run(client, { address: server[family], port: 8080, names: ['red'] }), []);
      });
    }
  }

  test('a client complains when someone else answers', async () => {
    for (const httpClient of httpClients.filter(({ name }) => !/^(wrk|ab|h2load)/.test(name))) {
      const findings = await httpClient.run(client, { address: server.ip4, port: 8080, names: ['blue'] });
      assert.ok(findings.length > 0, httpClient.name);
    }
    for (const httpClient of httpClients) {
      const findings = await httpClient.run(client, { address: server.ip4, port: 9999, names: ['red'] });
      assert.ok(findings.length > 0, `${httpClient.name}: nobody listens there`);
    }
  });

  test('the load counts answers, misrouted and crossed ones', async () => {
    const cases = [
      { from: 'red', path: '/a' },
      { from: ['blue', 'red'], path: '/b?x=y', fields: ['x-user: jane'] },
    ];
    const well = await httpLoad(client, server.ip6, 80, cases, ['--requests', '1000', '--pieces', '--pad', '2000']);
    assert.deepEqual([well.answers, well.errors], [{ red: 1000 }, {}]);
    assert.deepEqual([well.misrouted, well.crossed, well.failed, well.connections], [0, 0, 0, 1]);
    assert.equal(well.rates.length, 10);
    const wrong = await httpLoad(client, server.ip4, 80, [{ from: 'blue', path: '/' }], ['--requests', '10']);
    assert.deepEqual([wrong.misrouted, wrong.failed], [10, 0]);
    const status = [{ from: '404', path: '/status?code=404' }];
    assert.deepEqual((await httpLoad(client, server.ip4, 8080, status, ['--requests', '10'])).answers, { 404: 10 });
    const nobody = await httpLoad(client, server.ip4, 9999, [{ from: 'red', path: '/' }], ['--requests', '3']);
    assert.deepEqual(nobody.errors, { ECONNREFUSED: 4 });
  });

  test('new connections, some of them left by their client: the server keeps none', async () => {
    const flags = ['--new', '--requests', '3000', '--connections', '4', '--abort', '200'];
    const result = await httpLoad(client, server.ip4, 80, [{ from: 'red', path: '/' }], flags);
    assert.deepEqual([result.errors, result.misrouted], [{}, 0]);
    assert.ok(result.aborted > 400 && result.aborted < 800, String(result.aborted));
    assert.equal(result.answers['red'], 3000 - result.aborted);
  });

  test('pairs of connections from one local port to two addresses', async () => {
    const other = await lab.pod('blue');
    // A client of its own, and each port once: none of its ports is in TIME_WAIT, which can be shared after a second only.
    const pairs = await lab.pod('pairs');
    await startNginx(other, { port: 80, extra: ' $request_uri' });
    const flags = ['--direct', `${other.ip4},80,blue`, '--ports', '20000-20999', '--requests', '1000'];
    const result = await httpLoad(
      pairs,
      server.ip4,
      80,
      [{ from: 'red', path: '/' }],
      [...flags, '--connections', '3'],
    );
    assert.deepEqual([result.answers, result.errors, result.crossed], [{ red: 2000, blue: 2000 }, {}, 0]);
  });

  test('requests written in every way arrive whole', async () => {
    for (const family of ['ip4', 'ip6'] as const) {
      const targets = [{ name: 'red', address: server[family], port: 8080 }];
      const { failures, rows } = await writtenInPieces(client, targets, { rounds: 3 });
      assert.deepEqual(failures, []);
      assert.equal(rows.length, 16 * 8, 'ways and sizes');
    }
    const nobody = [{ name: 'nobody', address: server.ip4, port: 9999 }];
    const { failures } = await writtenInPieces(client, nobody, { rounds: 1, ways: ['whole'], sizes: [0] });
    assert.deepEqual(failures, ['whole 0 nobody: ECONNREFUSED']);
  });

  for (const state of leaveStates) {
    test(`clients that leave (${state}): the server keeps no connection`, async () => {
      for (const how of leaveWays) {
        for (const address of [server.ip4, server.ip6]) {
          const path = state === 'answer' ? '/bytes?n=3000000' : '/slow?ms=20';
          const left = await leave(client, { address, port: 8080, state, how, count: 5, path });
          assert.deepEqual([left.done, left.errors], [5, {}], how);
          if (how === 'shutdown') assert.ok(Object.keys(left.ends).length > 0, JSON.stringify(left));
        }
      }
      await noConnections(server, 8080);
    });
  }

  test('a client that ends its direction behind a whole request still gets the whole answer', async () => {
    for (const [state, end] of [
      ['request', 'fin/1'],
      // Its first byte was read before the counting began.
      ['answer', 'fin/0'],
      ['idle', 'fin/0'],
    ] as const) {
      const options = { address: server.ip4, port: 8080, state, how: 'shutdown', path: '/bytes?n=100000' } as const;
      assert.deepEqual((await leave(client, { ...options, count: 5 })).ends, { [end]: 5 }, state);
    }
  });

  test('what is still connected is seen', async () => {
    const open = client.spawn(['python3', '-c', hold, server.ip4], { holdInput: true });
    await until('a connection', async () => (await connections(server, 8080)).length === 1);
    await assert.rejects(noConnections(server, 8080, 50), /ESTAB/);
    open.endInput();
    await open.exited;
    await noConnections(server, 8080);
  });

  test('a load that runs until its stdin ends', async () => {
    const command = httpLoadCommand(server.ip4, 80, [{ from: 'red', path: '/' }], ['--until-eof', '--rate', '200']);
    const running = client.spawn(command, { holdInput: true });
    await running.line(/^ready$/);
    running.endInput();
    const { failed, misrouted } = await loadResult(running);
    assert.deepEqual([failed, misrouted], [0, 0]);
  });

  const modes: readonly (readonly [BadMode, number, number, RegExp])[] = [
    // Mode, its number, curl's exit code, what curl printed.
    ['silent', 0, 28, /^$/],
    ['deaf', 0, 28, /^$/],
    ['reset', 0, 56, /^$/],
    ['hang-up', 0, 52, /^$/],
    ['reset-head', 0, 56, /^$/],
    ['idle', 50, 0, /^red\n$/],
    ['one', 0, 0, /^red\n$/],
    ['timeout', 50, 0, /^red\n$/],
    ['half-close', 0, 0, /^red\n$/],
    ['http10', 0, 0, /^red\n$/],
    ['until-close', 0, 0, /^red\n$/],
    ['cut', 0, 18, /^k{500}$/],
    ['reset-body', 0, 56, /^k*$/],
    ['garbage', 0, 1, /^$/],
    ['interim', 3, 0, /^red\n$/],
    ['surplus', 0, 0, /^red\n$/],
    ['pieces', 0, 0, /^red\n$/],
  ];
  for (const [i, [mode, number, code, output]] of modes.entries()) {
    test(`a bad server: ${mode}`, async () => {
      const port = 9000 + i;
      await startBad(server, { port, mode, number });
      const result = await client.exec(['curl', '-sS', '-m', '1', `http://${server.ip4}:${port}/`]);
      assert.deepEqual([result.code, output.test(result.stdout)], [code, true], `${result.stdout}${result.stderr}`);
    });
  }
});
