/** What the tests of this folder share. Not for the product. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import { findCgroup2 } from './cgroup.ts';
import { ensureBpffs, removeTree } from './pin.ts';

const root = join(import.meta.dirname, '../..');

/** Why a test that needs the kernel cannot run here, or false. In CI it must run. */
export function rootOnly(): string | false {
  if (process.getuid?.() === 0) return false;
  if (process.env['CI'] !== undefined) throw new Error('these tests need root, and CI must not leave them out');
  return 'needs root: NOT RUN';
}

/**
 * Compiles bpf/test/NAME.bpf.c to build/bpf/test/NAME.bpf.o when the object is older than that or than a header, and
 * returns its path.
 */
export function testObject(name: string): string {
  const source = join(root, 'bpf/test', `${name}.bpf.c`);
  const object = join(root, 'build/bpf/test', `${name}.bpf.o`);
  const include = join(root, 'bpf/include');
  const sources = [source, ...readdirSync(include).map((header) => join(include, header))];
  if (modified(object) > Math.max(...sources.map(modified))) return object;
  mkdirSync(join(root, 'build/bpf/test'), { recursive: true });
  // Several test files may compile at once: each renames a whole object into place.
  const fresh = `${object}.${process.pid}`;
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v2', '-Wall', '-Werror', '-I/usr/include/x86_64-linux-gnu'];
  execFileSync('clang-19', [...flags, '-c', source, '-o', fresh], { stdio: 'inherit' });
  renameSync(fresh, object);
  return object;
}

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The message of the KmError that `action` throws, with its code in front. */
export function errorOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KmError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('no error was thrown');
}

/** Runs a program and returns its output. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' });
}

/** A network namespace with a name of this process, gone at the end of the block. */
export function testNamespace(suffix: string): { readonly name: string; readonly path: string } & Disposable {
  const name = `km-test-${process.pid}-${suffix}`;
  run('ip', 'netns', 'add', name);
  return {
    name,
    path: `/run/netns/${name}`,
    [Symbol.dispose]: () => {
      run('ip', 'netns', 'del', name);
    },
  };
}

/** A cgroup of this process's name. `enter` moves this process there; leaving the block moves it back and removes it. */
export function testCgroup(suffix: string): { readonly path: string; enter(): void } & Disposable {
  const top = findCgroup2();
  const path = join(top, `km-test-${process.pid}-${suffix}`);
  const home = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const move = (target: string) => writeFileSync(join(target, 'cgroup.procs'), String(process.pid));
  mkdirSync(path);
  return {
    path,
    enter: () => move(path),
    [Symbol.dispose]: () => {
      move(join(top, home));
      rmdirSync(path);
    },
  };
}

/** A directory on bpffs of this process's name, gone at the end of the block with all its pins. */
export function testPins(suffix: string): { readonly path: string } & Disposable {
  const path = `/sys/fs/bpf/km-test-${process.pid}-${suffix}`;
  ensureBpffs(path);
  return { path, [Symbol.dispose]: () => removeTree(path) };
}
