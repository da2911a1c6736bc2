/** Clients that people use, each put through the same exercise against an address: direct ones and the mesh's alike. */
import { join } from 'node:path';
import { fionreadTells } from '../../src/kernel/fionread.ts';
import type { Host } from './host.ts';
import { goProgram } from './native.ts';
import { patience } from './patience.ts';
import { patternDigest, patternFile } from './pattern.ts';
import { startHaproxyProxy, startNginxProxy } from './proxies.ts';
import { pythonProgram } from './python.ts';

/** Where the servers are: servers/web-server.ts must stand behind it. */
export interface HttpTarget {
  /** IP address. */
  readonly address: string;
  readonly port: number;
  /** Host of the requests; default the address. */
  readonly host?: string;
  /** Names of the servers that may answer. */
  readonly names: readonly string[];
}

/** What http_client.py, http-client.ts and go_client.go are told. */
export interface Exercise {
  readonly base: string;
  readonly host: string;
  readonly names: readonly string[];
  /** GETs of `/`. */
  readonly requests: number;
  readonly downloads: readonly { readonly path: string; readonly sha256: string }[];
  readonly uploads: readonly { readonly file: string; readonly size: number; readonly sha256: string }[];
  readonly noKeepAlive: boolean;
}

export interface HttpClient {
  readonly name: string;
  /** What was wrong, a line each; none when all is well. */
  readonly run: (from: Host, target: HttpTarget) => Promise<readonly string[]>;
}

const requests = 20;
const sizes = [0, 1, 1000, 5000, 100_000, 5_000_000] as const;
const timeoutMs = 120_000 * patience;

