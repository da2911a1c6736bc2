/**
 * Kubeconfig files, several of them merged as kubectl does it, and a pod's own service account. What a file asks for and is
 * not supported is an error: to pass it over would talk to another server, or as somebody else.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { KmError } from '../../base/errors.ts';
import { parseYaml } from '../documents.ts';
import { isMap } from '../fields.ts';
import type { Timers } from '../timers.ts';
import { type ApiAccess, type Credentials, noCredentials } from './access.ts';
import { ExecCredential } from './exec-credential.ts';

export interface AccessOptions {
  /** Kubeconfig file; null: `KUBECONFIG`, then a pod's service account, then `~/.kube/config`. */
  readonly kubeconfig: string | null;
  /** Context of the kubeconfig; null: its current one. */
  readonly context: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timers: Timers;
  /** For tests: where a pod's service account is. */
  readonly accountDirectory?: string;
}

const podAccount = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Where the API server is. KM1021. */
export function findAccess(options: AccessOptions): ApiAccess {
  const { kubeconfig, env, accountDirectory = podAccount } = options;
  if (kubeconfig !== null) return fromFiles([kubeconfig], options);
  const named = (env['KUBECONFIG'] ?? '').split(':').filter((path) => path !== '');
  if (named.length > 0) return fromFiles(named, options);
  const host = env['KUBERNETES_SERVICE_HOST'];
  if (host !== undefined && existsSync(join(accountDirectory, 'token'))) {
    return inCluster(host, env['KUBERNETES_SERVICE_PORT'] ?? '443', accountDirectory);
  }
  const own = join(env['HOME'] ?? homedir(), '.kube', 'config');
  if (existsSync(own)) return fromFiles([own], options);
  throw new KmError('KM1021', `no API server is named: no --kubeconfig, no KUBECONFIG, not in a pod, no ${own}`);
}

function inCluster(host: string, port: string, directory: string): ApiAccess {
  const authority = join(directory, 'ca.crt');
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    authority: () => readText(authority),
    insecure: false,
    serverName: null,
    credentials: async () => ({ ...noCredentials, token: readText(join(directory, 'token')).trim() }),
    rejected: () => undefined,
  };
}

/** An entry of a kubeconfig's lists, and the directory that its paths are relative to. */
interface Entry {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly directory: string;
  readonly what: string;
}

class Config {
  readonly #lists = new Map<string, Entry>();
  current = '';

  constructor(paths: readonly string[]) {
    // As kubectl does: a file of the list that does not exist is passed over.
    const found = paths.length > 1 ? paths.filter((path) => existsSync(path)) : paths;
    for (const path of found) this.#read(path);
  }

  #read(path: string): void {
    const parsed = parseYaml(readText(path));
    if ('problem' in parsed) throw new KmError('KM1021', `${path}:${parsed.problem.line}: ${parsed.problem.reason}`);
    const { value } = parsed;
    if (!isMap(value)) throw new KmError('KM1021', `${path} is no kubeconfig`);
    const directory = dirname(path);
    for (const [list, key] of [
      ['clusters', 'cluster'],
      ['users', 'user'],
      ['contexts', 'context'],
    ] as const) {
      const entries = value[list];
      for (const entry of Array.isArray(entries) ? (entries as unknown[]) : []) {
        if (!isMap(entry) || typeof entry['name'] !== 'string') continue;
        const what = `${path}: ${key} ${entry['name']}`;
        const fields = isMap(entry[key]) ? entry[key] : {};
        // Of two files the first one's entry counts.
        const id = `${key}/${entry['name']}`;
        if (!this.#lists.has(id)) this.#lists.set(id, { fields, directory, what });
      }
    }
    const current = value['current-context'];
    if (this.current === '' && typeof current === 'string') this.current = current;
  }

  entry(key: 'cluster' | 'user' | 'context', name: string): Entry {
    const entry = this.#lists.get(`${key}/${name}`);
    if (entry === undefined) throw new KmError('KM1021', `the kubeconfig has no ${key} ${JSON.stringify(name)}`);
    return entry;
  }
}

