/**
 * From an action of the model to its record in the blob: references become cluster ids, the changes of a route and of its
 * clusters become one list for each cluster, and what no head may hold is refused.
 */
import { KmError } from '../base/errors.ts';
import type { ClusterRef, ForwardAction, HeaderEdits, HttpAction, PathRewrite, RedirectAction } from '../model/http.ts';
import { type ActionRecord, type AnswerEdits, type Edit, nameHash, type Split } from './routes/action-records.ts';

/** Whether an action changes the heads of answers. */
export function changesAnswers(action: HttpAction): boolean {
  if (action.kind !== 'forward') return false;
  return action.responseHeaders !== undefined || action.clusters.some((one) => one.responseHeaders !== undefined);
}

/** `where` names the route in the messages of KM3014. `answers`: some route of its table changes the heads of answers. */
export function actionRecord(
  action: HttpAction,
  clusterOf: (ref: ClusterRef) => bigint,
  where: string,
  answers: boolean = changesAnswers(action),
): ActionRecord {
  if (action.kind === 'redirect')
    return { kind: 'redirect', status: action.status, edits: redirectEdits(action, where) };
  if (action.kind === 'reply') {
    const fields = action.body === '' ? '' : `content-type: ${checkValue(action.contentType, where)}\r\n`;
    return { kind: 'reply', status: action.status, fields, body: action.body };
  }
  const abort = action.abort === undefined || action.abort.share === 0 ? {} : { abort: action.abort };
  const splits = action.clusters
    .filter(({ weight }) => weight > 0)
    .map(({ cluster, weight, headers, responseHeaders }): Split => {
      const answer = answers ? { answer: answerEdits([responseHeaders, action.responseHeaders], where) } : {};
      return { cluster: clusterOf(cluster), weight, edits: forwardEdits(action, headers, where), ...answer };
    });
  const lost = splits.length === 0 ? 1 : (action.lost ?? 0);
  if (lost > 0) splits.push({ cluster: 0n, weight: lost, edits: [] });
  return { kind: 'forward', retries: action.connectRetries, splits, ...abort };
}

function forwardEdits(action: ForwardAction, own: HeaderEdits, where: string): Edit[] {
  const { host: byHeader, edits } = headerEdits([own, action.headers], where);
  const host = byHeader ?? action.host;
  return [
    ...(host === undefined ? [] : [{ kind: 'host', text: checkHost(host, where) } as const]),
    ...(action.path === undefined ? [] : [pathEdit(action.path, where)]),
    ...edits,
  ];
}

function answerEdits(lists: readonly (HeaderEdits | undefined)[], where: string): AnswerEdits {
  const given = lists.filter((list) => list !== undefined);
  const { host, edits } = headerEdits(given, where);
  if (host !== undefined) throw new KmError('KM3014', `${where}: an answer has no host to be set`);
  const names = edits.flatMap((edit) => ('name' in edit ? [nameHash(edit.name)] : []));
  return { names, text: edits.map((edit) => ('line' in edit ? edit.line : '')).join('') };
}

function redirectEdits({ scheme, host, port, path, stripQuery }: RedirectAction, where: string): Edit[] {
  const edits: Edit[] = [];
  if (scheme !== undefined) edits.push({ kind: 'scheme', text: scheme });
  if (host !== undefined) edits.push({ kind: 'host', text: checkHost(host, where) });
  // Every request that is routed here came as http, so its port means nothing behind https.
  const implied = scheme === 'https' ? 443 : 80;
  const text = port === 0 || port === implied ? '' : port;
  if (text !== undefined) edits.push({ kind: 'port', text: String(text) });
  else if (scheme === 'https') edits.push({ kind: 'port', text: '' });
  if (path !== undefined) edits.push(pathEdit(path, where));
  if (stripQuery === true) edits.push({ kind: 'query' });
  return edits;
}

function pathEdit(rewrite: PathRewrite, where: string): Edit {
  const text = rewrite.value;
  if (!/^[\x21-\x7e]*$/.test(text) || /[?#]/.test(text)) {
    throw new KmError('KM3014', `${where}: the path ${JSON.stringify(text)} cannot stand in a request line`);
  }
  if (rewrite.kind === 'path') return { kind: 'path', text: text.startsWith('/') ? text : `/${text}` };
  const bytes = (prefix: string): number => Buffer.byteLength(prefix, 'utf8');
  if (rewrite.kind === 'prefix') return { kind: 'prefix', bytes: bytes(rewrite.prefix), text };
  const [prefix, value] = [rewrite.prefix.replace(/\/+$/, ''), text.replace(/\/+$/, '')];
  return { kind: 'segments', bytes: bytes(prefix), text: value === '' || value.startsWith('/') ? value : `/${value}` };
}

/** Fields that say where a message ends or who it is for: a route that changed them would break the connection. */
const framing = new Set(['connection', 'content-length', 'expect', 'transfer-encoding', 'upgrade']);
const hostNames = new Set(['host', ':authority']);

/**
 * Several lists of changes, done one after the other, as one in which all removals can go first. A set or removal undoes
 * what an earlier list added under the name. Setting `host` is a change of the authority, as Istio has it.
 */
function headerEdits(lists: readonly HeaderEdits[], where: string): { readonly host?: string; readonly edits: Edit[] } {
  const removed = new Set<string>();
  let lines: { readonly name: string; readonly line: string }[] = [];
  let host: { readonly host?: string } = {};
  const remove = (name: string): void => {
    removed.add(name);
    lines = lines.filter((one) => one.name !== name);
  };
  const add = (name: string, value: string): void => {
    lines.push({ name: name.toLowerCase(), line: `${name}: ${checkValue(value, where)}\r\n` });
  };
  for (const list of lists) {
    for (const name of list.remove) remove(checkName(name, where));
    for (const [name, value] of list.set) {
      if (hostNames.has(name.toLowerCase())) {
        host = { host: value };
        continue;
      }
      remove(checkName(name, where));
      add(name, value);
    }
    for (const [name, value] of list.add) {
      checkName(name, where);
      add(name, value);
    }
  }
  const edits = lines.map(({ name, line }): Edit => {
    // The first of a removed name takes the place of what the request has.
    if (!removed.delete(name)) return { kind: 'add', line };
    return { kind: 'set', name, line };
  });
  return { ...host, edits: [...[...removed].map((name): Edit => ({ kind: 'remove', name })), ...edits] };
}

function checkName(name: string, where: string): string {
  const lower = name.toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) {
    throw new KmError('KM3014', `${where}: ${JSON.stringify(name)} is no name of a header`);
  }
  if (framing.has(lower) || hostNames.has(lower)) {
    throw new KmError('KM3014', `${where}: the header ${name} cannot be changed by a route`);
  }
  return lower;
}

function checkValue(value: string, where: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) {
    throw new KmError('KM3014', `${where}: ${JSON.stringify(value)} cannot be the value of a header`);
  }
  return value.trim();
}

function checkHost(host: string, where: string): string {
  if (!/^[\x21-\x7e]+$/.test(host) || /[/?#@\\]/.test(host)) {
    throw new KmError('KM3014', `${where}: ${JSON.stringify(host)} cannot be a request's host`);
  }
  return host;
}
