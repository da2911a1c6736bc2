import { anyByte, begin, byteClasses, end, free, type Nfa } from './nfa.ts';

/**
 * A deterministic automaton. State 0 is dead: it goes to itself and says 0. A state's transitions are its fallback and
 * the byte classes that go elsewhere, sorted by class.
 */
export interface Dfa {
  /** Class of each byte, numbered from 0. */
  readonly classes: Uint8Array;
  readonly classCount: number;
  readonly start: number;
  readonly states: readonly DfaState[];
}

export interface DfaState {
  readonly fallback: number;
  /** Class, target, class, target, ... */
  readonly exceptions: readonly number[];
  /** What the text says that ends here; 0 is nothing. */
  readonly output: number;
}

/** How far a construction may go: states, and members of all their node sets together. */
export interface Effort {
  readonly states: number;
  readonly members: number;
}

export const deadState: DfaState = { fallback: 0, exceptions: [], output: 0 };

/**
 * The subset construction. `outputOf` names the set of patterns that a text matches; the empty set must be 0. Returns null
 * when it would take more than the effort.
 */
export function determinise(nfa: Nfa, outputOf: (patterns: readonly number[]) => number, effort: Effort): Dfa | null {
  return new Subsets(nfa, outputOf, effort).run();
}

class Subsets {
  readonly #nfa: Nfa;
  readonly #outputOf: (patterns: readonly number[]) => number;
  readonly #effort: Effort;
  readonly #classes;
  readonly #ids = new Map<string, number>([['', 0]]);
  /** State of a set of one node. */
  readonly #single: number[] = [];
  readonly #sets: (readonly number[])[] = [[]];
  readonly #states: DfaState[] = [deadState];
  readonly #mark: Int32Array;
  #round = 0;
  #members = 0;

  constructor(nfa: Nfa, outputOf: (patterns: readonly number[]) => number, effort: Effort) {
    this.#nfa = nfa;
    this.#outputOf = outputOf;
    this.#effort = effort;
    this.#classes = byteClasses(nfa);
    this.#mark = new Int32Array(nfa.size);
  }

  run(): Dfa | null {
    const first = this.#closure([this.#nfa.start], true);
    // The first state alone passes BEGIN; its own set of nodes keeps it apart from later ones only where that matters.
    this.#sets.push(first);
    this.#states.push(deadState);
    const start = 1;
    if (!this.#hasBegin()) this.#remember(first, start);
    for (let id = start; id < this.#sets.length; id++) {
      if (this.#sets.length > this.#effort.states || this.#members > this.#effort.members) return null;
      this.#states[id] = this.#expand(this.#sets[id] ?? [], id === start);
      this.#sets[id] = [];
    }
    return { classes: this.#classes.of, classCount: this.#classes.count, start, states: this.#states };
  }

  #hasBegin(): boolean {
    return this.#nfa.label.includes(begin);
  }

  #remember(set: readonly number[], id: number): void {
    const [only] = set;
    if (set.length === 1 && only !== undefined) this.#single[only] = id;
    else this.#ids.set(set.join(','), id);
  }

  #expand(set: readonly number[], atStart: boolean): DfaState {
    const nfa = this.#nfa;
    const always: number[] = [];
    const buckets = new Map<number, number[]>();
    for (const node of set) {
      for (let edge = nfa.head[node] ?? -1; edge >= 0; edge = nfa.next[edge] ?? -1) {
        const label = nfa.label[edge] ?? free;
        const target = nfa.target[edge] ?? 0;
        if (label === anyByte) always.push(target);
        if (label < 0 || label === anyByte) continue;
        for (const byteClass of this.#classes.ofLabel(label)) {
          const bucket = buckets.get(byteClass);
          if (bucket === undefined) buckets.set(byteClass, [target]);
          else bucket.push(target);
        }
      }
    }
    const rest = this.#state(always);
    const seen = new Map<string, number>();
    const row: [byteClass: number, target: number][] = [];
    for (const [byteClass, bucket] of buckets) {
      const key = bucket.join(',');
      const target = seen.get(key) ?? this.#state([...always, ...bucket]);
      seen.set(key, target);
      row.push([byteClass, target]);
    }
    return compact(row, rest, this.#classes.count, this.#outputOf(this.#accepted(set, atStart)));
  }

  #state(nodes: readonly number[]): number {
    if (nodes.length === 0) return 0;
    const set = this.#closure(nodes, false);
    const [only] = set;
    const known = set.length === 1 && only !== undefined ? this.#single[only] : this.#ids.get(set.join(','));
    if (known !== undefined) return known;
    const id = this.#sets.push(set) - 1;
    this.#members += set.length;
    this.#states.push(deadState);
    this.#remember(set, id);
    return id;
  }

