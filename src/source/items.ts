/** A parsed document as objects: what it holds, and what is wrong with each. */
import type { ErrorCode } from '../base/errors.ts';
import { type FieldPath, fieldText } from '../model/fieldpath.ts';
import type { KubeObject, ObjectKey } from '../model/objects.ts';
import type { Origin } from '../model/types.ts';
import { type DocumentText, fieldLines, itemLines, type Parsed } from './documents.ts';
import { type Finding, isMap, shown } from './fields.ts';
import { kindReaders } from './kinds/index.ts';
import { readObject } from './object.ts';

/** An origin whose line follows the text. */
export interface MovingOrigin extends Origin {
  file: string;
  line: number;
}

/** A finding with its place. */
export interface Note {
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  /** Within the object, for the one who looks the line up. */
  readonly path: FieldPath;
  readonly field: string;
  readonly reason: string;
  readonly onceFor: string;
  /** 0-based, from the first line of the document's text; null: not looked up. */
  readonly offset: number | null;
}

/** One object of a document, good or not. */
export interface Item {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Null: it cannot be told which object it is. */
  readonly key: ObjectKey | null;
  /** The object, when it has no error and a place in the mesh. */
  readonly object: KubeObject | null;
  readonly refused: boolean;
  readonly notes: readonly Note[];
  readonly origin: MovingOrigin;
  /** Path of the object within its document: empty, or `items`, N of a List. */
  readonly prefix: FieldPath;
  /** 0-based, from the first line of the document's text. */
  readonly offset: number;
}

export interface ItemContext {
  readonly file: string;
  /** Name for a document that says nothing of itself: its number in the file, from 1. */
  readonly number: number;
  /** Whether a warning that is said once was said already: then its line is not looked up. */
  readonly isKnown: (onceFor: string) => boolean;
}

/** The objects of one document. A document that cannot be read is one refused item. */
export function readItems(document: DocumentText, parsed: Parsed, context: ItemContext): Item[] {
  const start = document.contentLine - document.firstLine;
  if ('problem' in parsed) {
    const { line, reason, tooLarge } = parsed.problem;
    const code = tooLarge ? 'KM1015' : 'KM1004';
    // The parser notices an open bracket at the end; the next document's first line is not to blame.
    const lines = document.text.trimEnd().split('\n').length;
    const offset = Math.min(line, lines) - 1;
    const note = { severity: 'error', code, path: [], field: '', reason, onceFor: '', offset } as const;
    return [{ ...nameless(context, document, start, [], note), ...guessName(document.text) }];
  }
  // A document of `null` or `~` holds nothing.
  if (parsed.value === null) return [];
  const { value } = parsed;
  if (!isMap(value) || !Array.isArray(value['items']) || !isList(value)) {
    return [readItem(value, document, start, [], context)];
  }
  const lines = itemLines(document.text, ['items'], start + 1);
  return value['items'].map((item: unknown, i) =>
    readItem(item, document, (lines[i] ?? start + 1) - 1, ['items', i], context),
  );
}

/** What a document that cannot be parsed seems to be, for its message only: the lines that a person would look at. */
function guessName(text: string): { kind: string; namespace: string; name: string } | null {
  const kind = /^kind: *["']?(\w+)["']?\s*$/m.exec(text)?.[1];
  const metadata = /^metadata: *\r?\n((?:[ \t]+.*\r?\n?)+)/m.exec(text)?.[1] ?? '';
  const value = (field: string) =>
    new RegExp(`^ {1,4}${field}: *["']?([\\w.-]+)["']?\\s*$`, 'm').exec(metadata)?.[1] ?? '';
  const name = value('name');
  if (kind === undefined || name === '') return null;
  return { kind, namespace: kind === 'Namespace' ? '' : value('namespace') || 'default', name };
}

function isList(value: Readonly<Record<string, unknown>>): boolean {
  const kind = value['kind'];
  return typeof kind === 'string' && (kind === 'List' || kindReaders.has(kind.replace(/List$/, '')));
}

function nameless(
  context: ItemContext,
  document: DocumentText,
  offset: number,
  prefix: FieldPath,
  note: Note | Finding,
): Item {
  const placed: Note = 'field' in note ? note : { ...note, field: fieldText(note.path), offset };
  const number = prefix.length > 0 ? `${context.number} item ${Number(prefix[1]) + 1}` : String(context.number);
  return {
    kind: 'Document',
    namespace: '',
    name: number,
    key: null,
    object: null,
    refused: true,
    notes: [placed],
    origin: { source: 'files', file: context.file, line: document.firstLine + offset },
    prefix,
    offset,
  };
}

function readItem(
  value: unknown,
  document: DocumentText,
  offset: number,
  prefix: FieldPath,
  context: ItemContext,
): Item {
  const bad = (path: FieldPath, code: ErrorCode, reason: string) => {
    const line = fieldLines(document.text, [[...prefix, ...path]], offset + 1)[0] ?? offset + 1;
    const note: Note = {
      severity: 'error',
      code,
      path,
      field: fieldText(path),
      reason,
      onceFor: '',
      offset: line - 1,
    };
    return nameless(context, document, offset, prefix, note);
  };
  if (!isMap(value)) {
    return bad([], 'KM1005', `must be a map with apiVersion, kind and metadata, not ${shown(value)}`);
  }
  const { kind } = value;
  if (typeof kind !== 'string' || kind === '') return bad(['kind'], 'KM1005', 'must name the kind of the object');
  const origin: MovingOrigin = { source: 'files', file: context.file, line: document.firstLine + offset };
  const { findings, ...read } = readObject(value, kind, origin);
  return { ...read, kind, origin, prefix, offset, notes: place(findings, document, offset, prefix, context) };
}

function place(
  findings: readonly Finding[],
  document: DocumentText,
  offset: number,
  prefix: FieldPath,
  context: ItemContext,
): Note[] {
  if (findings.length === 0) return [];
  const looked = findings.filter((finding) => finding.onceFor === '' || !context.isKnown(finding.onceFor));
  const paths = looked.map((finding) => [...prefix, ...finding.path]);
  const lines = looked.length === 0 ? [] : fieldLines(document.text, paths, offset + 1);
  const offsets = new Map(looked.map((finding, i) => [finding, (lines[i] ?? offset + 1) - 1]));
  const notes = findings.map((finding) => ({
    ...finding,
    field: fieldText(finding.path),
    offset: offsets.get(finding) ?? null,
  }));
  return notes.sort((a, b) => (a.offset ?? offset) - (b.offset ?? offset));
}
