/** A pair of proxies around a client and a server, put into their way by iptables REDIRECT as Istio does it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, SpawnOptions } from '../lab/host.ts';
import type { LabProcess } from '../lab/process.ts';
import { type Sidecar, startEnvoy } from './envoy.ts';
import { favour } from './favour.ts';

export type SidecarKind = 'haproxy' | 'envoy';

const outboundPort = 15_001;
const inboundPort = 15_006;

export interface Ends {
  readonly client: Host;
  readonly server: Host;
  /** What the client asks for. */
  readonly service: { readonly address: string; readonly port: number };
  readonly serverPort: number;
}

/**
 * Each proxy's own connections pass its rules untouched: the client's goes to another address than the service's, and the
 * server's over loopback, which PREROUTING's nat does not see.
 */
export async function startSidecars(kind: SidecarKind, ends: Ends, options: SpawnOptions): Promise<LabProcess[]> {
  const { client, server, service, serverPort } = ends;
  const redirect = (chain: string, match: string, port: number) =>
    ['sh', '-ec', `iptables -w -t nat -A ${chain} ${match} -j REDIRECT --to-ports ${port}`] as const;
  const asked = `-p tcp -d ${service.address}/32 --dport ${service.port}`;
  await client.output(redirect('OUTPUT', asked, outboundPort), options);
  await server.output(redirect('PREROUTING', `-p tcp --dport ${serverPort}`, inboundPort), options);
  const start = kind === 'envoy' ? startEnvoy : startHaproxy;
  const proxies = [
    await start(client, { port: outboundPort, upstream: { address: server.ip4, port: serverPort } }, options),
    await start(server, { port: inboundPort, upstream: { address: '127.0.0.1', port: serverPort } }, options),
  ];
  for (const { pid } of proxies) favour(pid);
  return proxies;
}

/** CPUs that all threads of the proxies may use. */
export async function bindSidecars(
  ends: Pick<Ends, 'client'>,
  proxies: readonly LabProcess[],
  cpus: string,
): Promise<void> {
  for (const { pid } of proxies) {
    await ends.client.output(['taskset', '-acp', cpus, String(pid)], { cgroup: 'outside' });
  }
}

async function startHaproxy(host: Host, { port, upstream }: Sidecar, options: SpawnOptions): Promise<LabProcess> {
  const file = join(host.lab.directory, `haproxy-${host.name}.cfg`);
  writeFileSync(
    file,
    `global
  nbthread 2
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  option http-keep-alive
  http-reuse always
frontend in
  bind :${port}
  use_backend out if { path_beg /x/ }
  default_backend out
backend out
  server upstream ${upstream.address}:${upstream.port}
`,
  );
  const started = host.spawn(['haproxy', '-V', '-db', '-f', file], options);
  await started.line(/Using epoll/, { stream: 'stdout' });
  return started;
}
