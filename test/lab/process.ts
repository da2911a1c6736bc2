/** A program that runs in the lab: its output line by line, its end, its signals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { patience } from './patience.ts';

export interface Exit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type Stream = 'stdout' | 'stderr';

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What it reads; default nothing. */
  readonly input?: string;
  /** Its stdin stays open until {@link LabProcess.endInput}. */
  readonly holdInput?: boolean;
  /** Files to which output is appended instead of being kept here. */
  readonly files?: Partial<Readonly<Record<Stream, string>>>;
}

/** Characters of output that are kept of each stream; older ones go. */
const keptText = 4 * 1024 * 1024;

interface Waiter {
  readonly stream: Stream;
  readonly pattern: RegExp;
  readonly found: (match: RegExpExecArray) => void;
  readonly failed: (error: Error) => void;
}

export class LabProcess {
  readonly args: readonly string[];
  readonly pid: number;
  /** Settles when the process has ended and its output is read. */
  readonly exited: Promise<Exit>;
  readonly #input: Writable | null;
  #exit: Exit | null = null;
  readonly #text: Record<Stream, string> = { stdout: '', stderr: '' };
  readonly #partial: Record<Stream, string> = { stdout: '', stderr: '' };
  readonly #waiters = new Set<Waiter>();

  /** `command` is what the kernel runs, `args` what messages call it. */
  constructor(command: readonly [string, ...string[]], args: readonly string[], options: StartOptions = {}) {
    this.args = args;
    const files = (['stdout', 'stderr'] as const).map((s) => options.files?.[s]);
    const outputs = files.map((file) => (file === undefined ? 'pipe' : openSync(file, 'a')));
    const child = spawn(command[0], command.slice(1), {
      // An own process group: a signal reaches what the program starts as well.
      detached: true,
      stdio: [options.input === undefined && options.holdInput !== true ? 'ignore' : 'pipe', ...outputs],
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
    });
    for (const output of outputs) if (typeof output === 'number') closeSync(output);
    this.pid = child.pid ?? -1;
    this.#input = child.stdin;
    this.#read(child, 'stdout');
    this.#read(child, 'stderr');
    // A program that ends without reading everything says more by its exit code than by EPIPE.
    child.stdin?.on('error', () => undefined);
    if (options.holdInput !== true) child.stdin?.end(options.input);
    else if (options.input !== undefined) child.stdin?.write(options.input);
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.#exit = { code, signal };
        this.#end();
        resolve(this.#exit);
      });
    });
    // Nobody may be waiting for it when it cannot be started; whoever waits is told.
    this.exited.catch((error: Error) => {
      this.#fail(error);
    });
  }

  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  get running(): boolean {
    return this.#exit === null;
  }

  /**
   * The first line that fits, among those that were written already too. Rejects with the program's output when it ends
   * or the time is over before.
   */
  line(pattern: RegExp, options: { stream?: Stream; timeoutMs?: number } = {}): Promise<RegExpExecArray> {
    const { stream = 'stdout', timeoutMs = 10_000 * patience } = options;
    for (const text of this.#text[stream].split('\n').slice(0, -1)) {
      const match = pattern.exec(text);
      if (match !== null) return Promise.resolve(match);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => waiter.failed(this.#error(`no line ${pattern} in ${timeoutMs} ms`)), timeoutMs);
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        stream,
        pattern,
        found: (match) => {
          done();
          resolve(match);
        },
        failed: (error) => {
          done();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      if (!this.running) waiter.failed(this.#error('has ended'));
    });
  }

  /** Writes to the stdin that `holdInput` keeps open. */
  write(text: string): void {
    this.#input?.write(text);
  }

  /** Ends the stdin that `holdInput` kept open. */
  endInput(): void {
    this.#input?.end();
  }

  /** Sends a signal to the process and all that it started. */
  signal(signal: NodeJS.Signals): void {
    if (!this.running) return;
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.signal(signal);
    return await this.exited;
  }

  #read(child: ChildProcess, stream: Stream): void {
    child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#text[stream] = (this.#text[stream] + chunk).slice(-keptText);
      const lines = (this.#partial[stream] + chunk).split('\n');
      this.#partial[stream] = lines.pop() ?? '';
      for (const waiter of [...this.#waiters].filter((w) => w.stream === stream)) {
        const match = lines.map((line) => waiter.pattern.exec(line)).find((m) => m !== null);
        if (match !== undefined) waiter.found(match);
      }
    });
  }

  #end(): void {
    this.#fail(this.#error('has ended'));
  }

  #fail(error: Error): void {
    for (const waiter of [...this.#waiters]) waiter.failed(error);
  }

  #error(what: string): Error {
    const state = this.#exit === null ? 'running' : `exit ${this.#exit.code ?? this.#exit.signal}`;
    const output = `${this.stdout.slice(-2000)}${this.stderr.slice(-4000)}`.trimEnd();
    return new Error(`${this.args.join(' ')} (${state}): ${what}\n${output}`);
  }
}
