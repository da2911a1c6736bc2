/** Keeps one stream to the control plane: opens it, hands what comes to the dialect, tries again when it ends. */
import type { Logger } from '../../base/log.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Dialect } from './dialect.ts';
import type { OpenStream, Transport } from './transport.ts';

export interface ConnectionOptions {
  readonly transport: Transport;
  readonly dialect: Dialect;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

const firstWaitMs = 10;
const maxWaitMs = 15_000;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #stream: OpenStream | null = null;
  #cancelWait: (() => void) | null = null;
  #closed = false;
  /** Something came on the present stream. */
  #alive = false;
  /** Why there is no stream; null while there is one that has answered. */
  #error: string | null = 'not connected yet';
  #streams = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: firstWaitMs, maxMs: maxWaitMs, random: options.random });
  }

  /** The control plane has answered on the present stream. */
  get connected(): boolean {
    return this.#alive;
  }

  get error(): string | null {
    return this.#error;
  }

  /** How many streams were opened. */
  get streams(): number {
    return this.#streams;
  }

  start(): void {
    this.#open();
  }

  close(): void {
    this.#closed = true;
    this.#cancelWait?.();
    this.#stream?.close();
    this.#options.dialect.closed();
  }

  #open(): void {
    const { transport, dialect, log } = this.#options;
    this.#cancelWait = null;
    this.#alive = false;
    this.#streams += 1;
    let stream: OpenStream | null = null;
    let over = false;
    const end = (reason: string, graceful: boolean): void => {
      if (over || this.#closed) return;
      over = true;
      stream?.close();
      this.#ended(reason, graceful);
    };
    try {
      stream = transport.open(dialect.method, {
        message: (bytes) => {
          if (over) return;
          if (!this.#alive) {
            log.info('connected', { to: transport.location });
            this.#alive = true;
            this.#error = null;
            this.#backoff.reset();
          }
          const failure = this.#receive(bytes);
          if (failure !== null) end(failure, false);
        },
        drained: () => {
          if (!over) dialect.drained();
        },
        end,
      });
    } catch (error) {
      // A token or root certificate that cannot be read; it may come later.
      end(error instanceof Error ? error.message : String(error), false);
      return;
    }
    this.#stream = stream;
    dialect.open(stream);
  }

  #receive(bytes: Uint8Array): string | null {
    try {
      return this.#options.dialect.receive(bytes);
    } catch (error) {
      return `a response could not be taken over: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #ended(reason: string, graceful: boolean): void {
    const { clock, log, dialect, transport } = this.#options;
    const wait = graceful && this.#alive ? 0 : this.#backoff.next();
    this.#alive = false;
    this.#stream = null;
    dialect.closed();
    // The same failure again and again is one entry.
    if (reason !== this.#error) {
      log.warn('the stream ended; what it said stays in force', { to: transport.location, reason });
    }
    this.#error = reason;
    this.#cancelWait = clock.after(wait, () => this.#open());
  }
}
