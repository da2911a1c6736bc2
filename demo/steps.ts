/** What the demo shows, step by step. Every step throws when the mesh did not do what the step is about. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clientResult, type ManyResult, manyConnections, manyConnectionsCommand } from '../test/lab/clients.ts';
import { pythonProgram } from '../test/lab/python.ts';
import type { Mesh } from './mesh.ts';
import { addFile, addresses, addServer, type Shop } from './shop.ts';
import { command, heading, long, output, percent, print, say, table } from './show.ts';
import { sayHow } from './sources/source.ts';

const spreadConnections = 3000;
/** Points of a per cent by which 3 000 random choices may be off: five standard deviations of a half. */
const spreadTolerance = 4.6;
const hosts = { reviews: 'reviews.shop.svc.cluster.local', 'reviews-canary': 'canary.reviews.shop' } as const;
const reviewsUrl = `http://${addresses.reviews.ip4}/`;

export async function showServices(mesh: Mesh, status: string): Promise<void> {
  heading('The mesh is up');
  command('kmeshctl status --wait');
  output(status);
  print();
  for (const kind of ['services', 'workloads']) {
    command(`kmeshctl get ${kind} -n shop`);
    output(await mesh.ctl('get', kind, '-n', 'shop'));
    if (kind === 'services') print();
  }
}

export async function showFrontend({ frontend, outcomes }: Shop): Promise<void> {
  heading('What the frontend sees');
  say('Plain HTTP to the services’ addresses. No proxy and no NAT: the kernel picks a pod for each request.');
  const six = `http://[${addresses.reviews.ip6}]/`;
  for (const [what, pod, script] of [
    ['requests to reviews', 'reviews', `for i in 1 2 3 4 5 6; do curl -sS ${reviewsUrl}; done`],
    ['a request to reviews by IPv6', 'reviews', `curl -sS '${six}'`],
    ['a request to ratings', 'ratings', `curl -sS http://${addresses.ratings.ip4}/`],
  ] as const) {
    command(script);
    const answers = await frontend.output(['sh', '-ec', script]);
    output(answers);
    const others = answers
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith(pod));
    if (others.length > 0) throw new Error(`not answered by ${pod}: ${others.join()}`);
    outcomes.add(what, `answered by ${pod}`);
  }
}

export async function showSpread(shop: Shop, mesh: Mesh): Promise<void> {
  heading(`Where ${spreadConnections} requests go, each on a connection of its own`);
  say('Counted by the client (who answered) and by the kernel (kmeshctl get endpoints -n shop).');
  print();
  await spread(shop, mesh, 'reviews', addresses.reviews.ip4, { 'reviews-v1': 1, 'reviews-v2': 1 });
  print();
  await spread(shop, mesh, 'reviews-canary', addresses.canary.ip4, { 'reviews-v1': 9, 'reviews-v2': 1 });
}

type Shares = Readonly<Record<string, number>>;

async function spread(
  shop: Shop,
  mesh: Mesh,
  service: keyof typeof hosts,
  address: string,
  shares: Shares,
): Promise<void> {
  const { frontend, lab, outcomes } = shop;
  const before = new Map((await mesh.endpoints(hosts[service])).map((e) => [e.address, e.requests]));
  const result = await manyConnections(frontend, [address, '80', String(spreadConnections)]);
  noFailures(result);
  const endpoints = (await mesh.endpoints(hosts[service])).filter((e) => e.address.includes('.'));
  const all = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const rows = endpoints.map((e) => {
    const name = [...lab.pods.values()].find(({ ip4 }) => ip4 === e.address)?.name ?? e.address;
    const seen = result.answers[name] ?? 0;
    const counted = e.requests - (before.get(e.address) ?? 0);
    if (counted !== seen) throw new Error(`${name} answered ${seen} requests, the kernel counted ${counted}`);
    const off = (100 * seen) / spreadConnections - (100 * (shares[name] ?? 0)) / all;
    if (Math.abs(off) > spreadTolerance) throw new Error(`${name} got ${percent(seen, spreadConnections)}`);
    const share = percent(seen, spreadConnections);
    return [service, name, `${e.address}:${e.port}`, `${e.weight}`, `${seen}`, `${counted}`, share];
  });
  table([['SERVICE', 'POD', 'ENDPOINT', 'WEIGHT', 'CLIENT', 'KERNEL', 'SHARE'], ...rows], 3);
  say(`${Math.round(result.rate)} connections a second, one after another; 0 failed`);
  if (rows.length !== Object.keys(shares).length) throw new Error(`${service} has ${rows.length} endpoints`);
  outcomes.addShares(`${spreadConnections} connections to ${service}`, shares);
}

interface Latency {
  readonly p50_us: number;
  readonly p99_us: number;
}

export async function showLatency({ frontend, ratings, serverPort }: Shop): Promise<void> {
  heading('What it costs');
  say('Latency through the mesh beside a direct connection to the same pod, request by request in turn.');
  const rows = [['', 'DIRECT p50', 'MESH p50', 'RATIO', 'DIRECT p99', 'MESH p99', 'RATIO']];
  for (const [name, ...options] of [
    ['keep-alive request', '--requests', '6000'],
    ['new connection and request', '--requests', '3000', '--new'],
  ] as const) {
    const targets = [`direct=${ratings.ip4},${serverPort}`, `mesh=${addresses.ratings.ip4},80`];
    const text = await frontend.output([...pythonProgram('clients/latency.py'), ...targets, ...options]);
    const { direct, mesh } = JSON.parse(text) as { direct: Latency; mesh: Latency };
    const pair = (a: number, b: number) => [`${a.toFixed(1)} µs`, `${b.toFixed(1)} µs`, (b / a).toFixed(2)];
    rows.push([name, ...pair(direct.p50_us, mesh.p50_us), ...pair(direct.p99_us, mesh.p99_us)]);
  }
  table(rows);
}

