/** What is known of one subscription, for the status and for the next request. */
import type { Refused } from './sink.ts';

export class TypeState {
  readonly typeUrl: string;
  /** Names in force, with the version that each was accepted in. */
  readonly versions = new Map<string, string>();
  /** Names whose last version was refused, with the reason. */
  readonly refused = new Map<string, string>();
  /** The last version of the whole that was accepted (state of the world), or that came (delta). */
  version = '';
  nonce = '';
  acks = 0;
  nacks = 0;
  /** Clock time of the last response, in milliseconds. */
  lastPushMs: number | null = null;
  lastNack: string | null = null;
  /** A response came on this stream. */
  answered = false;
  /** A response came on some stream. */
  synced = false;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  /** The first response of a stream tells again of what was refused on an earlier one, if it is still there. */
  beginResponse(): void {
    if (!this.answered) this.refused.clear();
    this.answered = true;
    this.synced = true;
  }

  /** A new stream knows no nonce. */
  reopen(): void {
    this.nonce = '';
    this.answered = false;
  }

  accept(name: string, version: string): void {
    this.versions.set(name, version);
    this.refused.delete(name);
  }

  refuse(refused: Refused): void {
    this.refused.set(refused.name, refused.reason);
  }

  remove(name: string): void {
    this.versions.delete(name);
    this.refused.delete(name);
  }
}
