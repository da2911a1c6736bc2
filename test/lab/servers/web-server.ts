/**
 * `web-server.ts NAME PORT`: an HTTP/1.1 server with an answer for everything that a test may ask. Prints `ready`.
 *
 * | path | answer |
 * |---|---|
 * | `/echo…` | JSON: name, method, path, headers (pairs, in order), remote address and port, serial number of the connection and of the request on it |
 * | `/digest…` | JSON: name, length and SHA-256 of the request's body |
 * | `/bytes?n=N` | N bytes of the pattern, with content-length |
 * | `/chunked?n=N&piece=P` | the same, chunked, P bytes a chunk |
 * | `/slow?ms=M` | the name, M milliseconds later |
 * | `/trickle?n=N&ms=M` | N bytes, one every M milliseconds |
 * | `/status?code=C` | that status, without a body where it has none |
 * | `/early?code=C` | answers before the body is read, then reads it |
 * | `/close` | the name, then closes |
 * | `/reset?n=N` | half of N bytes, then a reset |
 * | `/cut?n=N` | half of N bytes, then a FIN |
 * | `/abandon` | reads the request and closes without an answer |
 * | `/stats` | JSON: connections, open connections, requests, aborted requests |
 * | anything else | `NAME PATH` as text |
 *
 * Every answer has `x-server: NAME`. `Expect: 100-continue` is answered by 100, with `x-refuse` in the request by 417 at once.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { patternPart } from '../pattern.ts';

const [name = 'server', port = '8080'] = process.argv.slice(2);
const stats = { connections: 0, open: 0, requests: 0, aborted: 0 };
interface Connection {
  readonly serial: number;
  requests: number;
}
const connections = new WeakMap<Socket, Connection>();

type Answer = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void | Promise<void>;

const number = (query: URLSearchParams, key: string, otherwise: number): number =>
  Number(query.get(key) ?? String(otherwise));

function say(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const sayText = (response: ServerResponse, text: string): void => say(response, 200, 'text/plain', `${text}\n`);
const sayJson = (response: ServerResponse, value: object): void =>
  say(response, 200, 'application/json', `${JSON.stringify(value)}\n`);

/** Writes the pattern from `from` to `to`; false when the client left. */
async function stream(response: ServerResponse, from: number, to: number, piece: number): Promise<boolean> {
  for (let at = from; at < to; ) {
    if (response.destroyed) return false;
    const part = patternPart(at, Math.min(piece, to - at));
    at += part.length;
    if (!response.write(part)) {
      await new Promise<void>((resolve) => {
        const go = () => {
          response.off('drain', go).off('close', go);
          resolve();
        };
        response.on('drain', go).on('close', go);
      });
    }
  }
  return true;
}

/** Half of a body that was promised whole, in the client's hands before `end` is called. */
async function half(response: ServerResponse, size: number, end: (socket: Socket) => void): Promise<void> {
  response.writeHead(200, { 'content-length': size });
  await stream(response, 0, Math.floor(size / 2), 65_536);
  const { socket } = response;
  if (socket !== null) socket.write('', () => end(socket));
}

const answers: Readonly<Record<string, Answer>> = {
  echo: (request, response) => {
    const { socket, rawHeaders } = request;
    const connection = connections.get(socket);
    const headers: (readonly [string, string])[] = [];
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.push([rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '']);
    sayJson(response, {
      ...{ name, method: request.method ?? '', path: request.url ?? '', headers },
      ...{ remote: socket.remoteAddress ?? '', remotePort: socket.remotePort ?? 0 },
      ...{ connection: connection?.serial ?? 0, request: connection?.requests ?? 0 },
    });
  },
  digest: async (request, response) => {
    const hash = createHash('sha256');
    let length = 0;
    for await (const part of request as AsyncIterable<Buffer>) {
      hash.update(part);
      length += part.length;
    }
    sayJson(response, { name, length, sha256: hash.digest('hex') });
  },
  bytes: async (_, response, query) => {
    const size = number(query, 'n', 0);
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
    if (await stream(response, 0, size, 1 << 20)) response.end();
  },
  chunked: async (_, response, query) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' });
    if (await stream(response, 0, number(query, 'n', 0), number(query, 'piece', 1000))) response.end();
  },
  slow: async (_, response, query) => {
    await delay(number(query, 'ms', 0));
    sayText(response, name);
  },
  trickle: async (_, response, query) => {
    const size = number(query, 'n', 1);
    response.writeHead(200, { 'content-length': size });
    for (let i = 0; i < size && !response.destroyed; i++) {
      response.write(patternPart(i, 1));
      await delay(number(query, 'ms', 1));
    }
    response.end();
  },
  status: (_, response, query) => {
    const code = number(query, 'code', 200);
    if (code === 204 || code === 304) response.writeHead(code).end();
    else say(response, code, 'text/plain', `${name} ${code}\n`);
  },
  early: (_, response, query) => say(response, number(query, 'code', 200), 'text/plain', `${name} early\n`),
  close: (_, response) => {
    response.setHeader('connection', 'close');
    sayText(response, name);
  },
  reset: (_, response, query) => half(response, number(query, 'n', 100_000), (socket) => socket.resetAndDestroy()),
  cut: (_, response, query) => half(response, number(query, 'n', 100_000), (socket) => socket.end()),
  abandon: async (request) => {
    for await (const _ of request);
    request.socket.end();
  },
  stats: (_, response) => sayJson(response, { name, ...stats }),
};

function serve(request: IncomingMessage, response: ServerResponse): void {
  stats.requests += 1;
  const connection = connections.get(request.socket);
  if (connection !== undefined) connection.requests += 1;
  response.setHeader('x-server', name);
  response.on('close', () => {
    if (!response.writableFinished) stats.aborted += 1;
  });
  // A client that leaves ends its request with an error; it is counted above.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
  const answer = answers[path.split('/')[1] ?? ''];
  if (answer === undefined) sayText(response, `${name} ${target}`);
  else Promise.resolve(answer(request, response, query)).catch(() => undefined);
  // What no answer has read must be read before the connection's next request.
  if (path.split('/')[1] !== 'digest' && path.split('/')[1] !== 'abandon') request.resume();
}

const server = createServer({ keepAliveTimeout: 3_600_000, requestTimeout: 0, headersTimeout: 0 }, serve);
server.maxRequestsPerSocket = 0;
// A client that ends its direction still gets its answer, as nginx does it. @types/node does not know the property.
Object.assign(server, { httpAllowHalfOpen: true });
server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
  if (request.headers['x-refuse'] !== undefined) {
    response.setHeader('x-server', name);
    response.setHeader('connection', 'close');
    say(response, 417, 'text/plain', `${name} refused\n`);
    return;
  }
  response.writeContinue();
  serve(request, response);
});
server.on('connection', (socket) => {
  stats.connections += 1;
  stats.open += 1;
  connections.set(socket, { serial: stats.connections, requests: 0 });
  socket.on('close', () => {
    stats.open -= 1;
  });
});
server.listen({ port: Number(port), host: '::', backlog: 4096 }, () => process.stdout.write('ready\n'));
