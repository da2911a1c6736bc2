import { compact, type Dfa, type DfaState, deadState } from './dfa.ts';

/**
 * Merges states that no text tells apart. Strongly connected components are taken from the leaves up: a state outside any
 * loop is merged by a look at its (already merged) successors, which is all that trees of literals need; inside a loop
 * the partition is refined until it is stable, as Hopcroft and Moore do for a whole automaton. Two loops of several
 * states each are merged when they are small; larger ones may stay apart, which costs room and nothing else.
 */
export function minimise(dfa: Dfa): Dfa {
  return new Minimiser(dfa).run();
}

/** Two equal loops with more states than this are not looked for. */
const maxComparedLoop = 16;

class Minimiser {
  readonly #dfa: Dfa;
  readonly #merged: DfaState[] = [deadState];
  /** Merged state of each state, -1 while unknown. */
  readonly #canon: Int32Array;
  readonly #bySignature = new Map<string, number>();
  readonly #byLoop = new Map<string, readonly number[]>();

  constructor(dfa: Dfa) {
    this.#dfa = dfa;
    this.#canon = new Int32Array(dfa.states.length).fill(-1);
    this.#canon[0] = 0;
    this.#bySignature.set(signature(deadState), 0);
  }

  run(): Dfa {
    for (const component of components(this.#dfa.states)) this.#merge(component);
    const start = this.#canon[this.#dfa.start] ?? 0;
    return { ...this.#dfa, start, states: this.#merged };
  }

  #merge(component: readonly number[]): void {
    const [first = 0] = component;
    if (first === 0) return;
    if (!component.some((id) => this.#leadsSomewhere(id))) {
      for (const id of component) this.#canon[id] = 0;
      return;
    }
    if (component.length === 1)
      this.#canon[first] = this.#mergeOne(this.#row(first, (id) => (id === first ? -1 : null)));
    else this.#mergeLoop(component);
  }

  #leadsSomewhere(id: number): boolean {
    const { fallback, exceptions, output } = this.#state(id);
    if (output !== 0 || (this.#canon[fallback] ?? -1) > 0) return true;
    for (let i = 1; i < exceptions.length; i += 2) if ((this.#canon[exceptions[i] ?? 0] ?? -1) > 0) return true;
    return false;
  }

  #state(id: number): DfaState {
    return this.#dfa.states[id] ?? deadState;
  }

  /** A state with merged targets; `inside` gives the number of a target of the same component, negative, or null. */
  #row(id: number, inside: (target: number) => number | null): DfaState {
    const { fallback, exceptions, output } = this.#state(id);
    const map = (target: number): number => inside(target) ?? this.#canon[target] ?? 0;
    const row: [number, number][] = [];
    for (let i = 0; i < exceptions.length; i += 2) row.push([exceptions[i] ?? 0, map(exceptions[i + 1] ?? 0)]);
    return compact(row, map(fallback), this.#dfa.classCount, output);
  }

  /** -1 in the row means the state itself. */
  #mergeOne(row: DfaState): number {
    const key = signature(row);
    const known = this.#bySignature.get(key);
    if (known !== undefined) return known;
    const id = this.#merged.length;
    const own = this.#resolve(row, () => id);
    this.#merged.push(own);
    this.#bySignature.set(key, id);
    // A state before the loop that goes where the loop goes is the same as the loop.
    this.#bySignature.set(signature(own), id);
    return id;
  }

  /** The same row with its negative targets replaced. */
  #resolve(row: DfaState, target: (inside: number) => number): DfaState {
    const map = (id: number): number => (id < 0 ? target(id) : id);
    const pairs: [number, number][] = [];
    for (let i = 0; i < row.exceptions.length; i += 2)
      pairs.push([row.exceptions[i] ?? 0, map(row.exceptions[i + 1] ?? 0)]);
    return compact(pairs, map(row.fallback), this.#dfa.classCount, row.output);
  }

  #mergeLoop(component: readonly number[]): void {
    const blocks = this.#refine(component);
    // One state for each block; its row names blocks of the loop as -1, -2, ...
    const representative = new Map<number, number>();
    for (const id of component) {
      const block = blocks.get(id) ?? 0;
      if (!representative.has(block)) representative.set(block, id);
    }
    const rows = [...representative.entries()]
      .sort((a, b) => a[0] - b[0])
      .map(([, id]) => this.#row(id, (target) => blockTarget(blocks, target)));
    const ids = rows.length === 1 ? [this.#mergeOne(rows[0] ?? deadState)] : this.#addLoop(rows);
    for (const id of component) this.#canon[id] = ids[blocks.get(id) ?? 0] ?? 0;
  }

  #refine(component: readonly number[]): Map<number, number> {
    let blocks = numbered(component, (id) => String(this.#state(id).output));
    for (let count = 0; ; ) {
      const before = blocks;
      count = new Set(before.values()).size;
      blocks = numbered(component, (id) => {
        const row = this.#row(id, (target) => blockTarget(before, target));
        return `${before.get(id)}/${signature(row)}`;
      });
      if (new Set(blocks.values()).size === count) return blocks;
    }
  }

  #addLoop(rows: readonly DfaState[]): readonly number[] {
    const small = rows.length <= maxComparedLoop;
    if (small) {
      for (let from = 0; from < rows.length; from++) {
        const order = breadthFirst(rows, from);
        const known = this.#byLoop.get(loopKey(rows, order));
        if (known === undefined) continue;
        const ids: number[] = [];
        order.forEach((row, i) => {
          ids[row] = known[i] ?? 0;
        });
        return ids;
      }
    }
    const base = this.#merged.length;
    const ids = rows.map((_, i) => base + i);
    for (const row of rows) {
      const own = this.#resolve(row, (inside) => base - 1 - inside);
      this.#bySignature.set(signature(own), this.#merged.length);
      this.#merged.push(own);
    }
    if (small) {
      const order = breadthFirst(rows, 0);
      this.#byLoop.set(
        loopKey(rows, order),
        order.map((row) => base + row),
      );
    }
    return ids;
  }
}

function blockTarget(blocks: ReadonlyMap<number, number>, target: number): number | null {
  const block = blocks.get(target);
  return block === undefined ? null : -1 - block;
}

function signature({ output, fallback, exceptions }: DfaState): string {
  return `${output}|${fallback}|${exceptions.join()}`;
}

function numbered(ids: readonly number[], keyOf: (id: number) => string): Map<number, number> {
  const keys = new Map<string, number>();
  const numbers = new Map<number, number>();
  for (const id of ids) {
    const key = keyOf(id);
    const number = keys.get(key) ?? keys.size;
    keys.set(key, number);
    numbers.set(id, number);
  }
  return numbers;
}

/** Rows of a loop in the order in which they are reached from one of them; all are. */
function breadthFirst(rows: readonly DfaState[], from: number): readonly number[] {
  const order = [from];
  const seen = new Set(order);
  for (let i = 0; i < order.length; i++) {
    const row = rows[order[i] ?? 0] ?? deadState;
    // By class, not by target number: the order must not depend on how the blocks are numbered.
    const targets = row.exceptions.filter((_, at) => at % 2 === 1);
    for (const target of [...targets, row.fallback]) {
      if (target >= 0 || seen.has(-1 - target)) continue;
      seen.add(-1 - target);
      order.push(-1 - target);
    }
  }
  return order;
}

function loopKey(rows: readonly DfaState[], order: readonly number[]): string {
  const place = new Map(order.map((row, i) => [row, i]));
  const name = (target: number): string => (target < 0 ? `@${place.get(-1 - target)}` : String(target));
  return order
    .map((index) => {
      const { output, fallback, exceptions } = rows[index] ?? deadState;
      return `${output}|${name(fallback)}|${exceptions.map((v, i) => (i % 2 === 0 ? v : name(v))).join()}`;
    })
    .join('/');
}

/** Strongly connected components, successors first (Tarjan's algorithm, without recursion). */
function components(states: readonly DfaState[]): number[][] {
  const index = new Int32Array(states.length);
  const low = new Int32Array(states.length);
  const onStack = new Uint8Array(states.length);
  const stack: number[] = [];
  const found: number[][] = [];
  let counter = 0;
  const enter = (id: number): { id: number; at: number } => {
    counter++;
    index[id] = counter;
    low[id] = counter;
    stack.push(id);
    onStack[id] = 1;
    return { id, at: -1 };
  };
  for (let root = 0; root < states.length; root++) {
    if (index[root] !== 0) continue;
    const path = [enter(root)];
    for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
      const { fallback, exceptions } = states[frame.id] ?? deadState;
      const target = frame.at < 0 ? fallback : exceptions[frame.at];
      if (target === undefined) {
        path.pop();
        const above = path.at(-1);
        if (above !== undefined) low[above.id] = Math.min(low[above.id] ?? 0, low[frame.id] ?? 0);
        if (low[frame.id] === index[frame.id]) found.push(popUntil(stack, onStack, frame.id));
        continue;
      }
      frame.at += 2;
      if (index[target] === 0) path.push(enter(target));
      else if (onStack[target] === 1) low[frame.id] = Math.min(low[frame.id] ?? 0, index[target] ?? 0);
    }
  }
  return found;
}

function popUntil(stack: number[], onStack: Uint8Array, id: number): number[] {
  const component: number[] = [];
  for (;;) {
    const top = stack.pop() ?? id;
    onStack[top] = 0;
    component.push(top);
    if (top === id) return component;
  }
}
