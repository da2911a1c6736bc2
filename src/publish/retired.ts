/**
 * Records that are out of use but not yet deleted. A program that runs on another CPU may still hold a pointer to a
 * record that was just taken out of the tables, and the kernel gives a deleted hash element's memory to the next insert
 * at once; so a record is first marked dead in place and deleted only after a grace period that no program outlives.
 */
export class Retired<K> {
  readonly #due = new Map<K, number>();
  readonly #graceMs: number;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  get size(): number {
    return this.#due.size;
  }

  add(key: K, now: number): void {
    this.#due.set(key, now + this.#graceMs);
  }

  /** The record is in use again. */
  revive(key: K): boolean {
    return this.#due.delete(key);
  }

  has(key: K): boolean {
    return this.#due.has(key);
  }

  keys(): Iterable<K> {
    return this.#due.keys();
  }

  /** Takes out what is due at `now`, in the order it was retired. */
  takeDue(now: number): K[] {
    const due: K[] = [];
    for (const [key, at] of this.#due) {
      if (at > now) break;
      due.push(key);
    }
    for (const key of due) this.#due.delete(key);
    return due;
  }
}
