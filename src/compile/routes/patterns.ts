import { KmError } from '../../base/errors.ts';
import { type ByteSequence, utf8Sequences } from './code-points.ts';
import { anyByte, begin, end, free, Nfa } from './nfa.ts';
import { parseRegex, type RegexNode } from './regex.ts';
import type { PathMatch, ValueMatch } from './types.ts';

/** A condition that a text alone decides: every match but `absent`. */
export type Pattern = PathMatch | Exclude<ValueMatch, { readonly kind: 'absent' }>;

/** Nodes that one regular expression may take. */
const maxRegexNodes = 20_000;

/** Two patterns with one key match the same texts. */
export function patternKey(pattern: Pattern): string {
  if (pattern.kind === 'regex') return `regex ${pattern.pattern}`;
  if (pattern.kind === 'range') return `range ${pattern.start} ${pattern.end}`;
  if (pattern.kind === 'present') return 'present';
  return `${pattern.kind} ${pattern.ignoreCase === true} ${pattern.value}`;
}

/** A literal at the start of a text adds states only for its own bytes, however many others there are. */
export function isLiteral(pattern: Pattern): boolean {
  return pattern.kind === 'exact' || pattern.kind === 'prefix' || pattern.kind === 'segments';
}

/** The characters with which every text that matches begins; empty when that cannot be said easily. */
export function literalHead(pattern: Pattern): string {
  if (pattern.kind === 'regex') return /^\^?([\w/-]*)(?![*?{+|\w/-])(?!.*\|)/.exec(pattern.pattern)?.[1] ?? '';
  return isLiteral(pattern) && 'value' in pattern ? pattern.value : '';
}

/** One automaton for several patterns, each accepted under its number. KM3010 and KM3011 for regular expressions. */
export class PatternNfa {
  readonly nfa = new Nfa();
  /** Where texts that may stand anywhere begin: a node that takes every byte to itself. */
  #anywhere: number | null = null;

  add(pattern: Pattern, id: number): void {
    const { nfa } = this;
    switch (pattern.kind) {
      case 'exact':
        nfa.accept(this.#literal(nfa.start, pattern.value, pattern.ignoreCase), id);
        return;
      case 'prefix':
        this.#acceptRest(this.#literal(nfa.start, pattern.value, pattern.ignoreCase), id);
        return;
      case 'segments': {
        const node = this.#literal(nfa.start, pattern.value.replace(/\/+$/, ''), pattern.ignoreCase);
        nfa.accept(node, id);
        this.#acceptRest(this.#literal(node, '/', false), id);
        return;
      }
      case 'suffix':
        nfa.accept(this.#literal(this.#anywhereNode(), pattern.value, pattern.ignoreCase), id);
        return;
      case 'contains':
        this.#acceptRest(this.#literal(this.#anywhereNode(), pattern.value, pattern.ignoreCase), id);
        return;
      case 'present':
        this.#acceptRest(nfa.start, id);
        return;
      case 'regex':
        this.#regex(pattern.pattern, id);
        return;
      case 'range':
        this.#range(pattern.start, pattern.end, id);
    }
  }

  #literal(from: number, text: string, ignoreCase = false): number {
    return this.nfa.literal(from, Buffer.from(text, 'utf8'), ignoreCase);
  }

  #acceptRest(node: number, id: number): void {
    const rest = this.nfa.node();
    this.nfa.edge(node, free, rest);
    this.nfa.edge(rest, anyByte, rest);
    this.nfa.accept(rest, id);
  }

  #anywhereNode(): number {
    if (this.#anywhere === null) {
      this.#anywhere = this.nfa.node();
      const loop = this.nfa.node();
      this.nfa.edge(this.nfa.start, free, this.#anywhere);
      // The loop is a node of its own, so that a literal's tree does not take it for an edge of the tree.
      this.nfa.edge(this.#anywhere, free, loop);
      this.nfa.edge(loop, anyByte, this.#anywhere);
    }
    return this.#anywhere;
  }

  #regex(pattern: string, id: number): void {
    const tree = parseRegex(pattern);
    const before = this.nfa.size;
    // The literal that an expression starts with joins the tree of literals: thousands of them share their beginnings.
    const items = tree.kind === 'sequence' ? [...tree.items] : [tree];
    let node = this.nfa.start;
    while (items[0]?.kind === 'begin') items.shift();
    for (let next = items[0]; next !== undefined; next = items[0]) {
      const character = onlyCharacter(next);
      if (character === null) break;
      node = this.#literal(node, character);
      items.shift();
    }
    const fork = this.nfa.node();
    this.nfa.edge(node, free, fork);
    const built = this.#build({ kind: 'sequence', items }, fork, () => {
      if (this.nfa.size - before <= maxRegexNodes) return;
      const text = pattern.length > 80 ? `${pattern.slice(0, 77)}...` : pattern;
      throw new KmError(
        'KM3011',
        `regular expression ${JSON.stringify(text)} is too large when its counts are written out`,
      );
    });
    this.nfa.accept(built, id);
  }

  /** Thompson's construction: adds the expression behind a node and returns where it ends. */
  #build(tree: RegexNode, from: number, check: () => void): number {
    const { nfa } = this;
    check();
    switch (tree.kind) {
      case 'begin':
      case 'end': {
        const to = nfa.node();
        nfa.edge(from, tree.kind === 'begin' ? begin : end, to);
        return to;
      }
      case 'class':
        return this.#characters(utf8Sequences(tree.ranges), from);
      case 'sequence':
        return tree.items.reduce((node, item) => this.#build(item, node, check), from);
      case 'choice': {
        const to = nfa.node();
        for (const item of tree.items) {
          const branch = nfa.node();
          nfa.edge(from, free, branch);
          nfa.edge(this.#build(item, branch, check), free, to);
        }
        return to;
      }
      case 'repeat':
        return this.#repeat(tree.item, tree.min, tree.max, from, check);
    }
  }

  #repeat(item: RegexNode, min: number, max: number | null, from: number, check: () => void): number {
    const { nfa } = this;
    let node = from;
    for (let i = 0; i < min; i++) node = this.#build(item, node, check);
    const to = nfa.node();
    if (max === null) {
      nfa.edge(node, free, to);
      const loop = nfa.node();
      nfa.edge(to, free, loop);
      nfa.edge(this.#build(item, loop, check), free, to);
      return to;
    }
    for (let i = min; i < max; i++) {
      nfa.edge(node, free, to);
      const inner = nfa.node();
      nfa.edge(node, free, inner);
      node = this.#build(item, inner, check);
    }
    nfa.edge(node, free, to);
    return to;
  }

  #characters(sequences: readonly ByteSequence[], from: number): number {
    const { nfa } = this;
    const to = nfa.node();
    const single = sequences.filter((sequence) => sequence.length === 1).flat();
    if (single.length > 0) nfa.edge(from, nfa.labelOf(single), to);
    for (const sequence of sequences) {
      if (sequence.length === 1) continue;
      let node = from;
      sequence.forEach((range, i) => {
        const next = i === sequence.length - 1 ? to : nfa.node();
        nfa.edge(node, nfa.labelOf([range]), next);
        node = next;
      });
    }
    return to;
  }

  /** A decimal integer as C's strtoll reads it, start <= value < end: blanks, a sign, zeros, digits, blanks. */
  #range(start: bigint, end: bigint, id: number): void {
    const { nfa } = this;
    const blanks = nfa.node();
    const after = nfa.node();
    nfa.edge(nfa.start, free, blanks);
    for (const blank of [0x20, 0x09]) {
      nfa.edge(blanks, blank, blanks);
      nfa.edge(after, blank, after);
    }
    nfa.accept(after, id);
    const positive = nfa.node();
    const negative = nfa.node();
    nfa.edge(blanks, free, positive);
    nfa.edge(blanks, 0x2b, positive);
    nfa.edge(blanks, 0x2d, negative);
    const last = end - 1n;
    if (last >= 0n) this.#digits(positive, start > 0n ? start : 0n, last, after);
    if (start <= 0n) this.#digits(negative, last < 0n ? -last : 0n, -start, after);
  }

  /** Numbers low to high, both 0 or more, after any number of zeros. */
  #digits(from: number, low: bigint, high: bigint, to: number): void {
    const { nfa } = this;
    if (low > high) return;
    const zeros = nfa.node();
    nfa.edge(from, 0x30, zeros);
    nfa.edge(zeros, 0x30, zeros);
    if (low === 0n) nfa.edge(zeros, free, to);
    for (let length = 1; length <= high.toString().length; length++) {
      const least = 10n ** BigInt(length - 1);
      const lowest = (low > least ? low : least).toString();
      const highest = (high < least * 10n - 1n ? high : least * 10n - 1n).toString();
      if (BigInt(lowest) > BigInt(highest)) continue;
      const first = this.#digitsBetween(lowest, highest, to);
      nfa.edge(from, free, first);
      nfa.edge(zeros, free, first);
    }
  }

  /** Numbers of one length. Nodes are kept by place and by which of the two limits the digits so far lie on. */
  #digitsBetween(lowest: string, highest: string, to: number): number {
    const { nfa } = this;
    const nodes = new Map<string, number>();
    const nodeOf = (place: number, onLow: boolean, onHigh: boolean): number => {
      if (place === lowest.length) return to;
      const key = `${place} ${onLow} ${onHigh}`;
      const known = nodes.get(key);
      if (known !== undefined) return known;
      const node = nfa.node();
      nodes.set(key, node);
      const low = onLow ? Number(lowest[place]) : 0;
      const high = onHigh ? Number(highest[place]) : 9;
      for (let digit = low; digit <= high; digit++) {
        const next = nodeOf(place + 1, onLow && digit === low, onHigh && digit === high);
        nfa.edge(node, 0x30 + digit, next);
      }
      return node;
    };
    return nodeOf(0, true, true);
  }
}

function onlyCharacter(node: RegexNode): string | null {
  if (node.kind !== 'class' || node.ranges.length !== 1) return null;
  const [range] = node.ranges;
  if (range === undefined || range[0] !== range[1] || (range[0] >= 0xd800 && range[0] <= 0xdfff)) return null;
  return String.fromCodePoint(range[0]);
}
