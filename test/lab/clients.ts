/** The Python clients of test/lab/clients, run in a pod, and their answers as types. */
import type { ExecOptions, Host } from './host.ts';
import { nativeProgram } from './native.ts';
import { patternFile } from './pattern.ts';
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

export interface NamedTarget {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** See clients/pieces.py. */
export interface PiecesResult {
  readonly failures: readonly string[];
  readonly rows: readonly {
    readonly way: string;
    /** Bytes of the body. */
    readonly size: number;
    /** The target's. */
    readonly name: string;
    readonly p50Us: number;
    readonly p90Us: number;
    readonly maxUs: number;
  }[];
}

export interface PiecesOptions {
  readonly rounds?: number;
  readonly sizes?: readonly number[];
  /** Default all of clients/pieces.py, io_uring among them. */
  readonly ways?: readonly string[];
  /** A connection for each request. */
  readonly fresh?: boolean;
}

/** Requests written in every way, to servers/web-server.ts behind each target, interleaved. */
export async function writtenInPieces(
  from: Host,
  targets: readonly NamedTarget[],
  options: PiecesOptions = {},
): Promise<PiecesResult> {
  const { rounds = 10, sizes = [0, 1, 1000, 1408, 1409, 3000, 20_000, 300_000], ways, fresh = false } = options;
  const output = await from.output(
    [
      ...pythonProgram('clients/pieces.py'),
      ...targets.map(({ name, address, port }) => `${name}=${address},${port}`),
      ...['--file', patternFile(from.lab.directory, Math.max(...sizes)), '--rounds', String(rounds)],
      ...['--sizes', sizes.join(',')],
      ...(ways === undefined ? ['--uring', nativeProgram('uring_send')] : ['--ways', ways.join(',')]),
      ...(fresh ? ['--new'] : []),
    ],
    { timeoutMs: 600_000 },
  );
  return JSON.parse(output) as PiecesResult;
}

/** How far a client comes before it leaves. */
export const leaveStates = ['connect', 'half-head', 'head', 'half-body', 'request', 'answer', 'idle'] as const;
export const leaveWays = ['close', 'reset', 'shutdown'] as const;

export interface LeaveOptions {
  readonly address: string;
  readonly port: number;
  readonly state: (typeof leaveStates)[number];
  readonly how: (typeof leaveWays)[number];
  readonly count?: number;
  readonly path?: string;
}

/** See clients/leave.py. */
export interface LeaveResult {
  readonly done: number;
  readonly errors: Readonly<Record<string, number>>;
  /** After a shutdown: how the stream ended and how many answers came before, `fin/1`. */
  readonly ends: Readonly<Record<string, number>>;
  /** The client's. */
  readonly ports: readonly number[];
  readonly slowestMs: number;
}

/** Clients that leave in the middle, one after the other. */
export async function leave(from: Host, options: LeaveOptions): Promise<LeaveResult> {
  const { address, port, state, how, count = 1, path = '/' } = options;
  const program = pythonProgram('clients/leave.py');
  const args = [address, String(port), state, how, '--count', String(count), '--path', path];
  return JSON.parse(await from.output([...program, ...args], { timeoutMs: 120_000 })) as LeaveResult;
}

/** The JSON of a client's last line. */
export function clientResult(client: LabProcess): Readonly<Record<string, unknown>> {
  const line = client.stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`no result: ${client.stdout}${client.stderr}`);
  return JSON.parse(line) as Record<string, unknown>;
}
