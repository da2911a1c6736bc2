/** The lab's own cgroups: they carry the mesh's hooks, and they know every process that has to end with the lab. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { findCgroup2 } from '../../src/kernel/cgroup.ts';

const killDeadlineMs = 5000;

/** `inside` is where the mesh is attached, `outside` is what it must leave alone. */
export type CgroupName = 'inside' | 'outside';

export const cgroupRoot = (prefix: string): string => join(findCgroup2(), prefix);
export const cgroupPath = (prefix: string, name: CgroupName): string => join(cgroupRoot(prefix), name);

export function makeCgroups(prefix: string): void {
  mkdirSync(cgroupPath(prefix, 'inside'), { recursive: true });
  mkdirSync(cgroupPath(prefix, 'outside'), { recursive: true });
}

/** Kills every process of the lab. Returns their ids, which exist until each one's parent has collected it. */
export function killProcesses(prefix: string): number[] {
  const root = cgroupRoot(prefix);
  const processes = processesOf(root);
  waitUntil(root, () => !killAll(root));
  return processes;
}

/** Kills every process of the lab and removes its cgroups. */
export function removeCgroups(prefix: string): void {
  const root = cgroupRoot(prefix);
  // A process that is just ending keeps its cgroup busy.
  waitUntil(root, () => {
    killAll(root);
    return cgroupsBelow(root)
      .reverse()
      .every((directory) => removed(directory));
  });
}

/** Process ids in a cgroup and all below it. */
export function processesOf(root: string): number[] {
  return cgroupsBelow(root).flatMap((directory) => {
    const text = readIfThere(join(directory, 'cgroup.procs'));
    return text.split('\n').filter(Boolean).map(Number);
  });
}

function waitUntil(root: string, done: () => boolean): void {
  const deadline = Date.now() + killDeadlineMs;
  while (!done()) {
    if (Date.now() > deadline) throw new Error(`processes of ${root} do not end: ${processesOf(root).join(' ')}`);
    // The kernel tells the end of foreign processes to nobody who is not their parent: look again.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

/** True while there is something to kill. */
function killAll(root: string): boolean {
  for (const pid of processesOf(root)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
  return /^populated 1$/m.test(readIfThere(join(root, 'cgroup.events')));
}

/** Parents come before their children. */
function cgroupsBelow(root: string): string[] {
  try {
    const children = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [root, ...children.flatMap((entry) => cgroupsBelow(join(root, entry.name)))];
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENODEV')) return '';
    throw error;
  }
}

function removed(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (hasCode(error, 'EBUSY')) return false;
    if (hasCode(error, 'ENOENT')) return true;
    throw error;
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
