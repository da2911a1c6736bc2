import { type Dfa, type DfaState, deadState } from './dfa.ts';
import { sinkFlag, slot } from './layout.ts';

/** Units before the end in which gaps are looked for, and how many gaps are tried. */
const searchWindow = 4096;
const searchTries = 96;

/**
 * Transitions of many automata in one array (a double array, Aoe 1989). A state is the place of its slots: slot 0 is where
 * bytes without a slot of their own go, slot 1 what a text says that ends here, slot c + 2 where class c goes. Each unit
 * holds the state that it belongs to and a value; a unit that belongs to another state is a slot that is not there. So
 * a state takes only the units that it uses, and states interleave. Place 0 is the dead state's: it has no slot at all.
 */
export class Packer {
  #owner = new Int32Array(4096).fill(-1);
  #value = new Uint32Array(4096);
  readonly #bases = new Set<number>([0]);
  /** For a taken unit, one behind it that may be free; paths are shortened as they are walked (union-find). */
  #next = new Int32Array(4096);
  #end = 0;
  #widest = 0;

  /** Units, with room behind for every slot that a reader may ask for. */
  get size(): number {
    return this.#end + this.#widest + slot.classes;
  }

  /** Adds an automaton and returns its start state's place. Outputs are passed through `resultOf` when written. */
  add(dfa: Dfa, resultOf: (output: number) => number): number {
    this.#widest = Math.max(this.#widest, dfa.classCount);
    const bases = new Int32Array(dfa.states.length);
    for (const id of chains(dfa)) bases[id] = this.#place(id, dfa.states[id] ?? deadState);
    for (let id = 1; id < dfa.states.length; id++) {
      const { fallback, exceptions, output } = dfa.states[id] ?? deadState;
      const base = bases[id] ?? 0;
      if (fallback !== 0) {
        const sink = fallback === id && exceptions.length === 0;
        this.#value[base + slot.fallback] = sink ? sinkFlag : (bases[fallback] ?? 0);
      }
      if (output !== 0) this.#value[base + slot.output] = resultOf(output);
      for (let i = 0; i < exceptions.length; i += 2) {
        this.#value[base + slot.classes + (exceptions[i] ?? 0)] = bases[exceptions[i + 1] ?? 0] ?? 0;
      }
    }
    return bases[dfa.start] ?? 0;
  }

  /** Writes the units behind `origin`, which becomes the dead state; states are places from the blob's start. */
  write(words: Uint32Array, origin: number, isOutput: (place: number) => boolean): void {
    for (let unit = 0; unit < this.#end; unit++) {
      const owner = this.#owner[unit] ?? -1;
      if (owner < 0) continue;
      const value = this.#value[unit] ?? 0;
      words[(origin + unit) * 2] = origin + owner;
      words[(origin + unit) * 2 + 1] = isOutput(unit) || value === sinkFlag ? value : origin + value;
    }
  }

  /** Whether a unit is a slot 1. */
  readonly isOutput = (unit: number): boolean => (this.#owner[unit] ?? -1) + slot.output === unit;

  #place(id: number, state: DfaState): number {
    const slots = slotsOf(state);
    if (id === 0 || slots.length === 0) return 0;
    const base = this.#search(slots);
    this.#bases.add(base);
    for (const at of slots) {
      this.#grow(base + at);
      this.#owner[base + at] = base;
      this.#next[base + at] = base + at + 1;
      this.#end = Math.max(this.#end, base + at + 1);
    }
    return base;
  }

  #search(slots: readonly number[]): number {
    const [first = 0] = slots;
    // Only the last units are searched, a few times: gaps further back are rarely found, and neighbours share cache lines.
    let unit = this.#freeFrom(Math.max(0, this.#end - searchWindow));
    for (let tries = 0; tries < searchTries && unit < this.#end; tries++) {
      if (this.#fits(unit - first, slots)) return unit - first;
      unit = this.#freeFrom(unit + 1);
    }
    let base = Math.max(1, this.#end - first);
    while (!this.#fits(base, slots)) base++;
    return base;
  }

  #fits(base: number, slots: readonly number[]): boolean {
    if (base < 1 || this.#bases.has(base)) return false;
    for (const at of slots) if (this.#taken(base + at)) return false;
    return true;
  }

  #freeFrom(unit: number): number {
    let free = unit;
    while (this.#taken(free)) free = this.#next[free] ?? free + 1;
    for (let at = unit; at < free; ) {
      const next = this.#next[at] ?? free;
      this.#next[at] = free;
      at = next;
    }
    return free;
  }

  #taken(unit: number): boolean {
    return (this.#owner[unit] ?? -1) >= 0;
  }

  #grow(unit: number): void {
    if (unit < this.#owner.length) return;
    const size = Math.max(unit + 1, this.#owner.length * 2);
    const owner = new Int32Array(size).fill(-1);
    owner.set(this.#owner);
    this.#owner = owner;
    const value = new Uint32Array(size);
    value.set(this.#value);
    this.#value = value;
    const next = new Int32Array(size);
    next.set(this.#next);
    this.#next = next;
  }
}

function slotsOf({ fallback, exceptions, output }: DfaState): number[] {
  const slots: number[] = [];
  if (fallback !== 0) slots.push(slot.fallback);
  if (output !== 0) slots.push(slot.output);
  for (let i = 0; i < exceptions.length; i += 2) slots.push(slot.classes + (exceptions[i] ?? 0));
  return slots;
}

/** States in an order that keeps chains of a text together, for the caches. */
function* chains(dfa: Dfa): Generator<number> {
  const seen = new Uint8Array(dfa.states.length);
  seen[0] = 1;
  const stack = [dfa.start];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    if (seen[id] === 1) continue;
    seen[id] = 1;
    yield id;
    const { fallback, exceptions } = dfa.states[id] ?? deadState;
    stack.push(fallback);
    for (let i = 1; i < exceptions.length; i += 2) stack.push(exceptions[i] ?? 0);
  }
}
