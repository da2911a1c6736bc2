import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test as nodeTest } from 'node:test';
import { findCgroup2 } from '../../src/kernel/cgroup.ts';
import { cgroupRoot, processesOf } from './cgroup.ts';
import { clientResult, manyConnections } from './clients.ts';
import { Lab, sweepLabs } from './lab.ts';
import { startNginx } from './nginx.ts';
import { ownerIsAlive, ownerTag } from './owner.ts';
import { pythonProgram } from './python.ts';
import { requireRoot } from './root.ts';
import { startHttp, startTcpEcho, startUdpEcho } from './servers.ts';

const test = requireRoot(nodeTest);

/** Everything on the machine that has the prefix in its name. */
function traces(prefix: string): string[] {
  return ['/run', '/run/netns', '/sys/fs/bpf', findCgroup2()]
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory).map((name) => join(directory, name)))
    .filter((path) => path.includes(prefix));
}

const statusOf = (pid: number): string =>
  existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';

test('pods reach each other and the node by IPv4 and IPv6', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startHttp(server, { port: 8080 });
  await startHttp(lab.node, { port: 8080 });
  for (const [host, from] of [
    [server, client],
    [lab.node, client],
  ] as const) {
    const four = await from.exec(['curl', '-sS', '-m', '5', `http://${host.ip4}:8080/hello`]);
    assert.deepEqual(four, { code: 0, stdout: `${host.name} ::ffff:${client.ip4} /hello\n`, stderr: '' });
    const six = await from.exec(['curl', '-sS', '-m', '5', `http://[${host.ip6}]:8080/hello`]);
    assert.deepEqual(six, { code: 0, stdout: `${host.name} ${client.ip6} /hello\n`, stderr: '' });
  }
  const json = await client.output(['curl', '-sS', '-H', 'accept: application/json', `http://${server.ip4}:8080/a`]);
  const expected = { name: 'server', remote: `::ffff:${client.ip4}`, path: '/a', connections: 3, requests: 3 };
  assert.deepEqual(JSON.parse(json), expected);
  const size = ['curl', '-sS', '-o', '/dev/null', '-w', '%{size_download}', `http://${server.ip4}:8080/bytes/1000000`];
  assert.equal(await client.output(size), '1000000');
});

test('an address that nobody has is unreachable', async () => {
  await using lab = await Lab.create();
  const client = await lab.pod('client');
  for (const address of ['10.96.0.10', '[fd00:10:96::10]']) {
    const { code } = await client.exec(['curl', '-sS', '-m', '5', `http://${address}/`]);
    assert.equal(code, 7, 'curl: could not connect');
  }
});

test('making a pod is a matter of milliseconds, not of waiting for something', async () => {
  await using lab = await Lab.create();
  const begin = performance.now();
  for (let i = 0; i < 4; i += 1) await lab.pod(`pod-${i}`);
  const each = (performance.now() - begin) / 4;
  // Some 30 ms here; duplicate address detection alone would be a second.
  assert.ok(each <= 900, `${each.toFixed(0)} ms a pod`);
});

test('programs run in the namespace and the cgroup of the lab, and see bpffs and cgroup v2', async () => {
  await using lab = await Lab.create();
  const pod = await lab.pod('pod');
  const where = async (cgroup: 'inside' | 'outside') =>
    await pod.output(['sh', '-c', 'grep 0:: /proc/self/cgroup; stat -Lc %i /proc/self/ns/net'], { cgroup });
  const inode = (await lab.node.output(['stat', '-c', '%i', pod.netnsPath])).trim();
  assert.equal(await where('inside'), `0::/${lab.prefix}/inside\n${inode}\n`);
  assert.equal(await where('outside'), `0::/${lab.prefix}/outside\n${inode}\n`);
  const types = await pod.output(['stat', '-f', '-c', '%T', lab.bpfFsPath, lab.cgroup]);
  assert.equal(types, 'bpf_fs\ncgroup2fs\n');
});

