/**
 * Three ways from a client pod to an nginx in a server pod, each with pods and a server of its own, so that no tuple of one
 * meets a TIME_WAIT of another: through the mesh, directly, and by the rules that kube-proxy writes for iptables. The last has
 * a machine (a lab's node) of its own, since connection tracking costs everything that passes through its node.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupName, cgroupPath, cgroupRoot } from '../lab/cgroup.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import type { LabProcess } from '../lab/process.ts';
import { favour } from './favour.ts';

export const targetNames = ['mesh', 'direct', 'dnat'] as const;
export type TargetName = (typeof targetNames)[number];

export interface Target<Name extends string = string> {
  readonly name: Name;
  readonly client: Host;
  readonly server: Host;
  readonly address: string;
  readonly port: number;
  /** `outside`: no hook of the mesh is ever run for its client and server. */
  readonly cgroup: CgroupName;
  /** cgroup v2 directory whose CPU time is the target's. */
  readonly cgroupPath: string;
}

const serviceAddress = '10.96.0.1';
const servicePort = 80;
const serverPort = 8080;

/** nginx is bound to this CPU in every row. */
export const serverCpu = 0;

// The chains of one service with one endpoint as kube-proxy names and orders them (KEP-0011's iptables mode). TIME_WAIT
// entries are kept for a second only: with the default of two minutes the table of the machine fills up under this load.
export const kubeProxyRules = (
  serviceAddress: string,
  servicePort: number,
  endpoint: string,
  serverPort: number,
): string => `
iptables-restore -w <<END
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-BENCH - [0:0]
:KUBE-SEP-BENCH - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-SERVICES -d ${serviceAddress}/32 -p tcp -m tcp --dport ${servicePort} -j KUBE-SVC-BENCH
-A KUBE-SVC-BENCH -j KUBE-SEP-BENCH
-A KUBE-SEP-BENCH -s ${endpoint}/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-BENCH -p tcp -m tcp -j DNAT --to-destination ${endpoint}:${serverPort}
COMMIT
END
echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait
`;

/** The target's server on its CPU. */
export async function startPinnedNginx({ server, cgroup }: Target, port: number): Promise<LabProcess> {
  const nginx = await startNginx(server, { port, cgroup });
  const worker = await nginx.line(/start worker process (\d+)/, { stream: 'stderr' });
  for (const pid of [nginx.pid, Number(worker[1])]) {
    favour(pid);
    await server.output(['taskset', '-cp', String(serverCpu), String(pid)], { cgroup });
  }
  return nginx;
}

/** What the daemon uses is a row of its own and does not depend on the requests: it is not the pods' CPU time. */
export function setApart(lab: Lab, daemon: LabProcess): void {
  const apart = join(cgroupRoot(lab.prefix), 'daemon');
  mkdirSync(apart);
  writeFileSync(join(apart, 'cgroup.procs'), String(daemon.pid));
}

export class Targets implements AsyncDisposable {
  readonly all: readonly Target<TargetName>[];
  readonly mesh: TestMesh;
  readonly #labs: readonly Lab[];
  #servers: LabProcess[] = [];

  private constructor(labs: readonly Lab[], all: readonly Target<TargetName>[], mesh: TestMesh) {
    this.#labs = labs;
    this.all = all;
    this.mesh = mesh;
  }

  static async create(): Promise<Targets> {
    const labs = [await Lab.create(), await Lab.create()] as const;
    try {
      const [meshed, translated] = labs;
      const pair = async (lab: Lab, name: string) => ({
        client: await lab.pod(`${name}-client`),
        server: await lab.pod(`${name}-server`),
      });
      const inMesh = await pair(meshed, 'mesh');
      const direct = await pair(meshed, 'direct');
      const dnat = await pair(translated, 'dnat');
      const service = { address: serviceAddress, port: servicePort };
      const all: Target<TargetName>[] = [
        { name: 'mesh', ...inMesh, ...service, cgroup: 'inside', cgroupPath: meshed.cgroup },
        {
          ...{ name: 'direct', ...direct, address: direct.server.ip4, port: serverPort },
          ...{ cgroup: 'outside', cgroupPath: cgroupPath(meshed.prefix, 'outside') },
        },
        {
          ...{ name: 'dnat', ...dnat, ...service },
          ...{ cgroup: 'outside', cgroupPath: cgroupPath(translated.prefix, 'outside') },
        },
      ];
      await translated.node.output([
        'sh',
        '-ec',
        kubeProxyRules(serviceAddress, servicePort, dnat.server.ip4, serverPort),
      ]);
      const mesh = meshOf(meshed);
      mesh.write(
        'shop.yaml',
        file(
          namespace('shop', true),
          pod(inMesh.client),
          pod(inMesh.server),
          entry('bench', {
            addresses: [serviceAddress],
            port: servicePort,
            targetPort: serverPort,
            endpoints: [{ address: inMesh.server.ip4 }],
          }),
        ),
      );
      const daemon = await mesh.start();
      await mesh.settled();
      setApart(meshed, daemon);
      return new Targets(labs, all, mesh);
    } catch (error) {
      for (const lab of labs) await lab.close();
      throw error;
    }
  }

  /** New server processes: where a process's memory happens to lie is worth a percent or two, and must not favour one target. */
  async freshServers(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
    this.#servers = [];
    for (const target of this.all) this.#servers.push(await startPinnedNginx(target, serverPort));
  }

  async close(): Promise<void> {
    for (const lab of this.#labs) await lab.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
