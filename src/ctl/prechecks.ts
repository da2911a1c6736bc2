import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CheckResult } from '../api/types.ts';
import { KmError } from '../base/errors.ts';

const timeoutMs = 60_000;
const checkoutBin = new URL('../../bin', import.meta.url);

type Env = Readonly<Record<string, string | undefined>>;

/** Runs `kmesh-daemon check-kernel -o json`, of this checkout or else of PATH. It exits with 1 when a check failed. */
export async function defaultPreChecks(env: Env, bin = checkoutBin): Promise<readonly CheckResult[]> {
  const daemon = findDaemon(env, bin);
  const { stdout, stderr, problem } = await capture(daemon, ['check-kernel', '-o', 'json']);
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    const said = stderr.trim() || problem || 'its output is not JSON';
    throw new KmError('KM6007', `${daemon} check-kernel: ${said}`);
  }
  if (typeof answer !== 'object' || answer === null || !('items' in answer) || !Array.isArray(answer.items)) {
    throw new KmError('KM6003', `${daemon} check-kernel: its output has no items`);
  }
  return answer.items;
}

function findDaemon(env: Env, bin: URL): string {
  const own = fileURLToPath(bin);
  const places = [own, ...(env['PATH'] ?? '').split(delimiter).filter((dir) => dir !== '')];
  const found = places.map((dir) => join(dir, 'kmesh-daemon')).find(isExecutable);
  if (found === undefined) throw new KmError('KM6007', `there is no kmesh-daemon in ${own} or PATH`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function capture(file: string, args: readonly string[]): Promise<{ stdout: string; stderr: string; problem: string }> {
  return new Promise((resolve) => {
    const limits = { timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024, encoding: 'utf8' } as const;
    execFile(file, args, limits, (error, stdout, stderr) => resolve({ stdout, stderr, problem: error?.message ?? '' }));
  });
}
