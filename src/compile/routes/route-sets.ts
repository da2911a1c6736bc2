/** A set of route indices of one virtual host: 32 to a word, lowest bit first. */
export type RouteSet = Uint32Array;

export const emptySet = (routes: number): RouteSet => new Uint32Array(Math.ceil(routes / 64) * 2);

export function addRoute(set: RouteSet, route: number): void {
  set[route >>> 5] = (set[route >>> 5] ?? 0) | (1 << (route & 31));
}

export function removeRoute(set: RouteSet, route: number): void {
  set[route >>> 5] = (set[route >>> 5] ?? 0) & ~(1 << (route & 31));
}

export function setKey(set: RouteSet): string {
  return Buffer.from(set.buffer, set.byteOffset, set.byteLength).toString('latin1');
}

/** Words of the summary; 0 where the set is one word of 64 routes and needs none. */
export function summaryWords(routes: number): number {
  return routes <= 64 ? 0 : Math.ceil(routes / 4096);
}

/**
 * The set as the blob holds it, in 32-bit words of whole units. Up to 64 routes: one unit. Else: `summary` units whose bits
 * say which words of 64 routes are not empty; as many 32-bit counts of the words before each summary unit's; those words.
 */
export function encodeSet(set: RouteSet, summary: number): Uint32Array {
  if (summary === 0) return new Uint32Array([set[0] ?? 0, set[1] ?? 0]);
  const words: number[] = [];
  const heads = new Uint32Array(summary * 2);
  const before = new Uint32Array(summary + (summary & 1));
  for (let i = 0; i < summary; i++) {
    before[i] = words.length / 2;
    for (let bit = 0; bit < 64; bit++) {
      const at = (i * 64 + bit) * 2;
      const low = set[at] ?? 0;
      const high = set[at + 1] ?? 0;
      if (low === 0 && high === 0) continue;
      words.push(low, high);
      const half = i * 2 + (bit >>> 5);
      heads[half] = (heads[half] ?? 0) | (1 << (bit & 31));
    }
  }
  return Uint32Array.of(...heads, ...before, ...words);
}

/** How the interpreter looks into the sets of a blob. */
export class SetReader {
  readonly #words: Uint32Array;
  readonly #summary: number;

  constructor(words: Uint32Array, summary: number) {
    this.#words = words;
    this.#summary = summary;
  }

  /** A summary unit of the set at a unit. */
  summaryUnit(unit: number, index: number): readonly [low: number, high: number] {
    return this.#unit(unit + index);
  }

  /** The 64 routes from `word` * 64 on. */
  word(unit: number, word: number): readonly [low: number, high: number] {
    if (this.#summary === 0) return this.#unit(unit);
    const index = word >>> 6;
    const bit = word & 63;
    const [low, high] = this.#unit(unit + index);
    const half = bit < 32 ? low : high;
    if (((half >>> (bit & 31)) & 1) === 0) return [0, 0];
    const below = bit < 32 ? popcount(low & (2 ** bit - 1)) : popcount(low) + popcount(high & (2 ** (bit - 32) - 1));
    const counts = unit + this.#summary;
    const before = this.#words[counts * 2 + index] ?? 0;
    const first = counts + ((this.#summary + 1) >>> 1);
    return this.#unit(first + before + below);
  }

  #unit(unit: number): readonly [low: number, high: number] {
    return [this.#words[unit * 2] ?? 0, this.#words[unit * 2 + 1] ?? 0];
  }
}

function popcount(value: number): number {
  let count = 0;
  for (let rest = value >>> 0; rest !== 0; rest &= rest - 1) count++;
  return count;
}
