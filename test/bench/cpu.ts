/** Row `cpu`: what a request costs the whole machine when all three paths carry the same, moderate load. */
import { cgroupCpuUs } from './process-use.ts';
import type { Row } from './row.ts';
import { median, ratios, summary } from './statistics.ts';
import { serverCpu, type Target, type TargetName, type Targets } from './targets.ts';
import { rate, runWrk } from './wrk.ts';

const connections = 16;
/** Of each connection between two requests: 16 connections make about 1 500 requests a second. */
const pauseMs = 10;
const seconds = 2;
const blocks = 3;
const roundsOfBlock = 2;

interface Sample {
  readonly cpuUs: number;
  readonly rate: number;
}

/**
 * Client, server, the network's softirqs and the mesh's daemon: all that runs in the target's cgroup. The kernel charges a
 * softirq to the process that it interrupts, and on a path of veths that is the sender.
 */
export async function cpu(targets: Targets): Promise<Row[]> {
  const samples: Record<TargetName, Sample[]> = { mesh: [], direct: [], dnat: [] };
  for (let block = 0; block < blocks; block++) {
    await targets.freshServers();
    const order = [...targets.all];
    for (let round = 0; round < roundsOfBlock; round++) {
      for (const target of order) samples[target.name].push(await one(target));
      order.reverse();
    }
  }
  const costs = (name: TargetName) => samples[name].map((sample) => sample.cpuUs);
  const rates = (name: TargetName) => samples[name].map((sample) => sample.rate);
  return [
    {
      name: `CPU per request at ${Math.round(median(rates('direct')))} requests/s, 16 connections`,
      unit: 'ratio',
      measured: summary(ratios(costs('mesh'), costs('direct'))),
      dnat: summary(ratios(costs('dnat'), costs('direct'))),
      direct: `${median(costs('direct')).toFixed(1)} us`,
      budget: { atMost: 1.15 },
    },
    {
      name: 'the same: requests/s (to be 1)',
      unit: 'ratio',
      measured: summary(ratios(rates('mesh'), rates('direct'))),
      dnat: summary(ratios(rates('dnat'), rates('direct'))),
      direct: `${Math.round(median(rates('direct')))}/s`,
    },
  ];
}

async function one(target: Target): Promise<Sample> {
  const before = cgroupCpuUs(target.cgroupPath);
  const result = await runWrk(target.client, target, { connections, seconds, pauseMs, cpu: serverCpu + 1 });
  return { cpuUs: (cgroupCpuUs(target.cgroupPath) - before) / result.requests, rate: rate(result) };
}
