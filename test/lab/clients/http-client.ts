/**
 * `http-client.ts WAY JSON`: Node's own clients: `fetch`, `http` (an agent that keeps connections), `http-close` (a connection
 * for each request). The argument is an {@link Exercise}; each line on stdout is one finding, none when all is well.
 */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Exercise } from '../http-clients.ts';

interface Body {
  readonly file: string;
  /** Unknown: chunked. */
  readonly size?: number;
}
type Ask = (method: string, path: string, body?: Body) => Promise<Buffer>;

const [way = 'fetch', json = '{}'] = process.argv.slice(2);
const exercise = JSON.parse(json) as Exercise;
const complain = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const byFetch: Ask = async (method, path, body) => {
  // fetch takes no Host of the caller's: the address stands there.
  const init: RequestInit & { duplex?: 'half' } = { method, signal: AbortSignal.timeout(60_000) };
  if (body?.size !== undefined) init.body = readFileSync(body.file);
  else if (body !== undefined) {
    init.body = Readable.toWeb(createReadStream(body.file)) as ReadableStream;
    init.duplex = 'half';
  }
  const response = await fetch(`${exercise.base}${path}`, init);
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
};

const byHttp =
  (agent: Agent): Ask =>
  (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers: Record<string, string | number> = { host: exercise.host };
      if (body?.size !== undefined) headers['content-length'] = body.size;
      else if (body !== undefined) headers['transfer-encoding'] = 'chunked';
      const sent = request(`${exercise.base}${path}`, { method, agent, headers, timeout: 60_000 }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(parts));
          else reject(new Error(`status ${response.statusCode}`));
        });
      });
      sent.on('timeout', () => sent.destroy(new Error('TIMEOUT')));
      sent.on('error', reject);
      if (body === undefined) sent.end();
      else pipeline(createReadStream(body.file), sent).catch(reject);
    });

async function run(ask: Ask): Promise<void> {
  for (let i = 0; i < exercise.requests; i++) {
    const name = (await ask('GET', '/')).toString().split(/\s/)[0] ?? '';
    if (!exercise.names.includes(name)) complain(`GET / ${i}: answered by ${name}`);
  }
  for (const { path, sha256 } of exercise.downloads) {
    const data = await ask('GET', path);
    if (createHash('sha256').update(data).digest('hex') !== sha256) complain(`GET ${path}: ${data.length} bytes`);
  }
  for (const { file, size, sha256 } of exercise.uploads) {
    for (const body of [{ file, size }, { file }]) {
      const answer = JSON.parse((await ask('POST', '/digest', body)).toString()) as { length: number; sha256: string };
      if (answer.length !== size || answer.sha256 !== sha256) complain(`POST ${size} bytes: ${JSON.stringify(answer)}`);
    }
  }
}

const agent = new Agent({ keepAlive: way !== 'http-close', maxSockets: 1 });
try {
  await run(way === 'fetch' ? byFetch : byHttp(agent));
} catch (error) {
  complain(error instanceof Error ? `${error.message} ${error.cause ?? ''}` : String(error));
}
agent.destroy();
// fetch keeps its connections a few seconds longer than anybody needs them.
process.exit(0);
