/**
 * HTTP requests as they end, from the kernel's ring buffer to the access log and to whoever observes. The kernel writes
 * them only while there is one of these, and wakes nobody: the buffer is looked at now and then.
 */
import type { ObserveLine, RequestItem } from '../api/types.ts';

/** Where the records come from; hands over at most `budget` of them. */
export interface RequestSource {
  drain(handler: (item: RequestItem, logLine: () => string) => void, budget: number): void;
}

export interface RequestFeedOptions {
  readonly source: RequestSource;
  /** Tells the kernel whether to write requests. */
  readonly setWanted: (wanted: boolean) => void;
  /** Takes access-log lines. */
  readonly log: { write(lines: string): void; keepsUp(): boolean };
  /** Makes an action that never throws. */
  readonly guarded: (what: string, action: () => void) => () => void;
}

const drainEveryMs = 100;
/** Records in one go, so that the admin API is answered in between. */
const drainBudget = 5000;
/** The last ones, for who begins to observe. */
const rememberedMax = 4096;
/** A reader that has so many to read loses what comes. */
const queueMax = 10_000;

interface Observer {
  queue: ObserveLine[];
  lost: number;
  wake: () => void;
}

export class RequestFeed {
  readonly #options: RequestFeedOptions;
  readonly #observers = new Set<Observer>();
  readonly #remembered: RequestItem[] = [];
  readonly #drainSafely: () => void;
  #logging = false;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: RequestFeedOptions) {
    this.#options = options;
    this.#drainSafely = options.guarded('reading requests', () => this.drain());
    options.setWanted(false);
  }

  /** Requests have lines in the access log from now on, or no more. */
  setLog(on: boolean): void {
    // What waits is of before. When the first log of this process begins, it is of the daemon before, and logged.
    if (this.#logging !== on && this.#timer !== null) this.drain();
    this.#logging = on;
    this.#update();
  }

  /** What is remembered, the end of that, and with `follow` what comes until the reader is gone. */
  async *observe(follow: boolean, gone: AbortSignal): AsyncGenerator<ObserveLine> {
    const observer: Observer = { queue: [], lost: 0, wake: () => undefined };
    if (follow) this.#observers.add(observer);
    gone.addEventListener('abort', () => observer.wake());
    try {
      this.#update();
      this.drain();
      // What is in the queue already is remembered too.
      observer.queue = [];
      const remembered = [...this.#remembered];
      for (const request of remembered) yield { request };
      yield { remembered: remembered.length };
      while (follow && !gone.aborted && !this.#closed) yield* await this.#next(observer);
    } finally {
      this.#observers.delete(observer);
      this.#update();
    }
  }

  /** Takes what waits. A log whose reader does not keep up holds everything up: then the kernel counts what is lost. */
  drain(): void {
    const { source, log } = this.#options;
    if (this.#closed || (this.#logging && !log.keepsUp())) return;
    const lines: string[] = [];
    source.drain((item, logLine) => {
      this.#remembered.push(item);
      for (const observer of this.#observers) give(observer, item);
      if (this.#logging) lines.push(logLine());
    }, drainBudget);
    if (this.#remembered.length > rememberedMax) this.#remembered.splice(0, this.#remembered.length - rememberedMax);
    if (lines.length > 0) log.write(lines.join(''));
    for (const observer of this.#observers) if (observer.queue.length > 0) observer.wake();
  }

  /** Ends all observers. The kernel goes on writing for an access log, which the next daemon takes up. */
  close(): void {
    if (this.#closed) return;
    this.drain();
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (!this.#logging) this.#options.setWanted(false);
    for (const observer of this.#observers) observer.wake();
  }

  async #next(observer: Observer): Promise<readonly ObserveLine[]> {
    if (observer.queue.length === 0) {
      await new Promise<void>((resolve) => {
        observer.wake = resolve;
      });
    }
    const lines = observer.queue;
    if (observer.lost > 0) lines.push({ lost: observer.lost });
    observer.queue = [];
    observer.lost = 0;
    return lines;
  }

  #update(): void {
    if (this.#closed) return;
    const wanted = this.#logging || this.#observers.size > 0;
    if (wanted === (this.#timer !== null)) return;
    this.#options.setWanted(wanted);
    if (wanted) this.#timer = setInterval(this.#drainSafely, drainEveryMs);
    else if (this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      // Else a log that begins later would have it.
      this.#drainSafely();
    }
  }
}

function give(observer: Observer, request: RequestItem): void {
  if (observer.queue.length < queueMax) observer.queue.push({ request });
  else observer.lost += 1;
}
