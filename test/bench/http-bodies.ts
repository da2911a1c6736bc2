/** Rows `http-bodies`: a gigabyte up and down, and requests that are written in pieces, beside a direct path. */
import { writtenInPieces } from '../lab/clients.ts';
import { patternFile } from '../lab/pattern.ts';
import { startBulk, startWeb } from '../lab/servers.ts';
import { bulkPort, type HttpTarget, type HttpTargets, webPort } from './http-targets.ts';
import { type Row, single } from './row.ts';
import { median, ratios, summary } from './statistics.ts';

const size = 1_000_000_000;
const rounds = 3;
/** Of each way and size. */
const pieceRounds = 20;
const pieceSizes = [0, 1, 1000, 3000, 20_000, 300_000, 30_000_000];
const pieceWays = ['separate', 'split', 'random', 'writev', 'more', 'cork', 'sendfile', 'chunked', 'crumbs', 'expect'];

export async function httpBodies(targets: HttpTargets): Promise<Row[]> {
  const both = targets.of('mesh', 'direct');
  for (const { server, cgroup } of both) {
    await startBulk(server, { port: bulkPort, cgroup });
    await startWeb(server, { port: webPort, cgroup });
  }
  return [...(await transfers(targets, both)), ...(await pieces(targets))];
}

async function transfers(targets: HttpTargets, both: readonly HttpTarget[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const way of ['down', 'up'] as const) {
    const speeds = new Map(both.map(({ name }) => [name, [] as number[]]));
    const order = [...both];
    for (let round = 0; round < rounds; round++) {
      for (const target of order) speeds.get(target.name)?.push(await transfer(targets, target, way));
      order.reverse();
    }
    const direct = speeds.get('direct') ?? [];
    const mesh = speeds.get('mesh');
    rows.push({
      name: `HTTP, 1 GB ${way}: bytes/s`,
      unit: 'ratio',
      measured: summary(mesh === undefined ? [] : ratios(mesh, direct)),
      direct: `${Math.round(median(direct) / 1e6)} MB/s`,
      ...(mesh === undefined ? {} : { budget: { atLeast: 0.9 } }),
    });
  }
  return rows;
}

/** Bytes a second. */
async function transfer(targets: HttpTargets, target: HttpTarget, way: 'up' | 'down'): Promise<number> {
  const { client, cgroup } = target;
  const { address, port } = targets.bodies(target, 'bulk');
  const url = `http://${address}:${port}/${way === 'down' ? size : ''}`;
  const body = way === 'up' ? ['-T', patternFile(client.lab.directory, size)] : [];
  const figures = '%{size_download} %{size_upload} %{time_total}';
  const output = await client.output(['curl', '-sS', '-f', '-o', '/dev/null', '-w', figures, ...body, url], {
    cgroup,
    timeoutMs: 120_000,
  });
  const [down = 0, up = 0, seconds = 0] = output.split(' ').map(Number);
  if ((way === 'down' ? down : up) !== size) throw new Error(`${target.name}: ${output}`);
  return size / seconds;
}

/** How far the mesh's p90 lies above a tenth more than the direct path's, at its worst; a stall is 40 or 200 ms. */
async function pieces(targets: HttpTargets): Promise<Row[]> {
  const mesh = targets.of('mesh')[0];
  const direct = targets.of('direct')[0];
  if (mesh === undefined || direct === undefined) return [];
  const places = [mesh, direct].map((target) => ({ name: target.name, ...targets.bodies(target, 'web') }));
  const options = { rounds: pieceRounds, sizes: pieceSizes, ways: pieceWays };
  const { failures, rows } = await writtenInPieces(mesh.client, places, options);
  if (failures.length > 0) throw new Error(`requests failed: ${failures.slice(0, 5).join('; ')}`);
  const above = rows
    .filter(({ name }) => name === 'mesh')
    .map((row) => {
      const base = rows.find(({ name, way, size }) => name === 'direct' && way === row.way && size === row.size);
      return { ...row, ms: (row.p90Us - 1.1 * (base?.p90Us ?? Number.NaN)) / 1000 };
    })
    .sort((a, b) => b.ms - a.ms);
  const worst = above[0];
  if (worst === undefined) throw new Error('nothing was measured');
  return [
    {
      name: `HTTP, written in pieces, worst p90 over 1.1 of direct (${worst.way}, ${worst.size} bytes)`,
      unit: 'ms',
      measured: single(worst.ms),
      budget: { atMost: 1 },
    },
  ];
}
