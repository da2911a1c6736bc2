/** The layers of Kmesh's image: a runtime that seldom changes, and the programs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ImageSpec } from './archive.ts';
import { addLibraries, addLibrary } from './libraries.ts';
import { addPackage, packagesOf } from './packages.ts';
import { addPrograms, entryPoints } from './programs.ts';
import { Tree } from './tree.ts';

/** Where the programs are in the image. */
const home = '/opt/kmesh';
/** As tools/launcher.sh starts the daemon, which says why. */
const daemonFlags = ['--max-semi-space-size=16', '--heap-growing-percent=10'];
const nobody = 65532;

const passwd = [`root:x:0:0:root:/:/sbin/nologin`, `kmesh:x:${nobody}:${nobody}:kmesh:/:/sbin/nologin`];

/** Node, libbpf, and the libraries that both need. */
export function runtimeLayer(node: string): Tree {
  const tree = new Tree();
  for (const name of ['lib', 'lib64', 'bin']) tree.link(`/${name}`, `usr/${name}`);
  for (const name of ['dev', 'proc', 'sys', 'run', 'etc', 'usr/bin', 'usr/lib64', 'var']) tree.directory(`/${name}`);
  tree.directory('/tmp', 0o1777);
  // CNI plugins are told of /var/run/netns.
  tree.link('/var/run', '/run');
  tree.file('/etc/passwd', `${passwd.join('\n')}\n`);
  tree.file('/etc/group', `root:x:0:\nkmesh:x:${nobody}:\n`);
  tree.file('/etc/nsswitch.conf', 'hosts: files dns\n');
  tree.file('/usr/bin/node', stripped(node), 0o755);
  const licence = join(dirname(dirname(node)), 'LICENSE');
  tree.file('/usr/share/doc/node/LICENSE', readFileSync(licence));
  addLibraries(tree, [node]);
  addLibrary(tree, 'libbpf.so.1');
  return tree;
}

/** Everything that is Kmesh's, and its npm packages. */
export function programLayer(root: string, revision: string): Tree {
  const tree = new Tree();
  addPrograms(tree, root, home);
  const objects = join(root, 'build', 'bpf');
  const names = readdirSync(objects).filter((name) => name.endsWith('.bpf.o') && !name.startsWith('layout'));
  if (names.length === 0) throw new Error(`${objects} has no eBPF objects: run 'make build'`);
  for (const name of names) tree.file(`${home}/build/bpf/${name}`, readFileSync(join(objects, name)));
  tree.file(`${home}/build/cni/kmesh-cni`, readFileSync(join(root, 'build', 'cni', 'kmesh-cni')), 0o755);
  tree.file(`${home}/deploy/kmesh.yaml`, readFileSync(join(root, 'deploy', 'kmesh.yaml')));
  for (const name of packagesOf(root)) addPackage(tree, root, name, home);
  for (const name of ['package.json', 'LICENSE']) tree.file(`${home}/${name}`, readFileSync(join(root, name)));
  for (const name of readdirSync(join(root, 'LICENSES'))) {
    tree.file(`${home}/LICENSES/${name}`, readFileSync(join(root, 'LICENSES', name)));
  }
  tree.file(`${home}/build/commit`, `${revision}\n`);
  // For `kubectl exec`: there is no shell.
  for (const [name, entry] of [
    ['kmesh-daemon', entryPoints.daemon],
    ['kmeshctl', entryPoints.kmeshctl],
  ] as const) {
    tree.file(`${home}/bin/${name}.mjs`, `#!/usr/bin/node\nimport '../${entry}';\n`, 0o755);
    tree.link(`/usr/bin/${name}`, `../../opt/kmesh/bin/${name}.mjs`);
  }
  return tree;
}

export function imageSpec(root: string, node: string, name: string): ImageSpec {
  const git = (...args: string[]): string => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim();
  const dirty = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '-dirty';
  const revision = `${git('rev-parse', 'HEAD')}${dirty}`;
  // The commit's time, in UTC whatever the committer's zone.
  const created = new Date(Number(git('log', '-1', '--format=%ct')) * 1000).toISOString();
  return {
    name,
    layers: [runtimeLayer(node), programLayer(root, revision)],
    created,
    // The daemon needs root, which its DaemonSet says; whoever runs kmeshctl does not.
    user: String(nobody),
    env: ['PATH=/usr/bin'],
    entrypoint: ['/usr/bin/node', ...daemonFlags, `${home}/${entryPoints.daemon}`],
    labels: {
      'org.opencontainers.image.title': 'Kmesh',
      'org.opencontainers.image.licenses': 'Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)',
      'org.opencontainers.image.revision': revision,
    },
  };
}

/** Without debug information, which is a fifth of it. */
function stripped(program: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'kmesh-strip-'));
  try {
    const out = join(directory, 'program');
    execFileSync('strip', ['--strip-all', '-o', out, program]);
    return readFileSync(out);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
