/**
 * YAML and JSON text to values, one document at a time: a syntax error costs one document, and a document whose text is
 * unchanged need not be parsed again. Positions are looked up only when something is wrong.
 */
import {
  CORE_SCHEMA,
  constructFromEvents,
  EVENT_ID,
  type Event,
  getScalarValue,
  mergeTag,
  parseEvents,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml';
import type { FieldPath } from '../model/fieldpath.ts';

/** YAML 1.2 core schema, where a date stays text, and merge keys, which kubectl also takes. */
const schema = CORE_SCHEMA.withTags(mergeTag);

/** Values that the aliases of one document may stand for, all told. */
const maxExpandedValues = 1_000_000;

/** The text of one document and where it starts in its file. */
export interface DocumentText {
  readonly text: string;
  /** 1-based line of `text`'s first character. */
  readonly firstLine: number;
  /** 1-based line of the first content: not a marker, a comment or blank. */
  readonly contentLine: number;
}

/** Why a document could not be read. `line` counts from 1 within the document's text. */
export interface SyntaxProblem {
  readonly line: number;
  readonly reason: string;
  readonly tooLarge: boolean;
}

export type Parsed = { readonly value: unknown } | { readonly problem: SyntaxProblem };

/**
 * Splits a file at its document markers (`---` and `...` at the start of a line, YAML 1.2 9.1.2). Documents without content
 * are left out. Directives (`%YAML`) stay with the document that they precede.
 */
export function splitDocuments(text: string): DocumentText[] {
  const documents: DocumentText[] = [];
  let start = 0;
  let firstLine = 1;
  let contentLine = 0;
  let onlyDirectives = true;
  let line = 1;
  const end = (at: number) => {
    if (contentLine > 0 && !onlyDirectives) documents.push({ text: text.slice(start, at), firstLine, contentLine });
  };
  for (let at = 0; at < text.length; line++) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    const marker = markerAt(text, at);
    if (marker !== '') {
      const directives = contentLine > 0 && onlyDirectives && marker === '---';
      if (!directives) {
        end(at);
        start = marker === '---' ? at : next;
        firstLine = marker === '---' ? line : line + 1;
      }
      contentLine = 0;
      onlyDirectives = true;
      if (marker === '---' && hasContent(text, at + 3, next)) {
        contentLine = line;
        onlyDirectives = false;
      }
    } else if ((contentLine === 0 || onlyDirectives) && hasContent(text, at, next)) {
      if (contentLine === 0) contentLine = line;
      if (text[at] !== '%') {
        if (onlyDirectives) contentLine = line;
        onlyDirectives = false;
      }
    }
    at = next;
  }
  end(text.length);
  return documents;
}

function markerAt(text: string, at: number): '---' | '...' | '' {
  const code = text.charCodeAt(at);
  if (code !== 45 && code !== 46) return '';
  if (text.charCodeAt(at + 1) !== code || text.charCodeAt(at + 2) !== code) return '';
  const after = text.charCodeAt(at + 3);
  if (!Number.isNaN(after) && after !== 32 && after !== 9 && after !== 10 && after !== 13) return '';
  return code === 45 ? '---' : '...';
}

function hasContent(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === 35) return false;
    if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return true;
  }
  return false;
}

/** The value of one document's text. Never throws. */
export function parseYaml(text: string): Parsed {
  try {
    const events = parseEvents(text, {});
    const values = constructFromEvents(events, { source: text, schema });
    const value = values[0] ?? null;
    if (values.length > 1) return { problem: { line: 1, reason: 'more than one document', tooLarge: false } };
    const alias = events.find((event) => event.type === EVENT_ID.ALIAS);
    if (alias !== undefined && expandedSize(value) > maxExpandedValues) {
      const line = lineCounter(text)(alias.anchorStart);
      const reason = `its aliases stand for more than ${maxExpandedValues} values, or for themselves`;
      return { problem: { line, reason, tooLarge: true } };
    }
    return { value };
  } catch (error) {
    return { problem: yamlProblem(error) };
  }
}

/** The value of a JSON file: strict JSON (no comments, no trailing commas), and no key twice. Never throws. */
export function parseJson(text: string): Parsed {
  try {
    JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const position = / (?:in JSON )?at position \d+(?: \(line (\d+) column \d+\))?/.exec(message);
    const line = position?.[1] === undefined ? text.trimEnd().split('\n').length : Number(position[1]);
    const quoted = message.replace(position?.[0] ?? '', '').replace(/, (\.\.\.)?"[\s\S]*" is not valid JSON$/, '');
    return { problem: { line, reason: `not JSON: ${quoted}`, tooLarge: false } };
  }
  // YAML 1.2 is a superset of JSON, and its reader also finds double keys, which JSON.parse lets pass.
  return parseYaml(text);
}

