/** kmeshctl: what a user sees of the mesh, asked from the daemon's admin API. {@link run} is all of it but the process. */
import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { type ErrorCode, KmError } from '../base/errors.ts';
import type { Context, Output } from './context.ts';
import { defaultPreChecks } from './prechecks.ts';
import { buildProgram } from './program.ts';
import { paint, wantsColour } from './style.ts';

/** As sysexits(3) numbers them, and istioctl. */
const exitFailure = 1;
const exitUsage = 64;
const exitData = 65;

const exitOf: Partial<Record<ErrorCode, number>> = { KM6003: exitData, KM6005: exitUsage };

export interface RunOptions {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970, for ages. */
  readonly now?: () => number;
  readonly preChecks?: Context['preChecks'];
  readonly version?: string;
  /** How long the daemon may stay silent. */
  readonly requestTimeoutMs?: number;
}

/** Runs one command line (without node and script) and returns the exit code: 0, 1, 64 wrong usage, 65 bad data. */
export async function run(argv: readonly string[], options: RunOptions): Promise<number> {
  let exitCode = 0;
  const context: Context = {
    ...options,
    now: options.now ?? Date.now,
    preChecks: options.preChecks ?? (() => defaultPreChecks(options.env)),
    version: options.version ?? packageVersion(),
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    finish: (code) => {
      exitCode = code;
    },
  };
  const program = buildProgram(context);
  if (argv.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has printed its own.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitUsage;
    const line = error instanceof KmError ? error.line() : error instanceof Error ? error.message : String(error);
    options.stderr.write(`${paint('red', 'error:', wantsColour(options.stderr, options.env))} ${line}\n`);
    return error instanceof KmError ? (exitOf[error.code] ?? exitFailure) : exitFailure;
  }
}

/** {@link run} for a real process. A reader that goes away (`| head`) is no error. */
export async function main(process: NodeJS.Process): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const { stdout, stderr, env } = process;
  return run(process.argv.slice(2), { stdout, stderr, env });
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const known = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return known ? String(manifest.version) : 'unknown';
}
