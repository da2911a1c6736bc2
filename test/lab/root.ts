import type { test } from 'node:test';

type Test = typeof test;

/**
 * Gives back `test` where namespaces can be made. Without root the tests of the file are left out and stderr says so, and
 * in CI (`CI` is set) that is an error: a green run must have run them. Use: `const test = requireRoot(nodeTest);`.
 */
export function requireRoot(test: Test): Test {
  if (process.getuid?.() === 0) return test;
  const file = process.argv[1] ?? 'this file';
  if (process.env['CI'] !== undefined) throw new Error(`${file} needs root, and CI must not leave its tests out`);
  process.stderr.write(`NOT RUN: the tests of ${file} need root (network namespaces, eBPF)\n`);
  return test.skip as Test;
}
