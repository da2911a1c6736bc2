/** One daemon for one set of pins: a file under /run that names the process, and the moment that process started. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KmError } from '../base/errors.ts';
import { idOf } from '../compile/ids.ts';

const directory = '/run/kmesh';

/** One file for one directory, however its path is written. */
function lockFile(bpfFsPath: string): string {
  return join(directory, `${idOf(resolve(bpfFsPath)).toString(16)}.pid`);
}

/**
 * Field 22 of /proc/pid/stat: tells a process from a later one with the same number. Null when there is none, or only
 * what its parent has not yet collected (state Z or X).
 */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** The process that holds the pins, or null. */
export function holder(bpfFsPath: string): number | null {
  let text: string;
  try {
    text = readFileSync(lockFile(bpfFsPath), 'utf8');
  } catch {
    return null;
  }
  const [pid = '', started = ''] = text.trim().split(' ');
  return startTime(Number(pid)) === started ? Number(pid) : null;
}

/** Takes the lock or throws KM5012. Returns what gives it back. */
export function takeLock(bpfFsPath: string): () => void {
  const other = holder(bpfFsPath);
  if (other !== null && other !== process.pid) {
    throw new KmError('KM5012', `kmesh-daemon with process id ${other} already uses ${bpfFsPath}`);
  }
  mkdirSync(directory, { recursive: true });
  writeFileSync(lockFile(bpfFsPath), `${process.pid} ${startTime(process.pid) ?? ''}\n`);
  return () => releaseLock(bpfFsPath);
}

/** Removes the file, and the directory when it was the last one. */
export function releaseLock(bpfFsPath: string): void {
  rmSync(lockFile(bpfFsPath), { force: true });
  try {
    rmdirSync(directory);
  } catch {
    // Another daemon has its lock there, or the directory is gone.
  }
}
