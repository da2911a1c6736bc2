/**
 * A node of the cluster: namespaces of network, mounts and host name, a cgroup of its own in every hierarchy, and a cable to
 * the cluster's bridge. The machine's own network namespace is not touched.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findCgroup2 } from '../../../src/kernel/cgroup.ts';
import { waitFor } from './wait.ts';

export const prefix = 'kmesh-cluster';
const lan = `${prefix}-lan`;
const cgroups = '/sys/fs/cgroup';
/** Where it is known which processes are a node's: whatever it starts is in this hierarchy. */
const pidsHierarchy = join(cgroups, 'pids');

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

export class ClusterNode {
  readonly name: string;
  readonly number: number;
  readonly directory: string;
  readonly #path: string;

  /** `cache` has the programs, `directory` is for what the node writes. */
  constructor(number: number, cache: string, directory: string) {
    this.number = number;
    this.name = `n${number}`;
    this.directory = directory;
    this.#path = `${join(cache, 'bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  }

  get ip(): string {
    return `10.91.0.${this.number}`;
  }

  get podRange(): string {
    return `10.244.${this.number}.0/24`;
  }

  get netns(): string {
    return `${prefix}-${this.name}`;
  }

  /** Name of the node's cgroup in each hierarchy, and of its kubelet's root. */
  get cgroup(): string {
    return `${prefix}-${this.name}`;
  }

  /** cgroup v2 directory with the node's pods below it. */
  get cgroup2(): string {
    return join(findCgroup2(), this.cgroup);
  }

  async up(others: readonly ClusterNode[]): Promise<void> {
    mkdirSync(join(this.directory, 'log'), { recursive: true });
    this.#connect(others);
    for (const hierarchy of hierarchies()) makeCgroup(hierarchy, this.cgroup);
    for (const root of [pidsHierarchy, findCgroup2()])
      mkdirSync(join(root, this.cgroup, 'system'), { recursive: true });
    this.#installCni();
    const script = join(import.meta.dirname, 'node.sh');
    const own = ['unshare', '--mount', '--uts', '--propagation', 'private', script, this.name, this.directory];
    const holder = this.#spawn(['nsenter', `--net=/run/netns/${this.netns}`, ...own], 'node');
    writeFileSync(join(this.directory, 'holder.pid'), String(holder));
    await waitFor(`node ${this.name}`, () => existsSync(join(this.directory, 'ready')), 10_000);
  }

  /** Runs a program in the node and waits for its end; an end with an error is one. */
  async exec(command: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<Output> {
    const args = ['-c', enterScript, this.cgroup, ...this.#enter(command)];
    const started = promisify(execFile)('bash', args, {
      env: this.#env(),
      timeout: options.timeoutMs ?? 120_000,
      maxBuffer: 64 * 2 ** 20,
    });
    started.child.stdin?.end(options.input ?? '');
    return await started;
  }

  /** Starts a program in the node that goes on; its output is in `log/NAME.log`. */
  start(name: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): number {
    const pid = this.#spawn(this.#enter(command), name, env);
    writeFileSync(join(this.directory, `${name}.pid`), String(pid));
    return pid;
  }

  /** Kills what {@link start} has started by this name. */
  async kill(name: string): Promise<void> {
    const pid = Number(readFileSync(join(this.directory, `${name}.pid`), 'utf8'));
    process.kill(pid, 'SIGKILL');
    await waitFor(`${name} ends`, () => !isRunning(pid), 10_000);
  }

  log(name: string): string {
    const path = join(this.directory, 'log', `${name}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Ends every process of the node and removes all that {@link up} made. */
  async down(): Promise<void> {
    await waitFor(
      `the end of all processes of ${this.name}`,
      () => {
        const processes = processesBelow(join(pidsHierarchy, this.cgroup));
        for (const pid of processes) {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It has just ended.
          }
        }
        return processes.length === 0;
      },
      30_000,
    );
    const left = (): string[] => hierarchies().flatMap((hierarchy) => removeCgroup(join(hierarchy, this.cgroup)));
    await waitFor(`the end of the cgroups of ${this.name}`, () => left().length === 0, 10_000);
    deleteNetns(this.netns);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #connect(others: readonly ClusterNode[]): void {
    if (!existsSync(`/run/netns/${lan}`)) {
      ip('netns', 'add', lan);
      ip('-n', lan, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', lan, 'addr', 'add', '10.91.0.254/24', 'dev', 'br0');
      ip('-n', lan, 'link', 'set', 'br0', 'up');
    }
    const { name, netns } = this;
    ip('netns', 'add', netns);
    ip('-n', netns, 'link', 'set', 'lo', 'up');
    ip('-n', netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', name, 'netns', lan);
    ip('-n', lan, 'link', 'set', name, 'master', 'br0', 'up');
    ip('-n', netns, 'addr', 'add', `${this.ip}/24`, 'dev', 'eth0');
    ip('-n', netns, 'link', 'set', 'eth0', 'up');
    // Without a default route the node itself reaches no ClusterIP: routes are looked up before kube-proxy's rules.
    ip('-n', netns, 'route', 'add', 'default', 'via', '10.91.0.254');
    for (const other of others) if (other !== this) ip('-n', netns, 'route', 'add', other.podRange, 'via', other.ip);
    execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  }

  #installCni(): void {
    const plugins = join(this.directory, 'root/opt/cni/bin');
    const configuration = join(this.directory, 'root/etc/cni/net.d');
    for (const directory of [plugins, configuration]) mkdirSync(directory, { recursive: true });
    execFileSync('cp', ['-r', '/usr/lib/cni/.', plugins]);
    const ipam = { type: 'host-local', ranges: [[{ subnet: this.podRange }]], routes: [{ dst: '0.0.0.0/0' }] };
    const list = {
      cniVersion: '1.0.0',
      name: 'pods',
      plugins: [
        { type: 'ptp', ipMasq: false, mtu: 1500, ipam },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    };
    writeFileSync(join(configuration, '10-pods.conflist'), JSON.stringify(list, null, 2));
  }

  #enter(command: readonly string[]): string[] {
    const holder = readFileSync(join(this.directory, 'holder.pid'), 'utf8');
    return ['nsenter', '-t', holder, '--net', '--mount', '--uts', '--wdns=/', ...command];
  }

  #env(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return { PATH: this.#path, HOME: '/root', ...more };
  }

  #spawn(command: readonly string[], name: string, env: Readonly<Record<string, string>> = {}): number {
    const log = openSync(join(this.directory, 'log', `${name}.log`), 'a');
    const child = spawn('bash', ['-c', enterScript, this.cgroup, ...command], {
      env: this.#env(env),
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    if (child.pid === undefined) throw new Error(`${name} was not started`);
    return child.pid;
  }
}

/** $0: the node's cgroup; the rest: what to become. */
const enterScript = `
for hierarchy in ${pidsHierarchy} ${findCgroup2()}; do echo $$ >$hierarchy/$0/system/cgroup.procs; done
exec "$@"
`;

export function removeLan(): void {
  deleteNetns(lan);
}

function deleteNetns(name: string): void {
  if (existsSync(`/run/netns/${name}`)) ip('netns', 'del', name);
}

function hierarchies(): string[] {
  return readdirSync(cgroups, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(cgroups, name));
}

function makeCgroup(hierarchy: string, name: string): void {
  const path = join(hierarchy, name);
  mkdirSync(path, { recursive: true });
  // A new cpuset is empty, and takes no process so.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (hierarchy.endsWith('/cpuset')) writeFileSync(join(path, file), readFileSync(join(hierarchy, file)));
  }
}

/** What could not be removed yet. */
function removeCgroup(path: string): string[] {
  if (!existsSync(path)) return [];
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const left = below.flatMap(({ name }) => removeCgroup(join(path, name)));
  try {
    rmdirSync(path);
    return left;
  } catch {
    return [...left, path];
  }
}

function processesBelow(path: string): number[] {
  if (!existsSync(path)) return [];
  try {
    const here = readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
    const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...here, ...below.flatMap(({ name }) => processesBelow(join(path, name)))];
  } catch {
    return [];
  }
}

/** Whether a thread of it still runs: what it holds, such as its sockets, is free when the last has ended. */
function isRunning(pid: number): boolean {
  const ended = (task: string): boolean => {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
      return /^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
    } catch {
      return true;
    }
  };
  try {
    return !readdirSync(`/proc/${pid}/task`).every(ended);
  } catch {
    return false;
  }
}
