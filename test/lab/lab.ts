/**
 * A machine made of network namespaces: a node (the host side, where the daemon runs) and pods, each with an eth0 that is a
 * veth to the node, routed as the ptp CNI plugin does: single addresses, host routes on the node, default routes through it.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { releaseLock } from '../../src/daemon/lock.ts';
import { findCgroup2 } from '../../src/kernel/cgroup.ts';
import { ensureBpffs, removeTree } from '../../src/kernel/pin.ts';
import { cgroupPath, makeCgroups, removeCgroups } from './cgroup.ts';
import { Host, type HostContext } from './host.ts';
import { deleteNamespaces, shell } from './ip.ts';
import { ownerIsAlive, ownerTag } from './owner.ts';
import type { LabProcess } from './process.ts';

const gateway = { ip4: '10.244.0.1', ip6: 'fd00:10:244::1' };
const testPrefix = 'kmesh-lab';
const bpffs = '/sys/fs/bpf';

// Duplicate address detection would keep IPv6 addresses unusable for a second.
const nodeSysctls = `
for f in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter
  echo 1 >/proc/sys/net/ipv6/conf/$f/forwarding
  echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad
done
echo 1 >/proc/sys/net/ipv4/ip_forward
`;
// A client of tens of thousands of connections needs ports, and its TIME_WAITs must not keep them.
const podSysctls = `
for f in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter
  echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad
done
echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
echo 10000 65000 >/proc/sys/net/ipv4/ip_local_port_range
echo 4096 >/proc/sys/net/core/somaxconn
`;

let labs = 0;

export class Lab implements AsyncDisposable {
  /** Begins the name of everything that the lab makes. */
  readonly prefix: string;
  readonly node: Host;
  /** cgroup v2 directory of the lab's processes: where a daemon under test attaches (`--cgroup2-path`). */
  readonly cgroup: string;
  /** Directory on a BPF file system for pins (`--bpf-fs-path`). */
  readonly bpfFsPath: string;
  /** Directory for files; removed with the lab. */
  readonly directory: string;
  readonly #context: HostContext;
  readonly #pods = new Map<string, Host>();
  #nextPod = 2;
  readonly #atExit = (): void => removeLab(this.prefix);

  private constructor(prefix: string) {
    this.prefix = prefix;
    this.cgroup = cgroupPath(prefix, 'inside');
    this.bpfFsPath = bpffsPath(prefix);
    this.directory = directoryPath(prefix);
    this.#context = { prefix, directory: this.directory, processes: new Set<LabProcess>() };
    this.node = new Host(this.#context, 'node', gateway);
  }

  /**
   * Makes the node. Leftovers of labs whose process is dead are removed first. With a name of your own the lab is yours to
   * remove when this process is gone: it is not swept.
   */
  static async create(options: { prefix?: string } = {}): Promise<Lab> {
    sweepLabs();
    labs += 1;
    const lab = new Lab(options.prefix ?? `${testPrefix}-${ownerTag()}-${labs}`);
    process.once('exit', lab.#atExit);
    try {
      mkdirSync(lab.directory, { recursive: true });
      ensureBpffs(lab.bpfFsPath);
      makeCgroups(lab.prefix);
      await shell('ip -batch -', `netns add ${lab.node.netns}\n`);
      await shell(`${nodeSysctls}ip -batch -`, 'link set lo up\n', lab.node.netnsPath);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** Pods by name. */
  get pods(): ReadonlyMap<string, Host> {
    return this.#pods;
  }

  /** Processes that were started in the lab and have not ended. */
  get processes(): ReadonlySet<LabProcess> {
    return this.#context.processes;
  }

  /** Makes a pod: 10.244.0.N and fd00:10:244::N with N from 2 in the order of the calls, unless a number is given. */
  async pod(name: string, options: { number?: number } = {}): Promise<Host> {
    if (name === 'node' || this.#pods.has(name)) throw new Error(`the lab has a ${name} already`);
    const number = options.number ?? this.#nextPod;
    this.#nextPod = Math.max(this.#nextPod, number) + 1;
    const pod = new Host(this.#context, name, {
      ip4: `10.244.${number >> 8}.${number & 255}`,
      ip6: `fd00:10:244::${number.toString(16)}`,
    });
    this.#pods.set(name, pod);
    const veth = `veth${number}`;
    await shell(
      'ip -batch -',
      `netns add ${pod.netns}\nlink add eth0 netns ${pod.netns} type veth peer name ${veth} netns ${this.node.netns}\n`,
    );
    const nodeSide = [
      `link set ${veth} up`,
      `addr add ${gateway.ip4}/32 dev ${veth}`,
      `addr add ${gateway.ip6}/128 dev ${veth} nodad`,
      `route add ${pod.ip4}/32 dev ${veth} src ${gateway.ip4}`,
      `route add ${pod.ip6}/128 dev ${veth} src ${gateway.ip6}`,
    ];
    const podSide = [
      'link set lo up',
      'link set eth0 up',
      `addr add ${pod.ip4}/32 dev eth0`,
      `addr add ${pod.ip6}/128 dev eth0 nodad`,
      `route add ${gateway.ip4}/32 dev eth0 scope link src ${pod.ip4}`,
      `route add ${gateway.ip6}/128 dev eth0`,
      `route add default via ${gateway.ip4} dev eth0 src ${pod.ip4}`,
      `route add default via ${gateway.ip6} dev eth0 src ${pod.ip6}`,
    ];
    await shell('ip -batch -', `${nodeSide.join('\n')}\n`, this.node.netnsPath);
    await shell(`${podSysctls}ip -batch -`, `${podSide.join('\n')}\n`, pod.netnsPath);
    return pod;
  }

  /** Removes one pod and its veth; its processes keep running without a network. */
  removePod(name: string): void {
    const pod = this.#pods.get(name);
    if (pod === undefined) throw new Error(`the lab has no pod ${name}`);
    deleteNamespaces([pod.netns]);
    this.#pods.delete(name);
  }

  /** Leaves everything up when this process ends; {@link removeLab} takes it down. */
  keep(): void {
    process.removeListener('exit', this.#atExit);
  }

  /** Kills every process of the lab and removes its namespaces, cgroups, pins and files. */
  async close(): Promise<void> {
    process.removeListener('exit', this.#atExit);
    const ends = [...this.#context.processes].map((started) => started.exited);
    removeLab(this.prefix);
    await Promise.allSettled(ends);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Where a lab of this prefix has its pins and its files. */
export const bpffsPath = (prefix: string): string => `${bpffs}/${prefix}`;
export const directoryPath = (prefix: string): string => `/run/${prefix}`;

/** Removes all that a lab of this prefix made, whatever process made it. Nothing to do is no error. */
export function removeLab(prefix: string): void {
  removeCgroups(prefix);
  deleteNamespaces(namesIn('/run/netns').filter((name) => name.startsWith(`${prefix}-`)));
  const pins = bpffsPath(prefix);
  // A daemon that was killed could not; its pins are there or one directory below.
  for (const directory of [pins, ...namesIn(pins).map((name) => `${pins}/${name}`)]) releaseLock(directory);
  removeTree(pins);
  rmSync(directoryPath(prefix), { recursive: true, force: true });
}

/** Removes the labs of processes that are dead. Returns their prefixes. */
export function sweepLabs(): string[] {
  const leftover = new RegExp(`^${testPrefix}-([0-9]+-[0-9]+)-[0-9]+`);
  const stale = new Set<string>();
  for (const directory of ['/run', '/run/netns', bpffs, findCgroup2()]) {
    for (const name of namesIn(directory)) {
      const match = leftover.exec(name);
      if (match?.[1] !== undefined && !ownerIsAlive(match[1])) stale.add(match[0]);
    }
  }
  for (const prefix of stale) removeLab(prefix);
  return [...stale];
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
