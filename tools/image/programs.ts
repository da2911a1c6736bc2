/** The programs as JavaScript: what they import, from the compiler, without the types. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { Tree } from './tree.ts';

/** Where the programs begin, below the checkout and below the image's directory alike. */
export const entryPoints = { daemon: 'src/daemon/kmesh-daemon.js', kmeshctl: 'src/ctl/kmeshctl.js' } as const;

/** Compiles the checkout and adds the programs with all that they import. */
export function addPrograms(tree: Tree, root: string, target: string): void {
  const out = mkdtempSync(join(tmpdir(), 'kmesh-image-'));
  try {
    const compilerOptions = { noEmit: false, rewriteRelativeImportExtensions: true, rootDir: root, outDir: out };
    const sources = Object.values(entryPoints).map((entry) => join(root, entry.replace(/js$/, 'ts')));
    const project = join(out, 'tsconfig.json');
    const typeRoots = [join(root, 'node_modules', '@types')];
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { ...compilerOptions, typeRoots },
      files: sources,
      include: [],
    };
    writeFileSync(project, JSON.stringify(config));
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [compiler, '-p', project], { cwd: root, stdio: ['ignore', 2, 2] });
    const files = new Set<string>();
    const visit = (file: string): void => {
      if (files.has(file)) return;
      files.add(file);
      const text = readFileSync(file, 'utf8');
      for (const [, specifier = ''] of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)) {
        visit(join(dirname(file), specifier));
      }
    };
    for (const entry of Object.values(entryPoints)) visit(join(out, entry));
    for (const file of files) tree.file(join(target, relative(out, file)), readFileSync(file));
  } finally {
    rmSync(out, { recursive: true });
  }
}
