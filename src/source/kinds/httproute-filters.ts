/** Filters of an HTTPRoute's rules and backends. */
import type { HeaderEdits, PathRewrite } from '../../model/http.ts';
import { noEdits, type RedirectRule } from '../../model/route-objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsNameProblem } from '../names.ts';
import { checkEditedName, checkHeaderValue, pathProblem } from './http.ts';

/** Reason of the one finding that the API has a name of its own for. */
export const incompatibleFilters = 'RequestRedirect and URLRewrite cannot stand together';

const noCors = 'not supported: the mesh answers no preflight requests';
const filterTable = fieldTable({
  read: `type requestHeaderModifier requestRedirect urlRewrite responseHeaderModifier requestMirror extensionRef cors
    externalAuth`,
  closed: true,
});
const editsTable = fieldTable({ read: 'set add remove', closed: true });
const headerTable = fieldTable({ read: 'name value', closed: true });
const redirectTable = fieldTable({ read: 'scheme hostname path port statusCode', closed: true });
const rewriteTable = fieldTable({ read: 'hostname path', closed: true });
const pathTable = fieldTable({ read: 'type replaceFullPath replacePrefixMatch', closed: true });

/** Types of filters, the field of each, and why it is refused. */
const filterTypes: Readonly<Record<string, { readonly field: string; readonly refused?: string }>> = {
  RequestHeaderModifier: { field: 'requestHeaderModifier' },
  RequestRedirect: { field: 'requestRedirect' },
  URLRewrite: { field: 'urlRewrite' },
  ResponseHeaderModifier: { field: 'responseHeaderModifier' },
  RequestMirror: { field: 'requestMirror', refused: 'not supported: requests are not mirrored' },
  CORS: { field: 'cors', refused: noCors },
  ExternalAuth: { field: 'externalAuth', refused: 'not supported: requests are not authorized' },
  ExtensionRef: { field: 'extensionRef', refused: 'not supported: there are no filters of others' },
};

/** A new path, of which the match says what it does when it is for a prefix. */
export type NewPath =
  | { readonly kind: 'path'; readonly value: string }
  | { readonly kind: 'segments'; readonly value: string };

export interface Filters {
  readonly headers: HeaderEdits;
  /** Of the answer; null: stays as it is. */
  readonly responseHeaders: HeaderEdits | null;
  /** Without its path. */
  readonly redirect: RedirectRule | null;
  /** Host of a URLRewrite; empty: stays. */
  readonly host: string;
  readonly path: NewPath | null;
}

/** `allowed`: types that may stand here; others are refused with a reason. */
export function readFilters(parent: Fields, allowed: readonly string[]): Filters {
  let filters: Filters = { headers: noEdits, responseHeaders: null, redirect: null, host: '', path: null };
  const seen = new Set<string>();
  for (const fields of parent.maps('filters', filterTable)) {
    const type = fields.required('type');
    if (type === '') continue;
    const known = filterTypes[type];
    if (known === undefined) {
      fields.error('KM1011', ['type'], `unknown filter: ${shown(type)}`);
      continue;
    }
    for (const { field } of Object.values(filterTypes)) {
      if (field !== known.field && fields.has(field)) fields.error('KM1009', [field], `cannot stand in a ${type}`);
    }
    if (known.refused !== undefined) fields.error('KM1011', ['type'], `${type} is ${known.refused}`);
    else if (!allowed.includes(type)) fields.error('KM1011', ['type'], `${type} is not supported for one backend`);
    else if (seen.has(type)) fields.error('KM1009', ['type'], `${type} is there twice`);
    else if (!fields.has(known.field)) fields.error('KM1010', [known.field], 'is missing');
    else filters = { ...filters, ...readFilter(fields, type) };
    seen.add(type);
  }
  if (filters.redirect !== null && seen.has('URLRewrite')) {
    parent.error('KM1009', ['filters'], incompatibleFilters);
  }
  return filters;
}

