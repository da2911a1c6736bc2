/**
 * `make demo`: a shop of services on this machine, under the mesh, with real traffic. Leaves nothing behind; `KEEP=1`
 * leaves it up, `demo.ts --down` takes that down.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Mesh } from './mesh.ts';
import { showRoutes } from './routing.ts';
import { addresses, closeShop, openShop, type Shop, shopState } from './shop.ts';
import { command, commandLine, heading, output, print, say } from './show.ts';
import { type SourceName, sourceNames } from './sources/source.ts';
import {
  showChange,
  showFrontend,
  showLatency,
  showRestart,
  showServices,
  showSpread,
  showTelemetry,
} from './steps.ts';

const { values: flags } = parseArgs({
  options: {
    down: { type: 'boolean', default: false },
    source: { type: 'string', default: 'files' },
    /** Leaves out what says nothing of where traffic goes. */
    short: { type: 'boolean', default: false },
    /** File for the table of outcomes, as JSON. */
    outcomes: { type: 'string' },
  },
});
const keep = !['', '0', undefined].includes(process.env['KEEP']);

/** Set while the demo has something on the machine. */
let opened: { readonly shop: Shop; readonly mesh: Mesh } | null = null;

let interrupted = false;

async function run(sourceName: SourceName): Promise<void> {
  const begin = Date.now();
  heading('A shop in network namespaces');
  const shop = await openShop(sourceName);
  const { source, outcomes } = shop;
  const mesh = new Mesh(shop.lab, shop.config, source);
  opened = { shop, mesh };
  for (const pod of shop.lab.pods.values()) say(`${pod.name.padEnd(12)} ${pod.ip4}, ${pod.ip6}`);
  say('Each is a pod: an eth0 routed to the node’s namespace. Without the mesh nobody answers there:');
  command(`curl http://${addresses.reviews.ip4}/`);
  output((await shop.frontend.exec(['curl', '-sS', '-m', '2', `http://${addresses.reviews.ip4}/`])).stderr);
  if (source.name !== 'files') say(`The mesh is read from ${source.what}, which has what the shop’s files say.`);
  await source.start();
  commandLine(['kmesh-daemon', ...mesh.daemonArguments, '&']);
  await showServices(mesh, await mesh.start());
  await showFrontend(shop);
  await showSpread(shop, mesh);
  if (!flags.short) await showLatency(shop);
  if (source.routes) await showRoutes(shop, mesh);
  else {
    heading('HTTP');
    say(`Routes are left out: ${source.what} cannot say where a single request goes.`);
  }
  await showTelemetry(shop, mesh);
  await showChange(shop, mesh);
  await showRestart(shop, mesh);
  outcomes.show();
  if (flags.outcomes !== undefined) writeFileSync(flags.outcomes, JSON.stringify(outcomes.rows, null, 1));
  if (keep) explain(opened);
  else await cleanUp(shop);
  print(`\n${((Date.now() - begin) / 1000).toFixed(1)} s`);
}

async function cleanUp({ lab }: Shop): Promise<void> {
  heading('Clean-up');
  command('kmesh-daemon uninstall');
  const removed = await takeDown();
  const kinds = new Map<string, number>();
  for (const line of removed) {
    const kind = /^removed (\S+)/.exec(line)?.[1] ?? line;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  say(`Removed: ${[...kinds].map(([kind, count]) => `${count} × ${kind}`).join(', ')}`);
  const left = ['/run/netns', '/sys/fs/bpf', '/run'].flatMap((directory) =>
    spawnSync('find', [directory, '-maxdepth', '1', '-name', `${lab.prefix}*`], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter(Boolean),
  );
  if (left.length > 0) throw new Error(`left behind: ${left.join(' ')}`);
  say('The namespaces are gone as well. Nothing is left on the machine.');
}

function explain({ shop, mesh }: { shop: Shop; mesh: Mesh }): void {
  const { lab, frontend } = shop;
  const node = `nsenter --net=${lab.node.netnsPath}`;
  heading('It stays up (KEEP=1)');
  say('Programs in the frontend’s namespace are under the mesh when they are in the demo’s cgroup:');
  command(`echo $$ >${lab.cgroup}/cgroup.procs`);
  command(`nsenter --net=${frontend.netnsPath} curl http://${addresses.reviews.ip4}/`);
  say('The daemon is in the node’s namespace:');
  command(`${node} bin/kmeshctl get endpoints -n shop`);
  command(`${node} bin/kmeshctl get connections -A`);
  command(`${node} curl -s localhost:15020/metrics`);
  say('Change what the mesh does by these files, and see what it did:');
  command(`ls ${mesh.config}`);
  command(`tail -f ${mesh.accessLog} ${mesh.daemonLog}`);
  say('Take it down:');
  command('make demo-down');
  lab.keep();
  opened = null;
}

async function takeDown(): Promise<string[]> {
  const lab = opened?.shop.lab;
  opened = null;
  return await closeShop(lab);
}

async function fail(error: unknown): Promise<void> {
  // What was running when it was interrupted fails; the handler of the signal cleans up.
  if (interrupted) return;
  print(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  const log = opened?.mesh.daemonLog;
  if (log !== undefined && existsSync(log)) {
    print('The daemon’s log ends with:');
    output(readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15).join('\n'));
  }
  if (opened !== null) await takeDown();
  process.exit(1);
}

/** Ends the demo in the middle. */
function stop(code: number): void {
  if (interrupted) return;
  interrupted = true;
  takeDown().finally(() => process.exit(code));
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) {
    print('The demo makes network namespaces and loads eBPF programs: run it as root.');
    process.exit(1);
  }
  if (flags.down) {
    print(
      shopState() === 'none'
        ? 'No demo is up.'
        : `Taken down: ${(await closeShop()).length} things of the mesh removed.`,
    );
    return;
  }
  if (!existsSync(join(import.meta.dirname, '../bin/kmesh-daemon'))) {
    print('bin/kmesh-daemon is missing: make build');
    process.exit(1);
  }
  const source = sourceNames.find((name) => name === flags.source);
  if (source === undefined) {
    print(`SOURCE=${flags.source} is not one of ${sourceNames.join(', ')}`);
    process.exit(1);
  }
  const state = shopState();
  if (state === 'busy') {
    print('The demo is running already on this machine.');
    process.exit(1);
  }
  if (state === 'left') {
    print('Taking down the demo that is still up.');
    await closeShop();
  }
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, () => {
      print('\nInterrupted: cleaning up.');
      stop(128 + number);
    });
  }
  // The reader has gone, as in `make demo | head`.
  process.stdout.on('error', () => stop(128 + 13));
  await run(source);
  process.exit(0);
}

main().catch(fail);
