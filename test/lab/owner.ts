/** Which process a lab belongs to, written into the lab's name, so that the leftovers of a dead one are known. */
import { readFileSync } from 'node:fs';

/** `PID-START`: the start time in clock ticks makes it unique although process ids are used again. */
export function ownerTag(pid: number = process.pid): string {
  return `${pid}-${startTime(pid) ?? 0}`;
}

/** True while the process of an {@link ownerTag} runs. */
export function ownerIsAlive(tag: string): boolean {
  const [pid, start] = tag.split('-').map(Number);
  return pid !== undefined && startTime(pid) === start;
}

/**
 * Field 22 of /proc/PID/stat, proc(5); null when there is no such process or it has ended and only waits to be collected.
 * The second field is a name in parentheses that may hold anything.
 */
function startTime(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19]);
  } catch {
    return null;
  }
}
