/**
 * The order in which the rules of HTTPRoutes are tried (Gateway API, HTTPRouteRule.matches): exact paths, longer prefixes,
 * a method, more headers, more query parameters; then the older route, the name, the place in the object. Where the API
 * leaves it open, a regular expression comes behind all prefixes but `/`, a longer one first.
 */
import type { HttpMatch } from './http.ts';
import type { HttpRouteObject, HttpRule } from './route-objects.ts';
import { byAge } from './route-tables.ts';

export interface RankedRule {
  readonly object: HttpRouteObject;
  readonly rule: HttpRule;
}

/** The rules of several routes, the one that is tried first at the beginning. */
export function orderOf(objects: readonly HttpRouteObject[]): RankedRule[] {
  const ranked = objects.flatMap((object) =>
    object.rules.map((rule) => ({ object, rule, rank: rankOf(rule.matches[0]?.match ?? {}) })),
  );
  return ranked.sort((a, b) => compare(a.rank, b.rank) || byAge(a.object, b.object));
}

/** Bigger is earlier, the first number counts most. */
function rankOf({ path, methods = [], headers = [], query = [] }: HttpMatch): readonly number[] {
  const rest = [Math.sign(methods.length), headers.length, query.length];
  if (path === undefined) return [0, 0, ...rest];
  if (path.kind === 'regex') return [1, path.pattern.length, ...rest];
  return [path.kind === 'exact' ? 3 : 2, path.value.length, ...rest];
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0;
    if (value !== other) return other - value;
  }
  return 0;
}
