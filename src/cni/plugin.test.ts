/** kmesh-cni with a daemon, with a dead one, and on input of all kinds. */
import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { KmError } from '../base/errors.ts';
import type { Sandbox } from './call.ts';
import { EnrolledList } from './enrolled-list.ts';
import { socketPath, startCniServer } from './server.ts';
import { runPlugin, runPluginAlone, testDirectory, testLog } from './testing.ts';

const previous = '{"cniVersion": "1.0.0",  "interfaces":[{"name":"eth0","x":"é\\u00e9"}],"ips":[],"n":1e3}';
const configOf = (runDir: string, more: Readonly<Record<string, string>> = {}): string => {
  const members = {
    cniVersion: '"1.0.0"',
    name: '"net"',
    type: '"kmesh-cni"',
    runDir: JSON.stringify(runDir),
    enrolled: JSON.stringify(join(runDir, 'kmesh-enrolled')),
    ...more,
  };
  return `{${Object.entries(members)
    .map(([name, value]) => `"${name}": ${value}`)
    .join(', ')}, "prevResult": ${previous}}`;
};

interface Heard {
  readonly add: Sandbox[];
  readonly check: Sandbox[];
  readonly release: Sandbox[];
  readonly keepOnly: string[][];
}

async function withDaemon<T>(
  path: string,
  add: (sandbox: Sandbox) => Promise<void>,
  action: (heard: Heard) => Promise<T>,
): Promise<T> {
  const heard: Heard = { add: [], check: [], release: [], keepOnly: [] };
  const server = await startCniServer({
    runDirectory: path,
    log: testLog(),
    pods: {
      add: (sandbox) => {
        heard.add.push(sandbox);
        return add(sandbox);
      },
      check: (sandbox) => heard.check.push(sandbox),
      release: (sandbox) => heard.release.push(sandbox),
      keepOnly: (valid) => heard.keepOnly.push([...valid]),
    },
  });
  try {
    return await action(heard);
  } finally {
    await closed(server);
  }
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
const error = (stdout: string): { code: number; msg: string; cniVersion: string } => JSON.parse(stdout);

test('ADD waits for the daemon and gives the result of the plugin before, byte for byte', async () => {
  using dir = testDirectory();
  let held = false;
  const add = async (): Promise<void> => {
    await new Promise(setImmediate);
    held = true;
  };
  await withDaemon(dir.path, add, async (heard) => {
    const ran = await runPlugin({ command: 'ADD', config: configOf(dir.path) });
    assert.deepEqual({ ...ran, held }, { code: 0, stdout: `${previous}\n`, stderr: '', held: true });
    const sandbox = {
      container: 'c0ffee',
      netns: '/var/run/netns/cni-1',
      namespace: 'shop',
      name: 'web-0',
      uid: '6b0d-1',
    };
    assert.deepEqual(heard.add, [sandbox]);
    await runPlugin({ command: 'ADD', config: configOf(dir.path), args: 'IgnoreUnknown=1' });
    assert.equal(heard.add.length, 1, 'a container that is no pod');
  });
});

test('what the daemon refuses is a CNI error: 11, try again later', async () => {
  using dir = testDirectory();
  const add = () => Promise.reject(new KmError('KM5021', 'shop/web-0: the table is full'));
  await withDaemon(dir.path, add, async () => {
    const ran = await runPlugin({ command: 'ADD', config: configOf(dir.path) });
    assert.deepEqual([ran.code, error(ran.stdout).code, error(ran.stdout).cniVersion], [1, 11, '1.0.0']);
    assert.match(error(ran.stdout).msg, /KM5021 shop\/web-0: the table is full/);
  });
});

test('what names no pod and no file is refused: 7', async () => {
  using dir = testDirectory();
  await withDaemon(
    dir.path,
    async () => undefined,
    async (heard) => {
      for (const args of [
        'K8S_POD_NAMESPACE=../x;K8S_POD_NAME=a',
        'K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=/',
      ]) {
        const ran = await runPlugin({ command: 'ADD', config: configOf(dir.path), args });
        assert.deepEqual([ran.code, error(ran.stdout).code], [1, 7]);
      }
      assert.deepEqual(heard.add, []);
    },
  );
});

test('DEL, CHECK and GC reach the daemon', async () => {
  using dir = testDirectory();
  await withDaemon(
    dir.path,
    async () => undefined,
    async (heard) => {
      const config = configOf(dir.path, { 'cni.dev/valid-attachments': '[{"containerID": "a1", "ifname": "eth0"}]' });
      for (const command of ['DEL', 'CHECK', 'GC', 'STATUS']) {
        assert.deepEqual(await runPlugin({ command, config }), { code: 0, stdout: '', stderr: '' });
      }
      assert.deepEqual([heard.release.length, heard.check.length, heard.keepOnly], [1, 1, [['a1']]]);
      const without = await runPlugin({ command: 'GC', config: configOf(dir.path) });
      assert.equal(without.code, 1, 'a GC without its list');
      assert.deepEqual(heard.keepOnly.length, 1);
    },
  );
});

test('without a daemon, pods that are not enrolled start, and DEL, CHECK, GC and STATUS succeed', () => {
  using dir = testDirectory();
  const ran = runPluginAlone({ command: 'ADD', config: configOf(dir.path) });
  assert.deepEqual([ran.code, ran.stdout], [0, `${previous}\n`]);
  assert.match(ran.stderr, /ADD goes on without kmesh-daemon: No such file/);
  for (const command of ['DEL', 'CHECK', 'GC', 'STATUS']) {
    const { code, stdout } = runPluginAlone({ command, config: configOf(dir.path) });
    assert.deepEqual([command, code, stdout], [command, 0, '']);
  }
});

test('without a daemon, pods of enrolled namespaces are told to try again, for five minutes', () => {
  using dir = testDirectory();
  const list = new EnrolledList(dir.path);
  list.write(['shop', 'other']);
  list.close();
  const add = (namespace: string) =>
    runPluginAlone({
      command: 'ADD',
      config: configOf(dir.path),
      args: `IgnoreUnknown=1;K8S_POD_NAME=x;K8S_POD_NAMESPACE=${namespace};K8S_POD_UID=1`,
    });
  const refused = add('shop');
  assert.deepEqual([refused.code, error(refused.stdout).code], [1, 11]);
  assert.match(error(refused.stdout).msg, /kmesh-daemon, without which no pod of this namespace starts, is away/);
  for (const namespace of ['sho', 'shopp', 'hop', '']) assert.equal(add(namespace).code, 0, namespace);
  const old = new Date(Date.now() - 301_000);
  utimesSync(join(dir.path, 'kmesh-enrolled'), old, old);
  assert.equal(add('shop').code, 0);
});

test('a daemon that is there and says nothing, or nonsense, or half an answer, is as one that is away', async () => {
  using dir = testDirectory();
  const answers = ['', 'kmesh-cni/1 pas', 'kmesh-cni/2 pass\n', 'kmesh-cni/1 pass\nx', 'kmesh-cni/1 error\n{"code": 1'];
  let answer = '';
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    socket
      .on('error', () => undefined)
      .resume()
      .end(answer),
  );
  await new Promise<void>((resolve) => server.listen(socketPath(dir.path), resolve));
  try {
    for (answer of answers) {
      const ran = await runPlugin({ command: 'ADD', config: configOf(dir.path) });
      assert.deepEqual([ran.code, ran.stdout], [0, `${previous}\n`], answer);
      assert.match(ran.stderr, /did not answer|Broken pipe/);
    }
  } finally {
    await closed(server);
  }
});

