/**
 * How the endpoints of a cluster become slots, so that the kernel picks one with an index and at most one comparison,
 * whatever the weights are.
 */
import type { ClusterPolicy } from '../model/http.ts';

/** One slot: takes `endpoint` when a 32-bit random number is at or below `threshold`, else `alias`. */
export interface Slot {
  readonly endpoint: bigint;
  readonly alias: bigint;
  readonly threshold: number;
}

/** A round-robin sequence is at most so long; larger sums of weights are scaled down to it. */
export const maxSequence = 4096;

const always = 0xffffffff;

/** Sizes of a Maglev table: primes, each about twice the one before. The first with 100 slots an endpoint is taken. */
const maglevSizes = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_537] as const;

export interface Weighted {
  readonly id: bigint;
  /** 1 or more. */
  readonly weight: number;
}

export function slotsOf(endpoints: readonly Weighted[], policy: ClusterPolicy['balance']): Slot[] {
  const first = endpoints[0];
  if (first === undefined) return [];
  if (policy === 'maglev' && endpoints.length > 1) return maglevTable(endpoints);
  if (endpoints.every((e) => e.weight === first.weight)) {
    return endpoints.map((e) => ({ endpoint: e.id, alias: e.id, threshold: always }));
  }
  return policy === 'round-robin' ? sequence(endpoints) : aliasTable(endpoints);
}

/** Vose's alias method (1991): exact to 2^-32, one slot an endpoint. */
function aliasTable(endpoints: readonly Weighted[]): Slot[] {
  const total = endpoints.reduce((sum, e) => sum + e.weight, 0);
  const cells = endpoints.map((e) => ({ id: e.id, alias: e.id, share: (e.weight * endpoints.length) / total }));
  const small = cells.filter((c) => c.share < 1);
  const large = cells.filter((c) => c.share >= 1);
  const slots: Slot[] = [];
  const full = (c: { id: bigint }): void => {
    slots.push({ endpoint: c.id, alias: c.id, threshold: always });
  };
  for (let low = small.pop(); low !== undefined; low = small.pop()) {
    const high = large.at(-1);
    if (high === undefined) {
      full(low);
      continue;
    }
    slots.push({
      endpoint: low.id,
      alias: high.id,
      threshold: Math.max(0, Math.min(always, Math.round(low.share * 2 ** 32) - 1)),
    });
    high.share -= 1 - low.share;
    if (high.share < 1) {
      large.pop();
      small.push(high);
    }
  }
  large.forEach(full);
  return slots;
}

/**
 * Maglev's table (Eisenbud et al. 2016, §3.4): each endpoint takes the next free slot of a permutation of its own in turn,
 * so that its share is its weight's and few slots change when an endpoint comes or goes. A lighter endpoint misses turns.
 */
function maglevTable(endpoints: readonly Weighted[]): Slot[] {
  const size = maglevSizes.find((s) => s >= 100 * endpoints.length) ?? 65_537;
  const heaviest = endpoints.reduce((most, { weight }) => Math.max(most, weight), 1);
  // By id: the same endpoints give the same table, in whatever order they were read.
  const turns = [...endpoints]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, weight }) => ({
      id,
      next: Number(id & 0xffffffffn) % size,
      skip: (Number(id >> 32n) % (size - 1)) + 1,
      share: weight / heaviest,
      credit: 0,
    }));
  const table = new Array<bigint>(size).fill(0n);
  for (let filled = 0; filled < size; ) {
    for (const turn of turns) {
      turn.credit += turn.share;
      if (turn.credit < 1 || filled === size) continue;
      turn.credit -= 1;
      while (table[turn.next] !== 0n) turn.next = (turn.next + turn.skip) % size;
      table[turn.next] = turn.id;
      filled++;
    }
  }
  return table.map((id) => ({ endpoint: id, alias: id, threshold: always }));
}

/** Smooth weighted round robin: each endpoint comes weight times a round, spread out as evenly as the weights allow. */
function sequence(endpoints: readonly Weighted[]): Slot[] {
  const weights = reduced(endpoints.map((e) => e.weight));
  const round = weights.reduce((sum, w) => sum + w, 0);
  const credit = weights.map(() => 0);
  const slots: Slot[] = [];
  for (let step = 0; step < round; step++) {
    let best = 0;
    for (let i = 0; i < credit.length; i++) {
      credit[i] = (credit[i] ?? 0) + (weights[i] ?? 0);
      if ((credit[i] ?? 0) > (credit[best] ?? 0)) best = i;
    }
    credit[best] = (credit[best] ?? 0) - round;
    const id = endpoints[best]?.id ?? 0n;
    slots.push({ endpoint: id, alias: id, threshold: always });
  }
  return slots;
}

function reduced(weights: readonly number[]): number[] {
  const divisor = weights.reduce(gcd);
  const smallest = weights.map((w) => w / divisor);
  const sum = smallest.reduce((a, b) => a + b, 0);
  if (sum <= maxSequence) return smallest;
  return smallest.map((w) => Math.max(1, Math.round((w * maxSequence) / sum)));
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
