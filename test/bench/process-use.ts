/** What processes use, from /proc and from cgroups. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Megabytes (10^6 bytes) in memory now, and the most there ever was. */
export function memory(pid: number): { readonly rss: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string): number =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { rss: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}

/** CPU seconds of all threads, as exact as the scheduler has them (utime and stime only count ticks of 10 ms). */
export function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((a, b) => a + b, 0) / 1e9;
}

/** Seconds that the first thread was ready to run and others had the CPU. */
export function waitedSeconds(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e9;
}

/** CPU microseconds of a cgroup v2 and all below it; what the network's softirqs cost is charged to who is on the CPU. */
export function cgroupCpuUs(path: string): number {
  return Number(/^usage_usec (\d+)$/m.exec(readFileSync(join(path, 'cpu.stat'), 'utf8'))?.[1]);
}
