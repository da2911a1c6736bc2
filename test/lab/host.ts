/** A network namespace of the lab, and running programs in it. */
import { type CgroupName, cgroupPath } from './cgroup.ts';
import { patience } from './patience.ts';
import { type Exit, LabProcess, type StartOptions } from './process.ts';

export interface SpawnOptions extends StartOptions {
  /** Default `inside`: the mesh sees its sockets. */
  readonly cgroup?: CgroupName;
}

export interface ExecOptions extends SpawnOptions {
  /** The program is killed and an error thrown after this time; default 30 s. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a host needs of its lab. */
export interface HostContext {
  readonly prefix: string;
  /** Files of the lab, removed with it. */
  readonly directory: string;
  readonly processes: Set<LabProcess>;
}

/** The addresses of a pod, canonical text, each with its whole prefix. */
export interface Addresses {
  readonly ip4: string;
  readonly ip6: string;
}

export class Host {
  readonly name: string;
  readonly ip4: string;
  readonly ip6: string;
  /** Name of the namespace, as `ip netns` and the annotation kmesh.net/netns know it. */
  readonly netns: string;
  readonly netnsPath: string;
  readonly lab: HostContext;

  constructor(lab: HostContext, name: string, addresses: Addresses) {
    this.lab = lab;
    this.name = name;
    this.ip4 = addresses.ip4;
    this.ip6 = addresses.ip6;
    this.netns = `${lab.prefix}-${name}`;
    this.netnsPath = `/run/netns/${this.netns}`;
  }

  /** Starts a program; it ends with the lab at the latest. */
  spawn(args: readonly string[], options: SpawnOptions = {}): LabProcess {
    const procs = `${cgroupPath(this.lab.prefix, options.cgroup ?? 'inside')}/cgroup.procs`;
    // `ip netns exec` would mount /sys anew and so hide bpffs and cgroup v2.
    const enter = `echo $$ >'${procs}' && exec nsenter --net='${this.netnsPath}' -- "$@"`;
    const started = new LabProcess(['/bin/sh', '-c', enter, 'sh', ...args], args, options);
    this.lab.processes.add(started);
    const forget = () => {
      this.lab.processes.delete(started);
    };
    started.exited.then(forget, forget);
    return started;
  }

  /** Runs a program to its end. A signal that ends it is an error, a bad exit code is not. */
  async exec(args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const { timeoutMs = 30_000 * patience } = options;
    const started = this.spawn(args, options);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      started.signal('SIGKILL');
    }, timeoutMs);
    let exit: Exit;
    try {
      exit = await started.exited;
    } finally {
      clearTimeout(timer);
    }
    const { stdout, stderr } = started;
    if (exit.code === null) {
      const why = late ? `still running after ${timeoutMs} ms` : `ended by ${exit.signal}`;
      throw new Error(`${this.name}: ${args.join(' ')}: ${why}\n${stdout}${stderr}`);
    }
    return { code: exit.code, stdout, stderr };
  }

  /** Runs a program that must succeed, and returns what it printed. */
  async output(args: readonly string[], options: ExecOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(args, options);
    if (code !== 0) throw new Error(`${this.name}: ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }
}