test('a daemon that never answers holds a pod up for five seconds', async () => {
  using dir = testDirectory();
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on('error', () => undefined).resume());
  });
  await new Promise<void>((resolve) => server.listen(socketPath(dir.path), resolve));
  const started = performance.now();
  const ran = await runPlugin({ command: 'ADD', config: configOf(dir.path) });
  const seconds = (performance.now() - started) / 1000;
  for (const socket of sockets) socket.destroy();
  await closed(server);
  assert.equal(ran.code, 0);
  assert.ok(seconds > 4.9 && seconds < 8, `${seconds} s`);
});

test('VERSION needs nothing, and other versions are refused', () => {
  using dir = testDirectory();
  const supported = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
  for (const [config, cniVersion] of [
    ['{"cniVersion": "0.4.0"}', '0.4.0'],
    ['{"cniVersion": "9.0.0"}', '1.1.0'],
    ['', '1.1.0'],
  ] as const) {
    const { code, stdout } = runPluginAlone({ command: 'VERSION', config });
    assert.deepEqual([code, JSON.parse(stdout)], [0, { cniVersion, supportedVersions: supported }]);
  }
  for (const version of ['0.2.0', '2.0.0', '1.0']) {
    const ran = runPluginAlone({ command: 'ADD', config: configOf(dir.path, { cniVersion: `"${version}"` }) });
    assert.deepEqual([ran.code, error(ran.stdout).code], [1, 1]);
  }
  assert.equal(runPluginAlone({ command: 'WHAT', config: configOf(dir.path) }).code, 1);
  const first = runPluginAlone({ command: 'ADD', config: configOf(dir.path).replace('prevResult', 'other') });
  assert.deepEqual([first.code, error(first.stdout).code], [1, 7], 'it is not the first plugin of a list');
});