test('a program that fails, hangs or ends early is told from one that works', async () => {
  await using lab = await Lab.create();
  assert.equal((await lab.node.exec(['sh', '-c', 'exit 3'])).code, 3);
  await assert.rejects(lab.node.output(['sh', '-c', 'echo why >&2; exit 3']), /exit 3\nwhy/);
  await assert.rejects(lab.node.exec(['sleep', '60'], { timeoutMs: 50 }), /still running after 50 ms/);
  const early = lab.node.spawn(['sh', '-c', 'echo going; echo sad >&2']);
  await assert.rejects(early.line(/^ready$/), /exit 0\): has ended\ngoing\nsad/);
  assert.equal((await early.line(/^g(.*)$/))[1], 'oing', 'lines of the past count');
  assert.equal((await lab.node.exec(['cat'], { input: 'text' })).stdout, 'text');
});

test('close leaves no process, namespace, cgroup, pin directory or file', async () => {
  const lab = await Lab.create();
  const pod = await lab.pod('pod');
  await startNginx(pod, { port: 80 });
  // A grandchild that left its group and its parent, as a daemon does.
  const escaped = pod.spawn(['sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!; exit 0']);
  const pid = Number((await escaped.line(/^\d+$/))[0]);
  await escaped.exited;
  assert.ok(processesOf(cgroupRoot(lab.prefix)).length >= 3, 'nginx, its worker, sleep');
  assert.equal(traces(lab.prefix).length, 5);
  await lab.close();
  assert.deepEqual(traces(lab.prefix), []);
  assert.equal(lab.processes.size, 0);
  // Its last parent may be slow to collect it.
  assert.match(statusOf(pid), /^$|^State:\tZ/m);
});

test('what a killed process left is swept, what a living one has is not', async () => {
  await using lab = await Lab.create();
  const script = `
    import { Lab } from ${JSON.stringify(join(import.meta.dirname, 'lab.ts'))};
    const lab = await Lab.create();
    (await lab.pod('pod')).spawn(['sleep', '1000']);
    console.log(lab.prefix);
    setInterval(() => undefined, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = (await once(other.stdout, 'data')) as [Buffer];
  const prefix = output.toString().trim();
  assert.deepEqual(sweepLabs(), []);
  assert.equal(traces(prefix).length, 5);
  other.kill('SIGKILL');
  await once(other, 'exit');
  assert.deepEqual(sweepLabs(), [prefix]);
  assert.deepEqual(traces(prefix), []);
  assert.equal(traces(lab.prefix).length, 4);
});

test('a process that ends without close takes its lab with it', () => {
  const script = `
    import { Lab } from ${JSON.stringify(join(import.meta.dirname, 'lab.ts'))};
    const lab = await Lab.create();
    (await lab.pod('pod')).spawn(['sleep', '1000']);
    console.log(lab.prefix);
    throw new Error('on purpose');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.match(stderr, /on purpose/);
  assert.match(stdout, /^kmesh-lab-/);
  assert.deepEqual(traces(stdout.trim()), []);
});

test('an owner is known by its start time too', () => {
  assert.ok(ownerIsAlive(ownerTag()));
  assert.ok(!ownerIsAlive(`${process.pid}-1`));
  const ended = spawn('true');
  const tag = ownerTag(ended.pid);
  // This thread waits here, so nobody collects the child: it stays a zombie.
  const deadline = Date.now() + 2000;
  while (ownerIsAlive(tag) && Date.now() < deadline) spawnSync('true');
  assert.match(statusOf(ended.pid ?? 0), /^State:\tZ/m);
  assert.ok(!ownerIsAlive(tag), 'a zombie owns nothing');
});

