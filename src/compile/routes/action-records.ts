/**
 * What a route does, as records of the blob (bpf/include/km_action.h): a tree of sections, each of which is stored once
 * however many routes share it. {@link encodeAction} writes, {@link decodeAction} reads back.
 */
import { KmError } from '../../base/errors.ts';
import { unitBytes } from './layout.ts';

/** enum km_edit_kind. `name` in lower case; the texts are what the kernel puts into the head. */
export type Edit =
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'set'; readonly name: string; readonly line: string }
  | { readonly kind: 'add'; readonly line: string }
  | { readonly kind: 'host' | 'path' | 'scheme' | 'port'; readonly text: string }
  | { readonly kind: 'prefix' | 'segments'; readonly bytes: number; readonly text: string }
  | { readonly kind: 'query' };

/** One cluster of a forward. */
export interface Split {
  /** 0n: there is none, and the answer is 500 (NC). */
  readonly cluster: bigint;
  /** 1 or more. */
  readonly weight: number;
  readonly edits: readonly Edit[];
  /** Changes of the answer's head; absent: no route of the table has any. */
  readonly answer?: AnswerEdits;
}

/** Lines of an answer's head that go, and those that are added behind all others. */
export interface AnswerEdits {
  /** Hashes of the names, {@link nameHash}. */
  readonly names: readonly bigint[];
  readonly text: string;
}

/** By this the kernel knows a header's name: FNV-1a of 64 bits over the name in lower case. */
export function nameHash(name: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of utf8(name.toLowerCase())) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

interface WithAbort {
  /** So many of a million requests are answered with this status instead. */
  readonly abort?: { readonly status: number; readonly share: number };
}

/** The record of an action; everything is resolved. */
export type ActionRecord =
  | (WithAbort & { readonly kind: 'forward'; readonly retries: number; readonly splits: readonly Split[] })
  | (WithAbort & { readonly kind: 'redirect'; readonly status: number; readonly edits: readonly Edit[] })
  | (WithAbort & {
      readonly kind: 'reply';
      readonly status: number;
      /** `name: value CRLF` of each field but content-length. */
      readonly fields: string;
      readonly body: string;
    });

/** Gives the unit of equal words that are in the blob already, or of new ones. */
export type Share = (words: Uint32Array) => number;

/** KM_ACTION_MAX_… of bpf/include/km_action.h. */
export const actionLimit = { splits: 64, edits: 64, text: 4096, retries: 255, answerUnits: 64 } as const;

const actionKinds = ['forward', 'redirect', 'reply'] as const;
/** In the order of enum km_edit_kind, from 1. */
const editKinds = ['remove', 'set', 'add', 'host', 'path', 'prefix', 'segments', 'scheme', 'port', 'query'] as const;

/** struct km_action, km_split, km_edit: sizes and places in bytes. */
const actionLayout = {
  size: 40,
  kind: 0,
  retries: 1,
  status: 2,
  abortShare: 4,
  abortStatus: 8,
  splitCount: 10,
  splitTotal: 12,
  splits: 16,
  edits: 20,
  text: 24,
  fieldsBytes: 28,
  bodyBytes: 32,
} as const;
const splitLayout = { size: 24, cluster: 0, upto: 8, edits: 12, answer: 16 } as const;
const answerLayout = { size: 8, names: 0, bytes: 4, units: 8 } as const;
const editLayout = { size: 16, kind: 0, nameBytes: 2, textBytes: 4, prefix: 6, text: 8 } as const;

/** For the test that compares these numbers with the C types. */
export const recordLayouts = {
  km_action: actionLayout,
  km_split: splitLayout,
  km_answer: answerLayout,
  km_edit: editLayout,
  editKinds,
} as const;

