/**
 * Runs the tests: `unit` (beside the code), `scenarios` (namespaces, daemon, real clients), `lab`, or `all`. Tests that
 * need root say so; a run without root names what it left out and fails in CI.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

function testsBelow(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const groups: Readonly<Record<string, () => string[]>> = {
  unit: () => [...testsBelow('src'), ...testsBelow('tools')],
  lab: () => testsBelow('test/lab'),
  scenarios: () => testsBelow('test/scenarios'),
  'control-planes': () =>
    testsBelow('test/scenarios').filter((path) => /\/(demo|kubernetes|istiod[a-z-]*|xds-[a-z]+)\.test\.ts$/.test(path)),
  cluster: () => testsBelow('test/cluster'),
  // The cluster's tests take minutes and most of the machine: make test-cluster runs them.
  all: () => [
    ...testsBelow('src'),
    ...testsBelow('tools'),
    ...testsBelow('test').filter((path) => !path.includes('/test/cluster/')),
  ],
};

const group = process.argv[2] ?? 'all';
const files = groups[group]?.();
if (files === undefined || files.length === 0) {
  process.stderr.write(`no tests: ${group} (one of ${Object.keys(groups).join(', ')} is expected)\n`);
  process.exit(64);
}
if (process.getuid?.() !== 0) {
  process.stderr.write('NOT ROOT: tests of the kernel, the namespaces and the daemon are left out of this run\n');
  if (process.env['CI'] !== undefined) {
    process.stderr.write('a run in CI must not leave them out\n');
    process.exit(1);
  }
}
if (group === 'all') process.stderr.write("the cluster's tests are not part of this run: make test-cluster\n");
// One file at a time: the tests of the kernel measure, and two CPUs are few.
const arguments_ = ['--test', '--test-concurrency=1', '--test-reporter=spec', ...process.argv.slice(3), ...files];
const { status } = spawnSync(process.execPath, arguments_, { stdio: 'inherit', cwd: root });
process.exit(status ?? 1);
