import { isDeepStrictEqual } from 'node:util';
import { KmError } from '../../base/errors.ts';
import { decodeAction } from './action-records.ts';
import { compileRoutes, type RouteBlob } from './compile.ts';
import { type Interpreted, interpret } from './interpret.ts';
import { type Matched, matchNaively } from './naive.ts';
import { RandomRoutes } from './random.ts';
import type { RouteRequest, RouteTable } from './types.ts';

/** A further way to decide, such as the kernel's. It is told when the table changes. */
export interface Decider {
  load(blob: RouteBlob, table: RouteTable): void;
  decide(request: RouteRequest): Interpreted;
}

export interface FuzzOptions {
  readonly seed: number;
  /** Cases, each a table with a request. */
  readonly cases: number;
  /** Requests for each table. */
  readonly perTable?: number;
  readonly maxRoutes?: number;
  readonly deciders?: readonly Decider[];
}

export interface FuzzResult {
  readonly cases: number;
  /** Cases in which a route was found. */
  readonly routed: number;
  /** Tables that the compiler refused as too complex; at most a few in a thousand. */
  readonly refused: number;
}

/** Compares all ways to decide on random tables and requests. Throws with the seed, table and request on a difference. */
export function fuzzRoutes(options: FuzzOptions): FuzzResult {
  const { seed, cases, perTable = 50, maxRoutes = 12, deciders = [] } = options;
  let done = 0;
  let routed = 0;
  let refused = 0;
  for (let tableSeed = seed; done < cases; tableSeed++) {
    const random = new RandomRoutes(tableSeed);
    const table = random.table(maxRoutes);
    const blob = compiled(table);
    if (blob === null) {
      refused++;
      continue;
    }
    for (const decider of deciders) decider.load(blob, table);
    for (let i = 0; i < perTable && done < cases; i++, done++) {
      const request = random.request();
      const expected = matchNaively(table, request);
      if (expected.route !== null) routed++;
      const read = interpret(blob, request);
      const meant = withRecord(blob, table, read);
      if (!isDeepStrictEqual(meant, expected)) throw new Error(describe(tableSeed, table, request, expected, meant));
      for (const decider of deciders) {
        const got = decider.decide(request);
        if (!isDeepStrictEqual(got, read)) throw new Error(describe(tableSeed, table, request, read, got));
      }
    }
  }
  return { cases: done, routed, refused };
}

/** With the record in place of its unit, where the table has one. */
function withRecord(blob: RouteBlob, table: RouteTable, { virtualHost, route }: Interpreted): Matched {
  if (route === null) return { virtualHost, route };
  const { action } = table.virtualHosts[route.virtualHost]?.routes[route.route] ?? {};
  if (typeof action === 'number') return { virtualHost, route };
  return { virtualHost, route: { ...route, action: decodeAction(blob.words, route.action) } };
}

function compiled(table: RouteTable): RouteBlob | null {
  try {
    return compileRoutes(table);
  } catch (error) {
    if (error instanceof KmError && error.code === 'KM3011') return null;
    throw error;
  }
}

function describe(seed: number, table: RouteTable, request: RouteRequest, expected: Matched, got: Matched): string {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v instanceof Set ? [...v] : v));
  return `table seed ${seed}: ${text(request)} goes to ${text(got)}, not ${text(expected)}, in ${text(table)}`;
}
