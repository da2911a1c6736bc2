/** Rows `scale` and `restart`: ten thousand services of ten endpoints. */
import { setTimeout as delay } from 'node:timers/promises';
import { KernelView } from './kernel-view.ts';
import { cpuSeconds, memory } from './process-use.ts';
import { type Row, single } from './row.ts';
import type { ScaleMesh } from './scale-mesh.ts';
import { fileName, fileText, firstService, freeAddress, scale, serviceAddress } from './scale-objects.ts';
import { summary } from './statistics.ts';
import { runWrk } from './wrk.ts';

const changes = 100;
const restarts = 3;
const stillSeconds = 10;
/** The daemon waits so long for a change's file events to end before it handles them (FilesSource, quietMs). */
const quietMs = 20;
const memoryBudget = { atMost: 250 };
const loadBudget = { atMost: 5 };

const size = `${scale.services} services x ${scale.endpoints} endpoints`;

/** Waits until the daemon has used next to no CPU for a second: it gives memory back when a change is over. */
export async function atRest(pid: number): Promise<void> {
  for (let calm = 0, before = cpuSeconds(pid); calm < 5; ) {
    await delay(200);
    const now = cpuSeconds(pid);
    calm = now - before < 0.02 ? calm + 1 : 0;
    before = now;
  }
}

/** Loads; with `rows` what there is to say about it. */
export async function scaleRows(scaled: ScaleMesh): Promise<Row[]> {
  const { seconds, daemon, cpuSeconds: used } = await scaled.start();
  await atRest(daemon.pid);
  const loaded = memory(daemon.pid);
  const change = await changeEndpoints(scaled);
  await atRest(daemon.pid);
  const changed = memory(daemon.pid);
  const still = await cpuWhileStill(scaled, daemon.pid);
  return [
    { name: `${size}: exec to ready`, unit: 's', measured: single(seconds), budget: loadBudget },
    { name: 'CPU time of that, all threads', unit: 's', measured: single(used) },
    { name: 'daemon RSS after loading', unit: 'MB', measured: single(loaded.rss), budget: memoryBudget },
    { name: `daemon RSS after ${changes} changes`, unit: 'MB', measured: single(changed.rss), budget: memoryBudget },
    { name: 'daemon RSS, the most there was', unit: 'MB', measured: single(changed.peak) },
    {
      name: 'one endpoint change: file event handled to kernel',
      unit: 'ms',
      measured: summary(change.totalMs.map((ms) => ms - quietMs)),
      budget: { atMost: 10 },
    },
    { name: 'one endpoint change: model to kernel (mean)', unit: 'ms', measured: single(change.publishMs) },
    { name: 'one endpoint change: rename(2) to kernel', unit: 'ms', measured: summary(change.totalMs) },
    { name: 'daemon CPU, traffic and no changes', unit: '% CPU', measured: single(still), budget: { atMost: 1 } },
  ];
}

export async function restartRows(scaled: ScaleMesh): Promise<Row[]> {
  const seconds: number[] = [];
  const used: number[] = [];
  const written: number[] = [];
  for (let i = 0; i < restarts; i++) {
    await scaled.mesh.daemon.kill('SIGKILL');
    const start = await scaled.start();
    seconds.push(start.seconds);
    used.push(start.cpuSeconds);
    written.push(start.written);
  }
  return [
    { name: `restart with ${size}: exec to ready`, unit: 's', measured: summary(seconds), budget: loadBudget },
    { name: 'CPU time of that, all threads', unit: 's', measured: summary(used) },
    {
      name: 'restart: records written to the kernel',
      unit: 'writes',
      measured: single(Math.max(...written)),
      budget: { atMost: 0 },
    },
  ];
}

/** Each change is one endpoint's address, in another file each time. */
async function changeEndpoints(scaled: ScaleMesh): Promise<{ totalMs: number[]; publishMs: number }> {
  using kernel = new KernelView(scaled.bpfFsPath);
  const before = await published(scaled);
  const totalMs: number[] = [];
  for (let i = 0; i < changes; i++) {
    const text = fileText(i % scale.files, freeAddress(i));
    const cluster = kernel.cluster(serviceAddress(firstService(i % scale.files)), 80);
    const digest = kernel.digest(cluster);
    const from = scaled.replace(fileName(i % scale.files), text);
    kernel.awaitChange(cluster, digest, 5000);
    totalMs.push(performance.now() - from);
  }
  const after = await published(scaled);
  return { totalMs, publishMs: ((after.sum - before.sum) / (after.count - before.count)) * 1000 };
}

/** The daemon's own figure: seconds from a change of the source to the kernel, and how many there were. */
async function published(scaled: ScaleMesh): Promise<{ sum: number; count: number }> {
  const value = async (name: string) => Number((await scaled.mesh.metric(name))[0]?.split(' ')[1]);
  return {
    sum: await value('kmesh_publish_duration_seconds_sum'),
    count: await value('kmesh_publish_duration_seconds_count'),
  };
}

/** Per cent of one CPU. */
async function cpuWhileStill(scaled: ScaleMesh, pid: number): Promise<number> {
  const from = { cpu: cpuSeconds(pid), at: performance.now() };
  const pace = { connections: 16, pauseMs: 10, cpu: 1 };
  await runWrk(scaled.client, scaled.live, { ...pace, seconds: stillSeconds / 2 });
  await runWrk(scaled.client, scaled.live, { ...pace, seconds: stillSeconds / 2, fresh: true });
  return ((cpuSeconds(pid) - from.cpu) / ((performance.now() - from.at) / 1000)) * 100;
}
