/** What the figures were measured on. */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly kernel: string;
  readonly node: string;
  readonly load: readonly number[];
  /** CPUs that were busy with something else before anything was measured. */
  readonly busyBefore: number;
}

export async function machine(): Promise<Machine> {
  const before = busy();
  await wait(1000);
  const after = busy();
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    load: loadavg().map((n) => Math.round(n * 100) / 100),
    busyBefore: Math.round(((after.busy - before.busy) / (after.all - before.all)) * cpus().length * 100) / 100,
  };
}

/** Jiffies of all CPUs, proc(5): user, nice, system, idle, iowait, ... */
function busy(): { busy: number; all: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '';
  const values = line.split(/\s+/).slice(1, 9).map(Number);
  const all = values.reduce((a, b) => a + b, 0);
  return { all, busy: all - (values[3] ?? 0) - (values[4] ?? 0) };
}
