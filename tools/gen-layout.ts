/**
 * Writes src/kernel/gen/layout.gen.ts from the BTF of build/bpf/*.bpf.o. With `--check` it writes nothing and exits 1
 * with the difference when the committed file is not what the objects say.
 *
 *     node tools/gen-layout.ts [--check] [--out FILE] [OBJECT...]
 */
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { mergeLayouts, readLayout } from '../src/kernel/gen/btf.ts';
import { emitLayout } from '../src/kernel/gen/emit.ts';

const root = join(import.meta.dirname, '..');

/** The generated source for these object files. */
export function generateLayout(objects: readonly string[]): string {
  return emitLayout(mergeLayouts(objects.map((path) => [path, readLayout(path)] as const)));
}

/** Lines that only one of two texts has, `-` for the old and `+` for the new, in order, with line numbers. */
export function describeDrift(oldText: string, newText: string): string[] {
  const [before, after] = [oldText.split('\n'), newText.split('\n')];
  const [known, wanted] = [new Set(before), new Set(after)];
  const gone = before.flatMap((line, i) => (wanted.has(line) ? [] : [{ at: i + 1, text: `-${line}`, order: 0 }]));
  const added = after.flatMap((line, i) => (known.has(line) ? [] : [{ at: i + 1, text: `+${line}`, order: 1 }]));
  const lines = [...gone, ...added].sort((a, b) => a.at - b.at || a.order - b.order);
  return lines.map(({ at, text }) => `${String(at).padStart(5)} ${text}`);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function main(): number {
  const { values, positionals } = parseArgs({
    options: { check: { type: 'boolean', default: false }, out: { type: 'string' } },
    allowPositionals: true,
  });
  const out = values.out ?? join(root, 'src/kernel/gen/layout.gen.ts');
  const objects =
    positionals.length > 0 ? positionals : globSync('build/bpf/*.bpf.o', { cwd: root }).map((p) => join(root, p));
  if (objects.length === 0) {
    console.error('gen-layout: no objects in build/bpf; run: make build');
    return 1;
  }
  const text = generateLayout(objects.toSorted());
  const current = readIfThere(out);
  if (text === current) return 0;
  const name = relative(process.cwd(), out);
  if (values.check) {
    const drift = describeDrift(current, text);
    const shown = drift.length > 0 ? drift : ['      (the same lines in another order)'];
    console.error(`gen-layout: ${name} is not what the objects say; run: make gen\n${shown.join('\n')}`);
    return 1;
  }
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(`${out}.new`, text);
  renameSync(`${out}.new`, out);
  console.log(`gen-layout: wrote ${name}`);
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = main();
  } catch (error) {
    console.error(`gen-layout: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
