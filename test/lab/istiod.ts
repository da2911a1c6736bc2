/**
 * The real istiod in a lab's node (`istiod/`), when it has been built: `make test-lab` builds it into a cache outside the
 * checkout, which takes a quarter of an hour of two CPUs, once.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { patience } from './patience.ts';
import type { LabProcess } from './process.ts';

/** Where test/lab/istiod/build.sh puts it. */
export const istiodProgram = join(homedir(), '.cache/kmesh-lab/bin/istiod-lab');

/** Built beside it. */
export const istioctlProgram = join(homedir(), '.cache/kmesh-lab/bin/istioctl');

/** Why tests with it cannot run here; null: they can. */
export function istiodMissing(): string | null {
  return existsSync(istiodProgram) ? null : `${istiodProgram} is not built; make test-lab builds it`;
}

const mesh = `
defaultConfig: {discoveryAddress: 127.0.0.1:15010}
rootNamespace: istio-system
trustDomain: cluster.local
`;

export class Istiod {
  /** Without TLS. */
  readonly address = '127.0.0.1:15010';
  readonly secureAddress = '127.0.0.1:15012';
  /** The objects that it reads, without {@link kubeconfig}. */
  readonly directory: string;
  readonly #lab: Lab;
  readonly #objects: readonly string[];
  #process: LabProcess | null = null;

  /** `kubeconfig`: of a real API server whose objects it reads. */
  constructor(lab: Lab, kubeconfig: string | null = null) {
    this.#lab = lab;
    this.directory = join(lab.directory, 'istiod');
    this.#objects = kubeconfig === null ? ['-dir', this.directory] : ['-kubeconfig', kubeconfig];
    mkdirSync(this.directory, { recursive: true });
    writeFileSync(join(lab.directory, 'istiod-mesh.yaml'), mesh);
  }

  get process(): LabProcess {
    if (this.#process === null) throw new Error('istiod was not started');
    return this.#process;
  }

  /** Writes a file of objects; null removes it. */
  write(name: string, text: string | null): void {
    const path = join(this.directory, name);
    if (text === null) {
      rmSync(path);
      return;
    }
    writeFileSync(`${path}.tmp`, text);
    renameSync(`${path}.tmp`, path);
  }

  /** Starts it and waits until it serves: it opens the plaintext port last. */
  async start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const program = [istiodProgram, ...this.#objects, '-mesh', join(this.#lab.directory, 'istiod-mesh.yaml')];
    this.#process = this.#lab.node.spawn(program, { env: { PILOT_DEBOUNCE_AFTER: '5ms', ...more } });
    const deadline = performance.now() + 60_000 * patience;
    for (;;) {
      const { code } = await this.#lab.node.exec(['bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/15010'], {
        timeoutMs: 5000,
      });
      if (code === 0) return;
      if (!this.#process.running || performance.now() > deadline) throw new Error(this.#process.stderr.slice(-4000));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    await this.process.kill('SIGKILL');
  }
}
