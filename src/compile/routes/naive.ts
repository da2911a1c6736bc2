import type {
  HeaderMatch,
  PathMatch,
  QueryMatch,
  Route,
  RouteMatch,
  RouteRequest,
  RouteTable,
  TextMatch,
} from './types.ts';

/** As the interpreter says it, but with the action that the table has. */
export interface Matched {
  readonly virtualHost: number | null;
  readonly route: {
    readonly virtualHost: number;
    readonly route: number;
    readonly action: Route['action'];
  } | null;
}

/**
 * Decides a request straight from the model, one route after the other: what the compiled form is compared with.
 * Regular expressions go to JavaScript's engine, so only what it reads as RE2 does may be given.
 */
export function matchNaively(table: RouteTable, request: RouteRequest): Matched {
  const virtualHost = findHost(table, request.host.toLowerCase());
  if (virtualHost === null) return { virtualHost, route: null };
  const routes = table.virtualHosts[virtualHost]?.routes ?? [];
  const route = routes.findIndex(({ match }) => matches(match, request));
  if (route < 0) return { virtualHost, route: null };
  return { virtualHost, route: { virtualHost, route, action: routes[route]?.action ?? 0 } };
}

function findHost(table: RouteTable, host: string): number | null {
  let best: number | null = null;
  let bestRank = -1;
  table.virtualHosts.forEach(({ domains }, index) => {
    for (const domain of domains) {
      const rank = domainRank(domain.toLowerCase(), host);
      if (rank > bestRank) {
        best = index;
        bestRank = rank;
      }
    }
  });
  return best;
}

function domainRank(domain: string, host: string): number {
  if (domain === '*') return 0;
  if (domain === host) return 3_000_000;
  const rest = domain.length - 1;
  if (host.length <= rest) return -1;
  if (domain.startsWith('*') && host.endsWith(domain.slice(1))) return 2_000_000 + rest;
  if (domain.endsWith('*') && host.startsWith(domain.slice(0, -1))) return 1_000_000 + rest;
  return -1;
}

function matches(match: RouteMatch, request: RouteRequest): boolean {
  const { path, methods = [], headers = [], query = [], sources = [], fraction = 1_000_000 } = match;
  return (
    (path === undefined || pathMatches(path, request.path)) &&
    (methods.length === 0 || methods.includes(request.method)) &&
    headers.every((header) => headerMatches(header, request)) &&
    query.every((parameter) => queryMatches(parameter, request.query)) &&
    sources.every((source) => request.sources.has(source)) &&
    request.random < fraction
  );
}

function pathMatches(match: PathMatch, path: string): boolean {
  if (match.kind === 'regex') return textMatches(match, path);
  const { kind } = match;
  if (kind !== 'segments') return textMatches({ ...match, kind }, path);
  const fold = folder(match.ignoreCase);
  const prefix = fold(match.value.replace(/\/+$/, ''));
  return fold(path) === prefix || fold(path).startsWith(`${prefix}/`);
}

function textMatches(match: TextMatch, text: string): boolean {
  if (match.kind === 'regex') return new RegExp(`^(?:${match.pattern})$`, 'u').test(text);
  const fold = folder(match.ignoreCase);
  const value = fold(match.value);
  if (match.kind === 'exact') return fold(text) === value;
  if (match.kind === 'prefix') return fold(text).startsWith(value);
  if (match.kind === 'suffix') return fold(text).endsWith(value);
  return fold(text).includes(value);
}

const folder =
  (ignoreCase = false) =>
  (text: string): string =>
    ignoreCase ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;

function headerMatches({ name, match, invert = false, missingAsEmpty = false }: HeaderMatch, request: RouteRequest) {
  const values = request.headers.filter(([other]) => other.toLowerCase() === name.toLowerCase());
  const present = values.length > 0;
  if (match.kind === 'present') return present !== invert;
  if (match.kind === 'absent') return present === invert;
  if (!present && !missingAsEmpty) return false;
  const text = values.map(([, value]) => value).join(',');
  if (match.kind !== 'range') return textMatches(match, text) !== invert;
  const number = /^[ \t]*([-+]?)(\d+)[ \t]*$/.exec(text);
  const value = number === null ? null : BigInt(`${number[1] === '-' ? '-' : ''}${number[2]}`);
  return (value !== null && match.start <= value && value < match.end) !== invert;
}

function queryMatches({ name, match }: QueryMatch, query: string): boolean {
  const parameters = query.split('&');
  // Nothing stands behind the last `&`.
  if (parameters.at(-1) === '') parameters.pop();
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=');
    const key = equals < 0 ? parameter : parameter.slice(0, equals);
    if (key !== name) continue;
    return match.kind === 'present' || textMatches(match, equals < 0 ? '' : parameter.slice(equals + 1));
  }
  return false;
}
