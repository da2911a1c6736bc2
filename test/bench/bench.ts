/**
 * Measures what the project promises: `bench.ts [row...]`, all rows by default. One table on stdout, the same as JSON in
 * build/bench.json; exit code 1 when a budget is missed. Needs root.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { cpu } from './cpu.ts';
import { httpBodies } from './http-bodies.ts';
import { httpCpu } from './http-cpu.ts';
import { httpHeaderSet, httpKeepAlive, httpNewConnections, httpRoutes } from './http-requests.ts';
import { HttpTargets } from './http-targets.ts';
import { type Machine, machine } from './machine.ts';
import { keepAlive, newConnections } from './requests.ts';
import { passes, type Row, table } from './row.ts';
import { restartRows, scaleRows } from './scale.ts';
import { ScaleMesh } from './scale-mesh.ts';
import { Targets } from './targets.ts';
import { xdsScale } from './xds-scale.ts';

const httpRows = {
  'http-keep-alive': httpKeepAlive,
  'http-new-connections': httpNewConnections,
  'http-routes': httpRoutes,
  'http-header-set': httpHeaderSet,
  'http-cpu': httpCpu,
  'http-bodies': httpBodies,
} as const;
const httpRowNames = Object.keys(httpRows) as (keyof typeof httpRows)[];
const rowNames = [
  'keep-alive',
  'new-connections',
  'cpu',
  ...httpRowNames,
  'scale',
  'restart',
  'xds-workload',
  'xds-envoy',
] as const;
type RowName = (typeof rowNames)[number];

const resultFile = join(import.meta.dirname, '..', '..', 'build', 'bench.json');
/** CPUs. */
const quiet = 0.1;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

async function measure(wanted: ReadonlySet<string>): Promise<Row[]> {
  const rows: Row[] = [];
  const run = async (name: RowName, how: () => Promise<Row[]>): Promise<void> => {
    if (!wanted.has(name)) return;
    const from = performance.now();
    rows.push(...(await how()));
    say(`${name}: measured in ${((performance.now() - from) / 1000).toFixed(0)} s`);
  };
  if (wanted.has('keep-alive') || wanted.has('new-connections') || wanted.has('cpu')) {
    await using targets = await Targets.create();
    await run('keep-alive', () => keepAlive(targets));
    await run('new-connections', () => newConnections(targets));
    await run('cpu', () => cpu(targets));
  }
  if (httpRowNames.some((name) => wanted.has(name))) {
    await using targets = await HttpTargets.create();
    for (const name of httpRowNames) await run(name, () => httpRows[name](targets));
  }
  if (wanted.has('scale') || wanted.has('restart')) {
    await using scaled = await ScaleMesh.create();
    if (!wanted.has('scale')) await scaled.start();
    await run('scale', () => scaleRows(scaled));
    await run('restart', () => restartRows(scaled));
  }
  await run('xds-workload', () => xdsScale('dual-engine'));
  await run('xds-envoy', () => xdsScale('kernel-native'));
  return rows;
}

function tell(rows: readonly Row[], on: Machine): void {
  process.stdout.write(table(rows));
  const results = rows.map((row) => ({ ...row, pass: passes(row) }));
  mkdirSync(join(resultFile, '..'), { recursive: true });
  writeFileSync(resultFile, `${JSON.stringify({ machine: on, rows: results }, null, 2)}\n`);
  say(`${on.cpus} x ${on.cpu}, Linux ${on.kernel}, Node ${on.node}; load ${on.load[0]} before, ${loadavg()[0]} after`);
  if (on.busyBefore > quiet) say(`NOT QUIET: ${on.busyBefore} CPUs were busy with something else before the first row`);
}

const names = process.argv.slice(2);
const unknown = names.filter((name) => !rowNames.some((row) => row === name));
if (unknown.length > 0) {
  say(`no such row: ${unknown.join(' ')} (rows: ${rowNames.join(' ')})`);
  process.exit(64);
}
if (process.getuid?.() !== 0) {
  say('make bench needs root: network namespaces, eBPF');
  process.exit(1);
}
const on = await machine();
const rows = await measure(new Set(names.length === 0 ? rowNames : names));
tell(rows, on);
const missed = rows.filter((row) => passes(row) === false);
if (missed.length > 0) say(`${missed.length} of the budgets missed: ${missed.map((row) => row.name).join('; ')}`);
process.exitCode = missed.length > 0 ? 1 : 0;
