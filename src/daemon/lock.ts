/** One daemon for one set of pins: a file under /run that names the process, and the moment that process started. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import { idOf } from '../compile/ids.ts';

const directory = '/run/kmesh';

function lockFile(bpfFsPath: string): string {
  return join(directory, `${idOf(bpfFsPath).toString(16)}.pid`);
}

/** Field 22 of /proc/pid/stat: tells a process from a later one with the same number. Null when there is none. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
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
    rmSync(directory, { recursive: false });
  } catch {
    // Another daemon has its lock there, or the directory is gone.
  }
}
