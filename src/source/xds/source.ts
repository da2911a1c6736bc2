/**
 * The source `xds`: a control plane, spoken to over ADS. What it says stays in force when it is gone; when it is back, the
 * difference is taken over. Responses that come together are one change.
 */
import type { SourceStatus, XdsTypeStatus } from '../../api/types.ts';
import type { Logger } from '../../base/log.ts';
import type { Mesh, MeshDelta, Origin, Problem } from '../../model/types.ts';
import type { Clock } from './clock.ts';
import { Connection } from './connection.ts';
import { DeltaDialect } from './delta.ts';
import type { Dialect } from './dialect.ts';
import type { Node } from './gen/messages.gen.ts';
import { SotwDialect } from './sotw.ts';
import type { Transport } from './transport.ts';
import type { TypeState } from './type-state.ts';
import { addressType, shortType } from './type-urls.ts';
import type { World } from './world.ts';

export interface XdsSourceOptions {
  readonly transport: Transport;
  readonly origin: Origin;
  readonly world: World;
  /** `delta` for the workload API, `sotw` for Envoy's resources. */
  readonly dialect: 'delta' | 'sotw';
  readonly onDemand: boolean;
  /** Of the addresses that are asked for on demand. */
  readonly network?: string;
  readonly node: Node;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onChange: (delta: MeshDelta) => void;
  /** Told after each change: seconds from the first response of it until it was taken over. */
  readonly onApplied?: (seconds: number) => void;
}

/** Changes are taken over this long after the last one at the earliest, so that a flood of pushes is a few runs. */
const settleMs = 5;

export class XdsSource {
  readonly mesh: Mesh;
  readonly #options: XdsSourceOptions;
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  #cancelFlush: (() => void) | null = null;
  #lastFlushMs = Number.NEGATIVE_INFINITY;
  #synced = false;
  #lastChange: string | null = null;
  #startedMs = 0;
  #pendingSinceMs: number | null = null;

  constructor(options: XdsSourceOptions) {
    this.#options = options;
    const { world, clock, log, node } = options;
    this.mesh = world.mesh;
    const context = { clock, log, node, sinks: world.sinks, onResponse: () => this.#responded() };
    this.#dialect =
      options.dialect === 'sotw'
        ? new SotwDialect(context)
        : new DeltaDialect({ ...context, onDemand: options.onDemand });
    const { transport, random } = options;
    this.#connection = new Connection({ transport, dialect: this.#dialect, clock, random, log });
  }

  start(): void {
    this.#startedMs = this.#options.clock.now();
    this.#connection.start();
  }

  close(): void {
    this.#cancelFlush?.();
    this.#connection.close();
    this.#options.world.close?.();
  }

  /** The whole has been read once. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Asks again for a flush, after a change that no response brought (a name that resolves otherwise). */
  changed(): void {
    this.#dialect.resubscribe();
    this.#flushLater();
  }

  /** Asks for what is at these addresses, where not everything is asked for. */
  demand(addresses: readonly string[]): void {
    const network = this.#options.network ?? '';
    this.#dialect.demand?.(
      addressType,
      addresses.map((address) => `${network}/${address}`),
    );
  }

  /** Its resources, for people. */
  dump(): object {
    return this.#options.world.dump();
  }

  problems(): Problem[] {
    const refused = this.#dialect.types.flatMap((state) =>
      [...state.refused].map(([name, reason]) => this.#refusal(state, name, reason)),
    );
    return [...refused, ...this.#options.world.problems()];
  }

  status(): SourceStatus {
    const { types } = this.#dialect;
    const { transport } = this.#options;
    return {
      name: 'xds',
      location: transport.location,
      synced: this.#synced,
      objects: types.reduce((sum, { versions }) => sum + versions.size, 0),
      lastChange: this.#lastChange,
      error: this.#connection.error,
      xds: {
        connected: this.#connection.connected,
        streams: this.#connection.streams,
        types: types.map((state) => this.#typeStatus(state)),
      },
    };
  }

  #typeStatus(state: TypeState): XdsTypeStatus {
    const age = state.lastPushMs === null ? null : this.#options.clock.now() - state.lastPushMs;
    return {
      type: shortType(state.typeUrl),
      typeUrl: state.typeUrl,
      answered: state.answered,
      resources: state.versions.size,
      refused: state.refused.size,
      version: state.version,
      nonce: state.nonce,
      acks: state.acks,
      nacks: state.nacks,
      lastPush: age === null ? null : new Date(Date.now() - age).toISOString(),
      lastNack: state.lastNack,
    };
  }

  #refusal(state: TypeState, name: string, reason: string): Problem {
    const colon = reason.indexOf(': ');
    const slash = name.indexOf('/');
    const { file, line } = this.#options.origin;
    return {
      severity: 'error',
      code: 'KM1040',
      kind: shortType(state.typeUrl),
      namespace: slash < 0 ? '' : name.slice(0, slash),
      name: name.slice(slash + 1),
      file,
      line,
      field: colon < 0 ? '' : reason.slice(0, colon),
      reason: colon < 0 ? reason : reason.slice(colon + 2),
      lastGoodInForce: state.versions.has(name),
    };
  }

  #responded(): void {
    this.#pendingSinceMs ??= this.#options.clock.now();
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#cancelFlush !== null) return;
    if (!this.#synced && !this.#complete()) return;
    const wait = Math.max(0, this.#lastFlushMs + settleMs - this.#options.clock.now());
    this.#cancelFlush = this.#options.clock.after(wait, () => {
      this.#cancelFlush = null;
      this.#flush();
    });
  }

  /** Every type that something is wanted of has been answered. */
  #complete(): boolean {
    const { sinks } = this.#options.world;
    return this.#dialect.types.every((state, i) => state.synced || sinks[i]?.wanted?.().size === 0);
  }

  #flush(): void {
    const delta = this.#options.world.update();
    const first = !this.#synced;
    this.#synced = true;
    this.#lastFlushMs = this.#options.clock.now();
    this.#lastChange = new Date().toISOString();
    this.#options.onChange(delta);
    if (this.#pendingSinceMs !== null) {
      this.#options.onApplied?.((this.#options.clock.now() - this.#pendingSinceMs) / 1000);
    }
    this.#pendingSinceMs = null;
    if (first) {
      const resources = this.#dialect.types.reduce((sum, { versions }) => sum + versions.size, 0);
      const seconds = (this.#options.clock.now() - this.#startedMs) / 1000;
      this.#options.log.info('in sync', { resources, seconds });
    }
    // What was computed may have other names to ask for.
    this.#dialect.resubscribe();
  }
}
