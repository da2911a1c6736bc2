/** The demo's kmesh-daemon and kmeshctl, run in the node's namespace as on a real machine. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EndpointItem, ItemList, RouteItem } from '../src/api/types.ts';
import type { ExecResult } from '../test/lab/host.ts';
import type { Lab } from '../test/lab/lab.ts';
import type { LabProcess } from '../test/lab/process.ts';
import type { ShopSource } from './sources/source.ts';

const bin = join(import.meta.dirname, '../bin');
const daemonProgram = join(bin, 'kmesh-daemon');

export class Mesh {
  readonly #lab: Lab;
  /** Directory of the shop's YAML. */
  readonly config: string;
  readonly source: ShopSource;
  /** Access log, one line a connection. */
  readonly accessLog: string;
  readonly daemonLog: string;
  #daemon: LabProcess | null = null;

  constructor(lab: Lab, config: string, source: ShopSource) {
    this.#lab = lab;
    this.config = config;
    this.source = source;
    this.accessLog = join(lab.directory, 'access.log');
    this.daemonLog = join(lab.directory, 'daemon.log');
  }

  get daemonArguments(): readonly string[] {
    const { bpfFsPath, cgroup } = this.#lab;
    // The whole machine's cgroup is the default; the demo keeps to its own.
    return [...this.source.flags, '--bpf-fs-path', bpfFsPath, '--cgroup2-path', cgroup, '--access-log', 'text'];
  }

  /** Starts the daemon and waits until the kernel holds what the files say. Returns what `kmeshctl status` prints. */
  async start(): Promise<string> {
    const daemon = this.#lab.node.spawn([daemonProgram, ...this.daemonArguments], {
      files: { stdout: this.accessLog, stderr: this.daemonLog },
    });
    this.#daemon = daemon;
    const status = this.ctl('status', '--wait', '--timeout', '20s');
    // A daemon that ends at once would otherwise be waited for.
    const ended = daemon.exited.then(({ code }) => {
      throw new Error(`kmesh-daemon has ended (exit ${code})`);
    });
    ended.catch(() => undefined);
    return await Promise.race([status, ended]);
  }

  /** The daemon ends without a chance to do anything. */
  async killDaemon(): Promise<void> {
    await this.#daemon?.kill('SIGKILL');
  }

  async ctl(...args: readonly string[]): Promise<string> {
    return await this.#lab.node.output([join(bin, 'kmeshctl'), ...args]);
  }

  /** Like {@link ctl}, for a command that may fail. */
  async tryCtl(...args: readonly string[]): Promise<ExecResult> {
    return await this.#lab.node.exec([join(bin, 'kmeshctl'), ...args]);
  }

  /** Waits until the mesh is as its files say: a control plane takes its time. */
  async becomes(what: string, condition: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; await delay(50)) if (await condition()) return;
    throw new Error(`it does not come to this: ${what}`);
  }

  async routes(): Promise<readonly RouteItem[]> {
    return (JSON.parse(await this.ctl('get', 'routes', '-n', 'shop', '-o', 'json')) as ItemList<RouteItem>).items;
  }

  /** Endpoints of the port 80 of a host: not every source knows the names of objects. */
  async endpoints(host: string): Promise<readonly EndpointItem[]> {
    const { items } = JSON.parse(await this.ctl('get', 'endpoints', '-A', '-o', 'json')) as ItemList<EndpointItem>;
    return items.filter(({ cluster }) => cluster === `outbound|80||${host}`);
  }
}

/** Takes the mesh out of the kernel; no daemon may run. Returns a line for each thing removed. */
export function uninstall(bpfFsPath: string): string[] {
  const { status, stdout, stderr, error } = spawnSync(daemonProgram, ['uninstall', '--bpf-fs-path', bpfFsPath], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`kmesh-daemon uninstall: ${error?.message ?? stderr}`);
  return stdout.split('\n').filter(Boolean);
}
