/** Another version of the daemon, whose records have another layout, takes over from the one that runs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test as nodeTest } from 'node:test';
import { clientResult, manyConnections, manyConnectionsCommand } from '../lab/clients.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, patience, pod } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);
const checkout = join(import.meta.dirname, '..', '..');

/** A copy of the checkout in which every endpoint and socket record has a field more. */
function nextVersion(directory: string): string {
  mkdirSync(join(directory, 'build'), { recursive: true });
  mkdirSync(join(directory, 'docs'));
  for (const name of ['bpf', 'cni', 'src', 'Makefile', 'package.json', 'package-lock.json']) {
    cpSync(join(checkout, name), join(directory, name), { recursive: true });
  }
  cpSync(join(checkout, 'tools'), join(directory, 'tools'), {
    recursive: true,
    filter: (path) => path !== join(checkout, 'tools', 'node'),
  });
  for (const name of ['node_modules', 'tools/node']) {
    if (readdirSync(join(checkout, name)).length > 0) symlinkSync(join(checkout, name), join(directory, name));
  }
  writeFileSync(join(directory, 'build', '.setup'), '');
  const types = join(directory, 'bpf', 'include', 'km_types.h');
  const text = readFileSync(types, 'utf8');
  const changed = text
    .replace(/(struct km_conn \{\n)/, '$1\t__u64 pad_of_the_next_version;\n')
    .replace(/(\t__u64 workload; \/\* 0: not known \*\/\n)/, '$1\t__u64 pad_of_the_next_version;\n');
  assert.equal(changed.split('pad_of_the_next_version').length, 3);
  writeFileSync(types, changed);
  execFileSync('make', ['build', 'gen'], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
  return directory;
}

describe('upgrade', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  test('a version with another schema takes over and gives back: no connection is lost, no pin of the old is left', async () => {
    await using lab = await Lab.create();
    const [client, ...servers] = await Promise.all(['client', 'red', 'green'].map((name) => lab.pod(name)));
    assert.ok(client !== undefined);
    await Promise.all(servers.map((s) => startNginx(s, { port: 8080 })));
    const mesh = meshOf(lab);
    const endpoints = servers.map((s) => ({ address: s.ip4 }));
    mesh.write(
      'shop.yaml',
      file(namespace('shop', true), pod(client), entry('shop', { addresses: ['10.96.0.1'], endpoints })),
    );
    const next = nextVersion(join(lab.directory, 'next'));
    await mesh.start();
    const before = (await mesh.status()).version.schema;
    const keepAlive = [
      ...pythonProgram('clients/keep_alive.py'),
      '10.96.0.1',
      '80',
      '--until-eof',
      '--connections',
      '20',
    ];
    const open = client.spawn(keepAlive, { holdInput: true });
    await open.line(/^ready$/);
    const load = client.spawn(
      manyConnectionsCommand(['10.96.0.1', '80', '--rate', '50', '--seconds', String(8 * patience)]),
    );
    for (const version of [next, checkout]) {
      await mesh.daemon.kill('SIGKILL');
      mesh.checkout = version;
      await mesh.start();
      await mesh.settled();
      const { version: running, kernel } = await mesh.status();
      assert.equal(running.schema === before, version === checkout);
      assert.equal(kernel.inSync, true);
      assert.deepEqual(readdirSync(join(lab.bpfFsPath, 'km')).sort(), [running.schema, 'links'].sort());
      const { errors, answers } = await manyConnections(client, ['10.96.0.1', '80', '200']);
      assert.deepEqual(errors, {});
      assert.deepEqual(Object.keys(answers).sort(), ['green', 'red']);
    }
    await load.exited;
    assert.deepEqual(clientResult(load)['errors'], {});
    open.endInput();
    await open.exited;
    assert.deepEqual(clientResult(open)['errors'], {});
  });
});
