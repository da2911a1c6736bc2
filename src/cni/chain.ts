/**
 * kmesh-cni in a node's CNI configuration: in the file that the runtime uses, which is the first by name, and in no other.
 * A configuration of a single plugin (`10-x.conf`) is put aside and its place taken by a list (`10-x.conf.conflist`), as
 * only lists have a second plugin.
 */
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import { countEntries, kindOf, listOfSingle, type PluginEntry, withEntry, withoutEntry } from './conflist.ts';
import { moveFile, namesIn, readBytes, removeFile, replaceFile, sweepFresh } from './files.ts';

/** A single plugin's file that was put aside; its name ends with nothing that a runtime reads. */
const asideEnding = '.kmesh-saved';
const listEnding = '.conflist';

interface ConfigFile {
  readonly name: string;
  readonly text: string;
  readonly kind: 'list' | 'single';
}

export interface Chained {
  /** The file that has the entry; null: there is no configuration yet. */
  readonly file: string | null;
  /** Files that were written or removed, one line each. */
  readonly changes: readonly string[];
  /** Files that no runtime can take, and are passed over. */
  readonly unusable: readonly string[];
}

/** Makes the directory as it is to be. KM5024. `named`: the file to use; null: the first. */
export function chain(directory: string, entry: PluginEntry, named: string | null): Chained {
  sweepFresh(directory);
  const { files, unusable } = readConfig(directory);
  const active = named === null ? files[0] : files.find(({ name }) => name === named);
  if (active === undefined && named !== null && files.length > 0) {
    throw new KmError('KM5024', `${join(directory, named)} is no CNI configuration`);
  }
  const changes: string[] = [];
  // The file that takes the entry gets it before the others lose theirs: there is no moment without.
  const file = active === undefined ? null : chainFile(directory, active, entry, changes);
  for (const other of files) if (other.name !== file) unchainFile(directory, other, changes);
  return { file, changes, unusable };
}

/** Makes the directory as it was before. Returns what was changed, one line each. */
export function unchain(directory: string): string[] {
  sweepFresh(directory);
  const changes: string[] = [];
  for (const file of readConfig(directory).files) unchainFile(directory, file, changes);
  // Whoever removed the list, or replaced it, meant the plugin that was in it.
  for (const name of namesIn(directory).filter((one) => one.endsWith(asideEnding))) {
    if (removeFile(join(directory, name))) changes.push(`${name} removed`);
  }
  return changes;
}

/** Entries of kmesh-cni by file, for tests and checks. */
export function entriesIn(directory: string): ReadonlyMap<string, number> {
  const counted = readConfig(directory).files.map(({ name, text }) => [name, countEntries(text)] as const);
  return new Map(counted.filter(([, count]) => count > 0));
}

function readConfig(directory: string): {
  readonly files: readonly ConfigFile[];
  readonly unusable: readonly string[];
} {
  const files: ConfigFile[] = [];
  const unusable: string[] = [];
  // By code unit, as the runtimes sort.
  for (const name of namesIn(directory).sort()) {
    if (name.startsWith('.') || !/\.(conf|json|conflist)$/.test(name)) continue;
    const text = readBytes(join(directory, name));
    const kind = text === null ? null : kindOf(text);
    // Runtimes read a .conflist as a list and the others as one plugin.
    if (text !== null && kind !== null && (kind === 'list') === name.endsWith(listEnding))
      files.push({ name, text, kind });
    else unusable.push(name);
  }
  return { files, unusable };
}

/** Returns the name of the file that has the entry now. */
function chainFile(directory: string, file: ConfigFile, entry: PluginEntry, changes: string[]): string {
  const path = join(directory, file.name);
  if (file.kind === 'list') {
    const text = withEntry(file.text, entry);
    if (text === file.text) return file.name;
    write(path, file.text, text, path);
    changes.push(`${file.name} has kmesh-cni`);
    return file.name;
  }
  const list = `${file.name}${listEnding}`;
  const before = readBytes(join(directory, list));
  if (before !== null && countEntries(before) === 0) {
    throw new KmError('KM5024', `${join(directory, list)} is in the place of the list for ${file.name}`);
  }
  // The list comes behind the single plugin by name: it counts from the moment when that is put aside.
  write(join(directory, list), before, withEntry(listOfSingle(file.text), entry), path);
  if (readBytes(path) !== file.text) throw changed(path);
  moveFile(path, `${path}${asideEnding}`);
  changes.push(`${list} has kmesh-cni, in the place of ${file.name}`);
  return list;
}

function unchainFile(directory: string, file: ConfigFile, changes: string[]): void {
  if (countEntries(file.text) === 0) return;
  const path = join(directory, file.name);
  const text = withoutEntry(file.text);
  const single = file.name.slice(0, -listEnding.length);
  const aside = join(directory, `${single}${asideEnding}`);
  const original = readBytes(join(directory, single)) ?? readBytes(aside);
  if (/\.(conf|json)$/.test(single) && original !== null && text === listOfSingle(original)) {
    if (readBytes(join(directory, single)) === null) moveFile(aside, join(directory, single));
    else removeFile(aside);
    removeFile(path);
    changes.push(`${file.name} removed, ${single} is back`);
    return;
  }
  write(path, file.text, text, path);
  // Somebody changed the list since: it stays, and what it was made of would come before it.
  if (removeFile(aside)) changes.push(`${single} not back: ${file.name} was changed since`);
  changes.push(`${file.name} has no kmesh-cni`);
}

/** Replaces a file unless it is not any more what was read; null: it was not there. */
function write(path: string, read: string | null, text: string, like: string): void {
  if (readBytes(path) !== read) throw changed(path);
  replaceFile(path, text, { path: like });
}

/** It is tried again at once. */
function changed(path: string): KmError {
  return new KmError('KM5024', `${path} was changed by somebody else meanwhile`);
}