function readFilter(fields: Fields, type: string): Partial<Filters> {
  if (type === 'RequestHeaderModifier') return { headers: readEdits(fields, 'requestHeaderModifier') };
  if (type === 'ResponseHeaderModifier') return { responseHeaders: readEdits(fields, 'responseHeaderModifier') };
  if (type === 'RequestRedirect') return readRedirect(fields);
  const rewrite = fields.map('urlRewrite', rewriteTable);
  if (rewrite === null) return {};
  const path = readPath(rewrite);
  return { host: readHostname(rewrite), ...(path === null ? {} : { path }) };
}

function readEdits(filter: Fields, field: 'requestHeaderModifier' | 'responseHeaderModifier'): HeaderEdits {
  const fields = filter.map(field, editsTable);
  if (fields === null) return noEdits;
  const read = (list: 'set' | 'add') =>
    fields.maps(list, headerTable).map((header) => {
      const name = header.required('name');
      const value = header.string('value');
      if (name !== '') checkEditedName(header, ['name'], name, 'hostname of URLRewrite');
      checkHeaderValue(header, ['value'], name, value);
      return [name, value] as const;
    });
  const remove = fields.strings('remove');
  for (const [i, name] of remove.entries()) checkEditedName(fields, ['remove', i], name, 'hostname of URLRewrite');
  return { set: read('set'), add: read('add'), remove };
}

function readRedirect(filter: Fields): Partial<Filters> {
  const fields = filter.map('requestRedirect', redirectTable);
  if (fields === null) return {};
  const status = fields.integer('statusCode', 300, 399) ?? 302;
  if (![301, 302, 303, 307, 308].includes(status)) {
    fields.error('KM1009', ['statusCode'], `must be 301, 302, 303, 307 or 308, not ${status}`);
  }
  const scheme = fields.oneOf('scheme', ['http', 'https']);
  const host = readHostname(fields);
  const port = fields.integer('port', 1, 65535);
  const usual = scheme === 'https' ? 443 : 80;
  const path = readPath(fields);
  const redirect: RedirectRule = {
    kind: 'redirect',
    status: status as RedirectRule['status'],
    ...(scheme === '' ? {} : { scheme: scheme as 'http' | 'https' }),
    ...(host === '' ? {} : { host }),
    // The API: the port that is given, else the scheme's when that is given, else the one that the request came to.
    ...(port !== null ? { port: port === usual ? 0 : port } : scheme !== '' ? { port: 0 } : { listenerPort: true }),
  };
  return { redirect, ...(path === null ? {} : { path }) };
}

function readHostname(fields: Fields): string {
  const host = fields.string('hostname');
  const problem = host === '' ? '' : dnsNameProblem(host);
  if (problem !== '') fields.error('KM1009', ['hostname'], `${problem}: ${shown(host)}`);
  return host;
}

function readPath(parent: Fields): NewPath | null {
  const fields = parent.map('path', pathTable);
  if (fields === null) return null;
  const type = fields.oneOf('type', ['ReplaceFullPath', 'ReplacePrefixMatch']);
  if (type === '') {
    if (fields.raw('type') === null) fields.error('KM1010', ['type'], 'is missing');
    return null;
  }
  const [field, other] =
    type === 'ReplaceFullPath'
      ? (['replaceFullPath', 'replacePrefixMatch'] as const)
      : (['replacePrefixMatch', 'replaceFullPath'] as const);
  if (fields.raw(field) === null) fields.error('KM1010', [field], 'is missing');
  if (fields.has(other)) fields.error('KM1009', [other], `cannot stand in a ${type}`);
  const value = fields.string(field) || '/';
  const problem = pathProblem(value, false);
  if (problem !== '') fields.error('KM1009', [field], `${problem}: ${shown(value)}`);
  else if (!value.startsWith('/')) fields.error('KM1009', [field], `must begin with /, not ${shown(value)}`);
  return type === 'ReplaceFullPath' ? { kind: 'path', value } : { kind: 'segments', value };
}

/** The rewrite for a request that was taken by this prefix. */
export function rewriteFor(path: NewPath, prefix: string): PathRewrite {
  return path.kind === 'path' ? path : { kind: 'segments', prefix, value: path.value };
}
