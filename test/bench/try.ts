import { Targets } from './targets.ts';
import { runWrk, rate } from './wrk.ts';
import { summary, ratios } from './statistics.ts';
await using t = await Targets.create();
for (const cpu of [0, 1]) for (const [connections, fresh] of [[1, false], [32, false], [1, true], [16, true]] as const) {
  const r: Record<string, number[]> = { mesh: [], direct: [], dnat: [] };
  for (let b = 0; b < 2; b++) {
    await t.freshServers();
    for (let i = 0; i < 4; i++) {
      const order = i % 2 ? t.all : [...t.all].reverse();
      for (const x of order) r[x.name]?.push(rate(await runWrk(x.client, x, { connections, seconds: 1, cpu, fresh })));
    }
  }
  const s = (a: string) => { const q = summary(ratios(r[a] ?? [], r.direct ?? [])); return `${a} ${q.median.toFixed(3)} (${q.low.toFixed(3)}-${q.high.toFixed(3)})`; };
  console.log(cpu, connections, fresh, r.direct?.map(Math.round).join(' '), s('mesh'), s('dnat'));
}
