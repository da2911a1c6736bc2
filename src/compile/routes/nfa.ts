/**
 * A non-deterministic automaton over bytes, kept as linked lists of edges so that tables of many thousand literals fit.
 * Patterns are numbers; a node accepts some of them at the end of the text.
 */

/** Edges that take no byte. BEGIN passes only before the first byte, END only after the last. */
export const free = -1;
export const begin = -2;
export const end = -3;
/** The label that takes every byte; labels below it take the byte of that number. */
export const anyByte = 256;

export class Nfa {
  /** First edge of a node, -1 without one; `next` goes on from an edge. */
  readonly head: number[] = [];
  readonly next: number[] = [];
  readonly label: number[] = [];
  readonly target: number[] = [];
  readonly accepts = new Map<number, number[]>();
  /** Byte ranges of each label from 257 on. */
  readonly labels: (readonly (readonly [low: number, high: number])[])[] = [];
  readonly #labelIds = new Map<string, number>();
  readonly start: number;

  constructor() {
    this.start = this.node();
  }

  get size(): number {
    return this.head.length;
  }

  node(): number {
    return this.head.push(-1) - 1;
  }

  edge(from: number, label: number, to: number): void {
    const id = this.label.push(label) - 1;
    this.target.push(to);
    this.next.push(this.head[from] ?? -1);
    this.head[from] = id;
  }

  accept(node: number, pattern: number): void {
    const patterns = this.accepts.get(node);
    if (patterns === undefined) this.accepts.set(node, [pattern]);
    else patterns.push(pattern);
  }

  labelOf(ranges: readonly (readonly [low: number, high: number])[]): number {
    const [first] = ranges;
    if (ranges.length === 1 && first !== undefined) {
      if (first[0] === first[1]) return first[0];
      if (first[0] === 0 && first[1] === 255) return anyByte;
    }
    const key = ranges.join(';');
    const known = this.#labelIds.get(key);
    if (known !== undefined) return known;
    const id = anyByte + this.labels.push(ranges);
    this.#labelIds.set(key, id);
    return id;
  }

  /**
   * Walks a literal from a node of a tree of literals, adding what is missing, and returns its last node. Only nodes that
   * this method made, and the roots, may be given: their paths are shared.
   */
  literal(from: number, bytes: Uint8Array, ignoreCase: boolean): number {
    let node = from;
    for (const byte of bytes) {
      const lower = byte | 0x20;
      const letter = ignoreCase && lower >= 0x61 && lower <= 0x7a;
      const label = letter ? this.#letter(lower) : byte;
      let edge = this.head[node] ?? -1;
      while (edge >= 0 && this.label[edge] !== label) edge = this.next[edge] ?? -1;
      if (edge >= 0) node = this.target[edge] ?? 0;
      else {
        const fresh = this.node();
        this.edge(node, label, fresh);
        node = fresh;
      }
    }
    return node;
  }

  readonly #letters: number[] = [];

  #letter(lower: number): number {
    const known = this.#letters[lower];
    if (known !== undefined) return known;
    const label = this.labelOf([
      [lower - 0x20, lower - 0x20],
      [lower, lower],
    ]);
    this.#letters[lower] = label;
    return label;
  }
}

/** Bytes that no label tells apart, numbered from 0; and the classes of each label. */
export interface ByteClasses {
  readonly of: Uint8Array;
  readonly count: number;
  readonly ofLabel: (label: number) => readonly number[];
}

export function byteClasses(nfa: Nfa): ByteClasses {
  const used = new Set(nfa.label.filter((label) => label >= 0 && label !== anyByte));
  const of = new Uint8Array(256);
  let count = 1;
  for (const label of used) {
    const inside = labelBytes(nfa, label);
    // Each class that the label cuts gives its inner part a new number.
    const parts = new Map<number, { inner: number[]; outer: boolean }>();
    for (let byte = 0; byte < 256; byte++) {
      const id = of[byte] ?? 0;
      const part = parts.get(id) ?? { inner: [], outer: false };
      parts.set(id, part);
      if (inside[byte]) part.inner.push(byte);
      else part.outer = true;
    }
    for (const { inner, outer } of parts.values()) {
      if (!outer || inner.length === 0) continue;
      for (const byte of inner) of[byte] = count;
      count++;
    }
  }
  const cache = new Map<number, readonly number[]>();
  const ofLabel = (label: number): readonly number[] => {
    const known = cache.get(label);
    if (known !== undefined) return known;
    const inside = labelBytes(nfa, label);
    const classes = [...new Set(of.filter((_, byte) => inside[byte]))];
    cache.set(label, classes);
    return classes;
  };
  return { of, count, ofLabel };
}

function labelBytes(nfa: Nfa, label: number): readonly boolean[] {
  const inside = new Array<boolean>(256).fill(label === anyByte);
  if (label < anyByte) inside[label] = true;
  for (const [low, high] of nfa.labels[label - anyByte - 1] ?? []) inside.fill(true, low, high + 1);
  return inside;
}
