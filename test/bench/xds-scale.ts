/** Rows `xds-workload` and `xds-envoy`: ten thousand services of ten endpoints from a control plane, then a flood of changes. */
import { join } from 'node:path';
import { httpLoad } from '../lab/clients.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod } from '../lab/mesh.ts';
import { startWeb } from '../lab/servers.ts';
import { cpuSeconds, memory } from './process-use.ts';
import { type Row, single } from './row.ts';
import { atRest } from './scale.ts';

const vip = '10.111.0.1';
const deadlineMs = 120_000;
const churnSeconds = 30;
const churnRate = 1000;

export async function xdsScale(mode: 'dual-engine' | 'kernel-native'): Promise<Row[]> {
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
  const used = cpuSeconds(daemon.pid);
  await atRest(daemon.pid);
  const loaded = memory(daemon.pid);

  const cases = [{ from: 'server', path: '/' }];
  const running = httpLoad(client, vip, 80, cases, ['--seconds', String(churnSeconds), '--rate', '200']);
  const before = cpuSeconds(daemon.pid);
  const churned = performance.now();
  plane.write(`${churnSeconds} ${churnRate}\n`);
  const [, changes = '0', , nacks = '0'] = await plane.line(/^churned (\d+) acks (\d+) nacks (\d+)$/, {
    timeoutMs: deadlineMs,
  });
  const seconds2 = (performance.now() - churned) / 1000;
  const cpu = (cpuSeconds(daemon.pid) - before) / seconds2;
  const load = await running;
  await atRest(daemon.pid);
  const after = memory(daemon.pid);
  await mesh.settled();
  const name = `10 000 services by ${mode === 'dual-engine' ? 'the workload API' : 'Envoy’s resources'}`;
  return [
    { name: `${name}: exec to in sync`, unit: 's', measured: single(seconds), budget: { atMost: 10 } },
    { name: 'CPU time of that, all threads', unit: 's', measured: single(used) },
    { name: 'daemon RSS after loading', unit: 'MB', measured: single(loaded.rss), budget: { atMost: 300 } },
    { name: 'daemon RSS, the most there was', unit: 'MB', measured: single(after.peak) },
    {
      name: `${changes} changes at ${churnRate}/s took`,
      unit: 's',
      measured: single(seconds2),
      budget: { atMost: churnSeconds + 2 },
    },
    { name: 'daemon CPU meanwhile', unit: '% CPU', measured: single(cpu * 100), budget: { atMost: 100 } },
    { name: 'daemon RSS after it', unit: 'MB', measured: single(after.rss), budget: { atMost: 300 } },
    { name: 'failed requests meanwhile', unit: 'writes', measured: single(load.failed), budget: { atMost: 0 } },
    { name: 'NACKs', unit: 'writes', measured: single(Number(nacks)), budget: { atMost: 0 } },
  ];
}
