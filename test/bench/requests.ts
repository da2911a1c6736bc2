/** Rows `keep-alive` and `new-connections`: requests a second and their latency, beside a direct path and iptables DNAT. */
import type { Budget, Row } from './row.ts';
import { median, medianInterval, ratios, summary } from './statistics.ts';
import { serverCpu, type TargetName, type Targets } from './targets.ts';
import { type LoadResult, rate, runWrk } from './wrk.ts';

interface Placement {
  readonly name: string;
  /** wrk's. */
  readonly cpu: number;
  /** Of five rounds, each on servers of its own. */
  readonly blocks: readonly [atLeast: number, atMost: number];
}

// On one CPU the client, the server and the kernel between them take turns, so a request takes what all of them cost and a
// ratio is one of costs. On two, a good part of a request is one CPU waking the other, which the hypervisor does well or
// badly: no budget can be held to that.
const oneCpu: Placement = { name: 'one CPU', cpu: serverCpu, blocks: [3, 5] };
const twoCpus: Placement = { name: 'two CPUs', cpu: serverCpu + 1, blocks: [1, 1] };
const roundsOfBlock = 5;

interface Kind {
  readonly name: string;
  readonly connections: number;
  readonly fresh: boolean;
  readonly budget: number;
}

const keepAliveKinds: readonly Kind[] = [1, 32].map((connections) => ({
  name: `keep-alive, ${connections} connection${connections === 1 ? '' : 's'}`,
  connections,
  fresh: false,
  budget: 0.98,
}));
const newKinds: readonly Kind[] = [
  { name: 'new connections, 16 at a time', connections: 16, fresh: true, budget: 0.95 },
];

type Samples = Record<TargetName, LoadResult[]>;

export const keepAlive = (targets: Targets): Promise<Row[]> => rowsOf(targets, keepAliveKinds);
export const newConnections = (targets: Targets): Promise<Row[]> => rowsOf(targets, newKinds);

async function rowsOf(targets: Targets, kinds: readonly Kind[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const placement of [oneCpu, twoCpus]) {
    for (const kind of kinds) rows.push(...(await measure(targets, kind, placement)));
  }
  return rows;
}

async function measure(targets: Targets, kind: Kind, placement: Placement): Promise<Row[]> {
  const samples: Samples = { mesh: [], direct: [], dnat: [] };
  const series = (name: TargetName, figure: (result: LoadResult) => number) =>
    ratios(samples[name].map(figure), samples.direct.map(figure));
  const [atLeast, atMost] = placement.blocks;
  for (let block = 0; block < atMost; block++) {
    if (block >= atLeast && decided(series('mesh', rate), kind.budget)) break;
    await oneBlock(targets, kind, placement, samples);
  }
  const row = (what: string, figure: (result: LoadResult) => number, direct: string, budget?: Budget): Row => ({
    name: `${kind.name}, ${placement.name}: ${what}`,
    unit: 'ratio',
    measured: summary(series('mesh', figure)),
    dnat: summary(series('dnat', figure)),
    direct,
    ...(budget === undefined ? {} : { budget }),
  });
  const directly = (figure: (result: LoadResult) => number) => Math.round(median(samples.direct.map(figure)));
  const budget = placement === oneCpu ? { atLeast: kind.budget } : undefined;
  const rows = [row('requests/s', rate, `${directly(rate)}/s`, budget)];
  // wrk's clock for latency starts when a request is written, so the opening of a connection is not in it.
  if (!kind.fresh) {
    rows.push(row('p50', (r) => r.p50Us, `${directly((r) => r.p50Us)} us`));
    rows.push(row('p99', (r) => r.p99Us, `${directly((r) => r.p99Us)} us`));
  }
  return rows;
}

/** More rounds would not change the verdict, most likely. */
function decided(samples: readonly number[], budget: number): boolean {
  const [low, high] = medianInterval(samples);
  return low >= budget || high < budget;
}

async function oneBlock(targets: Targets, kind: Kind, placement: Placement, samples: Samples): Promise<void> {
  await targets.freshServers();
  const order = [...targets.all];
  for (let round = 0; round < roundsOfBlock; round++) {
    for (const target of order) {
      const load = { connections: kind.connections, seconds: 1, cpu: placement.cpu, fresh: kind.fresh };
      samples[target.name].push(await runWrk(target.client, target, load));
    }
    order.reverse();
  }
}
