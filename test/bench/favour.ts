/**
 * Client and servers go before everything else that wants the CPU: on a machine that is not quiet the rounds are then
 * disturbed much less. They are alike for all paths.
 */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

const most = -20;

/** A command line to put before the program's: the niceness of the process and of its session (sched(7), autogroups). */
export const favoured: readonly string[] = [
  'sh',
  '-c',
  `echo ${most} 2>/dev/null >/proc/self/autogroup; exec nice -n ${most} "$@"`,
  'sh',
];

/** The same for a process that runs. */
export function favour(pid: number): void {
  setPriority(pid, most);
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(most));
  } catch (error) {
    // A kernel without autogroups has no such file.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
