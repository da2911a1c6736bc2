/**
 * Requests to an API server: one that is answered at once, and one whose answer goes on as lines. HTTP/1.1 over kept
 * connections; a watch has a connection of its own.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isMap } from '../fields.ts';
import type { Timers } from '../timers.ts';
import type { ApiAccess, Credentials } from './access.ts';

/** The server answered, and said no. */
export class ApiError extends Error {
  readonly status: number;
  /** As the server's Status object says it, such as `Expired`. */
  readonly reason: string;
  readonly retryAfterMs: number | null;

  constructor(status: number, reason: string, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface ApiWrite {
  readonly method: 'POST' | 'PUT' | 'PATCH';
  readonly body: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** What was answered is not what an API server says. */
export class ProtocolError extends Error {}

/** Until the head of an answer is there, and between two parts of a list. */
const silenceMs = 30_000;
/** A dead peer is noticed after this long without a packet, and ten probes a second apart (Node). */
const keepAliveMs = 15_000;
/** etcd holds 1.5 MB an object; several megabytes are far from that. */
const maxLineBytes = 64 * 1024 * 1024;
const maxListBytes = 256 * 1024 * 1024;

export class ApiClient {
  readonly #access: ApiAccess;
  readonly #timers: Timers;
  #agent: { readonly material: string; readonly agent: HttpAgent } | null = null;

  constructor(access: ApiAccess, timers: Timers) {
    this.#access = access;
    this.#timers = timers;
  }

  get server(): string {
    return this.#access.server;
  }

  /** The value of one JSON answer. Throws ApiError, ProtocolError, or what the connection met. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    return parse(await this.read(path, signal));
  }

  /** The bytes of one answer. Throws as {@link get}. */
  async read(path: string, signal: AbortSignal): Promise<Buffer> {
    return await this.#whole(path, signal, null);
  }

  /** Writes, and gives what the server has then. Throws as {@link get}; 409 is a conflict with another writer. */
  async send(path: string, signal: AbortSignal, write: ApiWrite): Promise<unknown> {
    return parse(await this.#whole(path, signal, write));
  }

  async #whole(path: string, signal: AbortSignal, write: ApiWrite | null): Promise<Buffer> {
    const { response, alive } = await this.#open(path, signal, write);
    const parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        alive();
        size += part.length;
        if (size > maxListBytes) throw new ProtocolError(`an answer of more than ${maxListBytes} bytes`);
        parts.push(part);
      }
    } finally {
      alive.end();
    }
    return Buffer.concat(parts);
  }

  /**
   * The values of an answer of one JSON value a line, until the server ends it. `opened` is called when the head is there.
   * Silence after that is not an error: nothing may happen for long.
   */
  async watch(path: string, signal: AbortSignal, opened: () => void, each: (value: unknown) => void): Promise<void> {
    const { response, alive } = await this.#open(path, signal);
    alive.end();
    opened();
    let rest: Buffer[] = [];
    let restBytes = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = part.indexOf(10); end >= 0; end = part.indexOf(10, from)) {
        const line = rest.length === 0 ? part.subarray(from, end) : Buffer.concat([...rest, part.subarray(from, end)]);
        if (restBytes > 0) {
          rest = [];
          restBytes = 0;
        }
        from = end + 1;
        if (line.length > 0) each(parse(line));
      }
      if (from === part.length) continue;
      rest.push(part.subarray(from));
      restBytes += part.length - from;
      if (restBytes > maxLineBytes) throw new ProtocolError(`a line of more than ${maxLineBytes} bytes`);
    }
    // What has no end of line is what a cut left: it is told again.
  }

  close(): void {
    this.#agent?.agent.destroy();
    this.#agent = null;
  }

  async #open(
    path: string,
    signal: AbortSignal,
    write: ApiWrite | null = null,
  ): Promise<{ response: IncomingMessage; alive: Alive }> {
    const credentials = await this.#access.credentials();
    const agent = this.#agentFor(credentials);
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': 'kmesh-daemon' };
    if (credentials.token !== null) headers['authorization'] = `Bearer ${credentials.token}`;
    else if (credentials.basic !== null) headers['authorization'] = credentials.basic;
    const url = `${this.#access.server}${path}`;
    const send = url.startsWith('https:') ? requestHttps : requestHttp;
    const body = write === null ? null : Buffer.from(JSON.stringify(write.body));
    if (write !== null && body !== null) {
      headers['content-type'] = write.contentType ?? 'application/json';
      headers['content-length'] = String(body.length);
    }
    const request = send(url, { agent, headers, signal, method: write?.method ?? 'GET' });
    request.on('socket', (socket) => socket.setKeepAlive(true, keepAliveMs));
    const alive = aliveWithin(this.#timers, silenceMs, () =>
      request.destroy(new Error(`no answer within ${silenceMs / 1000} s`)),
    );
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        request.once('response', resolve);
        // For ever: a request may fail again after it has failed.
        request.on('error', reject);
        request.end(body ?? undefined);
      });
      alive();
      if (response.statusCode === 200 || response.statusCode === 201) return { response, alive };
      const error = await apiError(response);
      if (error.status === 401) this.#access.rejected();
      throw error;
    } catch (error) {
      alive.end();
      throw error;
    }
  }

  /** Connections that were made with other certificates are not used any more. */
  #agentFor({ certificate, key }: Credentials): HttpAgent {
    if (!this.#access.server.startsWith('https:')) {
      this.#agent ??= { material: '', agent: new HttpAgent({ keepAlive: true }) };
      return this.#agent.agent;
    }
    const authority = this.#access.authority();
    const material = JSON.stringify([authority, certificate, key]);
    if (this.#agent?.material === material) return this.#agent.agent;
    const agent = new HttpsAgent({
      keepAlive: true,
      rejectUnauthorized: !this.#access.insecure,
      ...(authority === null ? {} : { ca: authority }),
      ...(certificate === null || key === null ? {} : { cert: certificate, key }),
      ...(this.#access.serverName === null ? {} : { servername: this.#access.serverName }),
    });
    this.#agent = { material, agent };
    return agent;
  }
}

interface Alive {
  (): void;
  end(): void;
}

/** Calls `dead` when it was not called for so long. */
function aliveWithin(timers: Timers, milliseconds: number, dead: () => void): Alive {
  let cancel = timers.after(milliseconds, dead);
  const alive = (): void => {
    cancel();
    cancel = timers.after(milliseconds, dead);
  };
  return Object.assign(alive, { end: () => cancel() });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new ProtocolError(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function apiError(response: IncomingMessage): Promise<ApiError> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= 65536) parts.push(part);
  }
  const status = response.statusCode ?? 0;
  const after = Number(response.headers['retry-after']);
  const text = Buffer.concat(parts).toString('utf8');
  const given = statusOf(text);
  const message = given.message || text.trim().slice(0, 200) || (response.statusMessage ?? '');
  return new ApiError(status, given.reason, message, Number.isFinite(after) && after > 0 ? after * 1000 : null);
}

function statusOf(text: string): { readonly reason: string; readonly message: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (isMap(value)) return { reason: String(value['reason'] ?? ''), message: String(value['message'] ?? '') };
  } catch {
    // A proxy in between answers in its own words.
  }
  return { reason: '', message: '' };
}
