/**
 * Applies or deletes objects by an API server's own API, many at a time: `{"path": …, "object": …}` a line of stdin, without
 * an object it is deleted. Says when the server had answered all, in milliseconds since 1970, and what failed; exits with 1
 * then.
 *
 * node apply.ts URL [CA CERTIFICATE KEY]
 */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

const atOnce = 16;
const [url = '', ca, cert, key] = process.argv.slice(2);
const options = { keepAlive: true, maxSockets: atOnce };
const read = (path: string | undefined) => (path === undefined ? {} : readFileSync(path));
const agent =
  ca === undefined
    ? new HttpAgent(options)
    : new HttpsAgent({ ...options, ca: read(ca) as Buffer, cert: read(cert) as Buffer, key: read(key) as Buffer });
const send = ca === undefined ? requestHttp : requestHttps;

function one(line: string): Promise<string> {
  const { path, object } = JSON.parse(line) as { path: string; object?: unknown };
  const method = object === undefined ? 'DELETE' : 'PATCH';
  const query = object === undefined ? '' : '?fieldManager=kmesh-test&force=true';
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  return new Promise((resolve) => {
    const failed = (what: string) => resolve(`${method} ${path}: ${what}\n`);
    const request = send(`${url}${path}${query}`, { method, agent, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const good = (response.statusCode ?? 0) < 300;
        if (good) resolve('');
        else failed(`HTTP ${response.statusCode}: ${Buffer.concat(parts).toString('utf8').slice(0, 500)}`);
      });
    });
    request.on('error', (error) => failed(error.message));
    request.end(object === undefined ? undefined : JSON.stringify(object));
  });
}

const lines = readFileSync(0, 'utf8').split('\n').filter(Boolean);
let next = 0;
let bad = 0;
const worker = async (): Promise<void> => {
  for (let line = lines[next++]; line !== undefined; line = lines[next++]) {
    const failure = await one(line);
    if (failure === '') continue;
    bad++;
    process.stderr.write(failure);
  }
};
await Promise.all(Array.from({ length: atOnce }, worker));
process.stdout.write(`${Date.now()}\n`);
agent.destroy();
process.exitCode = bad === 0 ? 0 : 1;
