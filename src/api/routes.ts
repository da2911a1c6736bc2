/** What each path of the admin API does; types.ts has the table for readers. */
import { KmError } from '../base/errors.ts';
import { type AdminBackend, accessLogFormats, modes } from './backend.ts';
import { sourceItems } from './source-items.ts';
import type { ExplainQuery, ItemList } from './types.ts';

export type Reply =
  | { readonly status: number; readonly text: string }
  | { readonly status: number; readonly json: unknown }
  | { readonly status: number; readonly list: readonly unknown[] }
  /** One JSON value a line, as they come; told when the client is gone. */
  | { readonly status: number; readonly lines: (gone: AbortSignal) => AsyncIterable<unknown> };

export interface Call {
  readonly query: URLSearchParams;
  /** The parsed JSON body of a POST; undefined when it was empty. */
  readonly body: unknown;
}

type Handler = (call: Call) => Promise<Reply>;

/** Methods of one path. HEAD is GET without the body. */
export interface Route {
  readonly GET?: Handler;
  readonly POST?: Handler;
}

const maxNameLength = 256;

/** The whole route table over a backend. Keys are exact paths. */
export function adminRoutes(backend: AdminBackend): ReadonlyMap<string, Route> {
  const list = (read: () => Promise<readonly unknown[]>): Route => ({
    GET: async () => ({ status: 200, list: await read() }),
  });
  const routes = new Map<string, Route>([
    ['/version', { GET: async () => ({ status: 200, json: await backend.version() }) }],
    ['/debug/ready', { GET: () => readiness(backend) }],
    ['/readyz', { GET: () => readiness(backend) }],
    ['/healthz', { GET: async () => ({ status: 200, text: 'ok' }) }],
    ['/debug/loggers', { GET: (call) => getLoggers(backend, call), POST: (call) => setLogger(backend, call) }],
    ['/accesslog', { POST: (call) => setAccessLog(backend, call) }],
    ['/monitoring', { POST: (call) => setMonitoring(backend, call) }],
    ['/explain', { POST: async (call) => ({ status: 200, json: await backend.explain(explainQuery(call.body)) }) }],
    ['/observe', { GET: async (call) => observe(backend, call) }],
    ['/status', { GET: async () => ({ status: 200, json: await backend.status() }) }],
    ['/checks', list(() => backend.checks())],
    ['/services', list(() => backend.services())],
    ['/workloads', list(() => backend.workloads())],
    ['/endpoints', list(() => backend.endpoints())],
    ['/listeners', list(() => backend.listeners())],
    ['/routes', list(() => backend.routes())],
    ['/clusters', list(() => backend.clusters())],
    ['/connections', list(() => backend.connections())],
    ['/maps', list(() => backend.maps())],
    ['/sources', list(async () => sourceItems(await backend.sources()))],
    ['/config_dump', { GET: async () => ({ status: 200, json: await backend.ztunnelDump() }) }],
  ]);
  for (const mode of modes) {
    const dump = (read: () => Promise<unknown>): Route => ({
      GET: async () => {
        if (mode !== backend.mode) throw new KmError('KM5004', `the daemon runs in mode ${backend.mode}, not ${mode}`);
        return { status: 200, json: await read() };
      },
    });
    routes.set(
      `/debug/config_dump/${mode}`,
      dump(() => backend.configDump()),
    );
    routes.set(
      `/debug/config_dump/bpf/${mode}`,
      dump(() => backend.kernelDump()),
    );
  }
  const index = [...routes].map(([path, route]) => `${Object.keys(route).join(',').padEnd(8)} ${path}\n`).join('');
  routes.set('/', { GET: async () => ({ status: 200, text: index }) });
  return routes;
}

async function readiness(backend: AdminBackend): Promise<Reply> {
  const { ready, pending } = await backend.ready();
  return ready
    ? { status: 200, text: 'ready' }
    : { status: 503, text: `not ready, pending: ${pending.length === 0 ? 'unknown' : pending.join(', ')}` };
}

