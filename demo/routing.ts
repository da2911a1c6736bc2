/** What the demo shows of HTTP: each request is routed on its own, also on a connection that is open already. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientResult } from '../test/lab/clients.ts';
import type { Host } from '../test/lab/host.ts';
import { pythonProgram } from '../test/lab/python.ts';
import type { Mesh } from './mesh.ts';
import { addFile, addresses, type Shop } from './shop.ts';
import { command, heading, output, percent, print, say, table } from './show.ts';
import { sayHow } from './sources/source.ts';

const file = 'reviews-routes.yaml';
const url = `http://${addresses.reviews.ip4}`;
const counted = '| sort | uniq -c';
const canaryRequests = 2000;
const faultyRequests = 1000;
const requestsPerSecond = 2000;
/** Points of a per cent by which so many random choices may be off: five standard deviations, at least. */
const tolerance = 6.5;

/** Routes for reviews, taken away again at the end. */
export async function showRoutes(shop: Shop, mesh: Mesh): Promise<void> {
  const { outcomes, source } = shop;
  heading('HTTP: each request is routed on its own');
  const path = join(mesh.config, file);
  command(`cp demo/routing/${file} ${mesh.config}/`);
  sayHow(source);
  addFile(`routing/${file}`, path);
  await source.apply();
  await inForce(mesh, [90, 10]);
  print();

  say(`A canary: of ${canaryRequests} requests on one connection a tenth go to v2.`);
  expectShare(
    await count(shop, `curl -sS '${url}/[1-${canaryRequests}]' | cut -d' ' -f1 ${counted}`),
    'reviews-v2',
    10,
  );
  outcomes.addShares(`${canaryRequests} requests on one connection`, { 'reviews-v1': 90, 'reviews-v2': 10 });
  say('Another version for one user, a redirect, and a fault for a fifth of the requests.');
  const jane = await count(shop, `curl -sS -H 'x-user: jane' '${url}/[1-20]' | cut -d' ' -f1 ${counted}`);
  if (jane.get('reviews-v2') !== 20) throw new Error('jane is not always with v2');
  outcomes.add('requests of one user', 'reviews-v2');
  const show = "curl -sS -o /dev/null -w '%{http_code} %{redirect_url}\\n'";
  const moved = await run(shop.frontend, `${show} '${url}/old?page=2'`);
  if (moved.trim() !== `308 ${url}/new?page=2`) throw new Error(`/old gave ${moved}`);
  outcomes.add('requests to /old', '308 to /new');
  const statuses = "curl -sS -o /dev/null -w '%{http_code}\\n'";
  expectShare(await count(shop, `${statuses} '${url}/faulty/[1-${faultyRequests}]' ${counted}`), '503', 20);
  outcomes.add('requests to /faulty', 'a fifth is 503');
  say('Why did it go there?');
  const asked = ['explain', '--from', 'shop/frontend', '--to', `${url}/cart`, '-H'];
  command(`kmeshctl ${asked.join(' ')} 'x-user: jane'`);
  output(await mesh.ctl(...asked, 'x-user: jane'));

  await showWeights(shop, mesh, path);
  rmSync(path);
  await source.apply();
  await inForce(mesh, null);
}

/** Waits until these weights, or none, are those of the canary. */
async function inForce(mesh: Mesh, weights: readonly number[] | null): Promise<void> {
  const wanted = weights === null ? undefined : weights.filter((weight) => weight > 0).map((weight) => `${weight}%`);
  await mesh.becomes(`the canary has ${wanted?.join(', ') ?? 'no weights'}`, async () => {
    const canary = (await mesh.routes()).find(({ name }) => name === 'canary')?.action.join();
    return wanted === undefined ? canary === undefined : wanted.every((share) => canary?.includes(` ${share} `));
  });
  await mesh.ctl('status', '--wait');
}

/** Weights are edited while one connection sends requests. */
async function showWeights({ frontend, outcomes, source }: Shop, mesh: Mesh, path: string): Promise<void> {
  heading('A live change: the weights of the canary');
  say(`One connection sends ${requestsPerSecond} requests a second, the file is edited. Who answers in each second:`);
  const options = ['--connections', '1', '--rate', String(requestsPerSecond), '--report', '1', '--until-eof'];
  const program = pythonProgram('clients/keep_alive.py');
  const client = frontend.spawn([...program, addresses.reviews.ip4, '80', ...options], { holdInput: true });
  await client.line(/^ready$/);
  const rows = [['SECOND', 'WEIGHTS', 'reviews-v1', 'reviews-v2', 'SHARE OF v2']];
  let second = 0;
  let weights = [90, 10];
  const next = async (text: string): Promise<Answers> => {
    second++;
    const [, json = ''] = await client.line(new RegExp(`^report ${second} (.*)`));
    const answers = new Map(Object.entries(JSON.parse(json) as Record<string, number>));
    const [one = 0, two = 0] = ['reviews-v1', 'reviews-v2'].map((name) => answers.get(name));
    rows.push([`${second}`, text, `${one}`, `${two}`, percent(two, one + two)]);
    return answers;
  };
  const steady = async () => expectShare(await next(weights.join(':')), 'reviews-v2', weights[1] ?? 0);
  await steady();
  for (const wanted of [
    [50, 50],
    [0, 100],
  ]) {
    setWeights(path, wanted);
    await source.apply();
    await inForce(mesh, wanted);
    // On a busy machine seconds have gone by till here; the one that runs has some of both.
    const over = client.stdout.match(/^report /gm)?.length ?? 0;
    do await next(`${weights.join(':')} → ${wanted.join(':')}`);
    while (second <= over);
    weights = wanted;
    await steady();
    outcomes.add(`the same at ${weights.join(':')}`, 'as it says, on the connection that is open');
  }
  client.endInput();
  await client.exited;
  table(rows, 2);
  const { requests, failures } = clientResult(client) as { requests: number; failures: number };
  if (failures > 0) throw new Error(`${failures} requests failed: ${client.stdout}`);
  say(`${requests} requests on that connection, 0 failed.`);
}

/** As an editor does it: the daemon never sees half a file. */
function setWeights(path: string, weights: readonly number[]): void {
  const left = [...weights];
  const text = readFileSync(path, 'utf8').replace(/weight: \d+/g, () => `weight: ${left.shift()}`);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

type Answers = ReadonlyMap<string, number>;

/** Runs a line of shell in the frontend that prints `COUNT NAME` lines. */
async function count({ frontend }: Shop, script: string): Promise<Answers> {
  const text = await run(frontend, script);
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, number, name] = /^ *(\d+) (\S+)/.exec(line) ?? [];
      return number === undefined || name === undefined ? [] : [[name, Number(number)]];
    }),
  );
}

async function run(frontend: Host, script: string): Promise<string> {
  command(script);
  const text = await frontend.output(['sh', '-ec', script]);
  output(text);
  return text;
}

function expectShare(answers: Answers, name: string, wanted: number): void {
  const whole = [...answers.values()].reduce((sum, one) => sum + one, 0);
  const share = (100 * (answers.get(name) ?? 0)) / whole;
  // NaN when there is no answer at all.
  if (!(Math.abs(share - wanted) <= tolerance)) throw new Error(`${name} got ${share} %, not ${wanted} %`);
}
