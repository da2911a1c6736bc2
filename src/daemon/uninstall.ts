/** `kmesh-daemon uninstall`: nothing of the mesh stays on the machine. */
import { rmdirSync } from 'node:fs';
import { KmError } from '../base/errors.ts';
import { uninstallCni } from '../cni/installer.ts';
import { removeSocket } from '../cni/server.ts';
import { removeDataPlane } from './data-plane.ts';
import { holder, releaseLock } from './lock.ts';

export interface UninstallOptions {
  readonly bpfFsPath: string;
  readonly cniEtcPath: string;
  readonly cniBinPath: string;
  readonly runPath: string;
}

/** Returns what was removed, one line each; none when there was nothing. KM5012 while a daemon runs, KM5010 without root. */
export function uninstall({ bpfFsPath, cniEtcPath, cniBinPath, runPath }: UninstallOptions): string[] {
  // Without root bpffs cannot be looked into, and would seem to hold nothing.
  if (process.getuid?.() !== 0) throw new KmError('KM5010', 'kmesh-daemon uninstall is not running as root');
  const pid = holder(bpfFsPath);
  if (pid !== null) throw new KmError('KM5012', `kmesh-daemon with process id ${pid} still uses ${bpfFsPath}`);
  // First what starts pods: none is to wait for a mesh that is going.
  const removed = [...uninstallCni(cniEtcPath, cniBinPath), ...removeDataPlane(bpfFsPath)];
  removeSocket(runPath);
  releaseLock(bpfFsPath);
  try {
    rmdirSync(runPath);
  } catch {
    // It is not there, other daemons have files in it, or it is mounted here.
  }
  return removed;
}