  /** The nodes that can be reached without a byte and that do something, sorted. */
  #closure(nodes: readonly number[], atStart: boolean): readonly number[] {
    const nfa = this.#nfa;
    const reached: number[] = [];
    const stack = [...nodes];
    this.#round++;
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (this.#mark[node] === this.#round) continue;
      this.#mark[node] = this.#round;
      let useful = nfa.accepts.has(node);
      for (let edge = nfa.head[node] ?? -1; edge >= 0; edge = nfa.next[edge] ?? -1) {
        const label = nfa.label[edge] ?? free;
        if (label === free || (label === begin && atStart)) stack.push(nfa.target[edge] ?? 0);
        else if (label !== begin) useful = true;
      }
      if (useful) reached.push(node);
    }
    return reached.length < 2 ? reached : reached.sort((a, b) => a - b);
  }

  #accepted(set: readonly number[], atStart: boolean): readonly number[] {
    const nfa = this.#nfa;
    const patterns: number[] = [];
    const stack = [...set];
    this.#round++;
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (this.#mark[node] === this.#round) continue;
      this.#mark[node] = this.#round;
      for (const pattern of nfa.accepts.get(node) ?? []) patterns.push(pattern);
      for (let edge = nfa.head[node] ?? -1; edge >= 0; edge = nfa.next[edge] ?? -1) {
        const label = nfa.label[edge] ?? free;
        // The set is closed but for END; behind an END there may be free edges, and BEGIN on an empty text.
        if (label === end || label === free || (label === begin && atStart)) stack.push(nfa.target[edge] ?? 0);
      }
    }
    return patterns.length < 2 ? patterns : [...new Set(patterns)].sort((a, b) => a - b);
  }
}

/** A state from its row: the most frequent target becomes the fallback. `rest` is where classes outside the row go. */
export function compact(
  row: readonly (readonly [byteClass: number, target: number])[],
  rest: number,
  classCount: number,
  output: number,
): DfaState {
  let fallback = rest;
  let full = row;
  if (row.length * 2 >= classCount) {
    const counts = new Map<number, number>([[rest, classCount - row.length]]);
    for (const [, target] of row) counts.set(target, (counts.get(target) ?? 0) + 1);
    let most = -1;
    for (const [target, count] of counts) {
      // Ties go to the lower number, so that equal rows have one form.
      if (count > most || (count === most && target < fallback)) {
        most = count;
        fallback = target;
      }
    }
    if (fallback !== rest && row.length < classCount) {
      const named = new Set(row.map(([byteClass]) => byteClass));
      const others: [number, number][] = [];
      for (let byteClass = 0; byteClass < classCount; byteClass++) {
        if (!named.has(byteClass)) others.push([byteClass, rest]);
      }
      full = [...row, ...others];
    }
  }
  const kept = full.filter(([, target]) => target !== fallback);
  if (kept.length > 1) kept.sort((a, b) => a[0] - b[0]);
  return { fallback, exceptions: kept.flat(), output };
}

/** The output for a text. */
export function runDfa(dfa: Dfa, bytes: Uint8Array): number {
  let state = dfa.start;
  for (const byte of bytes) state = step(dfa, state, dfa.classes[byte] ?? 0);
  return dfa.states[state]?.output ?? 0;
}

export function step(dfa: Dfa, state: number, byteClass: number): number {
  const { exceptions, fallback } = dfa.states[state] ?? deadState;
  for (let i = 0; i < exceptions.length; i += 2) if (exceptions[i] === byteClass) return exceptions[i + 1] ?? 0;
  return fallback;
}
