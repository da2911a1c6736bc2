/**
 * The source `files`: a directory of YAML and JSON, as it goes to `kubectl apply`, read and watched. Each settled change is
 * told as one batch. What cannot be read or is refused leaves the last good version in force; what is gone is removed.
 */
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { SourceStatus } from '../api/types.ts';
import { type ErrorCode, KmError } from '../base/errors.ts';
import type { FieldPath } from '../model/fieldpath.ts';
import type { KubeObject, ObjectKey } from '../model/objects.ts';
import type { Origin, Problem } from '../model/types.ts';
import { fieldLines } from './documents.ts';
import { ConfigFile, maxFileBytes } from './file.ts';
import type { Item } from './items.ts';
import { listProblems, sameProblems } from './problems.ts';
import { Registry } from './registry.ts';
import type { ObjectSource, OnChange } from './source.ts';
import { DirectoryWatch } from './watch.ts';

export interface FilesSourceOptions {
  readonly directory: string;
  readonly onChange: OnChange;
  /** A change is taken over when nothing has happened for this long, in milliseconds. */
  readonly quietMs?: number;
  /** But no later than this after the first event, in milliseconds. */
  readonly maxWaitMs?: number;
}

interface FileState {
  readonly file: ConfigFile;
  /** mtime, size, inode, device; empty: read it at the next scan whatever they say. */
  stamp: string;
  /** It was empty at the last scan, and had objects before. */
  emptied: boolean;
}

/** A file that changes again within this time after its last change may keep its mtime (the kernel's clock ticks). */
const racyMs = 50;

export class FilesSource implements ObjectSource {
  readonly name = 'files';
  readonly #options: Required<FilesSourceOptions>;
  readonly #registry = new Registry();
  readonly #files = new Map<string, FileState>();
  readonly #watch: DirectoryWatch;
  #known = new Set<string>();
  /** Files that something happened to since the last scan; null: any file. */
  #touchedNames: Set<string> | null = null;
  #problems: readonly Problem[] = [];
  #synced = false;
  #closed = false;
  #lastChange: string | null = null;
  #error: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #deadline = 0;

  constructor(options: FilesSourceOptions) {
    this.#options = { quietMs: 20, maxWaitMs: 200, ...options };
    this.#watch = new DirectoryWatch(options.directory, (name) => this.#touched(name));
  }

  /** Reads all there is, tells it as the first batch before it returns, and watches from then on. KM1001, KM1016. */
  start(): void {
    const { directory } = this.#options;
    try {
      readdirSync(directory);
    } catch (error) {
      throw new KmError('KM1001', `cannot read configuration directory ${directory}: ${errorText(error)}`, {
        cause: error,
      });
    }
    this.#watch.follow([]);
    if (this.#watch.failure !== null) throw new KmError('KM1016', this.#watch.failure);
    this.#settle();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#watch.close();
  }

  get synced(): boolean {
    return this.#synced;
  }

  object(key: ObjectKey): KubeObject | null {
    return this.#registry.told(key);
  }

  problems(): readonly Problem[] {
    return this.#problems;
  }

  status(): SourceStatus {
    return {
      name: this.name,
      location: this.#options.directory,
      synced: this.#synced,
      objects: this.#registry.size,
      lastChange: this.#lastChange,
      error: this.#error ?? (this.#watch.failure === null ? null : `KM1016 ${this.#watch.failure}`),
    };
  }

  /** 1-based line of a field of an object in force; the object's own line when the file has changed since. */
  locate(origin: Origin, path: FieldPath): number {
    const name = basename(origin.file);
    const state = this.#files.get(name);
    const claim = this.#registry.claims(name).find((one) => one.origin === origin);
    return state === undefined || claim === undefined ? origin.line : this.#locate(state.file, claim.item, path);
  }

  #locate(file: ConfigFile, item: Item, path: FieldPath): number {
    try {
      const document = file.textOf(item, readFileSync(file.path));
      if (document === null) return item.origin.line;
      const line = fieldLines(document.text, [[...item.prefix, ...path]], item.offset + 1)[0] ?? 1;
      return document.firstLine + line - 1;
    } catch {
      return item.origin.line;
    }
  }

