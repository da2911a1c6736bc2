import { type Pattern, patternKey } from './patterns.ts';
import type { HeaderMatch, RouteMatch } from './types.ts';

/** What a route asks of one field: that the text matches one of the patterns, or none of them. */
export interface Condition {
  readonly route: number;
  /** Indices into the field's patterns. */
  readonly patterns: readonly number[];
  readonly invert: boolean;
  /** Whether it holds where the field is missing; `as-empty` as for an empty text. */
  readonly missing: boolean | 'as-empty';
}

/** The texts that conditions are about. A query parameter is looked for in the whole query. */
export type FieldName =
  | { readonly kind: 'path' | 'method' | 'random' }
  | { readonly kind: 'header' | 'query' | 'source'; readonly name: string };

/** All that the routes of a virtual host ask of one field. */
export class FieldConditions {
  readonly field: FieldName;
  readonly patterns: Pattern[] = [];
  readonly conditions: Condition[] = [];
  readonly #ids = new Map<string, number>();

  constructor(field: FieldName) {
    this.field = field;
  }

  add(route: number, patterns: readonly Pattern[], rest: Partial<Condition> = {}): void {
    const ids = patterns.map((pattern) => this.#patternId(pattern));
    this.conditions.push({ route, patterns: [...new Set(ids)], invert: false, missing: false, ...rest });
  }

  #patternId(pattern: Pattern): number {
    const key = patternKey(pattern);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.patterns.push(pattern) - 1;
    this.#ids.set(key, id);
    return id;
  }
}

/** Draws of a request are 0 to this, exclusive, and are written with six digits. */
export const fractionWhole = 1_000_000;

/** The conditions of routes, by field, in the order in which fields are first looked at. */
export function fieldConditions(matches: readonly RouteMatch[]): FieldConditions[] {
  const fields = new Map<string, FieldConditions>();
  const of = (field: FieldName): FieldConditions => {
    const key = 'name' in field ? `${field.kind} ${field.name}` : field.kind;
    const known = fields.get(key) ?? new FieldConditions(field);
    fields.set(key, known);
    return known;
  };
  matches.forEach((match, route) => {
    const { path, methods = [], headers = [], query = [], sources = [], fraction = fractionWhole } = match;
    if (path !== undefined) of({ kind: 'path' }).add(route, [path]);
    if (methods.length > 0) {
      of({ kind: 'method' }).add(
        route,
        methods.map((value) => ({ kind: 'exact', value })),
      );
    }
    for (const header of headers) {
      addHeader(of({ kind: 'header', name: header.name.toLowerCase() }), route, header);
    }
    for (const parameter of query) of({ kind: 'query', name: parameter.name }).add(route, [parameter.match]);
    for (const source of new Set(sources)) of({ kind: 'source', name: source }).add(route, []);
    if (fraction < fractionWhole) {
      of({ kind: 'random' }).add(route, [{ kind: 'range', start: 0n, end: BigInt(fraction) }]);
    }
  });
  return [...fields.values()];
}

function addHeader(field: FieldConditions, route: number, header: HeaderMatch): void {
  const { match, invert = false, missingAsEmpty = false } = header;
  if (match.kind === 'absent') field.add(route, [{ kind: 'present' }], { invert: !invert, missing: !invert });
  else if (match.kind === 'present') field.add(route, [match], { invert, missing: invert });
  else field.add(route, [match], { invert, missing: missingAsEmpty ? 'as-empty' : false });
}
