/** Rows of HTTP requests: keep-alive, new connections, tables of many routes, a header set on each request. */
import { pythonProgram } from '../lab/python.ts';
import { favoured } from './favour.ts';
import { lastPath } from './http-routes-yaml.ts';
import {
  type HttpTarget,
  type HttpTargetName,
  type HttpTargets,
  httpTargetNames,
  meshAddresses,
} from './http-targets.ts';
import { cgroupCpuUs } from './process-use.ts';
import type { Budget, Row } from './row.ts';
import { median, ratios, type Summary, summary } from './statistics.ts';
import { serverCpu } from './targets.ts';
import { type LoadResult, rate, runWrk } from './wrk.ts';

interface Placement {
  readonly name: string;
  /** The client's; the server's is another row's. */
  readonly cpu: number;
  /** Those that sidecars may use. */
  readonly proxies: string;
}

const placements: readonly Placement[] = [
  { name: 'one CPU', cpu: serverCpu, proxies: String(serverCpu) },
  { name: 'two CPUs', cpu: serverCpu + 1, proxies: `${serverCpu},${serverCpu + 1}` },
];
/** Of every placement, interleaved, a second each. */
const rounds = 4;
/** Side by side, of two seconds each. */
const sharedRounds = 6;
const roundsOfServers = 2;
/** Requests to each target whose latency is compared one by one. */
const latencyRequests = 3000;

type Series<T> = Map<HttpTargetName, T[]>;

const seriesOf = <T>(): Series<T> => new Map(httpTargetNames.map((name) => [name, []]));
const of = <T>(series: Series<T>, name: HttpTargetName): T[] => series.get(name) ?? [];

/** The row of a figure: what it is of the direct path's, for the mesh and all that stands beside it. */
export function rowOf<T>(
  name: string,
  series: Series<T>,
  figure: (sample: T) => number,
  unit: string,
  budget?: Budget,
): Row {
  const direct = of(series, 'direct').map(figure);
  const ratio = (target: HttpTargetName): Summary | undefined => {
    const samples = of(series, target).map(figure);
    return samples.length === 0 ? undefined : summary(ratios(samples, direct));
  };
  const measured = ratio('mesh');
  const others = { dnat: ratio('dnat'), haproxy: ratio('haproxy'), envoy: ratio('envoy') };
  return {
    name,
    unit: 'ratio',
    measured: measured ?? summary([]),
    ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)),
    direct: `${Math.round(median(direct))}${unit}`,
    // Without the mesh there is nothing that could keep a budget.
    ...(budget === undefined || measured === undefined ? {} : { budget }),
  };
}

interface Kind {
  readonly name: string;
  readonly connections: number;
  readonly fresh: boolean;
}

const budget = { atLeast: 0.95 };
const latencyBudget = { atMost: 1.05 };
const perCpuSecond = 'side by side: requests per CPU second';

export async function httpKeepAlive(targets: HttpTargets): Promise<Row[]> {
  const rows: Row[] = [];
  for (const connections of [1, 32]) {
    const kind = {
      name: `HTTP keep-alive, ${connections} connection${connections === 1 ? '' : 's'}`,
      connections,
      fresh: false,
    };
    rows.push(await sideBySide(targets, kind, targets.of('mesh', 'direct', 'dnat')));
    for (const placement of placements) {
      const samples = await interleaved(targets, kind, placement, targets.all);
      const name = `${kind.name}, ${placement.name}`;
      rows.push(rowOf(`${name}: requests/s`, samples, rate, '/s', budget));
      if (connections > 1) {
        rows.push(rowOf(`${name}: p50`, samples, (r) => r.p50Us, ' us', latencyBudget));
        rows.push(rowOf(`${name}: p99`, samples, (r) => r.p99Us, ' us', latencyBudget));
        rows.push(...ofEnvoy(name, samples));
      } else {
        rows.push(...(await latency(targets, placement)));
      }
    }
  }
  return rows;
}

export async function httpNewConnections(targets: HttpTargets): Promise<Row[]> {
  const kind = { name: 'HTTP new connections, 16 at a time', connections: 16, fresh: true };
  const rows = [await sideBySide(targets, kind, targets.of('mesh', 'direct', 'dnat'))];
  for (const placement of placements) {
    const samples = await interleaved(targets, kind, placement, targets.all);
    rows.push(rowOf(`${kind.name}, ${placement.name}: requests/s`, samples, rate, '/s', budget));
  }
  return rows;
}

