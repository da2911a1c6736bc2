/** nginx and haproxy as reverse proxies in a pod: clients of whatever their upstream is. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, SpawnOptions } from './host.ts';
import type { LabProcess } from './process.ts';

export interface Upstream {
  readonly address: string;
  readonly port: number;
  /** Host of the requests to it. */
  readonly host: string;
  /** Connections to it are used again. */
  readonly keepAlive: boolean;
}

export interface ProxyOptions extends SpawnOptions {
  readonly port: number;
  readonly upstream: Upstream;
}

const directoryOf = (host: Host, kind: string, port: number): string => {
  const directory = join(host.lab.directory, `${kind}-${host.name}-${port}`);
  mkdirSync(directory, { recursive: true });
  return directory;
};
const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** nginx in the foreground; settles when it accepts. It streams bodies and never tries a request twice. */
export async function startNginxProxy(host: Host, options: ProxyOptions): Promise<LabProcess> {
  const { port, upstream } = options;
  const directory = directoryOf(host, 'nginx-proxy', port);
  const file = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    file,
    `daemon off;
user root;
worker_processes 1;
pid ${directory}/pid;
error_log stderr notice;
events { worker_connections 10000; }
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${directory}/${name};`).join('\n')}
  keepalive_requests 1000000000;
  upstream service {
    server ${bracketed(upstream.address)}:${upstream.port} max_fails=0;
    ${upstream.keepAlive ? 'keepalive 64; keepalive_requests 1000000000;' : ''}
  }
  server {
    listen ${port};
    client_max_body_size 0;
    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Host "${upstream.host}";
      proxy_set_header Connection "${upstream.keepAlive ? '' : 'close'}";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream off;
    }
  }
}
`,
  );
  const started = host.spawn(['nginx', '-p', directory, '-e', 'stderr', '-c', file], options);
  await started.line(/start worker process /, { stream: 'stderr' });
  return started;
}

/** haproxy in the foreground; settles when it accepts. */
export async function startHaproxyProxy(host: Host, options: ProxyOptions): Promise<LabProcess> {
  const { port, upstream } = options;
  const file = join(directoryOf(host, 'haproxy', port), 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  retries 0
  option ${upstream.keepAlive ? 'http-keep-alive' : 'http-server-close'}
  http-reuse ${upstream.keepAlive ? 'always' : 'never'}
frontend in
  bind :${port}
  default_backend out
backend out
  http-request set-header Host ${upstream.host}
  server service ${bracketed(upstream.address)}:${upstream.port}
`,
  );
  const started = host.spawn(['haproxy', '-W', '-f', file], options);
  // The master says so when its worker has taken over the listening sockets.
  await started.line(/Loading success\.|New worker .* forked/, { stream: 'stderr' });
  return started;
}