/** Writes an action and returns its unit. `where` begins the message of KM3012. */
export function encodeAction(action: ActionRecord, share: Share, where: string): number {
  const view = section(actionLayout.size);
  view.setUint8(actionLayout.kind, actionKinds.indexOf(action.kind));
  if (action.abort !== undefined) {
    view.setUint16(actionLayout.abortStatus, action.abort.status, true);
    view.setUint32(actionLayout.abortShare, action.abort.share, true);
  }
  if (action.kind === 'forward') {
    view.setUint8(actionLayout.retries, Math.min(action.retries, actionLimit.retries));
    atMost('clusters', action.splits.length, actionLimit.splits, where);
    const { unit, total } = encodeSplits(action.splits, share, where);
    view.setUint16(actionLayout.splitCount, action.splits.length, true);
    view.setUint32(actionLayout.splitTotal, total, true);
    view.setUint32(actionLayout.splits, unit, true);
  } else {
    view.setUint16(actionLayout.status, action.status, true);
    if (action.kind === 'redirect') {
      view.setUint32(actionLayout.edits, encodeEdits(action.edits, share, where), true);
    } else {
      const [fields, body] = [utf8(action.fields), utf8(action.body)];
      const all = Buffer.concat([fields, body]);
      view.setUint32(actionLayout.fieldsBytes, fields.length, true);
      view.setUint32(actionLayout.bodyBytes, body.length, true);
      view.setUint32(actionLayout.text, encodeText(all, share, where), true);
    }
  }
  return share(wordsOf(view));
}

function encodeSplits(splits: readonly Split[], share: Share, where: string): { unit: number; total: number } {
  const view = section(splits.length * splitLayout.size);
  const sum = splits.reduce((all, { weight }) => all + weight, 0);
  // The kernel draws 32 bits; a larger total keeps its shares to 2^-31.
  const scale = sum > 0x7fffffff ? 0x7fffffff / sum : 1;
  let upto = 0;
  let exact = 0;
  splits.forEach(({ cluster, weight, edits, answer }, i) => {
    exact += weight * scale;
    upto = Math.max(upto + 1, Math.round(exact));
    view.setBigUint64(i * splitLayout.size + splitLayout.cluster, cluster, true);
    view.setUint32(i * splitLayout.size + splitLayout.upto, upto, true);
    view.setUint32(i * splitLayout.size + splitLayout.edits, encodeEdits(edits, share, where), true);
    if (answer !== undefined) {
      view.setUint32(i * splitLayout.size + splitLayout.answer, encodeAnswer(answer, share, where), true);
    }
  });
  return { unit: splits.length === 0 ? 0 : share(wordsOf(view)), total: upto };
}

function encodeEdits(edits: readonly Edit[], share: Share, where: string): number {
  if (edits.length === 0) return 0;
  atMost('changes of the head', edits.length, actionLimit.edits, where);
  const view = section(unitBytes + edits.length * editLayout.size);
  view.setUint32(0, edits.length, true);
  edits.forEach((edit, i) => {
    const at = unitBytes + i * editLayout.size;
    const name = utf8('name' in edit ? edit.name : '');
    const text = utf8('line' in edit ? edit.line : 'text' in edit ? edit.text : '');
    view.setUint8(at + editLayout.kind, editKinds.indexOf(edit.kind) + 1);
    view.setUint16(at + editLayout.nameBytes, name.length, true);
    view.setUint16(at + editLayout.textBytes, text.length, true);
    view.setUint16(at + editLayout.prefix, 'bytes' in edit ? edit.bytes : 0, true);
    view.setUint32(at + editLayout.text, encodeText(Buffer.concat([name, text]), share, where), true);
  });
  return share(wordsOf(view));
}

function encodeAnswer({ names, text }: AnswerEdits, share: Share, where: string): number {
  const bytes = utf8(text);
  const units = names.length + Math.ceil(bytes.length / unitBytes);
  if (units > actionLimit.answerUnits) {
    const size = `${names.length} names and ${bytes.length} bytes of new headers for answers`;
    const most = `at most ${actionLimit.answerUnits * unitBytes} bytes are possible, a name counts ${unitBytes}`;
    throw new KmError('KM3012', `${where} has ${size}, ${most}`);
  }
  const view = section(answerLayout.size + units * unitBytes);
  view.setUint32(answerLayout.names, names.length, true);
  view.setUint32(answerLayout.bytes, bytes.length, true);
  names.forEach((name, i) => {
    view.setBigUint64(answerLayout.units + i * unitBytes, name, true);
  });
  new Uint8Array(view.buffer).set(bytes, answerLayout.units + names.length * unitBytes);
  return share(wordsOf(view));
}

