/** A mesh of ten thousand services on one machine, with a small service among them that carries traffic. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import type { LabProcess } from '../lab/process.ts';
import { cpuSeconds } from './process-use.ts';
import { fileName, fileText, scale } from './scale-objects.ts';
import type { Target } from './targets.ts';

/** Late enough that a machine that is busy with other things still gives a figure. */
const startDeadlineMs = 120_000;

const liveAddress = '10.111.0.1';

export interface Start {
  /** From fork and exec to the log's line. */
  readonly seconds: number;
  /** What of it the daemon's threads had the CPU for: the rest is waiting, on a busy machine for the CPU. */
  readonly cpuSeconds: number;
  readonly daemon: LabProcess;
  /** Records that the daemon wrote to the kernel. */
  readonly written: number;
}

export class ScaleMesh implements AsyncDisposable {
  readonly lab: Lab;
  readonly mesh: TestMesh;
  readonly client: Host;
  /** The small service. */
  readonly live: Target;

  private constructor(lab: Lab, mesh: TestMesh, live: Target) {
    this.lab = lab;
    this.mesh = mesh;
    this.client = live.client;
    this.live = live;
  }

  static async create(): Promise<ScaleMesh> {
    const lab = await Lab.create();
    try {
      const [client, server] = [await lab.pod('client'), await lab.pod('server')];
      await startNginx(server, { port: 8080 });
      const mesh = meshOf(lab);
      const service = entry('live', { addresses: [liveAddress], endpoints: [{ address: server.ip4 }] });
      mesh.write('live.yaml', file(namespace('shop', true), pod(client), pod(server), service));
      mesh.write('namespaces.yaml', namespace('scale', false));
      for (let i = 0; i < scale.files; i++) mesh.write(fileName(i), fileText(i));
      const live: Target = {
        ...{ name: 'mesh', client, server, address: liveAddress, port: 80 },
        ...{ cgroup: 'inside', cgroupPath: lab.cgroup },
      };
      return new ScaleMesh(lab, mesh, live);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get bpfFsPath(): string {
    return join(this.lab.bpfFsPath, 'km');
  }

  /** Starts a daemon; `written` is what it says to have written by then. */
  async start(): Promise<Start> {
    const from = performance.now();
    const daemon = await this.mesh.start(['--log-level', 'debug'], startDeadlineMs);
    const seconds = (performance.now() - from) / 1000;
    const used = cpuSeconds(daemon.pid);
    const published = [...daemon.stderr.matchAll(/ published .*\bwritten=(\d+)/g)];
    if (published.length === 0) throw new Error(`the daemon does not say what it published: ${daemon.stderr}`);
    return { seconds, cpuSeconds: used, daemon, written: published.reduce((sum, [, n]) => sum + Number(n), 0) };
  }

  /** Replaces a file in one step. Returns when that was, as performance.now() has it. */
  replace(name: string, text: string): number {
    // Written elsewhere first, so that the rename is all that happens in the watched directory.
    const temporary = join(this.lab.directory, name);
    writeFileSync(temporary, text);
    const at = performance.now();
    renameSync(temporary, join(this.mesh.config, name));
    return at;
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
