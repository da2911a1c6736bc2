import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Archive, archive, type ImageSpec } from './archive.ts';
import { imageSpec } from './contents.ts';
import { tar } from './tar.ts';
import { Tree } from './tree.ts';

const root = join(import.meta.dirname, '..', '..');
const name = 'localhost/kmesh:test';
let directory: string;
let spec: ImageSpec;
let built: Archive;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'kmesh-image-test-'));
  spec = imageSpec(root, process.execPath, name);
  built = archive(spec);
});
after(() => rmSync(directory, { recursive: true, force: true }));

const files = (): string[] =>
  spec.layers.flatMap(({ entries }) => entries.filter(([, { kind }]) => kind !== 'directory').map(([path]) => path));
const unpacked = (bytes: Uint8Array, to: string): string => {
  const target = join(directory, to);
  const file = `${target}.tar`;
  writeFileSync(file, bytes);
  execFileSync('mkdir', ['-p', target]);
  execFileSync('tar', ['-xf', file, '-C', target]);
  return target;
};

test('two builds give the same bytes', () => {
  const again = archive(imageSpec(root, process.execPath, name));
  assert.equal(again.digest, built.digest);
  assert.ok(again.bytes.equals(built.bytes));
});

test('it has the programs, what they need, and every licence; no tests, types or tools', () => {
  const all = files();
  const has = (path: string) => assert.ok(all.includes(path), path);
  for (const path of [
    '/usr/bin/node',
    '/usr/lib64/ld-linux-x86-64.so.2',
    '/usr/lib/x86_64-linux-gnu/libbpf.so.1',
    '/usr/lib/x86_64-linux-gnu/libelf.so.1',
    '/opt/kmesh/src/daemon/kmesh-daemon.js',
    '/opt/kmesh/src/ctl/kmeshctl.js',
    '/opt/kmesh/build/bpf/splice.bpf.o',
    '/opt/kmesh/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node',
    '/opt/kmesh/LICENSE',
    '/opt/kmesh/LICENSES/GPL-2.0-only.txt',
    '/usr/share/doc/node/LICENSE',
    '/usr/share/doc/libbpf1/copyright',
    '/usr/share/doc/libc6/copyright',
  ]) {
    has(path);
  }
  assert.deepEqual(
    all.filter((path) => /\.(?:ts|map)$|(?<!LICENSE|LICENSES\/README)\.md$|\.test\.|\/testing|\/test\//.test(path)),
    [],
  );
  const packages = new Set(all.flatMap((path) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
  for (const one of packages) {
    const licence = new RegExp(`/node_modules/${one}/(?:LICEN[CS]E|package\\.json)`, 'i');
    assert.ok(all.some((path) => licence.test(path)), one);
  }
  assert.ok(!packages.has('typescript') && !packages.has('@biomejs/biome') && !packages.has('@types/node'));
});

test('it is small', () => {
  assert.ok(built.bytes.length < 50 * 2 ** 20, `${built.bytes.length} bytes`);
});

test('its programs run with nothing else around them', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const target = join(directory, 'root');
  for (const layer of spec.layers) layer.write(target);
  // A container has the machine's /sys.
  const possible = '/sys/devices/system/cpu/possible';
  mkdirSync(join(target, dirname(possible)), { recursive: true });
  writeFileSync(join(target, possible), readFileSync(possible));
  const env = { PATH: '/usr/sbin:/usr/bin' };
  const run = (...command: string[]): string => execFileSync('chroot', [target, ...command], { encoding: 'utf8', env });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const commit = spec.labels['org.opencontainers.image.revision']?.slice(0, 12);
  assert.equal(run('/usr/bin/kmesh-daemon', 'version'), `kmesh-daemon ${version} (${commit})\n`);
  assert.match(run('/usr/bin/kmeshctl', 'version', '--help'), /kmeshctl version/);
  assert.match(run(...spec.entrypoint, 'run', '--help'), /--node-agent/);
  const load = "require('/opt/kmesh/node_modules/koffi').load('libbpf.so.1').func('uint32_t libbpf_major_version()')()";
  assert.equal(run('/usr/bin/node', '-p', load), '1\n');
});

test('the archive is an OCI layout and what docker save writes, and its blobs are what their names say', () => {
  const target = unpacked(built.bytes, 'archive');
  const json = (path: string): unknown => JSON.parse(readFileSync(join(target, path), 'utf8'));
  assert.deepEqual(json('oci-layout'), { imageLayoutVersion: '1.0.0' });
  const [saved] = json('manifest.json') as { Config: string; RepoTags: string[]; Layers: string[] }[];
  assert.deepEqual(saved?.RepoTags, [name]);
  const index = json('index.json') as { manifests: { digest: string; annotations: Record<string, string> }[] };
  assert.equal(index.manifests[0]?.digest, built.digest);
  assert.equal(index.manifests[0]?.annotations['io.containerd.image.name'], name);
  for (const blob of readdirSync(join(target, 'blobs/sha256'))) {
    const sum = execFileSync('sha256sum', [join(target, 'blobs/sha256', blob)], { encoding: 'utf8' });
    assert.equal(sum.slice(0, 64), blob);
  }
  const config = json(saved?.Config ?? '') as { rootfs: { diff_ids: string[] }; config: { User: string } };
  assert.equal(config.config.User, '65532');
  assert.equal(config.rootfs.diff_ids.length, 2);
  for (const [i, layer] of (saved?.Layers ?? []).entries()) {
    const bytes = gunzipSync(readFileSync(join(target, layer)));
    const sum = execFileSync('sha256sum', { input: bytes, encoding: 'utf8', maxBuffer: 1024 });
    assert.equal(`sha256:${sum.slice(0, 64)}`, config.rootfs.diff_ids[i]);
  }
});

test('tar understands the archive: modes, owners, times, links, long paths', () => {
  const tree = new Tree();
  const long = `/${'directory/'.repeat(14)}${'f'.repeat(60)}`;
  tree.file('/a/program', 'x'.repeat(513), 0o755);
  tree.file(long, 'deep');
  tree.link('/a/link', 'program');
  const file = join(directory, 'small.tar');
  writeFileSync(file, tar(tree.entries));
  const list = execFileSync('tar', ['-tvf', file, '--numeric-owner', '--utc'], { encoding: 'utf8' }).split('\n');
  assert.ok(list.includes('-rwxr-xr-x 0/0             513 1970-01-01 00:00 a/program'), list.join('\n'));
  assert.ok(list.some((line) => line.endsWith('a/link -> program')));
  assert.ok(list.some((line) => line.endsWith(long.slice(1))));
  const tooLong = new Tree();
  tooLong.file(`/${'n'.repeat(101)}`, '');
  assert.throws(() => tar(tooLong.entries), /too long/);
});
