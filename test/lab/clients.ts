/** The Python clients of test/lab/clients, run in a pod, and their answers as types. */
import type { ExecOptions, Host } from './host.ts';
import type { LabProcess } from './process.ts';
import { pythonProgram } from './python.ts';

/** See clients/many_connections.py. */
export interface ManyResult {
  /** Server's name → answers. */
  readonly answers: Readonly<Record<string, number>>;
  readonly failures: number;
  /** errno's name, `TIMEOUT`, `EOF` or `HTTP 503` → failures. */
  readonly errors: Readonly<Record<string, number>>;
  /** The first 50; seconds since the start. */
  readonly failed: readonly { readonly at: number; readonly error: string }[];
  /** Peers that were not the address asked for (`--getpeername`). */
  readonly mismatches: number;
  /** Server's name → time of its first answer, seconds since 1970. */
  readonly first_at: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Connections a second. */
  readonly rate: number;
  readonly latency_us: { readonly p50: number | null; readonly p99: number | null; readonly max: number | null };
  /** With `--sequence`: who answered, or the error, in order. */
  readonly sequence?: readonly string[];
}

/** Runs clients/many_connections.py HOST PORT COUNT and waits for its end. */
export async function manyConnections(
  from: Host,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ManyResult> {
  return JSON.parse(await from.output(manyConnectionsCommand(args), { timeoutMs: 120_000, ...options })) as ManyResult;
}

/** The command line, for `spawn` beside other things. */
export function manyConnectionsCommand(args: readonly string[]): readonly string[] {
  return [...pythonProgram('clients/many_connections.py'), ...args];
}

/** The JSON of a client's last line. */
export function clientResult(client: LabProcess): Readonly<Record<string, unknown>> {
  const line = client.stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`no result: ${client.stdout}${client.stderr}`);
  return JSON.parse(line) as Record<string, unknown>;
}
