import { readFileSync } from 'node:fs';
import { KmError } from '../base/errors.ts';

/**
 * Where cgroup v2 is mounted, whatever the place (systemd's hybrid layout has it beside v1 hierarchies). The mount of the
 * hierarchy's root wins over those of a part. KM4009 when there is none. Format: proc(5), /proc/pid/mountinfo.
 */
export function findCgroup2(mountinfo: string = readFileSync('/proc/self/mountinfo', 'utf8')): string {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root, mountPoint] = left.split(' ');
    if (right.split(' ')[0] !== 'cgroup2' || root === undefined || mountPoint === undefined) return [];
    return [
      { root, path: mountPoint.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))) },
    ];
  });
  const found = mounts.find(({ root }) => root === '/') ?? mounts[0];
  if (found === undefined) throw new KmError('KM4009', 'no file system of type cgroup2 is mounted');
  return found.path;
}
