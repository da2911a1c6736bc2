/** What is running. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

function gitCommit(): string {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    };
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], options).trim();
  } catch {
    return 'unknown';
  }
}