/** 10 000 routes beside 10, and a header set on each request beside a direct path: the same client and server for all. */
export async function httpRoutes(targets: HttpTargets): Promise<Row[]> {
  const few = targets.meshBy(meshAddresses.few);
  const lots = targets.meshBy(meshAddresses.lots);
  if (few === null || lots === null) return [];
  const samples = { few: [] as number[], lots: [] as number[] };
  const rows: Row[] = [];
  for (const placement of placements) {
    for (let round = 0; round < rounds; round++) {
      if (round % roundsOfServers === 0) await targets.freshServers();
      const pair = [
        { list: samples.few, target: few },
        { list: samples.lots, target: lots },
      ];
      if (round % 2 === 1) pair.reverse();
      for (const { list, target } of pair) {
        const load = { connections: 32, seconds: 1, cpu: placement.cpu, path: lastPath };
        list.push(rate(await runWrk(target.client, target, load)));
      }
    }
    rows.push({
      name: `HTTP, 10 000 routes beside 10, ${placement.name}: requests/s`,
      unit: 'ratio',
      measured: summary(ratios(samples.lots.splice(0), samples.few)),
      direct: `${Math.round(median(samples.few.splice(0)))}/s`,
      budget,
    });
  }
  return rows;
}

export async function httpHeaderSet(targets: HttpTargets): Promise<Row[]> {
  const mesh = targets.meshBy(meshAddresses.header);
  if (mesh === null) return [];
  const kind = { name: 'HTTP, a header set on each request, 32 connections', connections: 32, fresh: false };
  const both = [mesh, ...targets.of('direct')];
  const rows = [await sideBySide(targets, kind, both, { atLeast: 0.75 })];
  for (const placement of placements) {
    const samples = await interleaved(targets, kind, placement, both);
    rows.push(rowOf(`${kind.name}, ${placement.name}: requests/s`, samples, rate, '/s', { atLeast: 0.75 }));
  }
  return rows;
}

/** All at the same time on one CPU: what each makes of a second of that CPU (see `sideBySide` of requests.ts). */
async function sideBySide(
  targets: HttpTargets,
  kind: Kind,
  which: readonly HttpTarget[],
  least: Budget = budget,
): Promise<Row> {
  const samples = seriesOf<number>();
  for (let round = 0; round < sharedRounds; round++) {
    if (round % roundsOfServers === 0) await targets.freshServers();
    const load = { connections: kind.connections, seconds: 2, cpu: serverCpu, fresh: kind.fresh };
    const before = which.map((target) => cgroupCpuUs(target.cgroupPath));
    const results = await Promise.all(which.map((target) => runWrk(target.client, target, load)));
    for (const [i, target] of which.entries()) {
      const cpuSeconds = (cgroupCpuUs(target.cgroupPath) - (before[i] ?? 0)) / 1e6;
      of(samples, target.name).push((results[i]?.requests ?? 0) / cpuSeconds);
    }
  }
  return rowOf(`${kind.name}, ${perCpuSecond}`, samples, (value) => value, '/s', least);
}

/** One after the other, over and over, every other time backwards. */
async function interleaved(
  targets: HttpTargets,
  kind: Kind,
  placement: Placement,
  which: readonly HttpTarget[],
): Promise<Series<LoadResult>> {
  const samples = seriesOf<LoadResult>();
  const load = { connections: kind.connections, seconds: 1, cpu: placement.cpu, fresh: kind.fresh };
  const order = [...which];
  await targets.bind(placement.proxies);
  for (let round = 0; round < rounds; round++) {
    if (round % roundsOfServers === 0) await targets.freshServers();
    for (const target of order) of(samples, target.name).push(await runWrk(target.client, target, load));
    order.reverse();
  }
  return samples;
}

/** Latency of one connection, request by request in turn: nanoseconds, where wrk has whole microseconds. */
async function latency(targets: HttpTargets, placement: Placement): Promise<Row[]> {
  const mesh = targets.of('mesh')[0];
  const direct = targets.of('direct')[0];
  if (mesh === undefined || direct === undefined) return [];
  await targets.freshServers();
  // Of one process: it reaches the direct target's server from the mesh's client, past every listener.
  const places = [mesh, direct].map(({ name, address, port }) => `${name}=${address},${port}`);
  const output = await mesh.client.output([
    ...[...favoured, 'taskset', '-c', String(placement.cpu), ...pythonProgram('clients/latency.py'), ...places],
    ...['--requests', String(latencyRequests)],
  ]);
  const result = JSON.parse(output) as Record<string, { p50_us: number; p99_us: number }>;
  return (['p50_us', 'p99_us'] as const).map((key) => {
    const [ours = Number.NaN, theirs = Number.NaN] = ['mesh', 'direct'].map((name) => result[name]?.[key]);
    return {
      name: `HTTP keep-alive, 1 connection, ${placement.name}: ${key.slice(0, 3)}`,
      unit: 'ratio',
      measured: summary([ours / theirs]),
      direct: `${theirs.toFixed(1)} us`,
      budget: latencyBudget,
    };
  });
}

/** The mesh's requests of a pair of Envoys'. */
function ofEnvoy(name: string, samples: Series<LoadResult>): Row[] {
  const mesh = of(samples, 'mesh').map(rate);
  if (mesh.length === 0) return [];
  const measured = summary(ratios(mesh, of(samples, 'envoy').map(rate)));
  return [{ name: `${name}: requests/s of a pair of Envoys'`, unit: 'ratio', measured, budget: { atLeast: 8 } }];
}
