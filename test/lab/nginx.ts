/** nginx as a server that is never the bottleneck: one worker, a fixed answer, no files, no log. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, SpawnOptions } from './host.ts';
import type { LabProcess } from './process.ts';

export interface NginxOptions extends SpawnOptions {
  /** First word of its answer; default the pod's name. */
  readonly name?: string;
  readonly port: number;
  /** The rest of the answer's line, with nginx variables: ` path=$uri`. */
  readonly extra?: string;
}

/** Starts nginx in the foreground; settles when its worker runs, so connections are accepted. */
export async function startNginx(host: Host, options: NginxOptions): Promise<LabProcess> {
  const directory = join(host.lab.directory, `nginx-${host.name}-${options.port}`);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, nginxConfig(directory, `${options.name ?? host.name}${options.extra ?? ''}`, options.port));
  const started = host.spawn(['nginx', '-p', directory, '-e', 'stderr', '-c', file], options);
  await started.line(/start worker process /, { stream: 'stderr' });
  return started;
}

function nginxConfig(directory: string, answer: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
user root;
worker_processes 1;
pid ${directory}/pid;
error_log stderr notice;
events {
  worker_connections 20000;
  multi_accept on;
}
http {
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  tcp_nodelay on;
  reset_timedout_connection on;
${temporary.map((name) => `  ${name}_temp_path ${directory}/${name};`).join('\n')}
  server {
    listen ${port} backlog=4096;
    listen [::]:${port} ipv6only=on backlog=4096;
    location / {
      return 200 "${answer}\\n";
    }
  }
}
`;
}
