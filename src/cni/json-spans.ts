/**
 * Where things are in a JSON text, so that a part of it can be changed and every other byte stays as it was. The text must be
 * well-formed: JSON.parse has taken it.
 */

/** From its first character to behind its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const blank = /[ \t\r\n]/;

/** The value of a member of the outermost object; null: it has no such member. Of two of one name JSON.parse takes the last. */
export function memberSpan(text: string, name: string): Span | null {
  let found: Span | null = null;
  let at = skipBlank(text, 0);
  if (text[at] !== '{') return null;
  at = skipBlank(text, at + 1);
  while (text[at] === '"') {
    const key: unknown = JSON.parse(text.slice(at, valueEnd(text, at)));
    at = skipBlank(text, valueEnd(text, at));
    const start = skipBlank(text, at + 1);
    const end = valueEnd(text, start);
    if (key === name) found = { start, end };
    at = skipBlank(text, end);
    if (text[at] === ',') at = skipBlank(text, at + 1);
  }
  return found;
}

/** The elements of the array that begins here. */
export function elementSpans(text: string, array: Span): Span[] {
  const spans: Span[] = [];
  let at = skipBlank(text, array.start + 1);
  while (at < array.end && text[at] !== ']') {
    const end = valueEnd(text, at);
    spans.push({ start: at, end });
    at = skipBlank(text, end);
    if (text[at] === ',') at = skipBlank(text, at + 1);
  }
  return spans;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && blank.test(text.charAt(at))) at++;
  return at;
}

/** Behind the value that begins here. */
function valueEnd(text: string, start: number): number {
  const first = text.charAt(start);
  if (first === '"') return stringEnd(text, start);
  if (first !== '{' && first !== '[') {
    let at = start;
    while (at < text.length && /[-+.0-9A-Za-z]/.test(text.charAt(at))) at++;
    return at;
  }
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const c = text.charAt(at);
    if (c === '"') at = stringEnd(text, at) - 1;
    else if (c === '{' || c === '[') depth++;
    else if ((c === '}' || c === ']') && --depth === 0) return at + 1;
  }
  return text.length;
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
  return at + 1;
}
