import { execSync } from 'node:child_process';
import { Targets } from './targets.ts';
import { runWrk, rate } from './wrk.ts';
import { summary, ratios } from './statistics.ts';
await using t = await Targets.create();
await t.freshServers();
const [mesh, direct] = t.all;
if (!mesh || !direct) throw new Error();
execSync('echo 1 >/proc/sys/kernel/bpf_stats_enabled');
const before = execSync('bpftool prog show | grep -A0 km_').toString();
const r = await runWrk(mesh.client, mesh, { connections: 1, seconds: 2, cpu: 0, fresh: true });
console.log(r, rate(r));
console.log(before, execSync('bpftool prog show | grep -A0 km_').toString());
execSync('echo 0 >/proc/sys/kernel/bpf_stats_enabled');
const run = async (label: string) => {
  const m: number[] = [], d: number[] = [];
  for (let i = 0; i < 8; i++) {
    for (const x of i % 2 ? [mesh, direct] : [direct, mesh]) (x === mesh ? m : d).push(rate(await runWrk(x.client, x, { connections: 1, seconds: 1, cpu: 0, fresh: true })));
  }
  console.log(label, summary(ratios(m, d)));
};
await run('default');
console.log((await t.mesh.ctl('monitoring', 'disable')).stdout, (await t.mesh.ctl('monitoring', '--help')).stdout);
await t.mesh.daemon.kill();
await t.mesh.start(['--monitoring', 'false']);
await run('monitoring off');
