/**
 * Ids of the kernel's tables: the first 8 bytes of SHA-256 over a name, never 0. The same name has the same id in every
 * daemon that ever runs here, so a restart needs no file of ids. With 10^6 names the chance that any two collide is
 * 3·10^-8; it is not looked for.
 */
import { hash } from 'node:crypto';

export function idOf(name: string): bigint {
  const id = hash('sha256', name, 'buffer').readBigUInt64BE(0);
  return id === 0n ? 1n : id;
}
