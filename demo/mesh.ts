/** The demo's kmesh-daemon and kmeshctl, run in the node's namespace as on a real machine. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { EndpointItem, ItemList } from '../src/api/types.ts';
import type { ExecResult } from '../test/lab/host.ts';
import type { Lab } from '../test/lab/lab.ts';
import type { LabProcess } from '../test/lab/process.ts';

const bin = join(import.meta.dirname, '../bin');
const daemonProgram = join(bin, 'kmesh-daemon');

export class Mesh {
  readonly #lab: Lab;
  /** Directory of YAML that the daemon watches. */
  readonly config: string;
  /** Access log, one line a connection. */
  readonly accessLog: string;
  readonly daemonLog: string;
  #daemon: LabProcess | null = null;

  constructor(lab: Lab, config: string) {
    this.#lab = lab;
    this.config = config;
    this.accessLog = join(lab.directory, 'access.log');
    this.daemonLog = join(lab.directory, 'daemon.log');
  }

  get daemonArguments(): readonly string[] {
    const { bpfFsPath, cgroup } = this.#lab;
    // The whole machine's cgroup is the default; the demo keeps to its own.
    return ['--config', this.config, '--bpf-fs-path', bpfFsPath, '--cgroup2-path', cgroup, '--access-log', 'text'];
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

  async endpoints(service: string): Promise<readonly EndpointItem[]> {
    const text = await this.ctl('get', 'endpoints', service, '-n', 'shop', '-o', 'json');
    return (JSON.parse(text) as ItemList<EndpointItem>).items;
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
