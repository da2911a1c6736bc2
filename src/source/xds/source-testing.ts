/** For tests: a source beside a fake control plane, with a clock that only moves when it is told to. */
import type { Logger } from '../../base/log.ts';
import type { MeshDelta } from '../../model/types.ts';
import type { Clock } from './clock.ts';
import { nodeOf } from './node.ts';
import { XdsSource } from './source.ts';
import { GrpcTransport } from './transport.ts';
import { WorkloadWorld } from './workload/world.ts';
import type { World } from './world.ts';

export const origin = { source: 'xds', file: 'xds://test', line: 0 };

/** Actions that are due at once run at once, others when the time has been moved there. */
export class ManualClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; action: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, action: () => void): () => void {
    const timer = { at: this.#now + milliseconds, action };
    this.#timers.push(timer);
    if (milliseconds === 0) setImmediate(() => this.advance(0));
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Waits of those who wait, in milliseconds from now. */
  get waits(): number[] {
    return this.#timers.map(({ at }) => at - this.#now);
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { action } of due) action();
  }
}

/** No name has an address. */
export const noDns = {
  clock: new ManualClock(),
  resolve: (host: string) => Promise.reject(new Error(`no answer for ${host}`)),
  changed: (): void => undefined,
};

/** A log that keeps its lines. */
export class Lines implements Logger {
  readonly name = 'xds';
  readonly lines: string[] = [];
  readonly #add =
    (level: string) =>
    (message: string, fields: object = {}): void => {
      this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
  readonly error = this.#add('error');
  readonly warn = this.#add('warn');
  readonly info = this.#add('info');
  readonly debug = this.#add('debug');

  has(pattern: RegExp): boolean {
    return this.lines.some((line) => pattern.test(line));
  }
}

export const identity = {
  podName: 'kmesh-1',
  podNamespace: 'kmesh-system',
  instanceIp: '10.0.0.1',
  nodeName: 'node-1',
  serviceAccount: 'kmesh',
  clusterId: 'Kubernetes',
  network: '',
  meshId: '',
  version: '0.1.0',
  metadata: {},
};

export interface Started {
  readonly source: XdsSource;
  readonly clock: ManualClock;
  readonly log: Lines;
  readonly deltas: MeshDelta[];
  /** Resolves when the condition holds after some change. */
  until(condition: () => boolean, what: string): Promise<void>;
}

/** A dual-engine source, started; `random` is always 1, so that waits are whole. */
export function startSource(
  address: string,
  rest: { readonly onDemand?: boolean; readonly world?: World; readonly dialect?: 'delta' | 'sotw' } = {},
): Started {
  const clock = new ManualClock();
  const log = new Lines();
  const deltas: MeshDelta[] = [];
  const world =
    rest.world ?? new WorkloadWorld({ origin, network: '', node: 'node-1', clusterId: 'Kubernetes', dns: noDns });
  const source = new XdsSource({
    transport: new GrpcTransport({
      address,
      rootCa: null,
      serverName: null,
      tokenFile: null,
      clusterId: 'Kubernetes',
      headers: [],
    }),
    origin,
    world,
    dialect: rest.dialect ?? 'delta',
    onDemand: rest.onDemand ?? false,
    node: nodeOf(rest.dialect === 'sotw' ? 'sidecar' : 'ztunnel', identity),
    clock,
    random: () => 1,
    log,
    onChange: (delta) => deltas.push(delta),
  });
  source.start();
  const until = async (condition: () => boolean, what: string): Promise<void> => {
    const deadline = performance.now() + 10_000;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`never: ${what}\n${log.lines.join('\n')}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { source, clock, log, deltas, until };
}
