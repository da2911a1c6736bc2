import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { KmError } from '../base/errors.ts';
import { close, errnoName, getsockopt64, setns, socket } from './syscall.ts';

const cloneNewnet = 0x40000000;

/**
 * Runs `action` with this thread inside the network namespace of `path`, then goes back. Only for synchronous actions:
 * what they begin and others finish (promises, file reads by callback, DNS) would run elsewhere, so a returned promise
 * is a TypeError. KM4011 when the namespace cannot be entered. When the way back fails the process ends: everything that
 * it did from then on would be in the wrong network.
 */
export function withNetns<T>(path: string, action: () => T extends PromiseLike<unknown> ? never : T): T {
  const target = openNetns(path);
  const home = openNetns('/proc/thread-self/ns/net');
  try {
    const entered = setns(target, cloneNewnet);
    if (entered < 0) throw new KmError('KM4011', `${path}: ${errnoName(entered)}`);
    try {
      const result = action();
      if (result instanceof Promise) throw new TypeError('withNetns: the action must be synchronous');
      return result;
    } finally {
      if (setns(home, cloneNewnet) < 0) process.abort();
    }
  } finally {
    closeSync(target);
    closeSync(home);
  }
}

/**
 * The kernel's number of the calling thread's namespace, as bpf_get_netns_cookie() gives it; never reused while the
 * machine runs. Null before Linux 5.14, which cannot tell it to user space.
 */
export function netnsCookieBySocketOption(): bigint | null {
  const [afUnix, sockDgramCloexec, solSocket, soNetnsCookie] = [1, 2 | 0o2000000, 1, 71];
  const fd = socket(afUnix, sockDgramCloexec, 0);
  if (fd < 0) return null;
  const cookie = getsockopt64(fd, solSocket, soNetnsCookie);
  close(fd);
  return typeof cookie === 'bigint' ? cookie : null;
}

/** The cookie of the namespace of `path`. `fallback` runs inside it where the kernel has no socket option. KM4011. */
export function netnsCookie(path: string, fallback: () => bigint | null = () => null): bigint | null {
  return withNetns<bigint | null>(path, () => netnsCookieBySocketOption() ?? fallback());
}

/** Addresses of global scope inside the namespace, canonical text, in the order of its devices. KM4011. */
export function netnsAddresses(path: string): string[] {
  return withNetns<string[]>(path, globalAddresses);
}

/** The same of the calling thread's namespace. */
export function globalAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe[89ab]|169\.254\.)/i.test(address))
    .map(({ address }) => address);
}

/**
 * A path to each network namespace of the machine that something holds by a mount or a process, the caller's own first.
 */
export function allNetns(): string[] {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - nsfs /.test(line) && / net:\[[0-9]+\] /.test(line))
    .map((line) => line.split(' ')[4] ?? '');
  const processes = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  const found = new Map<number, string>();
  for (const path of ['/proc/thread-self/ns/net', ...mounted, ...processes.map((pid) => `/proc/${pid}/ns/net`)]) {
    const inode = inodeOf(path);
    if (inode !== null && !found.has(inode)) found.set(inode, path);
  }
  return [...found.values()];
}

function inodeOf(path: string): number | null {
  try {
    return statSync(path).ino;
  } catch {
    // Processes end while they are looked at.
    return null;
  }
}

/**
 * `DEVICE:INODE:TIME` of a namespace's file: equal for two paths of one namespace. The time is when the inode was made,
 * because the kernel gives a number again as soon as it is free. Only of a path that holds the namespace (a bind mount, as
 * `ip netns` makes it): under /proc the inode, and so the time, may be a new one at each look. Of a process's it is told by
 * when the process began instead. KM4011.
 */
export function netnsId(path: string): string {
  try {
    const { dev, ino, ctimeNs } = statSync(path, { bigint: true });
    const pid = /^\/proc\/([0-9]+)\/ns\/net$/.exec(path)?.[1];
    return `${dev}:${ino}:${pid === undefined ? ctimeNs : `${pid}@${startOf(pid)}`}`;
  } catch (cause) {
    throw new KmError('KM4011', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Field 22 of /proc/pid/stat (proc(5)): clock ticks since the machine started. */
function startOf(pid: string): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** A descriptor of the namespace of a path, for the caller to close. KM4011. */
export function openNetns(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new KmError('KM4011', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
