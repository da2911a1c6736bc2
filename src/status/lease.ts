/**
 * A Lease of the cluster (coordination.k8s.io/v1), so that one of many daemons does what only one needs to do. Clocks of
 * machines are never compared: a lease has run out when it did not change for its whole duration, by the own clock.
 */
import type { Logger } from '../base/log.ts';
import { isMap } from '../source/fields.ts';
import { errorText } from '../source/kubernetes/answers.ts';
import { type ApiClient, ApiError } from '../source/kubernetes/client.ts';
import type { Timers } from '../source/timers.ts';

export interface LeaseOptions {
  readonly client: ApiClient;
  readonly timers: Timers;
  readonly log: Logger;
  readonly namespace: string;
  readonly name: string;
  /** Who asks for it: no two at once have the same. */
  readonly identity: string;
  /** Told when it is held, and when it is not any more. */
  readonly onHeld: (held: boolean) => void;
}

export const leaseSeconds = 15;
const renewMs = 5000;
/** Without the right to ask for it, or without its namespace. */
const refusedMs = 60_000;

interface Seen {
  readonly version: string;
  readonly holder: string;
  readonly seconds: number;
  readonly transitions: number;
  readonly acquired: string;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #closed = new AbortController();
  #held = false;
  /** The lease as it was last seen, and when it was first seen so. */
  #seen: { readonly version: string; readonly at: number } | null = null;
  #renewedAt = 0;
  #complaint = '';
  #cancel: (() => void) | null = null;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#held;
  }

  start(): void {
    void this.#round();
  }

  /** Lets go of it, so that another need not wait until it has run out. */
  async close(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    this.#closed.abort();
    if (!this.#held) return;
    this.#setHeld(false);
    const end = new AbortController();
    const cancel = this.#options.timers.after(1000, () => end.abort());
    try {
      const seen = await this.#read(end.signal);
      if (seen?.holder === this.#options.identity) await this.#write(seen, '', end.signal);
    } catch {
      // It runs out by itself.
    } finally {
      cancel();
    }
  }

  async #round(): Promise<void> {
    let pauseMs = renewMs;
    try {
      this.#setHeld(await this.#try());
      this.#complaint = '';
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      pauseMs = this.#failed(error);
    }
    if (this.#closed.signal.aborted) return;
    const spread = 0.9 + this.#options.timers.random() / 5;
    this.#cancel = this.#options.timers.after(pauseMs * spread, () => void this.#round());
  }

  /** Takes it, or goes on to hold it. */
  async #try(): Promise<boolean> {
    const { timers, identity } = this.#options;
    const { signal } = this.#closed;
    const begun = timers.now();
    const seen = await this.#read(signal);
    if (seen === null) await this.#write(null, identity, signal);
    else {
      if (this.#seen?.version !== seen.version) this.#seen = { version: seen.version, at: timers.now() };
      const ranOut = timers.now() - this.#seen.at >= seen.seconds * 1000;
      if (seen.holder !== identity && seen.holder !== '' && !ranOut) return false;
      await this.#write(seen, identity, signal);
    }
    this.#renewedAt = begun;
    return true;
  }

  #failed(error: unknown): number {
    const { timers, log, namespace, name } = this.#options;
    // Another was first.
    if (error instanceof ApiError && error.status === 409) {
      this.#setHeld(false);
      return renewMs;
    }
    if (timers.now() - this.#renewedAt >= leaseSeconds * 1000 * 0.8) this.#setHeld(false);
    const refused = error instanceof ApiError && [403, 404, 405].includes(error.status);
    const complaint = errorText(error);
    // A server that is away is told of by the source.
    if (refused && complaint !== this.#complaint) {
      log.warn('no status of routes is written', { lease: `${namespace}/${name}`, error: complaint });
    }
    this.#complaint = complaint;
    if (refused) this.#setHeld(false);
    return refused ? refusedMs : renewMs;
  }

  #setHeld(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.#options.onHeld(held);
  }

  async #read(signal: AbortSignal): Promise<Seen | null> {
    try {
      const value = await this.#options.client.get(`${this.#path}/${this.#options.name}`, signal);
      return seenOf(value);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** `seen`: what it replaces; null: it is made. */
  async #write(seen: Seen | null, holder: string, signal: AbortSignal): Promise<void> {
    const { client, namespace, name, timers, identity } = this.#options;
    const now = timers.date().toISOString().replace('Z', '000Z');
    const taken = seen?.holder !== identity;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace, ...(seen === null ? {} : { resourceVersion: seen.version }) },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: holder === '' ? 1 : leaseSeconds,
        acquireTime: taken || seen.acquired === '' ? now : seen.acquired,
        renewTime: now,
        leaseTransitions: (seen?.transitions ?? 0) + (seen !== null && taken ? 1 : 0),
      },
    };
    const written =
      seen === null
        ? await client.send(this.#path, signal, { method: 'POST', body })
        : await client.send(`${this.#path}/${name}`, signal, { method: 'PUT', body });
    this.#seen = { version: seenOf(written).version, at: timers.now() };
  }

  get #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(this.#options.namespace)}/leases`;
  }
}

function seenOf(value: unknown): Seen {
  const metadata = isMap(value) && isMap(value['metadata']) ? value['metadata'] : {};
  const spec = isMap(value) && isMap(value['spec']) ? value['spec'] : {};
  const text = (field: unknown): string => (typeof field === 'string' ? field : '');
  return {
    version: text(metadata['resourceVersion']),
    holder: text(spec['holderIdentity']),
    seconds: Number(spec['leaseDurationSeconds'] ?? leaseSeconds),
    transitions: Number(spec['leaseTransitions'] ?? 0),
    acquired: text(spec['acquireTime']),
  };
}
