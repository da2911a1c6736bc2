/** Conditions of a VirtualService's HTTP routes. */
import type { HttpMatch, SourceMatch } from '../../model/http.ts';
import type { HeaderMatch, PathMatch, QueryMatch, TextMatch } from '../../model/route-match.ts';
import type { RuleMatch } from '../../model/route-objects.ts';
import { type Fields, fieldTable, ownText, shown } from '../fields.ts';
import { checkHeaderName, mapNames, pathProblem } from './http.ts';
import { readLabels } from './kind.ts';

const matchTable = fieldTable({
  read: `uri scheme method authority headers port sourceLabels gateways queryParams ignoreUriCase withoutHeaders
    sourceNamespace`,
  harmless: 'name statPrefix',
  closed: true,
});
const stringTable = fieldTable({ read: 'exact prefix regex', closed: true });

/** Null: a condition of other gateways only, which no request of the mesh meets. */
export function readMatch(fields: Fields): RuleMatch | null {
  const headers: HeaderMatch[] = [];
  const authority = readText(fields, 'authority', false);
  if (authority !== null) headers.push({ name: 'host', match: authority });
  headers.push(...readHeaders(fields, 'headers'), ...readHeaders(fields, 'withoutHeaders'));
  const path = readPath(fields);
  const method = readMethod(fields);
  checkScheme(fields);
  const query = readQuery(fields);
  const source = readSource(fields);
  const match: HttpMatch = {
    ...(path === null ? {} : { path }),
    ...(method === '' ? {} : { methods: [method] }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(query.length === 0 ? {} : { query }),
    ...(source === null ? {} : { source }),
  };
  const port = fields.integer('port', 1, 65535) ?? 0;
  const gateways = fields.strings('gateways');
  return gateways.length > 0 && !gateways.includes('mesh') ? null : { port, match };
}

export { matchTable };

/** A StringMatch; null when there is none. `empty`: one that says nothing is no error, and null too. */
function readText(parent: Fields, name: string, empty: boolean): TextMatch | null {
  const fields = parent.map(name, stringTable);
  if (fields === null) return null;
  const kinds = (['exact', 'prefix', 'regex'] as const).filter((kind) => fields.raw(kind) !== null);
  if (kinds.length > 1) fields.error('KM1009', [], `takes only one of ${kinds.join(' and ')}`);
  const [kind] = kinds;
  if (kind === undefined) {
    if (!empty) fields.error('KM1010', [], 'needs one of exact, prefix and regex');
    return null;
  }
  const value = fields.string(kind);
  return kind === 'regex' ? { kind, pattern: value } : { kind, value };
}

function readPath(fields: Fields): PathMatch | null {
  const text = readText(fields, 'uri', false);
  const ignoreCase = fields.boolean('ignoreUriCase') === true;
  if (text === null || text.kind === 'regex' || text.kind === 'suffix' || text.kind === 'contains') {
    return text?.kind === 'regex' ? text : null;
  }
  const problem = pathProblem(text.value, false);
  const written = typeof fields.map('uri', null)?.raw(text.kind) === 'string';
  if (written && problem !== '') fields.error('KM1009', ['uri', text.kind], `${problem}: ${shown(text.value)}`);
  const { kind, value } = text;
  return ignoreCase ? { kind, value, ignoreCase } : { kind, value };
}

function readMethod(fields: Fields): string {
  const text = readText(fields, 'method', false);
  if (text === null) return '';
  if (text.kind === 'exact') return text.value;
  fields.error('KM1011', ['method', text.kind], 'not supported: only exact methods are');
  return '';
}

/** Requests that the mesh can read are never encrypted. */
function checkScheme(fields: Fields): void {
  const text = readText(fields, 'scheme', false);
  if (text === null) return;
  const plain =
    text.kind !== 'regex' && (text.value === 'http' || (text.kind === 'prefix' && 'http'.startsWith(text.value)));
  if (!plain) fields.error('KM1011', ['scheme'], 'not supported: every request that can be routed has the scheme http');
}

function readHeaders(parent: Fields, name: 'headers' | 'withoutHeaders'): HeaderMatch[] {
  const fields = parent.map(name, null);
  if (fields === null) return [];
  const without = name === 'withoutHeaders';
  return mapNames(parent, name).map((key): HeaderMatch => {
    checkHeaderName(parent, [name, key], key);
    const header = ownText(key).toLowerCase();
    const text = readText(fields, key, true);
    // Istio also takes the regular expression `*`, which is none, for "any value".
    if (text === null || (text.kind === 'regex' && text.pattern === '*')) {
      return { name: header, match: { kind: without ? 'absent' : 'present' } };
    }
    return without ? { name: header, match: text, invert: true, missingAsEmpty: true } : { name: header, match: text };
  });
}

function readQuery(parent: Fields): QueryMatch[] {
  const fields = parent.map('queryParams', null);
  if (fields === null) return [];
  return mapNames(parent, 'queryParams').map((key) => {
    const text = readText(fields, key, true);
    return { name: ownText(key), match: text ?? { kind: 'present' } };
  });
}

function readSource(fields: Fields): SourceMatch | null {
  const labels = readLabels(fields, 'sourceLabels');
  const namespace = fields.string('sourceNamespace');
  const some = Object.keys(labels).length > 0;
  if (!some && namespace === '') return null;
  return { ...(some ? { labels } : {}), ...(namespace === '' ? {} : { namespace }) };
}
