/** Servers for the lab's pods. Each promise settles when the server accepts. All listen on IPv4 and IPv6. */
import { join } from 'node:path';
import type { Host, SpawnOptions } from './host.ts';
import type { LabProcess } from './process.ts';
import { pythonProgram } from './python.ts';

export interface ServerOptions extends SpawnOptions {
  /** What it calls itself in its answers; default the pod's name. */
  readonly name?: string;
  readonly port: number;
}

/** Node's http server: answers with its name, the caller's address and the path; see servers/http-server.ts. */
export function startHttp(host: Host, options: ServerOptions): Promise<LabProcess> {
  return start(host, [process.execPath, join(import.meta.dirname, 'servers/http-server.ts')], options);
}

/** Its first answer on a connection begins with its name and a space; then it echoes. */
export function startTcpEcho(host: Host, options: ServerOptions): Promise<LabProcess> {
  return start(host, pythonProgram('servers/tcp_echo.py'), options);
}

/** Answers a datagram with its name, a space and the datagram. */
export function startUdpEcho(host: Host, options: ServerOptions): Promise<LabProcess> {
  return start(host, pythonProgram('servers/udp_echo.py'), options);
}

/** An HTTP/1.1 server with an answer for everything that a test may ask: see servers/web-server.ts. */
export function startWeb(host: Host, options: ServerOptions): Promise<LabProcess> {
  return start(host, [process.execPath, join(import.meta.dirname, 'servers/web-server.ts')], options);
}

/** Large bodies at full speed: see servers/bulk_server.py. */
export function startBulk(host: Host, options: ServerOptions): Promise<LabProcess> {
  return start(host, pythonProgram('servers/bulk_server.py'), options);
}

/** See servers/bad_server.py. */
export type BadMode =
  | 'silent'
  | 'deaf'
  | 'reset'
  | 'close'
  | 'hang-up'
  | 'reset-head'
  | 'idle'
  | 'one'
  | 'timeout'
  | 'half-close'
  | 'http10'
  | 'until-close'
  | 'cut'
  | 'reset-body'
  | 'garbage'
  | 'interim'
  | 'surplus'
  | 'pieces';

export interface BadOptions extends ServerOptions {
  readonly mode: BadMode;
  /** Milliseconds of `idle` and `timeout`, answers of `interim`. */
  readonly number?: number;
}

/** A server that does what no client hopes for. */
export function startBad(host: Host, options: BadOptions): Promise<LabProcess> {
  return start(host, pythonProgram('servers/bad_server.py'), options, [options.mode, String(options.number ?? 0)]);
}

/** A server that leaves HTTP: upgrades, tunnels, and whatever else begins. */
export function startTunnel(host: Host, options: ServerOptions): Promise<LabProcess> {
  return start(host, pythonProgram('servers/tunnel_server.py'), options);
}

async function start(
  host: Host,
  program: readonly string[],
  options: ServerOptions,
  more: readonly string[] = [],
): Promise<LabProcess> {
  const started = host.spawn([...program, options.name ?? host.name, String(options.port), ...more], options);
  await started.line(/^ready$/);
  return started;
}
