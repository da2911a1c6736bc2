/** All problems of the files, in the order of file and line, with the repeated ones said once. */
import { basename } from 'node:path';
import type { FieldPath } from '../model/fieldpath.ts';
import { type Origin, originText, type Problem, problemLine } from '../model/types.ts';
import type { ConfigFile } from './file.ts';
import type { Item, Note } from './items.ts';
import type { Claim, Registry } from './registry.ts';

type Locate = (file: ConfigFile, item: Item, path: FieldPath) => number;

interface Once {
  readonly at: number;
  count: number;
}

/** The problems, and which once-only warnings are among them. */
export function listProblems(
  files: readonly { readonly name: string; readonly file: ConfigFile }[],
  registry: Registry,
  locate: Locate,
): { problems: readonly Problem[]; known: Set<string> } {
  const problems: Problem[] = [];
  const once = new Map<string, Once>();
  const waiting = registry.waiting();
  for (const { name, file } of files) {
    if (file.problem !== null) problems.push(ofFile(file, registry.claims(name)));
    let claims: Map<Item, Claim> | null = null;
    // Items that only wait for a name have no notes of their own.
    for (const item of waiting.size === 0 ? file.noted : file.items()) {
      if (item.notes.length === 0 && !waiting.has(item)) continue;
      claims ??= new Map(registry.claims(name).map((one) => [one.item, one]));
      const claim = claims.get(item) ?? null;
      const holder = claim === null ? null : registry.holder(claim);
      if (holder !== null && waiting.has(item)) problems.push(ofDuplicate(item, holder.origin));
      for (const note of item.notes) {
        const seen = note.onceFor === '' ? undefined : once.get(note.onceFor);
        if (seen !== undefined) {
          seen.count++;
          continue;
        }
        if (note.onceFor !== '') once.set(note.onceFor, { at: problems.length, count: 0 });
        const keeps = claim === null ? hides(registry.claims(name), item) : holder === claim && claim.good !== null;
        const firstLine = item.origin.line - item.offset;
        const line = note.offset === null ? locate(file, item, note.path) : firstLine + note.offset;
        problems.push(ofNote(item, note, line, keeps));
      }
    }
  }
  for (const { at, count } of once.values()) {
    const problem = problems[at];
    if (problem !== undefined && count > 0) {
      problems[at] = { ...problem, reason: `${problem.reason} (and ${count} more like it)` };
    }
  }
  return { problems, known: new Set(once.keys()) };
}

/** Whether an unreadable item may be an object that its file had before. */
function hides(claims: readonly Claim[], item: Item): boolean {
  return item.key === null && claims.some((claim) => claim.missing && claim.good !== null);
}

function ofFile(file: ConfigFile, claims: readonly Claim[]): Problem {
  const { code, line, reason } = file.problem ?? { code: 'KM1002', line: 1, reason: '' };
  const lastGoodInForce = claims.some((claim) => claim.good !== null);
  const name = basename(file.path);
  const common = { severity: 'error', kind: 'File', namespace: '', field: '' } as const;
  return { ...common, code, name, file: file.path, line, reason, lastGoodInForce };
}

function ofDuplicate(item: Item, first: Origin): Problem {
  const { kind, namespace, name, origin } = item;
  return {
    severity: 'error',
    code: 'KM1013',
    kind,
    namespace,
    name,
    file: origin.file,
    line: origin.line,
    field: 'metadata.name',
    reason: `${originText(first)} has an object of the same name, which is in force`,
    lastGoodInForce: false,
  };
}

function ofNote(item: Item, note: Note, line: number, keeps: boolean): Problem {
  const { kind, namespace, name, origin } = item;
  return {
    severity: note.severity,
    code: note.code,
    kind,
    namespace,
    name,
    file: origin.file,
    line,
    field: note.field,
    reason: note.reason,
    lastGoodInForce: note.severity === 'error' && keeps,
  };
}

/** Whether both lists say the same. */
export function sameProblems(a: readonly Problem[], b: readonly Problem[]): boolean {
  const text = (problem: Problem) => `${problem.severity} ${problem.lastGoodInForce} ${problemLine(problem)}`;
  return a.length === b.length && a.every((problem, i) => text(problem) === text(b[i] ?? problem));
}
