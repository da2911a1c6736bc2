/** A kmesh-daemon in a lab's node, with a directory of objects that tests write as a user would. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ItemList, StatusReport } from '../../src/api/types.ts';
import type { ExecResult, Host } from './host.ts';
import type { Lab } from './lab.ts';
import { patience } from './patience.ts';
import type { LabProcess } from './process.ts';

const checkout = join(import.meta.dirname, '..', '..');

export { patience };

export class TestMesh {
  readonly lab: Lab;
  /** The directory of `--config`. */
  readonly config: string;
  /** Checkout whose programs are run; another one is another version. */
  checkout = checkout;
  #daemon: LabProcess | null = null;

  constructor(lab: Lab) {
    this.lab = lab;
    this.config = join(lab.directory, 'config');
    mkdirSync(this.config, { recursive: true });
  }

  get daemon(): LabProcess {
    if (this.#daemon === null) throw new Error('the daemon was not started');
    return this.#daemon;
  }

  /** Writes one file of objects into place; null removes it. */
  write(name: string, text: string | null): void {
    const path = join(this.config, name);
    if (text === null) {
      rmSync(path);
      return;
    }
    // As an editor or a config manager does it: a reader never sees half a file.
    writeFileSync(`${path}.tmp`, text);
    renameSync(`${path}.tmp`, path);
  }

  /** Starts the daemon and waits until it says that it is ready. */
  async start(
    flags: readonly string[] = [],
    timeoutMs = 20_000 * patience,
    env: Readonly<Record<string, string>> = {},
  ): Promise<LabProcess> {
    this.#daemon = this.launch(flags, env);
    await this.#daemon.line(/ INFO daemon: ready /, { stream: 'stderr', timeoutMs });
    return this.#daemon;
  }

  /** Starts the daemon without waiting for anything. */
  launchAgain(flags: readonly string[]): LabProcess {
    this.#daemon = this.launch(flags);
    return this.#daemon;
  }

  launch(flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}): LabProcess {
    const command = [
      join(this.checkout, 'bin', 'kmesh-daemon'),
      '--config',
      this.config,
      '--bpf-fs-path',
      join(this.lab.bpfFsPath, 'km'),
    ];
    return this.lab.node.spawn([...command, '--cgroup2-path', this.lab.cgroup, ...flags], { env });
  }

  ctl(...args: readonly string[]): Promise<ExecResult> {
    return this.lab.node.exec([join(this.checkout, 'bin', 'kmeshctl'), ...args], { timeoutMs: 30_000 * patience });
  }

  /** Waits until the kernel holds what the files say. */
  async settled(): Promise<void> {
    const { code, stdout, stderr } = await this.ctl('status', '--wait', '--timeout', `${20 * patience}s`);
    if (code !== 0) throw new Error(`not settled: ${stdout}${stderr}${this.daemon.stderr}`);
  }

  async status(): Promise<StatusReport> {
    return JSON.parse((await this.ctl('status', '-o', 'json')).stdout) as StatusReport;
  }

  /** Items of `kmeshctl get KIND -A -o json`. */
  async get<T>(kind: string): Promise<readonly T[]> {
    const { stdout, stderr } = await this.ctl('get', kind, '-A', '-o', 'json');
    if (stdout === '') throw new Error(stderr);
    return (JSON.parse(stdout) as ItemList<T>).items;
  }

  /** What Prometheus would read: the lines of one metric. */
  async metric(name: string): Promise<readonly string[]> {
    const text = await this.lab.node.output([
      'curl',
      '-sS',
      '-m',
      String(10 * patience),
      'http://127.0.0.1:15020/metrics',
    ]);
    return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  }

  async uninstall(): Promise<string> {
    const program = join(this.checkout, 'bin', 'kmesh-daemon');
    return await this.lab.node.output([program, 'uninstall', '--bpf-fs-path', join(this.lab.bpfFsPath, 'km')], {
      timeoutMs: 30_000 * patience,
    });
  }
}

/** A lab with a mesh over it whose daemon is not started yet. */
export function meshOf(lab: Lab): TestMesh {
  return new TestMesh(lab);
}

export const namespace = (name: string, enrolled: boolean): string => `
apiVersion: v1
kind: Namespace
metadata:
  name: ${name}${enrolled ? '\n  labels: {istio.io/dataplane-mode: Kmesh}' : ''}
`;

export const pod = (host: Host, labels: Readonly<Record<string, string>> = { app: host.name }, ns = 'shop'): string => `
apiVersion: v1
kind: Pod
metadata:
  name: ${host.name}
  namespace: ${ns}
  labels: ${JSON.stringify(labels)}
  annotations: {kmesh.net/netns: ${host.netns}}
spec:
  serviceAccountName: ${host.name}
  containers: [{name: app, ports: [{name: http, containerPort: 8080}]}]
`;

export interface Endpoint {
  readonly address: string;
  readonly weight?: number;
  readonly locality?: string;
}

export interface EntryOptions {
  readonly addresses: readonly string[];
  readonly port?: number;
  readonly targetPort?: number;
  readonly protocol?: 'TCP' | 'UDP';
  readonly endpoints: readonly Endpoint[];
}

/** A ServiceEntry: VIPs, one port, endpoints with weights. Its host is NAME.example. */
export const entry = (name: string, o: EntryOptions): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}.example]
  addresses: ${JSON.stringify(o.addresses)}
  resolution: STATIC
  ports: [{number: ${o.port ?? 80}, name: ${(o.protocol ?? 'TCP').toLowerCase()}, protocol: ${o.protocol ?? 'TCP'}, targetPort: ${o.targetPort ?? 8080}}]
  endpoints: ${JSON.stringify(o.endpoints)}
`;

export const balanced = (host: string, policy: 'ROUND_ROBIN' | 'RANDOM'): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host.split('.')[0]}, namespace: shop}
spec:
  host: ${host}
  trafficPolicy: {loadBalancer: {simple: ${policy}}}
`;

/** Objects of one file. */
export const file = (...documents: readonly string[]): string => documents.join('---');
