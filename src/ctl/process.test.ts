import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fixtureRequests } from '../api/fixture-http.ts';
import { startAdminServer } from '../api/server.ts';
import type { ObserveLine } from '../api/types.ts';
import { defaultPreChecks } from './prechecks.ts';
import { type Lab, type Ran, startLab } from './testing.ts';

const script = fileURLToPath(new URL('kmeshctl.ts', import.meta.url));

describe('kmeshctl as a process', () => {
  let lab: Lab;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    lab = await startLab();
    env = { ...process.env, KMESH_ADMIN_ADDRESS: `localhost:${lab.server.port}` };
  });
  after(() => lab.server.stop());

  const kmeshctl = (args: readonly string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [script, ...args], { env }, (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr });
      });
    });

  test('exit codes are 0, 1, 64 and 65, and only errors are on stderr', async () => {
    const ok = await kmeshctl(['get', 'svc', '-A']);
    assert.deepEqual({ code: ok.code, stderr: ok.stderr }, { code: 0, stderr: '' });
    assert.match(ok.stdout, /^NAMESPACE {3}NAME /);
    const missing = await kmeshctl(['get', 'svc', 'x']);
    assert.deepEqual({ code: missing.code, stdout: missing.stdout }, { code: 1, stdout: '' });
    assert.match(missing.stderr, /services "x" not found/);
    assert.equal((await kmeshctl(['gte'])).code, 64);
    // What answers there is no list of checks.
    lab.backend.set({ configDump: 'text' });
    assert.equal((await kmeshctl(['dump'])).code, 65);
    lab.backend.reset();
    const version = await kmeshctl(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('observe -f ends when its reader goes, and the daemon learns of that', async () => {
    const [request] = fixtureRequests;
    assert.ok(request !== undefined);
    const left = Promise.withResolvers<void>();
    const server = await startAdminServer({
      backend: {
        ...lab.backend,
        observe: async function* (_follow: boolean, gone: AbortSignal): AsyncGenerator<ObserveLine> {
          gone.addEventListener('abort', () => left.resolve());
          yield { remembered: 0 };
          for (; !gone.aborted; await nextTurn()) yield { request };
        },
      },
      host: 'localhost',
      port: 0,
    });
    const own = { ...env, KMESH_ADMIN_ADDRESS: `localhost:${server.port}` };
    const child = spawn(process.execPath, [script, 'observe', '-f'], { env: own });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    await left.promise;
    await server.stop();
  });

  test('a reader that goes away early is no error', async () => {
    const [first] = await lab.backend.services();
    assert.ok(first !== undefined);
    lab.backend.set({ services: Array.from({ length: 20_000 }, (_, i) => ({ ...first, name: `s${i}` })) });
    const child = spawn(process.execPath, [script, 'get', 'svc', '-A'], { env });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.on('close', resolve));
    lab.backend.reset();
    assert.equal(stderr, '');
    assert.equal(code, 0);
  });
});

describe('the checks before the first start', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'kmeshctl-pre-'));
  });
  after(() => rmSync(dir, { recursive: true }));

  const daemonThat = (body: string): URL => {
    const file = join(dir, 'kmesh-daemon');
    writeFileSync(file, `#!/bin/sh\n${body}\n`);
    chmodSync(file, 0o755);
    return new URL(`file://${dir}/no-bin-here`);
  };
  const env = () => ({ PATH: `/nowhere:${dir}` });

  test('they are those of kmesh-daemon check-kernel, whatever its exit code', async () => {
    const item = { category: 'kernel', description: 'BTF', result: 'error', hint: null, error: 'no' };
    const bin = daemonThat(`[ "$*" = "check-kernel -o json" ] && echo '${JSON.stringify({ items: [item] })}'; exit 1`);
    assert.deepEqual(await defaultPreChecks(env(), bin), [item]);
  });

  test('a daemon that is not there or not understood is said', async () => {
    const bin = daemonThat('echo "cannot open vmlinux" >&2; exit 3');
    await assert.rejects(defaultPreChecks(env(), bin), {
      code: 'KM6007',
      message: /check-kernel: cannot open vmlinux/,
    });
    daemonThat("echo '[]'");
    await assert.rejects(defaultPreChecks(env(), bin), { code: 'KM6003' });
    await assert.rejects(defaultPreChecks({ PATH: '/nowhere' }, bin), {
      code: 'KM6007',
      message: /there is no kmesh-daemon in .*no-bin-here or PATH/,
    });
  });
});