export async function showTelemetry({ lab }: Shop, mesh: Mesh): Promise<void> {
  heading('What it measured');
  command('curl -s localhost:15020/metrics | grep istio_requests_total');
  const metrics = await lab.node.output(['curl', '-sS', 'http://localhost:15020/metrics']);
  const counted = metrics.split('\n').filter((line) => line.startsWith('istio_requests_total{'));
  const fromFrontend = counted.filter((line) => /reporter="source"/.test(line) && /_service_name="reviews"/.test(line));
  const [first] = fromFrontend;
  if (first === undefined) throw new Error('no metric of requests to reviews');
  long(first, ',');
  say(`and ${counted.length - 1} more lines of this metric`);
  print();
  command('tail access.log   # kmesh-daemon --access-log text');
  long(await lastLine(mesh.accessLog, ' request complete '), ' ');
}

/** The last line with a text in it. The daemon writes within a tenth of a second of a connection's end. */
async function lastLine(file: string, text: string): Promise<string> {
  for (const deadline = Date.now() + 3000; Date.now() < deadline; await delay(50)) {
    const lines = readFileSync(file, 'utf8').split('\n');
    const line = lines.findLast((candidate) => candidate.includes(text));
    if (line !== undefined) return line;
  }
  throw new Error(`${file} has no line with ${text}`);
}

export async function showChange(shop: Shop, mesh: Mesh): Promise<void> {
  heading('A live change: one more pod of reviews-v2');
  await addServer(shop.lab, 'reviews-v2-b');
  const file = 'reviews-v2-b.yaml';
  command(`mv ${file} ${mesh.config}/   # while 500 connections a second are opened`);
  sayHow(shop.source);
  const args = [addresses.reviews.ip4, '80', '--rate', '500', '--seconds', '3'];
  const client = shop.frontend.spawn(manyConnectionsCommand(args));
  await delay(500);
  const moved = Date.now();
  addFile(`scale-out/${file}`, join(mesh.config, file));
  await shop.source.apply();
  await client.exited;
  const result = clientResult(client) as unknown as ManyResult;
  noFailures(result);
  const first = result.first_at['reviews-v2-b'];
  if (first === undefined) throw new Error('the new pod got no connection');
  say(`reviews-v2-b answered its first connection ${Math.round(first * 1000 - moved)} ms later; 0 of 1500 failed.`);
  print();
  shop.outcomes.add('the same while a pod comes', '0 failed, and it gets its share');
  await spread(shop, mesh, 'reviews', addresses.reviews.ip4, { 'reviews-v1': 1, 'reviews-v2': 1, 'reviews-v2-b': 1 });
}

export async function showRestart({ frontend, outcomes }: Shop, mesh: Mesh): Promise<void> {
  heading('The daemon is killed, the mesh is not');
  const keepAlive = [...pythonProgram('clients/keep_alive.py'), addresses.reviews.ip4, '80', '--until-eof'];
  const open = frontend.spawn([...keepAlive, '--connections', '20', '--rate', '200'], { holdInput: true });
  await open.line(/^ready$/);
  command('kill -9 $(pidof kmesh-daemon)');
  await mesh.killDaemon();
  command('kmeshctl status');
  const { stderr } = await mesh.tryCtl('status');
  long(stderr.trim(), ' ');
  const away = await manyConnections(frontend, [addresses.reviews.ip4, '80', '1000']);
  noFailures(away);
  const shares = Object.entries(away.answers).sort(([a], [b]) => (a < b ? -1 : 1));
  if (shares.length !== 3) throw new Error(`without the daemon only ${shares.map(([n]) => n).join()} answer`);
  outcomes.add('1000 connections without a daemon', `0 failed, to ${shares.map(([n]) => n).join(', ')}`);
  say(`1000 new connections meanwhile: ${shares.map(([n, c]) => `${n} ${percent(c, 1000)}`).join(', ')}; 0 failed`);
  print();
  command('kmesh-daemon … & kmeshctl status --wait');
  output(shortened(await mesh.start()));
  open.endInput();
  await open.exited;
  const kept = clientResult(open) as { requests: number; failures: number; connections: number };
  if (kept.failures > 0 || kept.connections !== 20) throw new Error(`open connections: ${JSON.stringify(kept)}`);
  outcomes.add('20 connections, open over its restart', '0 requests failed');
  say(`20 connections that were open all the time: ${kept.requests} requests, 0 failed.`);
  const counted = (await mesh.endpoints(hosts.reviews)).reduce((sum, e) => sum + e.requests, 0);
  say(`The kernel’s counters went on as well: ${counted} requests to reviews since the start.`);
}

const shortened = (status: string): string =>
  status
    .split('\n')
    .filter((line) => /^(Daemon|Ready|Kernel|Services):/.test(line))
    .join('\n');

function noFailures(result: ManyResult): void {
  if (result.failures > 0) throw new Error(`${result.failures} connections failed: ${JSON.stringify(result.errors)}`);
}
