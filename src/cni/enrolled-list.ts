/**
 * The list of enrolled namespaces that kmesh-cni reads when no daemon answers: pods of these are not to start outside the
 * mesh, all others are. It is believed for five minutes after it was last touched, so that a daemon that does not come back
 * holds nobody up for longer; and in the first five minutes of a node, whose pods start together with its daemon.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, utimesSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemTimers, type Timers } from '../source/timers.ts';
import { removeFile } from './files.ts';

/** The list is touched so often; kmesh-cni believes it five times as long. */
const touchEveryMs = 60_000;

/** Beside the configuration, where it outlives a restart of the node. No runtime takes it for one. */
export const listPath = (confDirectory: string): string => join(confDirectory, listName);
export const listName = 'kmesh-enrolled';

/** What an earlier daemon left; empty when there is none. */
export function readEnrolledList(confDirectory: string): ReadonlySet<string> {
  try {
    return new Set(
      readFileSync(listPath(confDirectory), 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    );
  } catch {
    return new Set();
  }
}

/** False: there was none. */
export function removeEnrolledList(confDirectory: string): boolean {
  removeFile(freshPath(listPath(confDirectory)));
  return removeFile(listPath(confDirectory));
}

const freshPath = (path: string): string => `${path}.new`;

export class EnrolledList {
  readonly #path: string;
  readonly #timers: Timers;
  #written: string | null = null;
  #cancel: (() => void) | null = null;

  constructor(confDirectory: string, timers: Timers = systemTimers) {
    this.#path = listPath(confDirectory);
    this.#timers = timers;
  }

  /** Writes the list when it differs from what was written. Readers see the old list or the new one. */
  write(namespaces: Iterable<string>): void {
    const text = [...namespaces]
      .sort()
      .map((name) => `${name}\n`)
      .join('');
    if (text === this.#written) return;
    mkdirSync(dirname(this.#path), { recursive: true });
    const fresh = freshPath(this.#path);
    const fd = openSync(fresh, 'w', 0o644);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, this.#path);
    this.#written = text;
    if (this.#cancel === null) this.#touchLater();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #touchLater(): void {
    this.#cancel = this.#timers.after(touchEveryMs, () => {
      const now = new Date();
      try {
        utimesSync(this.#path, now, now);
      } catch {
        // Somebody removed it: the next change writes it anew.
        this.#written = null;
      }
      this.#touchLater();
    });
  }
}
