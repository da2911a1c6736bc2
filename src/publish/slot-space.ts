/**
 * Which runs of the slot array are free. Runs are handed out first fit and joined again when they are given back, so
 * that years of endpoint changes do not crumble the space.
 */
export interface Run {
  readonly first: number;
  readonly length: number;
}

export class SlotSpace {
  readonly size: number;
  /** Free runs, ascending, never adjacent. */
  readonly #free: { first: number; length: number }[];
  #used = 0;

  constructor(size: number, taken: Iterable<Run> = []) {
    this.size = size;
    this.#free = [];
    let next = 0;
    for (const run of [...taken].filter((r) => r.length > 0).sort((a, b) => a.first - b.first)) {
      if (run.first > next) this.#free.push({ first: next, length: run.first - next });
      this.#used += run.length;
      next = Math.max(next, run.first + run.length);
    }
    if (next < size) this.#free.push({ first: next, length: size - next });
  }

  get used(): number {
    return this.#used;
  }

  /** The first slot of a free run, or null when no run is long enough. Length 0 takes nothing and gives 0. */
  take(length: number): number | null {
    if (length === 0) return 0;
    const at = this.#free.findIndex((run) => run.length >= length);
    const run = this.#free[at];
    if (run === undefined) return null;
    const first = run.first;
    run.first += length;
    run.length -= length;
    if (run.length === 0) this.#free.splice(at, 1);
    this.#used += length;
    return first;
  }

  give(run: Run): void {
    if (run.length === 0) return;
    this.#used -= run.length;
    let at = 0;
    for (let high = this.#free.length; at < high; ) {
      const middle = (at + high) >> 1;
      if ((this.#free[middle]?.first ?? 0) < run.first) at = middle + 1;
      else high = middle;
    }
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsBefore = before !== undefined && before.first + before.length === run.first;
    const joinsAfter = after !== undefined && run.first + run.length === after.first;
    if (joinsBefore && joinsAfter) {
      before.length += run.length + after.length;
      this.#free.splice(at, 1);
    } else if (joinsBefore) before.length += run.length;
    else if (joinsAfter) {
      after.first = run.first;
      after.length += run.length;
    } else this.#free.splice(at, 0, { first: run.first, length: run.length });
  }
}