test('many connections: who answered, how fast, what failed', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startNginx(server, { port: 80 });
  await startTcpEcho(server, { port: 7 });
  const many = (...args: (string | number)[]) => manyConnections(client, args.map(String));
  const fast = await many(server.ip4, 80, 6000, '--parallel', 2);
  assert.deepEqual(fast.answers, { server: 6000 });
  assert.equal(fast.failures, 0);
  assert.ok(fast.rate >= 50, `${fast.rate} connections a second`);
  for (const [host, ...options] of [
    [server.ip4],
    [server.ip6, '--family', '6'],
    [server.ip4, '--family', 'mapped'],
  ] as const) {
    for (const port of [80, 7]) {
      const result = await many(host, port, 20, '--getpeername', '--sequence', ...options);
      assert.deepEqual([result.answers, result.mismatches], [{ server: 20 }, 0], `${host} ${port}`);
      assert.deepEqual(result.sequence, Array(20).fill('server'));
    }
  }
  const refused = await many(server.ip4, 81, 5);
  assert.deepEqual([refused.answers, refused.failures, refused.errors], [{}, 5, { ECONNREFUSED: 5 }]);
  const paced = await many(server.ip4, 80, '--rate', 100, '--seconds', 1);
  assert.deepEqual(paced.answers, { server: 100 });
  assert.ok(paced.seconds >= 0.98 && paced.seconds < 2, `${paced.seconds} s`);
  const nobody = ['ip', 'neigh', 'add', '192.0.2.1', 'lladdr', '02:00:00:00:00:09', 'dev', 'eth0', 'nud', 'permanent'];
  await client.output(['ip', 'route', 'add', '192.0.2.1', 'dev', 'eth0']);
  await client.output(nobody);
  const hangs = await many('192.0.2.1', 80, '--rate', 10, '--seconds', 0.5, '--timeout', 0.2);
  assert.deepEqual(hangs.errors, { TIMEOUT: 5 });
  assert.equal(hangs.failed[0]?.error, 'TIMEOUT');
  assert.ok(hangs.seconds < 1, `a hanging connection does not hold up the next: ${hangs.seconds} s`);
});

test('many datagrams, by every call that sends one', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startUdpEcho(server, { port: 53, name: 'dns-1' });
  const targets = [[server.ip4], [server.ip6], [server.ip4, '--family', 'mapped']];
  const calls = [[], ['--connected'], ['--sendmsg'], ['--connected', '--sendmsg'], ['--one-socket']];
  for (const [host = '', ...family] of targets) {
    for (const call of calls) {
      const args = [host, '53', '20', '--udp', '--getpeername', ...family, ...call];
      const result = await manyConnections(client, args);
      assert.deepEqual([result.answers, result.failures, result.mismatches], [{ 'dns-1': 20 }, 0, 0], args.join(' '));
    }
  }
  const silent = await manyConnections(client, [server.ip4, '54', '2', '--udp', '--timeout', '0.1']);
  assert.deepEqual(silent.errors, { TIMEOUT: 2 });
});

test('a client of long connections sees when its server is gone', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  const nginx = await startNginx(server, { port: 80 });
  const keepAlive = (...args: string[]) =>
    client.spawn([...pythonProgram('clients/keep_alive.py'), server.ip4, '80', ...args], { input: '' });
  const well = keepAlive('--seconds', '0.5', '--rate', '200', '--connections', '4');
  await well.exited;
  const result = clientResult(well);
  assert.deepEqual([result['failures'], result['connections']], [0, 4]);
  assert.equal(result['requests'], 100);
  const broken = keepAlive('--seconds', '10', '--connections', '4');
  await broken.line(/^ready$/);
  await nginx.kill('SIGKILL');
  await broken.exited;
  assert.deepEqual([clientResult(broken)['failures'], clientResult(broken)['connections']], [4, 0]);
});

test('latency of two targets, interleaved', async () => {
  await using lab = await Lab.create();
  const [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
  await startNginx(server, { port: 80 });
  for (const mode of [[], ['--new']]) {
    const targets = [`four=${server.ip4},80`, `six=${server.ip6},80`];
    const text = await client.output([
      ...pythonProgram('clients/latency.py'),
      ...targets,
      '--requests',
      '200',
      ...mode,
    ]);
    const result = JSON.parse(text) as Record<string, { p50_us: number; p99_us: number; requests: number }>;
    for (const name of ['four', 'six']) {
      const { p50_us = 0, p99_us = 0, requests = 0 } = result[name] ?? {};
      assert.equal(requests, 200);
      assert.ok(p50_us > 1 && p99_us >= p50_us, JSON.stringify(result));
    }
  }
});
