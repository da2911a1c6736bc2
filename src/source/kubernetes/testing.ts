/**
 * For tests: an API server that speaks real HTTP, lists in pages, watches from a version on, and does on request what real
 * ones do on bad days. It holds objects as they are and checks nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Timers } from '../timers.ts';
import { type ApiAccess, noCredentials } from './access.ts';
import { type Resource, resources } from './resources.ts';

/** To a server that asks nobody who he is. */
export const plainAccess = (server: string): ApiAccess => ({
  server,
  authority: () => null,
  insecure: false,
  serverName: null,
  credentials: async () => noCredentials,
  rejected: () => undefined,
});

export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

interface Event {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly plural: string;
  readonly object: ApiObject;
}

interface Watcher {
  readonly plural: string;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly response: ServerResponse;
}

export interface ApiRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

export class FakeApiServer {
  /** Answered with 403. */
  readonly forbidden = new Set<string>();
  /** Groups that the server does not have. */
  readonly absent = new Set<string>();
  /** Requests of these plurals, or of every path with `*`, are left without an answer. */
  readonly silent = new Set<string>();
  /** Called first; true: it has answered. */
  answer: ((request: ApiRequest, response: ServerResponse) => boolean) | null = null;
  ready = true;
  /** Called after each change that came by the API. */
  onWrite: () => void = () => undefined;
  readonly requests: ApiRequest[] = [];
  readonly #objects = new Map<string, ApiObject>();
  readonly #tls: ServerOptions | null;
  #history: Event[] = [];
  #compacted = 0;
  #version = 100;
  #server: Server | null = null;
  #port = 0;
  readonly #sockets = new Set<Socket>();
  #watchers: Watcher[] = [];
  readonly #snapshots = new Map<string, { readonly items: readonly ApiObject[]; readonly version: number }>();

  constructor(tls: ServerOptions | null = null) {
    this.#tls = tls;
  }

