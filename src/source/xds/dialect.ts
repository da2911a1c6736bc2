/** One of the two ways to speak ADS over a stream; it knows the protocol, not the transport. */
import type { Logger } from '../../base/log.ts';
import type { Clock } from './clock.ts';
import type { TypeState } from './type-state.ts';

export interface Dialect {
  /** Full gRPC method name. */
  readonly method: string;
  readonly types: readonly TypeState[];
  /** A new stream is there. */
  open(stream: RequestStream): void;
  /** All that was sent is on the wire. */
  drained(): void;
  /** The stream ended. */
  closed(): void;
  /** One response; a text says why the stream cannot go on. */
  receive(message: Uint8Array): string | null;
  /** Asks for what is wanted now, if that changed. */
  resubscribe(): void;
  /** Asks for single resources of a type, where it does not ask for all. */
  demand?(typeUrl: string, names: readonly string[]): void;
}

export interface RequestStream {
  send(message: Uint8Array): void;
  /** Nothing that was sent waits for the control plane to read. */
  readonly idle: boolean;
}

export interface DialectContext {
  readonly clock: Clock;
  readonly log: Logger;
  /** Told after each response whose resources were taken over. */
  readonly onResponse: () => void;
}
