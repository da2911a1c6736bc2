/** Clients of the lab that are written in C or Go, built into build/lab when their source is newer; run, it builds them all. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

const checkout = join(import.meta.dirname, '..', '..');
const sources = join(import.meta.dirname, 'clients');
const outputs = join(checkout, 'build', 'lab');

/** Path of the program that clients/NAME.c gives. */
export function nativeProgram(name: string): string {
  const parts = [join(sources, `${name}.c`), ...headers()];
  return built(name, parts, (output) => {
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];
    execFileSync('clang-19', [...flags, '-o', output, parts[0] ?? '']);
  });
}

/** Path of the program that clients/NAME.go gives. Go's build cache is where Go has it, outside the checkout. */
export function goProgram(name: string): string {
  const source = join(sources, `${name}.go`);
  return built(name, [source], (output) => {
    // Neither go.mod nor anything from the network: the program uses the standard library alone.
    const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '', CGO_ENABLED: '0' };
    execFileSync(go(), ['build', '-o', output, source], { env });
  });
}

/** The Go of PATH, or where its own installer puts it. */
function go(): string {
  const found = ['go', '/usr/local/go/bin/go'].find((path) => spawnSync(path, ['version']).status === 0);
  if (found === undefined) throw new Error('there is no go: run make setup');
  return found;
}

const headers = (): string[] =>
  readdirSync(sources)
    .filter((name) => name.endsWith('.h'))
    .map((name) => join(sources, name));

function built(name: string, parts: readonly string[], build: (output: string) => void): string {
  const output = join(outputs, name);
  const made = statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (parts.every((part) => statSync(part).mtimeMs < made)) return output;
  mkdirSync(outputs, { recursive: true });
  // Tests of other files may run the old one at this moment.
  const fresh = `${output}.${process.pid}`;
  build(fresh);
  renameSync(fresh, output);
  return output;
}

if (import.meta.main) {
  // Before machines that are emulated would have to do it.
  for (const file of readdirSync(sources)) {
    if (file.endsWith('.c')) nativeProgram(file.slice(0, -2));
    if (file.endsWith('.go')) goProgram(file.slice(0, -3));
  }
}