function fromFiles(paths: readonly string[], { context, timers }: AccessOptions): ApiAccess {
  const config = new Config(paths);
  const name = context ?? config.current;
  if (name === '') throw new KmError('KM1021', `${paths.join(':')} has no current-context: name one`);
  const chosen = config.entry('context', name);
  const cluster = config.entry('cluster', text(chosen, 'cluster'));
  refuse(cluster, ['proxy-url']);
  const server = text(cluster, 'server').replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(server)) {
    throw new KmError('KM1021', `${cluster.what}: server must be a URL, not ${JSON.stringify(server)}`);
  }
  const userName = text(chosen, 'user');
  const authority = material(cluster, 'certificate-authority');
  const user = userName === '' ? null : credentialsOf(config.entry('user', userName), clusterInfo(cluster), timers);
  return {
    server,
    authority,
    insecure: cluster.fields['insecure-skip-tls-verify'] === true,
    serverName: text(cluster, 'tls-server-name') || null,
    credentials: user?.get ?? (async () => noCredentials),
    rejected: user?.rejected ?? (() => undefined),
  };
}

function credentialsOf(
  user: Entry,
  cluster: Readonly<Record<string, unknown>>,
  timers: Timers,
): { readonly get: () => Promise<Credentials>; readonly rejected: () => void } {
  refuse(user, ['auth-provider', 'as', 'as-uid', 'as-groups', 'as-user-extra']);
  const certificate = material(user, 'client-certificate');
  const key = material(user, 'client-key');
  const tokenFile = text(user, 'tokenFile');
  const token = text(user, 'token');
  const name = text(user, 'username');
  const basic = name === '' ? null : `Basic ${Buffer.from(`${name}:${text(user, 'password')}`).toString('base64')}`;
  const exec = user.fields['exec'];
  const program = isMap(exec) ? execOf(exec, user, cluster, timers) : null;
  const own = (): Credentials => ({
    certificate: certificate(),
    key: key(),
    token: tokenFile === '' ? token || null : readText(below(user.directory, tokenFile)).trim(),
    basic,
  });
  return {
    get: async () => {
      const mine = own();
      if (program === null) return mine;
      const given = await program.get();
      return { ...mine, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) };
    },
    rejected: () => program?.forget(),
  };
}

function execOf(
  fields: Readonly<Record<string, unknown>>,
  user: Entry,
  cluster: Readonly<Record<string, unknown>>,
  timers: Timers,
): ExecCredential {
  const exec: Entry = { fields, directory: user.directory, what: `${user.what} exec` };
  const command = text(exec, 'command');
  if (command === '') throw new KmError('KM1021', `${exec.what}: command is missing`);
  const list = (name: string): readonly unknown[] => (Array.isArray(fields[name]) ? (fields[name] as unknown[]) : []);
  const env = list('env').flatMap((one) =>
    isMap(one) && typeof one['name'] === 'string' ? [[one['name'], String(one['value'] ?? '')] as const] : [],
  );
  return new ExecCredential(
    {
      command,
      apiVersion: text(exec, 'apiVersion') || 'client.authentication.k8s.io/v1',
      args: list('args').map(String),
      env: Object.fromEntries(env),
      directory: user.directory,
      installHint: text(exec, 'installHint'),
      cluster: fields['provideClusterInfo'] === true ? cluster : null,
    },
    timers,
  );
}

function clusterInfo(cluster: Entry): Readonly<Record<string, unknown>> {
  const data = cluster.fields['certificate-authority-data'];
  const { server, 'tls-server-name': name, 'insecure-skip-tls-verify': insecure } = cluster.fields;
  const all = { server, 'tls-server-name': name, 'insecure-skip-tls-verify': insecure };
  return { ...all, 'certificate-authority-data': data };
}

/** PEM from `NAME-data` (base64) or from the file `NAME`. A file is read each time: it may be renewed. */
function material(entry: Entry, name: string): () => string | null {
  const data = text(entry, `${name}-data`);
  if (data !== '') {
    const decoded = Buffer.from(data, 'base64').toString('utf8');
    return () => decoded;
  }
  const path = text(entry, name);
  if (path === '') return () => null;
  return () => readText(below(entry.directory, path));
}

function below(directory: string, path: string): string {
  return isAbsolute(path) ? path : join(directory, path);
}

function text(entry: Entry, name: string): string {
  const value = entry.fields[name] ?? '';
  if (typeof value === 'string') return value;
  throw new KmError('KM1021', `${entry.what}: ${name} must be a string`);
}

function refuse(entry: Entry, names: readonly string[]): void {
  for (const name of names) {
    if (entry.fields[name] !== undefined) throw new KmError('KM1021', `${entry.what}: ${name} is not supported`);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new KmError('KM1021', `cannot read ${path}: ${text}`, { cause: error });
  }
}
