/**
 * Keeps kmesh-cni on the node: the program among the other plugins, and its entry in the configuration that the runtime
 * uses, also when another network plugin is installed or an old one is changed.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { systemTimers, type Timers } from '../source/timers.ts';
import { DirectoryWatch } from '../source/watch.ts';
import { chain, unchain } from './chain.ts';
import { type PluginEntry, pluginType } from './conflist.ts';
import { listName, listPath, removeEnrolledList } from './enrolled-list.ts';
import { readBytes, removeFile, replaceFile, sweepFresh } from './files.ts';

/** After an event, so that a writer can finish. */
const quietMs = 100;
/** After a change of our own: somebody else who wants it otherwise must not make both of us busy. */
const restMs = 1000;
/** In case an event was missed, or the program was removed. */
const lookEveryMs = 10_000;

export interface InstallerOptions {
  /** `/etc/cni/net.d` */
  readonly confDirectory: string;
  /** `/opt/cni/bin` */
  readonly binDirectory: string;
  /** Where the daemon's socket is, as the host sees it. */
  readonly runDirectory: string;
  /** Name of the file to use; null: the first, as the runtimes do. */
  readonly conflistName: string | null;
  /** The built kmesh-cni. */
  readonly program: string;
  readonly log: Logger;
  readonly timers?: Timers;
}

export class CniInstaller {
  readonly #options: InstallerOptions;
  readonly #timers: Timers;
  readonly #watch: DirectoryWatch;
  readonly #entry: PluginEntry;
  #cancel: (() => void) | null = null;
  #due = Infinity;
  #notBefore = 0;
  #file: string | null = null;
  #problem: string | null = 'kmesh-cni has not been installed yet';
  #unusable = '';

  constructor(options: InstallerOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    const { confDirectory, runDirectory } = options;
    this.#entry = { type: pluginType, runDir: runDirectory, enrolled: listPath(confDirectory) };
    this.#watch = new DirectoryWatch(confDirectory, (file) => {
      if (file?.startsWith(listName) !== true) this.#lookWithin(quietMs);
    });
  }

  /** The file that has the entry; null: none yet. */
  get file(): string | null {
    return this.#file;
  }

  /** Why pods do not start under the mesh; null: they do. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Installs what is missing, and goes on watching. What goes wrong is logged and tried again. */
  start(): void {
    this.#look();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#due = -Infinity;
    this.#watch.close();
  }

  #look(): void {
    const { confDirectory, log } = this.#options;
    let rests = false;
    try {
      mkdirSync(confDirectory, { recursive: true });
      this.#watch.follow([]);
      rests = this.#bring();
    } catch (error) {
      this.#say(error instanceof KmError ? error.line() : String(error));
      rests = true;
    }
    if (this.#problem === null && this.#watch.failure !== null)
      log.warn('changes are seen late', { reason: this.#watch.failure });
    this.#due = Infinity;
    if (rests) this.#notBefore = this.#timers.now() + restMs;
    this.#lookWithin(rests ? restMs : lookEveryMs);
  }

  /** Whether something was changed. */
  #bring(): boolean {
    const { confDirectory, binDirectory, conflistName, program, log } = this.#options;
    // Before the entry: a runtime that cannot find a plugin starts no pods at all.
    const installed = installProgram(program, binDirectory);
    if (installed) log.info('kmesh-cni installed', { directory: binDirectory });
    const { file, changes, unusable } = chain(confDirectory, this.#entry, conflistName);
    for (const change of changes) log.info('CNI configuration changed', { directory: confDirectory, change });
    if (unusable.join() !== this.#unusable) {
      this.#unusable = unusable.join();
      if (unusable.length > 0)
        log.warn('files that are no CNI configuration are passed over', { files: unusable.join(', ') });
    }
    this.#file = file;
    this.#say(file === null ? `there is no CNI configuration in ${confDirectory} yet` : null);
    return installed || changes.length > 0;
  }

  #say(problem: string | null): void {
    if (problem !== null && problem !== this.#problem)
      this.#options.log.warn('kmesh-cni is not chained', { reason: problem });
    this.#problem = problem;
  }

  #lookWithin(milliseconds: number): void {
    const now = this.#timers.now();
    const at = Math.max(now + milliseconds, this.#notBefore);
    if (this.#due <= at) return;
    this.#due = at;
    this.#cancel?.();
    this.#cancel = this.#timers.after(at - now, () => this.#look());
  }
}

/** Takes kmesh-cni off the node: the entry first, then the program. Returns what was removed, one line each. */
export function uninstallCni(confDirectory: string, binDirectory: string): string[] {
  const removed = unchain(confDirectory).map((change) => `CNI configuration: ${change}`);
  sweepFresh(binDirectory);
  const path = join(binDirectory, pluginType);
  if (removeFile(path)) removed.push(`file ${path}`);
  if (removeEnrolledList(confDirectory)) removed.push(`file ${listPath(confDirectory)}`);
  return removed;
}

/** Whether it was not there, or another one. */
function installProgram(program: string, directory: string): boolean {
  const content = readBytes(program);
  if (content === null) throw new KmError('KM5024', `${program} is missing: make build`);
  const path = join(directory, pluginType);
  if (readBytes(path) === content) return false;
  mkdirSync(directory, { recursive: true });
  sweepFresh(directory);
  replaceFile(path, content, { mode: 0o755 });
  return true;
}
