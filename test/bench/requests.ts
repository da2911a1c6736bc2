/** Rows `keep-alive` and `new-connections`: requests a second and their latency, beside a direct path and iptables DNAT. */
import { cgroupCpuUs } from './process-use.ts';
import type { Row } from './row.ts';
import { median, ratios, summary } from './statistics.ts';
import { serverCpu, type TargetName, type Targets } from './targets.ts';
import { type LoadResult, rate, runWrk } from './wrk.ts';

interface Placement {
  readonly name: string;
  /** wrk's. */
  readonly cpu: number;
}

const placements: readonly Placement[] = [
  { name: 'one CPU', cpu: serverCpu },
  { name: 'two CPUs', cpu: serverCpu + 1 },
];
/** Of every placement, interleaved, a second each. */
const rounds = 6;
/** Of all paths side by side. */
const sharedRounds = 9;
const sharedSeconds = 2;
/** New server processes after so many rounds. */
const roundsOfServers = 3;

interface Kind {
  readonly name: string;
  readonly connections: number;
  readonly fresh: boolean;
  readonly budget: number;
}

const keepAliveKinds: readonly Kind[] = [
  { name: 'keep-alive, 1 connection', connections: 1, fresh: false, budget: 0.98 },
  { name: 'keep-alive, 32 connections', connections: 32, fresh: false, budget: 0.98 },
];
const newKinds: readonly Kind[] = [
  { name: 'new connections, 16 at a time', connections: 16, fresh: true, budget: 0.95 },
];

export const keepAlive = (targets: Targets): Promise<Row[]> => rowsOf(targets, keepAliveKinds);
export const newConnections = (targets: Targets): Promise<Row[]> => rowsOf(targets, newKinds);

async function rowsOf(targets: Targets, kinds: readonly Kind[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const kind of kinds) {
    rows.push(await sideBySide(targets, kind));
    for (const placement of placements) rows.push(...(await interleaved(targets, kind, placement)));
  }
  return rows;
}

/**
 * All paths at the same time on one CPU, and how many requests each makes of a second of that CPU: the requests a second of a
 * CPU that is full. Whatever disturbs the machine meets all paths in the same milliseconds, so this is what can be held to a
 * budget of two per cent.
 */
async function sideBySide(targets: Targets, kind: Kind): Promise<Row> {
  const samples: Record<TargetName, number[]> = { mesh: [], direct: [], dnat: [] };
  for (let round = 0; round < sharedRounds; round++) {
    if (round % roundsOfServers === 0) await targets.freshServers();
    const load = { connections: kind.connections, seconds: sharedSeconds, cpu: serverCpu, fresh: kind.fresh };
    const before = targets.all.map((target) => cgroupCpuUs(target.cgroupPath));
    const results = await Promise.all(targets.all.map((target) => runWrk(target.client, target, load)));
    for (const [i, target] of targets.all.entries()) {
      const cpuSeconds = (cgroupCpuUs(target.cgroupPath) - (before[i] ?? 0)) / 1e6;
      samples[target.name].push((results[i]?.requests ?? 0) / cpuSeconds);
    }
  }
  return {
    name: `${kind.name}, side by side: requests per CPU second`,
    unit: 'ratio',
    measured: summary(ratios(samples.mesh, samples.direct)),
    dnat: summary(ratios(samples.dnat, samples.direct)),
    direct: `${Math.round(median(samples.direct))}/s`,
    budget: { atLeast: kind.budget },
  };
}

/** One path after the other, over and over, every other time backwards. */
async function interleaved(targets: Targets, kind: Kind, placement: Placement): Promise<Row[]> {
  const samples: Record<TargetName, LoadResult[]> = { mesh: [], direct: [], dnat: [] };
  const load = { connections: kind.connections, seconds: 1, cpu: placement.cpu, fresh: kind.fresh };
  const order = [...targets.all];
  for (let round = 0; round < rounds; round++) {
    if (round % roundsOfServers === 0) await targets.freshServers();
    for (const target of order) samples[target.name].push(await runWrk(target.client, target, load));
    order.reverse();
  }
  const series = (name: TargetName, figure: (result: LoadResult) => number) =>
    ratios(samples[name].map(figure), samples.direct.map(figure));
  const row = (what: string, figure: (result: LoadResult) => number, unit: string): Row => ({
    name: `${kind.name}, ${placement.name}: ${what}`,
    unit: 'ratio',
    measured: summary(series('mesh', figure)),
    dnat: summary(series('dnat', figure)),
    direct: `${Math.round(median(samples.direct.map(figure)))}${unit}`,
  });
  const rows = [row('requests/s', rate, '/s')];
  // wrk's clock for latency starts when a request is written, so the opening of a connection is not in it.
  if (!kind.fresh)
    rows.push(
      row('p50', (r) => r.p50Us, ' us'),
      row('p99', (r) => r.p99Us, ' us'),
    );
  return rows;
}
