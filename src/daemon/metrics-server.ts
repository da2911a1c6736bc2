/** Prometheus' endpoint: `/metrics` and Kmesh's `/status/metric`, and nothing else. */
import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import { KmError } from '../base/errors.ts';

const paths = new Set(['/metrics', '/status/metric']);

export async function startMetricsServer(
  registry: Registry,
  host: string,
  port: number,
  onError: (error: unknown) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (!paths.has(path)) {
      response.writeHead(404).end();
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => {
        onError(error);
        response.writeHead(500).end();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: Error) => {
      reject(new KmError('KM5013', `metrics cannot listen on ${host}:${port}: ${cause.message}`, { cause }));
    });
    server.listen({ host, port }, resolve);
  });
  return server;
}
