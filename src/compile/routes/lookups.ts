import { KmError } from '../../base/errors.ts';
import type { Condition, FieldConditions, FieldName } from './conditions.ts';
import { type Dfa, determinise, type Effort } from './dfa.ts';
import { limit } from './layout.ts';
import { minimise } from './minimise.ts';
import { isLiteral, literalHead, type Pattern, PatternNfa } from './patterns.ts';
import { queryDfa } from './query-dfa.ts';
import { addRoute, emptySet, type RouteSet, removeRoute, setKey } from './route-sets.ts';

/**
 * One look at one field: an automaton whose result is a set of routes. A route stays in the running when it is in that set
 * or in `any`. Several lookups of one field share out patterns whose common automaton would be too large.
 */
export interface Lookup {
  readonly field: FieldName;
  /** Its outputs are 1 + an index of `sets`; 0 is `unmatched`. Null for a source, which is no text. */
  readonly dfa: Dfa | null;
  readonly sets: readonly RouteSet[];
  /** Routes that ask nothing here. */
  readonly any: RouteSet;
  /** Routes whose conditions hold where the field is missing; for a source, where the predicate does not hold. */
  readonly absent: RouteSet;
  readonly unmatched: RouteSet;
}

/** Builds the lookups of a field. `where` begins messages. KM3010 and KM3011. */
export function buildLookups(field: FieldConditions, routes: number, where: string): Lookup[] {
  if (field.field.kind === 'source') return [sourceLookup(field, routes)];
  const { broad, narrow } = shareOut(field.patterns);
  return [narrow, broad].flatMap((group) => {
    const literals = group.filter((id) => isLiteral(field.patterns[id] ?? { kind: 'present' }));
    const others = group.filter((id) => !literals.includes(id));
    return build(field, routes, where, others.length === 0 ? [group] : [group, literals, others]);
  });
}

/** So many other patterns below one make it broad. */
const manyBelow = 24;

/**
 * A pattern that goes on where many others begin, such as the prefix `/`, would give each state of theirs an output and a
 * way out of its own. Such patterns get a lookup to themselves; what is left are trees of literals with one slot a state.
 */
function shareOut(patterns: readonly Pattern[]): { broad: number[]; narrow: number[] } {
  const broad: number[] = [];
  const narrow: number[] = [];
  const heads = patterns.map((pattern) => literalHead(pattern).toLowerCase());
  const sorted = heads.toSorted();
  patterns.forEach((pattern, id) => {
    const head = heads[id] ?? '';
    const below = firstAtLeast(sorted, `${head}\u{10ffff}`) - firstAtLeast(sorted, head);
    if (pattern.kind !== 'exact' && below > manyBelow) broad.push(id);
    else narrow.push(id);
  });
  return { broad, narrow };
}