  get url(): string {
    return `${this.#tls === null ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  get watches(): number {
    return this.#watchers.length;
  }

  /** Listens; the second time on the same port again. */
  async listen(port: number = this.#port): Promise<void> {
    const handle = (request: IncomingMessage, response: ServerResponse) => this.#handle(request, response);
    const server = this.#tls === null ? createServer(handle) : createTlsServer(this.#tls, handle);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** As when the process is killed. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#watchers = [];
    const server = this.#server;
    this.#server = null;
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  put(object: ApiObject): void {
    const { plural } = resourceOf(object.kind);
    const id = idOf(plural, object);
    const before = this.#objects.get(id);
    const version = ++this.#version;
    const now = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#objects.set(id, now);
    this.#tell({ version, type: before === undefined ? 'ADDED' : 'MODIFIED', plural, object: now });
  }

  remove(kind: string, namespace: string, name: string): void {
    const { plural } = resourceOf(kind);
    const id = `${plural}/${namespace}/${name}`;
    const before = this.#objects.get(id);
    if (before === undefined) throw new Error(`there is no ${id}`);
    this.#objects.delete(id);
    const version = ++this.#version;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } };
    this.#tell({ version, type: 'DELETED', plural, object });
  }

  /** Forgets what happened: watches from before get 410, and so do the next pages of lists. */
  compact(): void {
    this.#version++;
    this.#compacted = this.#version;
    this.#history = [];
    this.#snapshots.clear();
  }

  /** Ends the connections of watches, in the middle of what they say. */
  cutWatches(kind: string | null = null): void {
    const plural = kind === null ? null : resourceOf(kind).plural;
    for (const watcher of this.#watchers) {
      if (plural === null || watcher.plural === plural) watcher.response.destroy();
    }
  }

  /** Says bytes on the watches of a kind. */
  say(kind: string, text: string): void {
    for (const { plural, response } of this.#watchers) if (plural === resourceOf(kind).plural) response.write(text);
  }

  bookmark(kind: string): string {
    const version = String(++this.#version);
    const object = { kind, metadata: { resourceVersion: version } };
    this.say(kind, `${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    return version;
  }

  /** Requests for a kind since this many were made. */
  requestsOf(kind: string, since: number = 0): readonly ApiRequest[] {
    return this.requests.slice(since).filter(({ path }) => path.endsWith(`/${resourceOf(kind).plural}`));
  }

  #tell(event: Event): void {
    this.#history.push(event);
    for (const watcher of this.#watchers) if (concerns(watcher, event)) watcher.response.write(lineOf(event));
  }

  /** All objects, and the version that the next one is after. */
  state(): { readonly version: number; readonly objects: readonly ApiObject[] } {
    return { version: this.#version, objects: [...this.#objects.values()] };
  }

  /** Begins with what another one had, and remembers nothing of what happened before, as after a restart. */
  restore({ version, objects }: ReturnType<FakeApiServer['state']>): void {
    for (const object of objects) this.#objects.set(idOf(pluralOf(object), object), object);
    this.#version = version;
    this.compact();
  }

  #handle(incoming: IncomingMessage, response: ServerResponse): void {
    const url = new URL(incoming.url ?? '', 'http://api');
    if (incoming.method !== 'GET') {
      this.#write(incoming, url.pathname, response);
      return;
    }
    const request = { path: url.pathname, query: url.searchParams, headers: incoming.headers };
    this.requests.push(request);
    if (this.answer?.(request, response) !== true) this.#answer(request, response);
  }

  /** Server-side apply, without merging, and DELETE. What else is written, such as a Lease, it does not have. */
  #write(incoming: IncomingMessage, path: string, response: ServerResponse): void {
    if (incoming.method !== 'PATCH' && incoming.method !== 'DELETE') {
      incoming.resume();
      notFound(response);
      return;
    }
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      if (incoming.method === 'PATCH') this.put(JSON.parse(Buffer.concat(parts).toString('utf8')) as ApiObject);
      else {
        const [, namespace = '', plural = '', name = ''] =
          /^\/apis?\/.*?(?:\/namespaces\/([^/]+))?\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
        const kind = resources.find((resource) => resource.plural === plural)?.kind ?? '';
        this.remove(kind, namespace, name);
      }
      this.onWrite();
      json(response, { kind: 'Status', status: 'Success' });
    });
  }

  #answer({ path, query }: ApiRequest, response: ServerResponse): void {
    if (this.silent.has('*')) return;
    if (path === '/readyz') {
      response.writeHead(this.ready ? 200 : 500).end(this.ready ? 'ok' : '[-]poststarthook/crd-informer-synced failed');
      return;
    }
    const served = resources.filter(({ group }) => group !== '' && !this.absent.has(group));
    const group = /^\/apis\/([^/]+)$/.exec(path)?.[1];
    if (group !== undefined) {
      const found = served.find((one) => one.group === group);
      if (found === undefined) notFound(response);
      else json(response, { kind: 'APIGroup', versions: found.apiVersions.map((groupVersion) => ({ groupVersion })) });
      return;
    }
    const version = /^\/apis\/([^/]+\/[^/]+)$/.exec(path)?.[1];
    if (version !== undefined) {
      const found = served.filter(({ apiVersions }) => apiVersions.includes(version));
      if (found.length === 0) notFound(response);
      else json(response, { kind: 'APIResourceList', resources: found.map(({ plural: name }) => ({ name })) });
      return;
    }
    const match = /^\/apis?\/(?:[^/]+\/)?[^/]+(?:\/namespaces\/([^/]+))?\/([^/]+)$/.exec(path);
    const resource = resources.find(({ plural }) => plural === match?.[2]);
    if (resource === undefined || this.absent.has(resource.group)) notFound(response);
    else if (this.silent.has(resource.plural)) return;
    else if (this.forbidden.has(resource.plural)) {
      const name = resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
      status(
        response,
        403,
        'Forbidden',
        `${name} is forbidden: User "kmesh" cannot list resource "${resource.plural}"`,
      );
    } else {
      const name = /^metadata\.name=(.*)$/.exec(query.get('fieldSelector') ?? '')?.[1] ?? null;
      const scope = { plural: resource.plural, namespace: match?.[1] ?? null, name };
      if (query.get('watch') === 'true') this.#watch(scope, query, response);
      else this.#list(scope, query, response);
    }
  }

  #list(scope: Omit<Watcher, 'response'>, query: URLSearchParams, response: ServerResponse): void {
    const token = query.get('continue') ?? '';
    const [id = '', from = '0'] = token.split(':');
    const all = [...this.#objects.values()].map((object) => ({ type: 'ADDED', plural: pluralOf(object), object }));
    const items = all
      .filter((one) => concerns(scope, { ...one, type: 'ADDED', version: 0 }))
      .map(({ object }) => object);
    const snapshot = token === '' ? { items, version: this.#version } : this.#snapshots.get(id);
    if (snapshot === undefined) {
      status(response, 410, 'Expired', 'The provided continue parameter is too old');
      return;
    }
    const limit = Number(query.get('limit') ?? snapshot.items.length);
    const end = Number(from) + limit;
    const name = id === '' ? `s${this.requests.length}` : id;
    this.#snapshots.set(name, snapshot);
    const next = end < snapshot.items.length ? `${name}:${end}` : '';
    const page = snapshot.items.slice(Number(from), end).map(({ apiVersion: _version, kind: _kind, ...item }) => item);
    const metadata = { resourceVersion: String(snapshot.version), ...(next === '' ? {} : { continue: next }) };
    json(response, { kind: 'List', metadata, items: page });
  }

  #watch(scope: Omit<Watcher, 'response'>, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    if (from > this.#version) {
      status(response, 504, 'Timeout', `Too large resource version: ${from}, current: ${this.#version}`);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (from < this.#compacted) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: `too old resource version: ${from}` };
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    const watcher = { ...scope, response };
    this.#watchers.push(watcher);
    response.on('close', () => {
      this.#watchers = this.#watchers.filter((one) => one !== watcher);
    });
    for (const event of this.#history) {
      if (event.version > from && concerns(scope, event)) response.write(lineOf(event));
    }
  }
}

