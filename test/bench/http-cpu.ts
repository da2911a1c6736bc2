/** Row `http-cpu`: what a request costs the whole machine when every path carries the same, moderate load. */
import { rowOf } from './http-requests.ts';
import { type HttpTarget, type HttpTargetName, type HttpTargets, httpTargetNames } from './http-targets.ts';
import { cgroupCpuUs } from './process-use.ts';
import type { Row } from './row.ts';
import { ratios, summary } from './statistics.ts';
import { serverCpu } from './targets.ts';
import { rate, runWrk } from './wrk.ts';

const connections = 16;
/** Of each connection between two requests: 16 connections make about 1 500 requests a second. */
const pauseMs = 10;
const seconds = 2;
const rounds = 4;

interface Sample {
  readonly cpuUs: number;
  readonly rate: number;
}

export async function httpCpu(targets: HttpTargets): Promise<Row[]> {
  const samples = new Map<HttpTargetName, Sample[]>(httpTargetNames.map((name) => [name, []]));
  await targets.freshServers();
  await targets.bind(`${serverCpu},${serverCpu + 1}`);
  const order = [...targets.all];
  for (let round = 0; round < rounds; round++) {
    for (const target of order) samples.get(target.name)?.push(await one(target));
    order.reverse();
  }
  const costs = (name: HttpTargetName) => (samples.get(name) ?? []).map(({ cpuUs }) => cpuUs);
  const name = 'HTTP, CPU per request at 1 500 requests/s, 16 connections';
  const rows = [
    rowOf(name, samples, ({ cpuUs }) => cpuUs, ' us', { atMost: 1.15 }),
    rowOf('the same: requests/s (to be 1)', samples, (sample) => sample.rate, '/s'),
  ];
  if (costs('mesh').length === 0) return rows;
  const measured = summary(ratios(costs('mesh'), costs('envoy')));
  return [...rows, { name: "the same: CPU of a pair of Envoys'", unit: 'ratio', measured, budget: { atMost: 0.25 } }];
}

async function one(target: HttpTarget): Promise<Sample> {
  const before = cgroupCpuUs(target.cgroupPath);
  const result = await runWrk(target.client, target, { connections, seconds, pauseMs, cpu: serverCpu + 1 });
  return { cpuUs: (cgroupCpuUs(target.cgroupPath) - before) / result.requests, rate: rate(result) };
}
