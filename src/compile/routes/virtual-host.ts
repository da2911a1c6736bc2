import { KmError } from '../../base/errors.ts';
import { fieldConditions } from './conditions.ts';
import { type Dfa, determinise } from './dfa.ts';
import { limit } from './layout.ts';
import { buildLookups, type Lookup } from './lookups.ts';
import { minimise } from './minimise.ts';
import { Nfa } from './nfa.ts';
import { summaryWords } from './route-sets.ts';
import type { RouteMatch } from './types.ts';

/** What a virtual host's routes ask, without what they do: equal ones are compiled once. */
export interface HostPlan {
  readonly lookups: readonly Lookup[];
  /** Headers that some route looks at, lower case; a lookup names one by its index. */
  readonly headers: readonly string[];
  /** Over a header's name in any case; the output is 1 + an index of `headers`. Null without headers. */
  readonly headerDfa: Dfa | null;
  readonly routes: number;
  readonly summary: number;
}

/** KM3010 to KM3012; `where` begins their messages. */
export function planVirtualHost(matches: readonly RouteMatch[], where: string): HostPlan {
  if (matches.length > limit.routes) {
    throw new KmError('KM3012', `${where} has ${matches.length} routes, at most ${limit.routes} are possible`);
  }
  const lookups = fieldConditions(matches).flatMap((field) => buildLookups(field, matches.length, where));
  if (lookups.length > limit.lookups) {
    throw new KmError('KM3012', `${where} looks at ${lookups.length} things, at most ${limit.lookups} are possible`);
  }
  const headers = [...new Set(lookups.flatMap(({ field }) => (field.kind === 'header' ? [field.name] : [])))];
  return {
    lookups,
    headers,
    headerDfa: headers.length === 0 ? null : namesDfa(headers),
    routes: matches.length,
    summary: summaryWords(matches.length),
  };
}

function namesDfa(headers: readonly string[]): Dfa | null {
  const nfa = new Nfa();
  headers.forEach((name, id) => {
    nfa.accept(nfa.literal(nfa.start, Buffer.from(name, 'utf8'), true), id);
  });
  const effort = { states: nfa.size + 16, members: 4 * nfa.size + 16 };
  const dfa = determinise(nfa, ([id]) => (id === undefined ? 0 : id + 1), effort);
  return dfa === null ? null : minimise(dfa);
}
