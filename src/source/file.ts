/** One file of the directory: its documents, of which only the changed ones are parsed again. */
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import type { ErrorCode } from '../base/errors.ts';
import { type DocumentText, parseJson, parseYaml, splitDocuments } from './documents.ts';
import { type Item, readItems } from './items.ts';

/** Larger files are refused: a mesh of 10 000 services with 100 000 endpoints takes 25 MB. */
export const maxFileBytes = 256 * 1024 * 1024;

interface DocumentState {
  readonly digest: string;
  readonly items: readonly Item[];
}

/** Why a file as a whole could not be read. */
export interface FileProblem {
  readonly code: ErrorCode;
  readonly line: number;
  readonly reason: string;
}

export class ConfigFile {
  /** Path as problems show it. */
  readonly path: string;
  #documents: readonly DocumentState[] = [];
  #noted: readonly Item[] = [];
  problem: FileProblem | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Items with something to tell. */
  get noted(): readonly Item[] {
    return this.#noted;
  }

  *items(): Generator<Item> {
    for (const document of this.#documents) yield* document.items;
  }

  /** Whether some part could not be read, so that an object that seems gone may only be hidden in it. */
  get unreadable(): boolean {
    if (this.problem !== null) return true;
    return this.#documents.some((document) => document.items.some((item) => item.key === null && hides(item)));
  }

  /** Takes over the file's new bytes. On a problem of the whole file its documents stay as they were. */
  read(bytes: Buffer, isKnown: (onceFor: string) => boolean): void {
    this.problem = bytesProblem(bytes);
    if (this.problem !== null) return;
    const known = new Map<string, DocumentState[]>();
    for (const document of this.#documents) {
      const same = known.get(document.digest);
      if (same === undefined) known.set(document.digest, [document]);
      else same.push(document);
    }
    this.#documents = this.#split(bytes).map((document, i) => {
      const digest = digestOf(document);
      const same = known.get(digest)?.shift();
      if (same !== undefined) {
        for (const item of same.items) item.origin.line = document.firstLine + item.offset;
        return same;
      }
      // A copy of its own, so that texts cut out of it do not keep the whole file.
      const text = Buffer.from(document.text, 'utf8').toString('utf8');
      const parsed = this.path.endsWith('.json') ? parseJson(text) : parseYaml(text);
      const context = { file: this.path, number: i + 1, isKnown };
      return { digest, items: readItems({ ...document, text }, parsed, context) };
    });
    this.#noted = [...this.items()].filter((item) => item.notes.length > 0);
  }

  /** The text of the document that an item is of, from the file's bytes now; null when it has changed since. */
  textOf(item: Item, bytes: Buffer): DocumentText | null {
    const state = this.#documents.find((document) => document.items.includes(item));
    return this.#split(bytes).find((document) => digestOf(document) === state?.digest) ?? null;
  }

  #split(bytes: Buffer): DocumentText[] {
    const decoded = bytes.toString('utf8');
    const text = decoded.startsWith('\ufeff') ? decoded.slice(1) : decoded;
    if (!this.path.endsWith('.json')) return splitDocuments(text);
    const blank = /^\s*/.exec(text)?.[0] ?? '';
    return blank === text ? [] : [{ text, firstLine: 1, contentLine: blank.split('\n').length }];
  }
}

/** Tells whether a document is as before; one that only moved within its file is. */
function digestOf(document: DocumentText): string {
  return hash('sha1', document.text, 'base64');
}

/** Objects of kinds that are not ours hide nothing. */
function hides(item: Item): boolean {
  return item.refused && !item.notes.some((note) => note.code === 'KM1007');
}

function bytesProblem(bytes: Buffer): FileProblem | null {
  if (isUtf8(bytes)) return null;
  let line = 1;
  for (let at = 0; ; line++) {
    const newline = bytes.indexOf(10, at);
    const end = newline < 0 ? bytes.length : newline;
    if (newline < 0 || !isUtf8(bytes.subarray(at, end))) break;
    at = end + 1;
  }
  return { code: 'KM1003', line, reason: 'not UTF-8 text' };
}
