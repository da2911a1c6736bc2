/** The shop of the demo: its namespaces, its servers, and a copy of its YAML that may be changed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { killProcesses } from '../test/lab/cgroup.ts';
import type { Host } from '../test/lab/host.ts';
import { bpffsPath, directoryPath, Lab, removeLab } from '../test/lab/lab.ts';
import { startNginx } from '../test/lab/nginx.ts';
import { ownerIsAlive, ownerTag } from '../test/lab/owner.ts';
import { uninstall } from './mesh.ts';
import { Outcomes } from './outcomes.ts';
import { type ShopSource, type SourceName, sourceOf } from './sources/source.ts';

/** The demo's files name the namespaces with this prefix. */
const usualPrefix = 'kmesh-demo';
/** Tests have one of their own, beside a demo that is up. */
const prefix = process.env['KMESH_DEMO_PREFIX'] ?? usualPrefix;
const port = 9080;

export const addresses = {
  reviews: { ip4: '10.96.0.20', ip6: 'fd00:10:96::20' },
  ratings: { ip4: '10.96.0.30', ip6: 'fd00:10:96::30' },
  canary: { ip4: '10.96.0.40' },
} as const;

export interface Shop {
  readonly lab: Lab;
  readonly frontend: Host;
  readonly ratings: Host;
  /** The copied YAML. */
  readonly config: string;
  readonly source: ShopSource;
  readonly outcomes: Outcomes;
  readonly serverPort: number;
}

/** Pods are made in this order: demo/shop/canary.yaml knows the addresses of reviews. */
export async function openShop(sourceName: SourceName): Promise<Shop> {
  const lab = await Lab.create({ prefix });
  writeFileSync(ownerFile(), ownerTag());
  const frontend = await lab.pod('frontend');
  for (const name of ['reviews-v1', 'reviews-v2']) await addServer(lab, name);
  const ratings = await addServer(lab, 'ratings');
  const config = join(lab.directory, 'shop');
  mkdirSync(config);
  for (const name of readdirSync(join(import.meta.dirname, 'shop'))) addFile(`shop/${name}`, join(config, name));
  const source = sourceOf(sourceName, lab, config);
  return { lab, frontend, ratings, config, source, outcomes: new Outcomes(), serverPort: port };
}

/** Copies a file of the demo, in one step: who watches never sees half of it. */
export function addFile(from: string, to: string): void {
  const text = readFileSync(join(import.meta.dirname, from), 'utf8');
  writeFileSync(`${to}.new`, text.replaceAll(`netns: ${usualPrefix}-`, `netns: ${prefix}-`));
  renameSync(`${to}.new`, to);
}

/** A pod with a real HTTP server that says who it is. */
export async function addServer(lab: Lab, name: string): Promise<Host> {
  const pod = await lab.pod(name);
  await startNginx(pod, { port, extra: ' answers $remote_addr' });
  return pod;
}

/** What is on the machine of the demo: `busy` while another run of it lives, `left` when it was kept or killed. */
export function shopState(): 'none' | 'left' | 'busy' {
  let owner: string;
  try {
    owner = readFileSync(ownerFile(), 'utf8');
  } catch {
    return 'none';
  }
  return ownerIsAlive(owner) ? 'busy' : 'left';
}

/** Takes everything of the demo off the machine, whoever made it. Returns what uninstall removed from the kernel. */
export async function closeShop(lab?: Lab): Promise<string[]> {
  const killed = killProcesses(prefix);
  // uninstall refuses while the daemon's process exists, and it exists until its parent has collected it.
  const deadline = Date.now() + 5000;
  while (killed.some((pid) => existsSync(`/proc/${pid}`)) && Date.now() < deadline) await delay(5);
  try {
    return uninstall(bpffsPath(prefix));
  } finally {
    await lab?.close();
    removeLab(prefix);
  }
}

const ownerFile = (): string => join(directoryPath(prefix), 'owner');
