/**
 * Tells when a directory, or what its symbolic links lead to, may have changed. Kubernetes mounts a ConfigMap as links
 * through `..data`, which is swapped as a whole; people link single files from elsewhere; the directory itself may be
 * replaced. So every directory on the way is watched, for the names on the way.
 */
import { type FSWatcher, readlinkSync, realpathSync, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** Limit of the kernel's own path lookup (path_resolution(7)). */
const maxLinks = 40;

interface Watched {
  readonly watcher: FSWatcher;
  /** Device, inode and birth: a directory that was replaced needs a new watch. */
  readonly identity: string;
  /** Names whose events count; null: all. */
  names: ReadonlySet<string> | null;
}

export class DirectoryWatch {
  readonly #directory: string;
  readonly #onEvent: (file: string | null) => void;
  readonly #watched = new Map<string, Watched>();
  /** Why changes may pass unnoticed; null: they do not. */
  failure: string | null = null;

  /** `onEvent` gets the name within the directory when the event is about one, else null. */
  constructor(directory: string, onEvent: (file: string | null) => void) {
    this.#directory = resolve(directory);
    this.#onEvent = onEvent;
  }

  /**
   * Watches what the directory and these files (names in it) hang on now. True when a watch was added: what was read before
   * may be stale.
   */
  follow(files: readonly string[]): boolean {
    const wanted = new Map<string, Set<string> | null>();
    const want = (directory: string, name: string) => {
      const names = wanted.get(directory);
      if (names === undefined) wanted.set(directory, new Set([name]));
      else names?.add(name);
    };
    const self = real(this.#directory);
    if (self !== null) wanted.set(self, null);
    for (const [directory, name] of linkSteps(this.#directory)) want(directory, name);
    for (const file of files) {
      for (const [directory, name] of linkSteps(resolve(this.#directory, file))) {
        if (directory !== self) want(directory, name);
      }
    }
    let added = false;
    this.failure = null;
    for (const [path, watched] of this.#watched) {
      if (wanted.has(path) && identity(path) === watched.identity) continue;
      watched.watcher.close();
      this.#watched.delete(path);
    }
    for (const [path, names] of wanted) {
      const watched = this.#watched.get(path);
      if (watched !== undefined) watched.names = names;
      else added = this.#add(path, names, path === self) || added;
    }
    return added;
  }

  close(): void {
    for (const { watcher } of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  #add(path: string, names: ReadonlySet<string> | null, isSelf: boolean): boolean {
    try {
      const known = identity(path);
      const watcher = watch(path);
      const watched: Watched = { watcher, identity: known, names };
      watcher.on('change', (_event, file) => {
        const name = file === null ? null : String(file);
        // A directory's own removal is told with its own name. The watch is dead then, even if a new directory got the inode.
        if (name === basename(path)) {
          this.#drop(path, watched);
          this.#onEvent(null);
        } else if (name === null || watched.names === null || watched.names.has(name)) {
          this.#onEvent(isSelf ? name : null);
        }
      });
      watcher.on('error', () => {
        this.#drop(path, watched);
        this.#onEvent(null);
      });
      this.#watched.set(path, watched);
      return true;
    } catch (error) {
      // When it went away between, the watch on its parent tells when it is back.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') this.failure = `cannot watch ${path}: ${message}`;
      return false;
    }
  }

  #drop(path: string, watched: Watched): void {
    watched.watcher.close();
    if (this.#watched.get(path) === watched) this.#watched.delete(path);
  }
}

/** Directory and name of every step from a path through its symbolic links; a missing directory is awaited by its parent. */
function linkSteps(start: string): [string, string][] {
  const steps: [string, string][] = [];
  let path = start;
  for (let i = 0; i < maxLinks; i++) {
    let parent = dirname(path);
    let name = basename(path);
    let directory = real(parent);
    while (directory === null && parent !== dirname(parent)) {
      name = basename(parent);
      parent = dirname(parent);
      directory = real(parent);
    }
    if (directory === null || name === '') return steps;
    steps.push([directory, name]);
    try {
      path = resolve(directory, readlinkSync(resolve(directory, name)));
    } catch {
      return steps;
    }
  }
  return steps;
}

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function identity(path: string): string {
  try {
    const { dev, ino, birthtimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch {
    return '';
  }
}