async function getLoggers(backend: AdminBackend, call: Call): Promise<Reply> {
  const name = call.query.get('name');
  const items = await backend.loggers();
  if (name === null) return { status: 200, list: items };
  const found = items.filter((item) => item.name === name);
  if (found.length === 0) throw unknownLogger(name, items);
  return { status: 200, list: found };
}

/** Answers with the logger as it is now. */
async function setLogger(backend: AdminBackend, call: Call): Promise<Reply> {
  const { body } = call;
  if (typeof body !== 'object' || body === null || !('name' in body) || !('level' in body)) {
    throw new KmError('KM5003', 'the body must be JSON such as {"name": "default", "level": "debug"}');
  }
  const { name, level } = body;
  if (typeof name !== 'string' || typeof level !== 'string') {
    throw new KmError('KM5003', '"name" and "level" must be strings');
  }
  if (name.length > maxNameLength || level.length > maxNameLength) {
    throw new KmError('KM5003', `"name" and "level" have at most ${maxNameLength} characters`);
  }
  const items = await backend.loggers();
  if (!items.some((item) => item.name === name)) throw unknownLogger(name, items);
  await backend.setLogger(name, level);
  return { status: 200, list: (await backend.loggers()).filter((item) => item.name === name) };
}

function unknownLogger(name: string, items: ItemList<{ name: string }>['items']): KmError {
  return new KmError('KM5006', `no logger ${JSON.stringify(name)}; there are ${items.map((i) => i.name).join(', ')}`);
}

async function setAccessLog(backend: AdminBackend, call: Call): Promise<Reply> {
  const enable = enableOf(call.query);
  const wanted = call.query.get('format');
  const format = accessLogFormats.find((known) => known === wanted);
  if (wanted !== null && format === undefined) {
    throw new KmError('KM5003', `format must be ${accessLogFormats.join(' or ')}, not ${JSON.stringify(wanted)}`);
  }
  await backend.setAccessLog(enable, format);
  return { status: 200, json: { enabled: enable, ...(format === undefined ? {} : { format }) } };
}

function explainQuery(body: unknown): ExplainQuery {
  const given: Readonly<Record<string, unknown>> = typeof body === 'object' && body !== null ? { ...body } : {};
  const text = (name: string, fallback?: string): string => {
    const value = given[name] ?? fallback;
    if (typeof value === 'string') return value;
    throw new KmError('KM5003', `the body must be JSON with "from" and "to"; "${name}" must be a string`);
  };
  const headers: unknown = given['headers'] ?? [];
  const isField = (one: unknown): one is readonly [string, string] =>
    Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === 'string');
  if (!Array.isArray(headers) || !headers.every(isField)) {
    throw new KmError('KM5003', '"headers" must be a list of [name, value]');
  }
  return {
    from: text('from'),
    namespace: text('namespace', 'default'),
    to: text('to'),
    method: text('method', 'GET'),
    headers,
  };
}

async function setMonitoring(backend: AdminBackend, call: Call): Promise<Reply> {
  const enable = enableOf(call.query);
  await backend.setMonitoring(enable);
  return { status: 200, json: { enabled: enable } };
}

function observe(backend: AdminBackend, call: Call): Reply {
  const follow = followOf(call.query);
  return { status: 200, lines: (gone) => backend.observe(follow, gone) };
}

function followOf(query: URLSearchParams): boolean {
  const value = query.get('follow') ?? 'false';
  if (value === 'true' || value === 'false') return value === 'true';
  throw new KmError('KM5003', `follow must be true or false, not ${JSON.stringify(value)}`);
}

function enableOf(query: URLSearchParams): boolean {
  const value = query.get('enable');
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw new KmError('KM5003', `enable must be true or false, not ${JSON.stringify(value)}`);
}
