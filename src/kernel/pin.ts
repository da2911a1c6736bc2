import { mkdirSync, readdirSync, renameSync, rmdirSync, statfsSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { KmError } from '../base/errors.ts';
import { BpfAttr, bpfCommand, close, cString, errno, errnoName, mount } from './syscall.ts';

/**
 * Pins: names in the BPF file system that keep maps, programs and links alive without a process. Layout:
 * `ROOT/SCHEMA/maps/NAME` and `ROOT/links/NAME`. A name there must not have a dot (kernel/bpf/inode.c).
 */

/** f_type of bpffs, BPF_FS_MAGIC of linux/magic.h. */
const bpfFsMagic = 0xcafe4a11;
const standardMount = '/sys/fs/bpf';

/** Makes `path` a directory on a BPF file system; mounts one at /sys/fs/bpf when the path is below it. KM4008. */
export function ensureBpffs(path: string): void {
  const below = path === standardMount || path.startsWith(`${standardMount}/`);
  if (below && fsType(standardMount) !== bpfFsMagic) {
    const result = mount('bpf', standardMount, 'bpf');
    if (result < 0) throw new KmError('KM4008', `mount bpffs at ${standardMount}: ${errnoName(result)}`);
  }
  makeDirectory(path);
  if (fsType(path) !== bpfFsMagic) throw new KmError('KM4008', `${path} is not on a BPF file system`);
}

/** The directory of a schema's maps. */
export const mapsDirectory = (root: string, schema: string): string => join(root, schema, 'maps');
export const linksDirectory = (root: string): string => join(root, 'links');

/** Pins one object under a name that is free. KM4008. */
export function pin(fd: number, path: string): void {
  const name = cString(path);
  const result = new BpfAttr().u64(0, name).u32(8, fd).call(bpfCommand.OBJ_PIN);
  if (result < 0) throw new KmError('KM4008', `pin ${path}: ${errnoName(result)}`);
}

/** Pins one object in place of what has the name now, in one step. KM4008. */
export function replacePin(fd: number, path: string): void {
  makeDirectory(dirname(path));
  const temporary = `${path}-new`;
  // Left by a process that died right here.
  if (exists(temporary)) removeFile(temporary);
  pin(fd, temporary);
  attempt(`pin ${path}`, () => renameSync(temporary, path));
}

/** A new file descriptor of what is pinned there, or null when the name does not exist. KM4008. */
export function openPin(path: string): number | null {
  const name = cString(path);
  const fd = new BpfAttr().u64(0, name).call(bpfCommand.OBJ_GET);
  if (fd === -errno.ENOENT) return null;
  if (fd < 0) throw new KmError('KM4008', `open pin ${path}: ${errnoName(fd)}`);
  return fd;
}

/** Takes a pin's name away; what it held goes when nothing else holds it. False when there was none. */
export const unpin = (path: string): boolean => removeFile(path);

/** Whether something is pinned there. KM4008. */
export function isPinned(path: string): boolean {
  const fd = openPin(path);
  if (fd !== null) close(fd);
  return fd !== null;
}

/** Names pinned in a directory; none when it does not exist. */
export function listPins(directory: string): string[] {
  return entriesOf(directory)
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/**
 * Pins a whole set of maps as `directory/NAME` in place of the set that is there. It is made beside and then renamed, so
 * a process that dies on the way leaves the old set or the new one, never a mixture.
 */
export function pinMaps(directory: string, maps: Iterable<{ readonly name: string; readonly fd: number }>): void {
  recoverMaps(directory);
  const fresh = `${directory}-new`;
  const old = `${directory}-old`;
  removeTree(fresh);
  removeTree(old);
  makeDirectory(fresh);
  for (const { name, fd } of maps) pin(fd, join(fresh, name));
  attempt(`pin ${directory}`, () => {
    if (exists(directory)) renameSync(directory, old);
    renameSync(fresh, directory);
  });
  removeTree(old);
}

/** Opens every map pinned in a directory, by name. The caller closes the descriptors. */
export function openPinnedMaps(directory: string): ReadonlyMap<string, number> {
  recoverMaps(directory);
  const opened = new Map<string, number>();
  try {
    for (const name of listPins(directory)) {
      const fd = openPin(join(directory, name));
      if (fd !== null) opened.set(name, fd);
    }
  } catch (error) {
    for (const fd of opened.values()) close(fd);
    throw error;
  }
  return opened;
}

/** Ends what a pinMaps() that was killed between its renames has begun: without a set in place the old one counts. */
function recoverMaps(directory: string): void {
  if (!exists(directory) && exists(`${directory}-old`)) {
    attempt(`recover ${directory}`, () => renameSync(`${directory}-old`, directory));
  }
}

/** Unpins everything below a directory, and the directory. */
export function removeTree(path: string): void {
  for (const entry of entriesOf(path)) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) removeTree(child);
    else removeFile(child);
  }
  ignoreMissing(() => rmdirSync(path));
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw new KmError('KM4008', `${directory}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const exists = (path: string): boolean => entriesOf(dirname(path)).some((entry) => entry.name === basename(path));

function makeDirectory(path: string): void {
  attempt(`make ${path}`, () => mkdirSync(path, { recursive: true, mode: 0o700 }));
}

const fsType = (path: string): number => attempt(path, () => statfsSync(path).type >>> 0);

/** Runs a file system call; its failure is KM4008. */
function attempt<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new KmError('KM4008', `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const removeFile = (path: string): boolean => ignoreMissing(() => unlinkSync(path));

function ignoreMissing(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw new KmError('KM4008', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';
