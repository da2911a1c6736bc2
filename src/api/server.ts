/** The daemon's admin API over HTTP/1.1, for kmeshctl and curl. It has no authentication: bind it to localhost. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ErrorCode, KmError } from '../base/errors.ts';
import type { AdminBackend } from './backend.ts';
import { checkOrigin } from './guard.ts';
import { adminRoutes, type Reply, type Route } from './routes.ts';

export interface AdminServerOptions {
  readonly backend: AdminBackend;
  /** `localhost` binds 127.0.0.1 and, where the machine has it, ::1. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Told of every answer with status 500; the client sees only the message. */
  readonly onError?: (error: unknown) => void;
}

export interface AdminServer {
  /** `HOST:PORT` of each listening socket, IPv6 in brackets. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Takes no new request, gives running ones a second, then cuts what is left. */
  stop(): Promise<void>;
}

const maxBodyBytes = 64 * 1024;
const stopGraceMs = 1000;
/** Tries to find a port that is free on both addresses when any will do. */
const portTries = 10;

const statusOf: Partial<Record<ErrorCode, number>> = {
  KM5001: 404,
  KM5002: 405,
  KM5003: 400,
  KM5004: 400,
  KM5005: 403,
  KM5006: 404,
  KM5007: 413,
};

/** Starts the server; throws KM5009 when an address cannot be bound. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const routes = adminRoutes(options.backend);
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    answer(routes, options, request, response).catch((error: unknown) => {
      options.onError?.(error);
      response.destroy();
    });
  };
  const servers = options.host === 'localhost' ? await bindLocalhost(serve, options.port) : [];
  if (servers.length === 0) servers.push(await bind(serve, options.host, options.port));
  const bound = servers.map((server) => server.address() as AddressInfo);
  return {
    addresses: bound.map(({ address, family, port }) =>
      family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    ),
    port: bound[0]?.port ?? options.port,
    stop: async () => {
      await Promise.all(servers.map(stopServer));
    },
  };
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

async function bindLocalhost(serve: Listener, port: number): Promise<Server[]> {
  for (let tries = 1; ; tries++) {
    const v4 = await bind(serve, '127.0.0.1', port);
    const chosen = (v4.address() as AddressInfo).port;
    try {
      return [v4, await bind(serve, '::1', chosen)];
    } catch (error) {
      const cause = error instanceof KmError ? (error.cause as NodeJS.ErrnoException) : undefined;
      // Without IPv6 (ipv6.disable=1, or disable_ipv6 on lo) there is no ::1 to bind.
      if (cause?.code === 'EADDRNOTAVAIL' || cause?.code === 'EAFNOSUPPORT') return [v4];
      await stopServer(v4);
      if (port !== 0 || tries === portTries) throw error;
    }
  }
}

function bind(serve: Listener, host: string, port: number): Promise<Server> {
  // A client that reads slowly or sends its request by the byte must not hold the daemon's sockets for long.
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 5_000 }, serve);
  return new Promise((resolve, reject) => {
    server.once('error', (cause: Error) => {
      reject(new KmError('KM5009', `cannot listen on ${host} port ${port}: ${cause.message}`, { cause }));
    });
    server.listen({ host, port, ipv6Only: true }, () => {
      server.removeAllListeners('error');
      resolve(server);
    });
  });
}

function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), stopGraceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}

async function answer(
  routes: ReadonlyMap<string, Route>,
  options: AdminServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  let answered: Rendered;
  try {
    checkOrigin(request, options.host);
    answered = render(await dispatch(routes, request, response));
  } catch (thrown) {
    const error =
      thrown instanceof KmError
        ? thrown
        : new KmError('KM5008', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
    const status = statusOf[error.code] ?? 500;
    if (status === 500) options.onError?.(thrown);
    // What is left of a refused body is not read.
    if (!request.complete) response.setHeader('connection', 'close');
    answered = render({ status, json: { error: `${error.code} ${error.message}` } });
  }
  await send(response, answered);
}

async function dispatch(
  routes: ReadonlyMap<string, Route>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Reply> {
  const [path = '/', search = ''] = (request.url ?? '/').split('?', 2);
  const route = routes.get(path);
  if (route === undefined) throw new KmError('KM5001', `no path ${path}`);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const handler = method === 'GET' || method === 'POST' ? route[method] : undefined;
  if (handler === undefined) {
    const allowed = [...(route.GET ? ['GET', 'HEAD'] : []), ...(route.POST ? ['POST'] : [])].join(', ');
    response.setHeader('allow', allowed);
    throw new KmError('KM5002', `${request.method} ${path}: only ${allowed}`);
  }
  const body = method === 'POST' ? parseBody(await readBody(request)) : undefined;
  return handler({ query: new URLSearchParams(search), body });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = () => new KmError('KM5007', `the body is larger than ${maxBodyBytes} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // A plain `for await` would destroy the socket on the throw, and the client would never see the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseBody(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KmError('KM5003', `the body is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

interface Rendered {
  readonly status: number;
  readonly type: string;
  readonly body: string | ((gone: AbortSignal) => AsyncIterable<string>);
}

function render(reply: Reply): Rendered {
  const { status } = reply;
  if ('text' in reply) return { status, type: 'text/plain; charset=utf-8', body: reply.text };
  if ('lines' in reply) return { status, type: 'application/x-ndjson', body: (gone) => linesJson(reply.lines(gone)) };
  const body = 'list' in reply ? () => listJson(reply.list) : `${toJson(reply.json)}\n`;
  return { status, type: 'application/json', body };
}

async function send(response: ServerResponse, { status, type, body }: Rendered): Promise<void> {
  response.statusCode = status;
  response.setHeader('content-type', type);
  if (typeof body === 'string') {
    response.setHeader('content-length', Buffer.byteLength(body));
    response.end(body);
    return;
  }
  // A client that waits for the first line of many knows at once that it will come.
  response.flushHeaders();
  // 100 000 endpoints are 50 MB of JSON: written in pieces, the event loop stays free for the daemon's own work.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  await pipeline(Readable.from(body(gone.signal)), response).catch(ignoreGoneClient);
}

function ignoreGoneClient(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE' && error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
}

async function* listJson(items: readonly unknown[]): AsyncGenerator<string> {
  const batch = 256;
  yield '{\n  "items": [';
  for (let i = 0; i < items.length; i += batch) {
    const texts = items.slice(i, i + batch).map((item) => `\n    ${toJson(item).replaceAll('\n', '\n    ')}`);
    yield `${i === 0 ? '' : ','}${texts.join(',')}`;
    // A fast reader gives no back-pressure, and the stream alone would never leave this turn of the event loop.
    await nextTurn();
  }
  yield items.length === 0 ? ']\n}\n' : '\n  ]\n}\n';
}

async function* linesJson(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`;
}

function toJson(value: unknown): string {
  const replace = (_key: string, v: unknown): unknown =>
    typeof v === 'bigint' ? (Number.isSafeInteger(Number(v)) ? Number(v) : v.toString()) : v;
  return JSON.stringify(value, replace, 2) ?? 'null';
}
