/** Shared libraries and their licences, from the Debian packages that are installed here. */
import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import type { Tree } from './tree.ts';

/** Where Debian's loader looks; /lib and /lib64 are links to below /usr. */
const libraryDirectory = '/usr/lib/x86_64-linux-gnu';

/** Adds what a program or library needs to be loaded, each library with its package's licence. */
export function addLibraries(tree: Tree, objects: readonly string[]): void {
  for (const path of new Set(objects.flatMap(neededBy))) {
    const name = basename(path);
    const loader = path.startsWith('/lib64/');
    const target = loader ? `/usr/lib64/${name}` : `${libraryDirectory}/${name}`;
    if (tree.has(target)) continue;
    const real = realpathSync(path);
    tree.file(target, readFileSync(real), 0o755);
    addLicence(tree, packageOf(real));
  }
}

/** Adds a library by the name by which programs open it, and what it needs. */
export function addLibrary(tree: Tree, soname: string): void {
  const path = `${libraryDirectory}/${soname}`;
  const real = realpathSync(path);
  tree.file(path, readFileSync(real), 0o755);
  addLicence(tree, packageOf(real));
  addLibraries(tree, [path]);
}

/** Paths of all libraries that the loader would load, itself among them. */
function neededBy(object: string): string[] {
  const text = execFileSync('ldd', [object], { encoding: 'utf8' });
  return text.split('\n').flatMap((line) => {
    if (line.includes('not found')) throw new Error(`${object}: ${line.trim()}`);
    const path = /(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
}

/** Debian's packages name files below /lib as well as below /usr/lib. */
function packageOf(path: string): string {
  for (const candidate of [path, path.replace(/^\/usr/, '')]) {
    try {
      const text = execFileSync('dpkg-query', ['-S', candidate], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      return text.split(':')[0] ?? '';
    } catch {
      // The other one, then.
    }
  }
  throw new Error(`no Debian package has ${path}: its licence is not known`);
}

function addLicence(tree: Tree, name: string): void {
  const path = `/usr/share/doc/${name}/copyright`;
  if (!tree.has(path)) tree.file(path, readFileSync(path));
}
