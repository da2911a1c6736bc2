/** Rows `xds-workload` and `xds-envoy`: ten thousand services of ten endpoints from a control plane, then a flood of changes. */
import { join } from 'node:path';
import { httpLoad } from '../lab/clients.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod } from '../lab/mesh.ts';
import { startWeb } from '../lab/servers.ts';
import { cpuSeconds, memory, waitedSeconds } from './process-use.ts';
import { type Row, single } from './row.ts';
import { atRest } from './scale.ts';

const vip = '10.111.0.1';
const deadlineMs = 120_000;
const churnRate = 1000;

/** What was seen. */
export interface XdsFigures {
  /** From exec to `in sync`. */
  readonly seconds: number;
  /** Of these, how long the daemon's first thread waited for a CPU that others had. */
  readonly waited: number;
  readonly cpuSeconds: number;
  /** Megabytes. */
  readonly loaded: number;
  readonly churned: number;
  readonly peak: number;
  readonly changes: number;
  readonly churnSeconds: number;
  /** CPUs in use meanwhile. */
  readonly churnCpu: number;
  readonly requests: number;
  readonly failed: number;
  readonly nacks: number;
}

export type XdsMode = 'dual-engine' | 'kernel-native';

/** Loads the mesh from a control plane, then lets it change for so many seconds under load. */
export async function xdsFigures(mode: XdsMode, churnSeconds: number): Promise<XdsFigures> {
  await using lab = await Lab.create();
  const [client, server] = [await lab.pod('client'), await lab.pod('server')];
  await startWeb(server, { port: 8080 });
  const plane = lab.node.spawn([process.execPath, join(import.meta.dirname, 'xds-plane.ts'), mode, vip, server.ip4], {
    holdInput: true,
  });
  await plane.line(/^ready$/, { timeoutMs: deadlineMs });
  const mesh = meshOf(lab);
  mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
  const from = performance.now();
  const daemon = mesh.launch(['--mesh-controller', '127.0.0.1:15010', '--mode', mode]);
  await daemon.line(/ INFO xds: in sync /, { stream: 'stderr', timeoutMs: deadlineMs });
  const seconds = (performance.now() - from) / 1000;
  const [used, waited] = [cpuSeconds(daemon.pid), waitedSeconds(daemon.pid)];
  await atRest(daemon.pid);
  const loaded = memory(daemon.pid).rss;

  const cases = [{ from: 'server', path: '/' }];
  const running = httpLoad(client, vip, 80, cases, ['--seconds', String(churnSeconds), '--rate', '200']);
  const before = cpuSeconds(daemon.pid);
  const churning = performance.now();
  plane.write(`${churnSeconds} ${churnRate}\n`);
  const [, changes = '0', , nacks = '0'] = await plane.line(/^churned (\d+) acks (\d+) nacks (\d+)$/, {
    timeoutMs: deadlineMs,
  });
  const took = (performance.now() - churning) / 1000;
  const churnCpu = (cpuSeconds(daemon.pid) - before) / took;
  const load = await running;
  await atRest(daemon.pid);
  const { rss: churned, peak } = memory(daemon.pid);
  await mesh.settled();
  return {
    ...{ seconds, waited, cpuSeconds: used, loaded, churned, peak, churnSeconds: took, churnCpu },
    ...{ changes: Number(changes), requests: load.requests, failed: load.failed, nacks: Number(nacks) },
  };
}

export async function xdsScale(mode: XdsMode): Promise<Row[]> {
  const churnSeconds = 30;
  const seen = await xdsFigures(mode, churnSeconds);
  const name = `10 000 services by ${mode === 'dual-engine' ? 'the workload API' : 'Envoy’s resources'}`;
  return [
    { name: `${name}: exec to in sync`, unit: 's', measured: single(seen.seconds), budget: { atMost: 10 } },
    { name: 'of it, waiting for a CPU', unit: 's', measured: single(seen.waited) },
    { name: 'CPU time of that, all threads', unit: 's', measured: single(seen.cpuSeconds) },
    { name: 'daemon RSS after loading', unit: 'MB', measured: single(seen.loaded), budget: { atMost: 300 } },
    { name: 'daemon RSS, the most there was', unit: 'MB', measured: single(seen.peak) },
    {
      name: `${seen.changes} changes at ${churnRate}/s took`,
      unit: 's',
      measured: single(seen.churnSeconds),
      budget: { atMost: churnSeconds + 2 },
    },
    { name: 'daemon CPU meanwhile', unit: '% CPU', measured: single(seen.churnCpu * 100), budget: { atMost: 100 } },
    { name: 'daemon RSS after it', unit: 'MB', measured: single(seen.churned), budget: { atMost: 300 } },
    { name: 'failed requests meanwhile', unit: 'writes', measured: single(seen.failed), budget: { atMost: 0 } },
    { name: 'NACKs', unit: 'writes', measured: single(seen.nacks), budget: { atMost: 0 } },
  ];
}
