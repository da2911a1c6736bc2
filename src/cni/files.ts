/** Files of other programs' directories: read byte for byte, and replaced in one step. */
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Ends the names of files that are being written; no runtime reads these. */
const freshEnding = '.kmesh-new';

/** Null: there is no such file. Each byte is a character, so that what is written back is what was read. */
export function readBytes(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** What a new file takes over from another one, or its mode. */
export type Like = { readonly path: string } | { readonly mode: number };

/**
 * Replaces a file, or what a link leads to, by one with this content: readers see the old one or the new one, also after a
 * power cut.
 */
export function replaceFile(path: string, content: string | Buffer, like: Like): void {
  const target = realOf(path);
  const fresh = join(dirname(target), `.${basename(target)}${freshEnding}`);
  rmSync(fresh, { force: true });
  const fd = openSync(fresh, 'wx', 0o600);
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    if ('path' in like) {
      const { uid, gid, mode } = statSync(like.path);
      chmodSync(fresh, mode & 0o7777);
      // Last: who gave a file away may not change it any more.
      if (uid !== process.getuid?.() || gid !== process.getgid?.()) giveTo(fresh, uid, gid);
    } else chmodSync(fresh, like.mode);
    fsyncSync(fd);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, target);
  syncDirectory(dirname(target));
}

export function moveFile(from: string, to: string): void {
  renameSync(from, to);
  syncDirectory(dirname(to));
}

/** False: there was none. */
export function removeFile(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Removes what a crash left of {@link replaceFile}. */
export function sweepFresh(directory: string): void {
  for (const name of namesIn(directory)) if (name.endsWith(freshEnding)) rmSync(join(directory, name), { force: true });
}

/** None of a directory that does not exist. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** An agent need not have the right to give files away; the runtime, which is root, reads it all the same. */
function giveTo(path: string, uid: number, gid: number): void {
  try {
    chownSync(path, uid, gid);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) throw error;
  }
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isMissing(error)) return path;
    throw error;
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
