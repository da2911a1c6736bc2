/** Conditions and actions of routes in words, for whoever asks what the kernel does. */
import type { HttpMatch } from '../model/http.ts';
import type { PathMatch, TextMatch, ValueMatch } from '../model/route-match.ts';
import type { ActionRecord, AnswerEdits, Edit } from './routes/action-records.ts';

/** `path segments /a, header x-user exact "alice"`; `any request` without a condition. */
export function matchText(match: HttpMatch): string {
  const { path, methods = [], headers = [], query = [], source, fraction } = match;
  const parts = [
    ...(path === undefined ? [] : [`path ${valueText(path)}`]),
    ...(methods.length === 0 ? [] : [`method ${methods.join(' or ')}`]),
    ...headers.map(({ name, match: value, invert, missingAsEmpty }) => {
      const text = `header ${name} ${invert === true ? 'not ' : ''}${valueText(value)}`;
      return missingAsEmpty === true ? `${text} (missing is empty)` : text;
    }),
    ...query.map(({ name, match: value }) => `query parameter ${name} ${valueText(value)}`),
    ...(source?.namespace === undefined ? [] : [`source namespace ${source.namespace}`]),
    ...Object.entries(source?.labels ?? {}).map(([key, value]) => `source label ${key}=${value}`),
    ...(fraction === undefined ? [] : [`${shareText(fraction / 1_000_000)} of requests`]),
  ];
  return parts.length === 0 ? 'any request' : parts.join(', ');
}

function valueText(match: PathMatch | TextMatch | ValueMatch): string {
  switch (match.kind) {
    case 'present':
    case 'absent':
      return match.kind;
    case 'range':
      return `from ${match.start} to below ${match.end}`;
    case 'regex':
      return `regex ${match.pattern}`;
    default:
      return `${match.kind} ${JSON.stringify(match.value)}${match.ignoreCase === true ? ' in any case' : ''}`;
  }
}

/** `12.5%`, of a part of 1. */
export function shareText(part: number): string {
  return `${Number((part * 100).toFixed(4))}%`;
}

/** One line for each thing that an action does; clusters as `clusterText` names them. */
export function actionLines(action: ActionRecord, clusterText: (id: bigint) => string): string[] {
  const lines = action.abort
    ? [`answer ${shareText(action.abort.share / 1_000_000)} of requests with ${action.abort.status}`]
    : [];
  if (action.kind === 'reply') return [...lines, `answer ${action.status}, ${Buffer.byteLength(action.body)} bytes`];
  if (action.kind === 'redirect') return [...lines, `redirect ${action.status}`, ...action.edits.map(editText)];
  const total = action.splits.reduce((sum, { weight }) => sum + weight, 0);
  for (const { cluster, weight, edits, answer } of action.splits) {
    const changes = [...edits.map(editText), ...answerTexts(answer)].map((text) => `; ${text}`).join('');
    if (cluster === 0n) {
      lines.push(`answer ${shareText(weight / total)} of requests with 500 (NC)`);
      continue;
    }
    lines.push(`forward ${shareText(weight / total)} to ${clusterText(cluster)}${changes}`);
  }
  if (action.retries > 0) lines.push(`try ${action.retries} other endpoints when one cannot be connected to`);
  return lines;
}

/** Of headers that an answer loses only the hashes of the names are known. */
function answerTexts(answer: AnswerEdits | undefined): string[] {
  if (answer === undefined) return [];
  const lines = answer.text.split('\r\n').filter((line) => line !== '');
  const count = answer.names.length;
  const replaced = count === 0 ? [] : [`take ${count} ${count === 1 ? 'header' : 'headers'} out of the answer`];
  return [...replaced, ...lines.map((line) => `put ${line} into the answer`)];
}

/** `set x-a: b`, `replace the path by /x`. */
export function editText(edit: Edit): string {
  switch (edit.kind) {
    case 'remove':
      return `remove ${edit.name}`;
    case 'set':
    case 'add':
      return `${edit.kind} ${edit.line.trimEnd()}`;
    case 'host':
    case 'scheme':
    case 'path':
      return `replace the ${edit.kind} by ${edit.text}`;
    case 'port':
      return edit.text === '' ? 'leave out the port' : `replace the port by ${edit.text}`;
    case 'prefix':
      return `replace the first ${edit.bytes} bytes of the path by ${JSON.stringify(edit.text)}`;
    case 'segments':
      return `replace the first ${edit.bytes} bytes of the path by ${edit.text === '' ? '/' : edit.text}`;
    case 'query':
      return 'leave out the query';
  }
}