/** Timers that do what is due at once, and what is due later when the test says that time has passed. */
export class TestTimers implements Timers {
  #now = 0;
  readonly #due = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(Date.UTC(2025, 0, 1) + this.#now);
  }

  random(): number {
    return 0.5;
  }

  after(milliseconds: number, action: () => void): () => void {
    if (milliseconds <= 100) {
      const timer = setTimeout(action, milliseconds);
      return () => clearTimeout(timer);
    }
    const one = { at: this.#now + milliseconds, action };
    this.#due.add(one);
    return () => this.#due.delete(one);
  }

  /** Milliseconds until each thing that waits. */
  waits(): readonly number[] {
    return [...this.#due].map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Time passes for one of those that wait, and not for the others. */
  advanceOne(milliseconds: number): void {
    const one = [...this.#due].find(({ at }) => at - this.#now === milliseconds);
    if (one === undefined || !this.#due.delete(one)) throw new Error(`nothing waits ${milliseconds} ms`);
    one.action();
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const one of [...this.#due].sort((a, b) => a.at - b.at)) {
      if (one.at > this.#now || !this.#due.delete(one)) continue;
      one.action();
    }
  }
}

function resourceOf(kind: string): Resource {
  const resource = resources.find((one) => one.kind === kind);
  if (resource === undefined) throw new Error(`no kind ${kind}`);
  return resource;
}

function pluralOf({ kind }: ApiObject): string {
  return resourceOf(kind).plural;
}

function idOf(plural: string, { metadata }: ApiObject): string {
  return `${plural}/${metadata.namespace ?? ''}/${metadata.name}`;
}

function concerns(scope: Omit<Watcher, 'response'>, { plural, object }: Event): boolean {
  const { namespace, name } = object.metadata;
  if (plural !== scope.plural || (scope.name !== null && name !== scope.name)) return false;
  return scope.namespace === null || namespace === scope.namespace;
}

function lineOf({ type, object }: Event): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function status(response: ServerResponse, code: number, reason: string, message: string): void {
  const body = JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message });
  response.writeHead(code, { 'content-type': 'application/json' }).end(body);
}

function notFound(response: ServerResponse): void {
  status(response, 404, 'NotFound', 'the server could not find the requested resource');
}
