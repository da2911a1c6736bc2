/** The npm packages that the programs need at run time, without what only developers read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tree } from './tree.ts';

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Types are for compilers. */
const notNeeded = (name: string): boolean => name.startsWith('@types/') || name === 'undici-types';
/** Natively only for this machine's kind, named as koffi looks for it. */
const native: Readonly<Record<string, readonly string[]>> = { koffi: ['@koromix/koffi-linux-x64'] };

/** Names of the packages below node_modules, all that one leads to. */
export function packagesOf(root: string): string[] {
  const found = new Set<string>();
  const visit = (directory: string): void => {
    const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;
    for (const name of Object.keys(manifest.dependencies ?? {})) add(name);
  };
  const add = (name: string): void => {
    if (found.has(name) || notNeeded(name)) return;
    found.add(name);
    visit(join(root, 'node_modules', name));
    for (const other of native[name] ?? []) add(other);
  };
  visit(root);
  return [...found].sort();
}

const droppedDirectories: readonly RegExp[] = [
  /(?:^|\/)(?:test|tests|examples?|docs?|bench|benchmarks|\.github|node_modules)$/,
  // Sources of what is built beside them, and builds for browsers.
  /^(?:@grpc\/grpc-js\/src|koffi\/vendor|@opentelemetry\/api\/build\/(?:esm|esnext)|protobufjs\/dist|bintrees\/dist)$/,
  /^@bufbuild\/protobuf\/dist\/cjs$/,
  /^@koromix\/koffi-linux-x64\/musl_x64$/,
];
const keptFiles = /(?:\.(?:js|cjs|mjs|json|node|proto)|(?:^|\/)(?:LICEN[CS]E|NOTICE|COPYING)[^/]*)$/i;
const droppedFiles = /\.min\.js$|(?:^|\/)(?:Gulpfile|Gruntfile|karma[^/]*|webpack[^/]*)\.js$/i;

/** Adds one package's files to a directory of the image. */
export function addPackage(tree: Tree, root: string, name: string, target: string): void {
  const walk = (path: string): void => {
    for (const entry of readdirSync(join(root, 'node_modules', path), { withFileTypes: true })) {
      const child = `${path}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!droppedDirectories.some((pattern) => pattern.test(child))) walk(child);
      } else if (keptFiles.test(entry.name) && !droppedFiles.test(entry.name)) {
        tree.file(`${target}/node_modules/${child}`, readFileSync(join(root, 'node_modules', child)));
      }
    }
  };
  walk(name);
  if (!existsSync(join(root, 'node_modules', name, 'package.json'))) throw new Error(`${name} is not installed`);
}
