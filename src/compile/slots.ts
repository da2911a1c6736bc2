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

export interface Weighted {
  readonly id: bigint;
  /** 1 or more. */
  readonly weight: number;
}

export function slotsOf(endpoints: readonly Weighted[], policy: ClusterPolicy['balance']): Slot[] {
  const first = endpoints[0];
  if (first === undefined) return [];
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