  #touched(name: string | null): void {
    const state = name === null ? undefined : this.#files.get(name);
    if (state !== undefined) state.stamp = '';
    if (name === null || name.startsWith('.')) this.#touchedNames = null;
    else this.#touchedNames?.add(name);
    this.#schedule(this.#options.quietMs);
  }

  #schedule(delay: number): void {
    if (this.#closed) return;
    const now = performance.now();
    if (this.#timer === null) this.#deadline = now + this.#options.maxWaitMs;
    else clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(delay, this.#deadline - now));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#settle();
    }, wait);
  }

  #settle(): void {
    this.#scan();
    const { upserted, removed } = this.#registry.takeChanges();
    const problems = this.#listProblems();
    const first = !this.#synced;
    const same = sameProblems(problems, this.#problems);
    this.#problems = problems;
    this.#synced = this.#synced || this.#error === null;
    if (!first && same && upserted.length === 0 && removed.length === 0) return;
    this.#lastChange = new Date().toISOString();
    this.#options.onChange({ upserted, removed, problems });
  }

  #scan(): void {
    const { directory } = this.#options;
    let entries: Dirent[];
    const touched = this.#touchedNames;
    this.#touchedNames = new Set();
    try {
      entries = readdirSync(directory, { withFileTypes: true }).filter((entry) => isConfigName(entry.name));
      this.#error = null;
    } catch (error) {
      // A directory that cannot be read says nothing about its objects: they stay.
      this.#error = `KM1001 cannot read ${directory}: ${errorText(error)}`;
      this.#watch.follow([]);
      this.#touchedNames = null;
      return;
    }
    const links = new Set(entries.filter((entry) => entry.isSymbolicLink()).map((entry) => entry.name));
    if (this.#watch.follow([...links]) && this.#synced) {
      this.#touchedNames = null;
      this.#schedule(this.#options.quietMs);
    }
    const names = entries.map((entry) => entry.name).sort();
    const present = new Set(names);
    for (const name of this.#files.keys()) if (!present.has(name)) this.#forget(name);
    for (const name of names) {
      const settled = touched !== null && !touched.has(name) && this.#files.get(name)?.stamp;
      if (!settled) this.#read(name, links.has(name));
    }
  }

  #forget(name: string): void {
    this.#registry.update(name, [], false);
    this.#files.delete(name);
  }

  #read(name: string, isLink: boolean): void {
    const path = join(this.#options.directory, name);
    const state = this.#files.get(name) ?? { file: new ConfigFile(path), stamp: '', emptied: false };
    let bytes: Buffer;
    try {
      const stat = statSync(path, { bigint: true });
      if (!stat.isFile()) {
        this.#forget(name);
        return;
      }
      const stamp = `${stat.mtimeNs}:${stat.size}:${stat.ino}:${stat.dev}`;
      if (stamp === state.stamp) return;
      const racy = Date.now() - Number(stat.mtimeNs / 1_000_000n) < racyMs;
      state.stamp = racy ? '' : stamp;
      this.#files.set(name, state);
      if (stat.size > maxFileBytes) {
        this.#fail(state, 'KM1015', `larger than ${maxFileBytes} bytes`);
        return;
      }
      bytes = readFileSync(path);
    } catch (error) {
      if (isGone(error) && !isLink) this.#forget(name);
      else {
        this.#files.set(name, state);
        this.#fail(state, 'KM1002', `cannot be read: ${errorText(error)}`);
      }
      return;
    }
    if (bytes.length === 0 && !state.emptied && this.#registry.claims(name).length > 0) {
      // A writer that truncates before it writes leaves this for a moment. Believe it when it lasts.
      state.emptied = true;
      state.stamp = '';
      this.#schedule(this.#options.maxWaitMs);
      return;
    }
    state.emptied = bytes.length === 0;
    state.file.read(bytes, (onceFor) => this.#known.has(onceFor));
    this.#note(state);
    this.#registry.update(name, [...state.file.items()], state.file.unreadable);
  }

  /** Remembers which once-only warnings the file gives, so that other files need not look up their lines. */
  #note(state: FileState): void {
    for (const item of state.file.items()) {
      for (const note of item.notes) if (note.onceFor !== '') this.#known.add(note.onceFor);
    }
  }

  #fail(state: FileState, code: ErrorCode, reason: string): void {
    state.stamp = '';
    state.file.problem = { code, line: 1, reason };
  }

  #listProblems(): readonly Problem[] {
    const files = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    const listed = listProblems(
      files.map(([name, { file }]) => ({ name, file })),
      this.#registry,
      (file, item, path) => this.#locate(file, item, path),
    );
    this.#known = listed.known;
    return listed.problems;
  }
}

/** Names that are read: no hidden files, none of the copies that editors keep beside the file. */
export function isConfigName(name: string): boolean {
  return /\.(ya?ml|json)$/.test(name) && !/^[.#]/.test(name);
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function errorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const texts: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    ENOTDIR: 'not a directory',
    EACCES: 'permission denied',
    ELOOP: 'too many symbolic links',
  };
  return (code === undefined ? undefined : texts[code]) ?? message;
}
