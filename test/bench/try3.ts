import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { median, ratios, summary } from './statistics.ts';
import { type Target, Targets } from './targets.ts';
import { rate, runWrk } from './wrk.ts';

await using t = await Targets.create();
await t.freshServers();
const [mesh, direct] = t.all;
if (!mesh || !direct) throw new Error();
const usage = (x: Target) => Number(/usage_usec (\d+)/.exec(readFileSync(join(x.cgroupPath, 'cpu.stat'), 'utf8'))?.[1]);
const run = async (label: string) => {
  const m: number[] = [],
    d: number[] = [],
    mr: number[] = [],
    dr: number[] = [];
  for (let i = 0; i < 10; i++) {
    if (i === 5) await t.freshServers();
    for (const x of i % 2 ? [mesh, direct] : [direct, mesh]) {
      const b = usage(x);
      const r = await runWrk(x.client, x, { connections: 1, seconds: 1, cpu: 0, fresh: true });
      (x === mesh ? m : d).push((usage(x) - b) / r.requests);
      (x === mesh ? mr : dr).push(rate(r));
    }
  }
  const f = (s: number[]) => {
    const q = summary(s);
    return `${q.median.toFixed(3)} (${q.low.toFixed(3)}-${q.high.toFixed(3)})`;
  };
  console.log(
    label,
    'cpu us',
    median(m).toFixed(2),
    median(d).toFixed(2),
    'diff',
    f(m.map((x, i) => x - (d[i] ?? 0))),
    'ratio',
    f(ratios(d, m)),
    'rate ratio',
    f(ratios(mr, dr)),
  );
};
await run('default');
await t.mesh.daemon.kill();
await t.mesh.start(['--monitoring', 'false']);
await run('monitoring off');
await t.mesh.daemon.kill('SIGKILL');
const links = join(t.mesh.lab.bpfFsPath, 'km', 'links');
rmSync(join(links, 'km_sockops'));
await run('no sockops');
for (const l of readdirSync(links)) if (!l.includes('connect4')) rmSync(join(links, l));
await run('connect4 only');