function encodeText(text: Uint8Array, share: Share, where: string): number {
  if (text.length === 0) return 0;
  atMost('bytes of one text', text.length, actionLimit.text, where);
  const view = section(text.length);
  new Uint8Array(view.buffer).set(text);
  return share(wordsOf(view));
}

function atMost(what: string, count: number, limit: number, where: string): void {
  if (count > limit) throw new KmError('KM3012', `${where} has ${count} ${what}, at most ${limit} are possible`);
}

/** Memory of a section: whole words, the rest zero. */
const section = (bytes: number): DataView => new DataView(new ArrayBuffer((bytes + 3) & ~3));
const wordsOf = (view: DataView): Uint32Array => new Uint32Array(view.buffer);
const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');

/** Reads the action at a unit of a blob. */
export function decodeAction(words: Uint32Array, unit: number): ActionRecord {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  const at = unit * unitBytes;
  const u16 = (place: number): number => view.getUint16(at + place, true);
  const u32 = (place: number): number => view.getUint32(at + place, true);
  const share = u32(actionLayout.abortShare);
  const abort = share === 0 ? {} : { abort: { status: u16(actionLayout.abortStatus), share } };
  const kind = actionKinds[view.getUint8(at + actionLayout.kind)] ?? 'forward';
  if (kind === 'forward') {
    const splits = decodeSplits(view, u32(actionLayout.splits), u16(actionLayout.splitCount));
    return { kind, retries: view.getUint8(at + actionLayout.retries), splits, ...abort };
  }
  const status = u16(actionLayout.status);
  if (kind === 'redirect') return { kind, status, edits: decodeEdits(view, u32(actionLayout.edits)), ...abort };
  const [fieldsBytes, bodyBytes] = [u32(actionLayout.fieldsBytes), u32(actionLayout.bodyBytes)];
  const text = u32(actionLayout.text) * unitBytes;
  const fields = textAt(view, text, fieldsBytes);
  return { kind, status, fields, body: textAt(view, text + fieldsBytes, bodyBytes), ...abort };
}

function decodeSplits(view: DataView, unit: number, count: number): Split[] {
  let before = 0;
  return Array.from({ length: count }, (_, i) => {
    const at = unit * unitBytes + i * splitLayout.size;
    const upto = view.getUint32(at + splitLayout.upto, true);
    const weight = upto - before;
    before = upto;
    const cluster = view.getBigUint64(at + splitLayout.cluster, true);
    const edits = decodeEdits(view, view.getUint32(at + splitLayout.edits, true));
    const answer = decodeAnswer(view, view.getUint32(at + splitLayout.answer, true));
    return { cluster, weight, edits, ...(answer === null ? {} : { answer }) };
  });
}

function decodeAnswer(view: DataView, unit: number): AnswerEdits | null {
  if (unit === 0) return null;
  const at = unit * unitBytes;
  const count = view.getUint32(at + answerLayout.names, true);
  const first = at + answerLayout.units;
  const names = Array.from({ length: count }, (_, i) => view.getBigUint64(first + i * unitBytes, true));
  const text = textAt(view, first + count * unitBytes, view.getUint32(at + answerLayout.bytes, true));
  return { names, text };
}

function decodeEdits(view: DataView, unit: number): Edit[] {
  if (unit === 0) return [];
  const count = view.getUint32(unit * unitBytes, true);
  return Array.from({ length: count }, (_, i) => {
    const at = unit * unitBytes + unitBytes + i * editLayout.size;
    const kind = editKinds[view.getUint8(at + editLayout.kind) - 1] ?? 'query';
    const nameBytes = view.getUint16(at + editLayout.nameBytes, true);
    const place = view.getUint32(at + editLayout.text, true) * unitBytes;
    const name = textAt(view, place, nameBytes);
    const text = textAt(view, place + nameBytes, view.getUint16(at + editLayout.textBytes, true));
    if (kind === 'query') return { kind };
    if (kind === 'remove') return { kind, name };
    if (kind === 'set') return { kind, name, line: text };
    if (kind === 'add') return { kind, line: text };
    if (kind === 'prefix' || kind === 'segments') {
      return { kind, bytes: view.getUint16(at + editLayout.prefix, true), text };
    }
    return { kind, text };
  });
}

const textAt = (view: DataView, at: number, bytes: number): string =>
  Buffer.from(view.buffer, view.byteOffset + at, bytes).toString('utf8');
