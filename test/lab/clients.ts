/** The Python clients of test/lab/clients, run in a pod, and their answers as types. */
import type { ExecOptions, Host } from './host.ts';
import { nativeProgram } from './native.ts';
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

/** See clients/http_load.c. */
export interface LoadResult {
  /** Who answered (the text in front of the path, or a status other than 200) → answers. */
  readonly answers: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly requests: number;
  /** Answered by someone else than the case allows. */
  readonly misrouted: number;
  /** The answer of another request. */
  readonly crossed: number;
  readonly failed: number;
  /** Connections that the client left on purpose. */
  readonly aborted: number;
  readonly connections: number;
  readonly seconds: number;
  readonly rate: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** Requests a second in each tenth of the run. */
  readonly rates: readonly number[];
}

/** A kind of request and who may answer it. */
export interface LoadCase {
  /** Texts in front of the path in the answer, or statuses other than 200. */
  readonly from: string | readonly string[];
  readonly method?: string;
  readonly path: string;
  /** `name: value` */
  readonly fields?: readonly string[];
}

/** clients/http_load.c against an address: the command line, for `spawn` beside other things. */
export function httpLoadCommand(
  address: string,
  port: number,
  cases: readonly LoadCase[],
  flags: readonly string[] = [],
): readonly string[] {
  const texts = cases.map(({ from, method = 'GET', path, fields = [] }) =>
    [[from].flat().join(','), method, path, ...fields].join('|'),
  );
  return [nativeProgram('http_load'), ...flags, address, String(port), ...texts];
}

/** Runs clients/http_load.c and waits for its end. */
export async function httpLoad(
  from: Host,
  address: string,
  port: number,
  cases: readonly LoadCase[],
  flags: readonly string[] = [],
  options: ExecOptions = {},
): Promise<LoadResult> {
  const command = httpLoadCommand(address, port, cases, flags);
  const output = await from.output(command, { timeoutMs: 600_000, ...options });
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as LoadResult;
}

/** The result of a load that was spawned, after its end. */
export async function loadResult(client: LabProcess): Promise<LoadResult> {
  await client.exited;
  return clientResult(client) as unknown as LoadResult;
}

/** The JSON of a client's last line. */
export function clientResult(client: LabProcess): Readonly<Record<string, unknown>> {
  const line = client.stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`no result: ${client.stdout}${client.stderr}`);
  return JSON.parse(line) as Record<string, unknown>;
}
