/** `kmesh-daemon uninstall`: nothing of the mesh stays on the machine. */
import { KmError } from '../base/errors.ts';
import { removeDataPlane } from './data-plane.ts';
import { holder, releaseLock } from './lock.ts';

/** Returns what was removed, one line each; none when there was nothing. KM5012 while a daemon runs, KM5010 without root. */
export function uninstall(bpfFsPath: string): string[] {
  // Without root bpffs cannot be looked into, and would seem to hold nothing.
  if (process.getuid?.() !== 0) throw new KmError('KM5010', 'kmesh-daemon uninstall is not running as root');
  const pid = holder(bpfFsPath);
  if (pid !== null) throw new KmError('KM5012', `kmesh-daemon with process id ${pid} still uses ${bpfFsPath}`);
  const removed = removeDataPlane(bpfFsPath);
  releaseLock(bpfFsPath);
  return removed;
}
