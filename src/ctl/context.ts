import type { Command } from 'commander';
import type { CheckResult } from '../api/types.ts';
import { parseAdminAddress } from './address.ts';
import { AdminClient } from './client.ts';

/** What kmeshctl needs of a stream. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** False when its reader has gone. */
  readonly writable?: boolean;
  /** Width of the terminal. */
  readonly columns?: number;
}

/** What every command gets from outside. */
export interface Context {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  /** The checks of a machine on which no daemon runs yet. */
  readonly preChecks: () => Promise<readonly CheckResult[]>;
  readonly version: string;
  readonly requestTimeoutMs: number;
  /** Sets the exit code of the run; an error that is thrown has its own. */
  readonly finish: (exitCode: number) => void;
}

/** The client for the daemon that the flag, the environment or the default names, in this order. */
export function clientOf(context: Context, command: Command): AdminClient {
  const { adminAddress } = command.optsWithGlobals<{ adminAddress?: string }>();
  const address = parseAdminAddress(adminAddress ?? context.env['KMESH_ADMIN_ADDRESS'] ?? 'localhost');
  return new AdminClient(address, context.requestTimeoutMs);
}