test('it takes exactly what is JSON, and finds the result in it', () => {
  using dir = testDirectory();
  const cases = Number(process.env['KMESH_FUZZ'] ?? 1500);
  const random = seeded(Number(process.env['KMESH_FUZZ_SEED'] ?? 1));
  let good = 0;
  for (let i = 0; i < cases; i++) {
    const value = {
      cniVersion: '1.0.0',
      runDir: dir.path,
      enrolled: '/x',
      ...anyMembers(random),
      prevResult: anyValue(random, 0),
    };
    const config = damaged(JSON.stringify(value, null, random() < 0.5 ? 1 : undefined), random);
    const expected = expectedResult(config);
    const ran = runPluginAlone({ command: 'ADD', config });
    const seed = `case ${i}: ${config}`;
    if (expected === null) assert.notEqual(ran.code, 0, seed);
    else {
      good++;
      assert.equal(ran.code, 0, seed);
      assert.deepEqual(JSON.parse(ran.stdout), expected, seed);
    }
  }
  assert.ok(good > cases / 20 && good < cases, `${good} of ${cases} were good`);
});

/** The result that is to be printed; null: the configuration is to be refused. By Node's parser. */
function expectedResult(config: string): object | null {
  let value: unknown;
  if (config.startsWith(doubled)) return null;
  // A path with escapes is none that kmesh-cni takes.
  try {
    value = JSON.parse(config);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { cniVersion, runDir, enrolled, prevResult } = value as Record<string, unknown>;
  if (!['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'].includes(String(cniVersion))) return null;
  if (typeof enrolled !== 'string' || !config.includes(`"${enrolled}"`)) return null;
  if (
    typeof runDir !== 'string' ||
    !config.includes(`"${runDir}"`) ||
    typeof prevResult !== 'object' ||
    prevResult === null ||
    Array.isArray(prevResult)
  )
    return null;
  return prevResult;
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function anyMembers(random: () => number): Record<string, unknown> {
  const count = Math.floor(random() * 4);
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`m${i}${random() < 0.2 ? '"\\' : ''}`, anyValue(random, 1)]),
  );
}

function anyValue(random: () => number, depth: number): unknown {
  const kinds = [
    () =>
      Object.fromEntries(
        Array.from({ length: Math.floor(random() * 4) }, (_, i) => [`k${i}é`, anyValue(random, depth + 1)]),
      ),
    () => Array.from({ length: Math.floor(random() * 4) }, () => anyValue(random, depth + 1)),
    () => 'text "quoted" \\ \n é {[',
    () => (random() - 0.5) * 10 ** Math.floor(random() * 40 - 20),
    () => [true, false, null][Math.floor(random() * 3)],
  ];
  const kind = depth === 0 ? 0 : Math.floor(random() * (depth > 4 ? 3 : 5) + (depth > 4 ? 2 : 0));
  return kinds[kind]?.();
}

/** A member that is asked for, once more. */
const doubled = '{"prevResult":{"twice":1},';

/** Mostly one character is changed, left out, doubled, or a token put in; sometimes nothing. */
function damaged(text: string, random: () => number): string {
  if (random() < 0.3) return text;
  if (random() < 0.1) return text.replace('{', doubled);
  const tokens = ['{', '}', '[', ']', ',', ':', '"', '\\', '0', '-', '.', 'e', 'u', 't', ' ', '\n', '\u0001', 'null'];
  const at = Math.floor(random() * text.length);
  const token = tokens[Math.floor(random() * tokens.length)] ?? '';
  const cut = random() < 0.5 ? 1 : 0;
  return random() < 0.1 ? text.slice(0, at) : text.slice(0, at) + token + text.slice(at + cut);
}

test('a text that is nested deeper than any configuration is refused, not followed', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const ran = runPluginAlone({ command: 'ADD', config: configOf('/nowhere', { x: deep }) });
  assert.deepEqual([ran.code, error(ran.stdout).code], [1, 6]);
});

test('the list is written only when it changes, and read back', () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, 'kmesh-enrolled.new'), 'left by a crash');
  const list = new EnrolledList(dir.path);
  list.write(['b', 'a']);
  list.write(['a', 'b']);
  list.close();
  assert.equal(runPluginAlone({ command: 'ADD', config: configOf(dir.path), args: 'K8S_POD_NAMESPACE=b' }).code, 1);
});
