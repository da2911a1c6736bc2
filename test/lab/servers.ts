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

async function start(host: Host, program: readonly string[], options: ServerOptions): Promise<LabProcess> {
  const started = host.spawn([...program, options.name ?? host.name, String(options.port)], options);
  await started.line(/^ready$/);
  return started;
}
