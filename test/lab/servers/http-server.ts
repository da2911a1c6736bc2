/**
 * `http-server.ts NAME PORT`: answers `NAME REMOTE PATH` as text, or as JSON when the client accepts that.
 * `/bytes/N`: N bytes. `/stats`: connections and requests so far. Prints `ready` when it listens.
 */
import { createServer, type ServerResponse } from 'node:http';

const [name = 'server', port = '8080'] = process.argv.slice(2);
const stats = { connections: 0, requests: 0 };
const block = Buffer.alloc(64 * 1024, 'k');

function answer(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function answerBytes(response: ServerResponse, count: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': count });
  let left = count;
  const write = (): void => {
    while (left > 0) {
      const part = block.subarray(0, Math.min(left, block.length));
      left -= part.length;
      if (!response.write(part)) {
        response.once('drain', write);
        return;
      }
    }
    response.end();
  };
  write();
}

const server = createServer({ keepAliveTimeout: 3_600_000, requestTimeout: 0 }, (request, response) => {
  stats.requests += 1;
  // Bodies are not looked at, but they must be read before the connection's next request.
  request.resume();
  const path = request.url ?? '/';
  const remote = request.socket.remoteAddress ?? '';
  const bytes = /^\/bytes\/([0-9]+)$/.exec(path);
  if (bytes?.[1] !== undefined) answerBytes(response, Number(bytes[1]));
  else if (path === '/stats') answer(response, 'application/json', `${JSON.stringify({ name, ...stats })}\n`);
  else if (request.headers.accept?.includes('json'))
    answer(response, 'application/json', `${JSON.stringify({ name, remote, path, ...stats })}\n`);
  else answer(response, 'text/plain', `${name} ${remote} ${path}\n`);
});
server.on('connection', () => {
  stats.connections += 1;
});
server.listen({ port: Number(port), host: '::', backlog: 4096 }, () => process.stdout.write('ready\n'));