function yamlProblem(error: unknown): SyntaxProblem {
  if (error instanceof YAMLException) {
    return { line: (error.mark?.line ?? 0) + 1, reason: error.reason, tooLarge: false };
  }
  return { line: 1, reason: error instanceof Error ? error.message : String(error), tooLarge: false };
}

/** Values in a tree when every alias is written out; Infinity when it holds itself. */
function expandedSize(root: unknown): number {
  const sizes = new Map<object, number>();
  const measure = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 1;
    const known = sizes.get(value);
    if (known !== undefined) return known;
    sizes.set(value, Number.POSITIVE_INFINITY);
    let size = 1;
    for (const child of Object.values(value)) size += measure(child);
    sizes.set(value, size);
    return size;
  };
  return measure(root);
}

/**
 * 1-based lines, within the text, of fields of a document. A field that is not there has the line of its nearest parent that
 * is; the root is at `rootLine`.
 */
export function fieldLines(text: string, paths: readonly FieldPath[], rootLine: number): number[] {
  let events: Event[];
  try {
    events = parseEvents(text, {});
  } catch {
    return paths.map(() => rootLine);
  }
  const lineOf = lineCounter(text);
  return paths.map((path) => {
    const offset = fieldOffset(text, events, path);
    return offset < 0 ? rootLine : lineOf(offset);
  });
}

function fieldOffset(text: string, events: readonly Event[], path: FieldPath): number {
  let at = events[0]?.type === EVENT_ID.DOCUMENT ? 1 : 0;
  let found = -1;
  for (const step of path) {
    const node = events[at];
    if (node === undefined) return found;
    let next = -1;
    if (node.type === EVENT_ID.MAPPING && typeof step === 'string') {
      for (let key = at + 1; key < events.length && events[key]?.type !== EVENT_ID.POP; ) {
        const value = skipNode(events, key);
        const event = events[key];
        if (event?.type === EVENT_ID.SCALAR && getScalarValue(text, event) === step) {
          found = event.valueStart;
          next = value;
          break;
        }
        key = skipNode(events, value);
      }
    } else if (node.type === EVENT_ID.SEQUENCE && typeof step === 'number') {
      let item = at + 1;
      for (let i = 0; i < step && events[item]?.type !== EVENT_ID.POP; i++) item = skipNode(events, item);
      const start = nodeStart(events, item);
      if (events[item]?.type !== EVENT_ID.POP) {
        next = item;
        if (start >= 0) found = start;
      }
    }
    if (next < 0) return found;
    at = next;
  }
  return found;
}

/** Index of the event after the node that starts at `at`. */
function skipNode(events: readonly Event[], at: number): number {
  let depth = 0;
  for (let i = at; i < events.length; i++) {
    const type = events[i]?.type;
    if (type === EVENT_ID.SEQUENCE || type === EVENT_ID.MAPPING) depth++;
    else if (type === EVENT_ID.POP) depth--;
    if (depth <= 0) return i + 1;
  }
  return events.length;
}

function nodeStart(events: readonly Event[], at: number): number {
  const event = events[at];
  switch (event?.type) {
    case EVENT_ID.SCALAR:
      return scalarStart(event);
    case EVENT_ID.ALIAS:
      return event.anchorStart;
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING: {
      const first = events[at + 1];
      if (event.style === 1 && first?.type === EVENT_ID.SCALAR && scalarStart(first) >= 0) return scalarStart(first);
      return event.start;
    }
    default:
      return -1;
  }
}

function scalarStart(event: ScalarEvent): number {
  return event.tagStart >= 0 ? event.tagStart : event.valueStart;
}

/** Lines of the items of the list at `path`, by index, in one pass. */
export function itemLines(text: string, path: FieldPath, rootLine: number): number[] {
  let events: Event[];
  try {
    events = parseEvents(text, {});
  } catch {
    return [];
  }
  let at = events[0]?.type === EVENT_ID.DOCUMENT ? 1 : 0;
  for (const step of path) {
    let key = at + 1;
    while (key < events.length && events[key]?.type !== EVENT_ID.POP) {
      const event = events[key];
      if (event?.type === EVENT_ID.SCALAR && getScalarValue(text, event) === step) break;
      key = skipNode(events, skipNode(events, key));
    }
    at = key + 1;
  }
  const lineOf = lineCounter(text);
  const lines: number[] = [];
  for (let item = at + 1; item < events.length && events[item]?.type !== EVENT_ID.POP; item = skipNode(events, item)) {
    const start = nodeStart(events, item);
    lines.push(start < 0 ? rootLine : lineOf(start));
  }
  return lines;
}

/** Offset to line; rising offsets are counted on from the last one. */
function lineCounter(text: string): (offset: number) => number {
  let line = 1;
  let from = 0;
  return (offset) => {
    if (offset < from) {
      line = 1;
      from = 0;
    }
    for (let at = text.indexOf('\n', from); at >= 0 && at < offset; at = text.indexOf('\n', from)) {
      line++;
      from = at + 1;
    }
    return line;
  };
}
