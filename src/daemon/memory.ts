/**
 * Gives memory back after a large change. Reading ten thousand services leaves as much garbage as there is mesh, and V8
 * keeps the pages for more of the same, while the daemon then idles beside workloads that could use them.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimMemory } from '../kernel/syscall.ts';

/** Bytes that the heap may have grown since the last time before it is worth a pause of some 2 ms a megabyte alive. */
const worthBytes = 24 * 1024 * 1024;
/** The change is over when nothing has happened for so long. */
const quietMs = 300;

/** As tools/launcher.sh starts the daemon. */
const usualPercent = 10;
const loadingPercent = 60;

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

export class MemoryTrim {
  readonly #collect: Collect;
  #loading = false;
  #base = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor() {
    setFlagsFromString('--expose-gc');
    this.#collect = runInNewContext('gc') as Collect;
  }

  /**
   * While a control plane is read for the first time, half of the CPU time would go into collections that find little: the
   * launcher lets the heap grow by a tenth between two of them.
   */
  setLoading(loading: boolean): void {
    if (loading === this.#loading) return;
    this.#loading = loading;
    setFlagsFromString(`--heap-growing-percent=${loading ? loadingPercent : usualPercent}`);
  }

  /** Call after each change. */
  changed(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (process.memoryUsage().heapTotal - this.#base < worthBytes) return;
      this.#collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      trimMemory();
      this.#base = process.memoryUsage().heapTotal;
    }, quietMs);
    this.#timer.unref();
  }
}