function firstAtLeast(sorted: readonly string[], text: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first group is tried; when it is too large, the others stand for it, or its halves. */
function build(field: FieldConditions, routes: number, where: string, groups: readonly number[][]): Lookup[] {
  const [group = [], ...parts] = groups;
  if (group.length === 0) return [];
  const built = determiniseGroup(field, group);
  if (built !== null) return [buildGroup(field, group, routes, built)];
  if (group.length === 1) {
    const [id = 0] = group;
    throw new KmError('KM3011', `${where}: ${JSON.stringify(field.patterns[id], bigintText)} takes too many states`);
  }
  const half = group.length >>> 1;
  const halves = parts.length > 0 ? parts : [group.slice(0, half), group.slice(half)];
  const lookups: Lookup[] = [];
  for (const part of halves) {
    lookups.push(...build(field, routes, where, [part]));
    if (lookups.length > limit.lookups) {
      throw new KmError('KM3011', `${where}: its conditions take more than ${limit.lookups} automata`);
    }
  }
  return lookups;
}

const bigintText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

/** An automaton that is still open to what its outputs are. */
interface Determinised {
  /** What an empty text matches. */
  readonly onEmpty: readonly number[];
  readonly finish: (setOf: (patterns: readonly number[]) => number) => Dfa;
}

/** The automaton of some patterns. Null when it grows too large. */
function determiniseGroup(field: FieldConditions, group: readonly number[]): Determinised | null {
  const patternNfa = new PatternNfa();
  for (const id of group) {
    const pattern = field.patterns[id];
    if (pattern !== undefined) patternNfa.add(pattern, id);
  }
  const { size } = patternNfa.nfa;
  // A set of literals takes about as many states as nodes. Beyond some times that, several automata are smaller.
  const effort: Effort = { states: 4 * size + 4096, members: 64 * size + 1_000_000 };
  const sets: (readonly number[])[] = [];
  const ids = new Map<string, number>();
  const dfa = determinise(
    patternNfa.nfa,
    (patterns) => {
      if (patterns.length === 0) return 0;
      const key = patterns.join();
      const known = ids.get(key);
      if (known !== undefined) return known;
      ids.set(key, sets.push(patterns));
      return sets.length;
    },
    effort,
  );
  if (dfa === null) return null;
  const finish = (setOf: (patterns: readonly number[]) => number): Dfa => {
    const outputs = sets.map(setOf);
    const states = dfa.states.map((state) =>
      state.output === 0 ? state : { ...state, output: outputs[state.output - 1] ?? 0 },
    );
    return minimise({ ...dfa, states });
  };
  return { onEmpty: sets[(dfa.states[dfa.start]?.output ?? 0) - 1] ?? [], finish };
}

function buildGroup(field: FieldConditions, group: readonly number[], routes: number, built: Determinised): Lookup {
  const inGroup = new Set(group);
  const conditions = field.conditions.filter(({ patterns }) => patterns.every((id) => inGroup.has(id)));
  const solver = new Solver(conditions, routes);
  const unmatched = solver.solve([]);
  const sets: RouteSet[] = [];
  const ids = new Map<string, number>([[setKey(unmatched), 0]]);
  const setOf = (patterns: readonly number[]): number => {
    const set = solver.solve(patterns);
    const key = setKey(set);
    const known = ids.get(key);
    if (known !== undefined) return known;
    ids.set(key, sets.push(set));
    return sets.length;
  };
  const dfa = built.finish(setOf);
  const { field: name } = field;
  return {
    field: name,
    dfa: name.kind === 'query' ? queryDfa(name.name, dfa) : dfa,
    sets,
    any: solver.any(),
    absent: solver.missing(built.onEmpty),
    unmatched,
  };
}

function sourceLookup(field: FieldConditions, routes: number): Lookup {
  const unmatched = emptySet(routes);
  for (const { route } of field.conditions) addRoute(unmatched, route);
  const absent = emptySet(routes);
  const any = complement(unmatched, routes);
  return { field: field.field, dfa: null, sets: [], any, absent, unmatched };
}

function complement(set: RouteSet, routes: number): RouteSet {
  const others = emptySet(routes);
  for (let route = 0; route < routes; route++) {
    if ((((set[route >>> 5] ?? 0) >>> (route & 31)) & 1) === 0) addRoute(others, route);
  }
  return others;
}

/** Which routes' conditions hold, given the patterns that a text matches. */
class Solver {
  readonly #routes: number;
  readonly #byRoute = new Map<number, Condition[]>();
  /** Routes to look at when a pattern matches. */
  readonly #byPattern = new Map<number, number[]>();
  readonly #none: RouteSet;

  constructor(conditions: readonly Condition[], routes: number) {
    this.#routes = routes;
    for (const condition of conditions) {
      const { route, patterns } = condition;
      const own = this.#byRoute.get(route);
      if (own === undefined) this.#byRoute.set(route, [condition]);
      else own.push(condition);
      for (const pattern of patterns) {
        const list = this.#byPattern.get(pattern);
        if (list === undefined) this.#byPattern.set(pattern, [route]);
        else if (list.at(-1) !== route) list.push(route);
      }
    }
    this.#none = emptySet(routes);
    for (const [route, own] of this.#byRoute) {
      if (own.every((condition) => condition.invert)) addRoute(this.#none, route);
    }
  }

  solve(matched: readonly number[]): RouteSet {
    const set = this.#none.slice();
    const has = new Set(matched);
    for (const pattern of matched) {
      for (const route of this.#byPattern.get(pattern) ?? []) {
        const own = this.#byRoute.get(route) ?? [];
        if (own.every((condition) => holds(condition, has))) addRoute(set, route);
        else removeRoute(set, route);
      }
    }
    return set;
  }

  missing(onEmpty: readonly number[]): RouteSet {
    const has = new Set(onEmpty);
    const set = emptySet(this.#routes);
    for (const [route, own] of this.#byRoute) {
      const hold = own.every((condition) =>
        condition.missing === 'as-empty' ? holds(condition, has) : condition.missing,
      );
      if (hold) addRoute(set, route);
    }
    return set;
  }

  any(): RouteSet {
    const set = emptySet(this.#routes);
    for (let route = 0; route < this.#routes; route++) if (!this.#byRoute.has(route)) addRoute(set, route);
    return set;
  }
}

function holds({ patterns, invert }: Condition, matched: ReadonlySet<number>): boolean {
  return patterns.some((pattern) => matched.has(pattern)) !== invert;
}
