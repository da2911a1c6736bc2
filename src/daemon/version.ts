/** What is running. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import type { VersionInfo } from '../api/types.ts';
import { schema } from '../kernel/gen/layout.gen.ts';

/** The checkout or the installed tree that this file is in. */
export const root = join(import.meta.dirname, '..', '..');

export function versionInfo(): VersionInfo {
  const parsed: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '?';
  return { version, gitCommit: gitCommit(), nodeVersion: process.version, kernel: release(), schema };
}

/** The checkout's commit, read from its files: starting git would take longer than loading the programs. */
function gitCommit(): string {
  try {
    // An image has no git.
    const built = join(root, 'build', 'commit');
    if (existsSync(built)) return readFileSync(built, 'utf8').trim().slice(0, 12);
    const git = join(root, '.git');
    const head = readFileSync(join(git, 'HEAD'), 'utf8').trim();
    const ref = /^ref: (.+)$/.exec(head)?.[1];
    return (ref === undefined ? head : commitOf(git, ref)).slice(0, 12);
  } catch {
    return 'unknown';
  }
}

function commitOf(git: string, ref: string): string {
  const file = join(git, ref);
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const packed = readFileSync(join(git, 'packed-refs'), 'utf8');
  return packed.split('\n').find((line) => line.endsWith(` ${ref}`)) ?? 'unknown';
}