export const urlBase = ({ address, port }: HttpTarget): string =>
  `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
const hostOf = (target: HttpTarget): string => target.host ?? urlBase(target).slice('http://'.length);

function exercise(from: Host, target: HttpTarget, noKeepAlive: boolean): Exercise {
  return {
    base: urlBase(target),
    host: hostOf(target),
    names: target.names,
    requests,
    downloads: sizes.flatMap((n) => [
      { path: `/bytes?n=${n}`, sha256: patternDigest(n) },
      { path: `/chunked?n=${n}&piece=1777`, sha256: patternDigest(n) },
    ]),
    uploads: sizes.map((size) => ({
      file: patternFile(from.lab.directory, size),
      size,
      sha256: patternDigest(size),
    })),
    noKeepAlive,
  };
}

/** A program that prints what it does not like. */
function program(name: string, command: () => readonly string[], noKeepAlive = false): HttpClient {
  return { name, run: (from, target) => told(from, command(), exercise(from, target, noKeepAlive)) };
}

async function told(from: Host, command: readonly string[], what: Exercise): Promise<readonly string[]> {
  const { code, stdout, stderr } = await from.exec([...command, JSON.stringify(what)], { timeoutMs });
  const findings = stdout.split('\n').filter(Boolean);
  return code === 0 ? findings : [...findings, `exit ${code}: ${stderr}`];
}

/** `count` uploads of 5 MB by a Go program, each by length, chunked and with Expect: its writes move between CPUs. */
export function uploads(from: Host, target: HttpTarget, count: number): Promise<readonly string[]> {
  const whole = exercise(from, target, false);
  const large = whole.uploads.slice(-1);
  const many = Array.from({ length: count }, () => large).flat();
  return told(from, [goProgram('go_client')], { ...whole, requests: 0, downloads: [], uploads: many });
}

const nodeProgram = (way: string) => () => [process.execPath, join(import.meta.dirname, 'clients/http-client.ts'), way];

/** curl and wget: one command for each part; what it prints must be just so. */
interface Command {
  readonly what: string;
  readonly args: readonly string[];
  readonly expected: (output: string) => boolean;
}

async function commands(from: Host, list: readonly Command[]): Promise<readonly string[]> {
  const findings: string[] = [];
  for (const { what, args, expected } of list) {
    const { code, stdout, stderr } = await from.exec(args, { timeoutMs });
    if (code !== 0 || !expected(stdout)) findings.push(`${what}: exit ${code}: ${stdout.slice(0, 300)}${stderr}`);
  }
  return findings;
}

const shell = (script: string, ...args: readonly string[]): readonly string[] => ['sh', '-c', script, 'sh', ...args];
const known = (target: HttpTarget, answer: string): boolean =>
  target.names.some((name) => new RegExp(`^${name}\\b`).test(answer));
const digested = (size: number) => (output: string) =>
  output.includes(`"length":${size},"sha256":"${patternDigest(size)}"`);

function curlCommands(
  from: Host,
  target: HttpTarget,
  flags: readonly string[],
  largestAnswer = Number.POSITIVE_INFINITY,
): readonly Command[] {
  const base = urlBase(target);
  const curl = ['curl', '-sS', '-f', '-m', '60', '-H', `Host: ${hostOf(target)}`, ...flags];
  const fresh = flags.includes('-0') || flags.some((flag) => flag.startsWith('Connection:'));
  return [
    {
      what: `${requests} requests of one curl`,
      args: [...curl, '-w', '%{num_connects}\n', ...Array<string>(requests).fill(`${base}/`)],
      expected: (output) => {
        const lines = output.trimEnd().split('\n');
        const opened = lines.filter((_, i) => i % 2 === 1).reduce((sum, line) => sum + Number(line), 0);
        const answers = lines.filter((_, i) => i % 2 === 0);
        return (
          answers.length === requests && answers.every((a) => known(target, a)) && opened === (fresh ? requests : 1)
        );
      },
    },
    ...sizes
      .filter((n) => n <= largestAnswer)
      .flatMap((n) =>
        [`/bytes?n=${n}`, `/chunked?n=${n}&piece=1777`].map((path) => ({
          what: `GET ${path}`,
          args: shell('"$@" | sha256sum', ...curl, `${base}${path}`),
          expected: (output: string) => output.startsWith(patternDigest(n)),
        })),
      ),
    ...sizes.flatMap((size) =>
      // With 1 MB and more curl sends `Expect: 100-continue` by itself; the second way asks for it always.
      [[], ['-H', 'Expect: 100-continue'], ['-H', 'Transfer-Encoding: chunked']].map((more) => ({
        what: `POST ${size} ${more.join(' ')}`,
        args: [...curl, ...more, '--data-binary', `@${patternFile(from.lab.directory, size)}`, `${base}/digest`],
        expected: digested(size),
      })),
    ),
  ];
}

function wgetCommands(from: Host, target: HttpTarget): readonly Command[] {
  const base = urlBase(target);
  const wget = ['wget', '-q', '-T', '60', '-t', '1', '--no-config', `--header=Host: ${hostOf(target)}`, '-O', '-'];
  return [
    {
      what: `${requests} requests of one wget`,
      args: [...wget, ...Array<string>(requests).fill(`${base}/`)],
      expected: (output) => {
        const lines = output.trimEnd().split('\n');
        return lines.length === requests && lines.every((line) => known(target, line));
      },
    },
    ...sizes.flatMap((n) =>
      [`/bytes?n=${n}`, `/chunked?n=${n}&piece=1777`].map((path) => ({
        what: `GET ${path}`,
        args: shell('"$@" | sha256sum', ...wget, `${base}${path}`),
        expected: (output: string) => output.startsWith(patternDigest(n)),
      })),
    ),
    ...sizes
      .filter((size) => size > 0)
      .map((size) => ({
        what: `POST ${size}`,
        args: [...wget, `--post-file=${patternFile(from.lab.directory, size)}`, `${base}/digest`],
        expected: digested(size),
      })),
  ];
}

/** A load generator: its own words for how many requests were answered well. */
function generator(name: string, args: (target: HttpTarget) => readonly string[], good: RegExp): HttpClient {
  return {
    name,
    run: async (from, target) => {
      const { code, stdout, stderr } = await from.exec(args(target), { timeoutMs });
      return code === 0 && good.test(stdout) ? [] : [`exit ${code}: ${stdout}${stderr}`];
    },
  };
}

/** A reverse proxy in the client's pod, with the target as its upstream, and curl in front of it. */
function proxy(name: string, start: typeof startNginxProxy, keepAlive: boolean, largestAnswer?: number): HttpClient {
  return {
    name,
    run: async (from, target) => {
      const port = 18_080;
      const upstream = { address: target.address, port: target.port, host: hostOf(target), keepAlive };
      const started = await start(from, { port, upstream });
      try {
        return await commands(from, curlCommands(from, { ...target, address: '127.0.0.1', port }, [], largestAnswer));
      } finally {
        await started.kill();
      }
    },
  };
}

const count = 2000;
/** h2load writes an IPv6 address into Host without its brackets, which is no Host. */
const connectTo = (target: HttpTarget): readonly string[] => [
  `--connect-to=${urlBase(target).slice('http://'.length)}`,
];
const hosted = (target: HttpTarget): string => `Host: ${hostOf(target)}`;

/**
 * The largest answer that nginx is asked for: kernels whose FIONREAD tells of nothing make it wait for ever once an answer
 * has filled its buffer (docs/daemon.md, Kernels).
 */
const largestOfNginx = fionreadTells() === false ? 1000 : undefined;

/** All of them. */
export const httpClients: readonly HttpClient[] = [
  { name: 'curl', run: (from, target) => commands(from, curlCommands(from, target, [])) },
  {
    name: 'curl, connection: close',
    run: (from, target) => commands(from, curlCommands(from, target, ['-H', 'Connection: close'])),
  },
  { name: 'wget', run: (from, target) => commands(from, wgetCommands(from, target)) },
  generator(
    'wrk',
    (target) => ['wrk', '-t', '1', '-c', '8', '-d', '1s', '-H', hosted(target), `${urlBase(target)}/`],
    // wrk names errors and non-2xx answers in lines of their own, and only when there are any.
    /^(?!.*(Socket errors|Non-2xx)).*\d+ requests in/s,
  ),
  generator(
    'ab, keep-alive',
    (target) => ['ab', '-q', '-k', '-l', '-n', `${count}`, '-c', '8', '-H', hosted(target), `${urlBase(target)}/`],
    new RegExp(
      `^(?!.*Non-2xx).*Complete requests: +${count}\\nFailed requests: +0\\n.*Keep-Alive requests: +${count}\\n`,
      's',
    ),
  ),
  generator(
    'ab, a connection for each request',
    (target) => ['ab', '-q', '-l', '-n', `${count}`, '-c', '8', '-H', hosted(target), `${urlBase(target)}/`],
    new RegExp(`^(?!.*Non-2xx).*Complete requests: +${count}\\nFailed requests: +0\\n`, 's'),
  ),
  generator(
    'h2load --h1',
    (target) => [
      'h2load',
      '--h1',
      '-n',
      `${count}`,
      '-c',
      '8',
      ...connectTo(target),
      `http://${target.host ?? 'service'}/`,
    ],
    new RegExp(`${count} succeeded, 0 failed, 0 errored, 0 timeout\\nstatus codes: ${count} 2xx, 0 3xx, 0 4xx, 0 5xx`),
  ),
  program('Node fetch', nodeProgram('fetch')),
  program('Node http, keep-alive', nodeProgram('http')),
  program('Node http, a connection for each request', nodeProgram('http-close'), true),
  program('Python http.client', () => pythonProgram('clients/http_client.py')),
  program('Python urllib', () => pythonProgram('clients/http_client.py'), true),
  program('Go net/http, keep-alive', () => [goProgram('go_client')]),
  program('Go net/http, a connection for each request', () => [goProgram('go_client')], true),
  proxy('nginx as a reverse proxy, keep-alive', startNginxProxy, true, largestOfNginx),
  proxy('nginx as a reverse proxy, a connection for each request', startNginxProxy, false, largestOfNginx),
  proxy('haproxy as a reverse proxy, keep-alive', startHaproxyProxy, true),
  proxy('haproxy as a reverse proxy, a connection for each request', startHaproxyProxy, false),
];
