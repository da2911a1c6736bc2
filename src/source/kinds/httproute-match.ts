/** Conditions of an HTTPRoute's rules. */
import type { HttpMatch } from '../../model/http.ts';
import type { HeaderMatch, PathMatch, QueryMatch } from '../../model/route-match.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { checkHeaderName, pathProblem } from './http.ts';

export const matchTable = fieldTable({ read: 'path headers queryParams method', closed: true });
const pathTable = fieldTable({ read: 'type value', closed: true });
const valueTable = fieldTable({ read: 'type name value', closed: true });
const methods = 'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH'.split(' ');

export interface RouteMatch {
  readonly match: HttpMatch;
  /** The prefix, when the path is asked for by prefix: `/` when no path is given; null: by other means. */
  readonly prefix: string | null;
}

export function readMatch(fields: Fields): RouteMatch {
  const { path, prefix } = readPath(fields);
  const method = fields.oneOf('method', methods);
  const headers = readHeaders(fields);
  const query = readQuery(fields);
  const match: HttpMatch = {
    ...(path === null ? {} : { path }),
    ...(method === '' ? {} : { methods: [method] }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(query.length === 0 ? {} : { query }),
  };
  return { match, prefix };
}

function readPath(fields: Fields): { readonly path: PathMatch | null; readonly prefix: string | null } {
  const given = fields.map('path', pathTable);
  const type = given?.oneOf('type', ['Exact', 'PathPrefix', 'RegularExpression']) || 'PathPrefix';
  const value = given?.string('value') || '/';
  if (type === 'RegularExpression') return { path: { kind: 'regex', pattern: value }, prefix: null };
  const problem = pathProblem(value, false);
  if (problem !== '') given?.error('KM1009', ['value'], `${problem}: ${shown(value)}`);
  else if (!value.startsWith('/')) given?.error('KM1009', ['value'], `must begin with /, not ${shown(value)}`);
  else if (/\/\/|\/\.\.?(\/|$)|%2f/i.test(value)) {
    given?.error('KM1009', ['value'], `must not have //, /./, /../ or %2F: ${shown(value)}`);
  }
  if (type === 'Exact') return { path: { kind: 'exact', value }, prefix: null };
  // `/a/` is the same as `/a`.
  const prefix = value.replace(/(.)\/$/, '$1');
  return { path: prefix === '/' ? null : { kind: 'segments', value: prefix }, prefix };
}

/** Of several conditions on one header the first counts, says the API. */
function readHeaders(fields: Fields): HeaderMatch[] {
  const headers: HeaderMatch[] = [];
  for (const one of fields.maps('headers', valueTable)) {
    const name = one.required('name');
    if (name !== '') checkHeaderName(one, ['name'], name);
    const match = readValue(one);
    if (headers.some((other) => other.name === name.toLowerCase())) {
      one.warn('KM1014', ['name'], `has no effect: there is a condition on ${shown(name)} before it`);
    } else headers.push({ name: name.toLowerCase(), match });
  }
  return headers;
}

function readQuery(fields: Fields): QueryMatch[] {
  const query: QueryMatch[] = [];
  for (const one of fields.maps('queryParams', valueTable)) {
    const name = one.required('name');
    const match = readValue(one);
    if (query.some((other) => other.name === name)) {
      one.warn('KM1014', ['name'], `has no effect: there is a condition on ${shown(name)} before it`);
    } else query.push({ name, match });
  }
  return query;
}

function readValue(
  fields: Fields,
): { readonly kind: 'exact'; value: string } | { readonly kind: 'regex'; pattern: string } {
  const type = fields.oneOf('type', ['Exact', 'RegularExpression']);
  const value = fields.required('value');
  return type === 'RegularExpression' ? { kind: 'regex', pattern: value } : { kind: 'exact', value };
}
