/**
 * The ways from a client to an nginx that HTTP rows compare, each with pods and a server of its own: through the mesh that
 * routes every request, directly, by kube-proxy's iptables rules, and through pairs of haproxy and Envoy sidecars. Those that
 * use connection tracking have a machine (a lab's node) of their own.
 */
import { cgroupPath } from '../lab/cgroup.ts';
import type { Host } from '../lab/host.ts';
import { service, virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod } from '../lab/mesh.ts';
import type { LabProcess } from '../lab/process.ts';
import { routesYaml } from './http-routes-yaml.ts';
import { bindSidecars, type SidecarKind, startSidecars } from './sidecars.ts';
import { kubeProxyRules, setApart, startPinnedNginx, type Target } from './targets.ts';

export const httpTargetNames = ['mesh', 'direct', 'dnat', 'haproxy', 'envoy'] as const;
export type HttpTargetName = (typeof httpTargetNames)[number];
export type HttpTarget = Target<HttpTargetName>;

/** Addresses of the mesh's services: two routes; a header set on each request; ten routes; ten thousand. */
export const meshAddresses = { routes: '10.96.0.1', header: '10.96.0.2', few: '10.96.0.3', lots: '10.96.0.4' } as const;
const servicePort = 80;
export const serverPort = 8080;
/** servers/bulk_server.py and servers/web-server.ts behind the mesh and directly, for bodies. */
export const bulkPort = 8090;
export const webPort = 8091;
const bulkAddresses = { bulk: ['10.96.0.5', bulkPort], web: ['10.96.0.6', webPort] } as const;

/** KMESH_BENCH_BESIDE leaves the mesh out: what stands beside it can be measured by itself. */
const withMesh = process.env['KMESH_BENCH_BESIDE'] === undefined;

const ip6 = (address: string): string => `fd00:10:96::${address.split('.')[3]}`;
const toServer = (name: string): string => `[{destination: {host: ${name}}}]`;

function meshObjects(client: Host, server: Host): string {
  const routes = {
    routes: `- match: [{uri: {prefix: /x/}}]\n  route: ${toServer('routes')}\n- route: ${toServer('routes')}`,
    header: `- headers: {request: {set: {x-team: payments}}}\n  route: ${toServer('header')}`,
    few: routesYaml(10, 'few'),
    lots: routesYaml(10_000, 'lots'),
  } as const;
  return file(
    namespace('shop', true),
    pod(client),
    pod(server, { app: 'server' }),
    ...Object.entries(meshAddresses).map(([name, address]) =>
      service(name, { addresses: [address, ip6(address)], selector: { app: 'server' }, targetPort: serverPort }),
    ),
    ...Object.entries(bulkAddresses).map(([name, [address, targetPort]]) =>
      service(name, { addresses: [address, ip6(address)], selector: { app: 'server' }, targetPort }),
    ),
    ...Object.entries(routes).map(([name, text]) => virtualService(name, text)),
  );
}

export class HttpTargets implements AsyncDisposable {
  readonly all: readonly HttpTarget[];
  readonly #labs: readonly Lab[];
  readonly #sidecars: readonly { readonly client: Host; readonly proxies: readonly LabProcess[] }[];
  #servers: LabProcess[] = [];

  private constructor(
    labs: readonly Lab[],
    all: readonly HttpTarget[],
    sidecars: readonly { readonly client: Host; readonly proxies: readonly LabProcess[] }[],
  ) {
    this.#labs = labs;
    this.all = all;
    this.#sidecars = sidecars;
  }

  static async create(): Promise<HttpTargets> {
    const labs: Lab[] = [];
    try {
      const newLab = async (): Promise<Lab> => {
        const lab = await Lab.create();
        labs.push(lab);
        return lab;
      };
      const pair = async (lab: Lab, name: string) => ({
        client: await lab.pod(`${name}-client`),
        server: await lab.pod(`${name}-server`),
      });
      const asked = { address: meshAddresses.routes, port: servicePort };
      const outside = (lab: Lab) => ({ cgroup: 'outside', cgroupPath: cgroupPath(lab.prefix, 'outside') }) as const;
      const all: HttpTarget[] = [];
      const sidecars: { client: Host; proxies: readonly LabProcess[] }[] = [];

      const meshed = await newLab();
      if (withMesh) {
        const ends = await pair(meshed, 'mesh');
        all.push({ name: 'mesh', ...ends, ...asked, cgroup: 'inside', cgroupPath: meshed.cgroup });
        const mesh = meshOf(meshed);
        mesh.write('shop.yaml', meshObjects(ends.client, ends.server));
        setApart(meshed, await mesh.start());
        await mesh.settled();
      }
      const direct = await pair(meshed, 'direct');
      all.push({ name: 'direct', ...direct, address: direct.server.ip4, port: serverPort, ...outside(meshed) });

      const translated = await newLab();
      const dnat = await pair(translated, 'dnat');
      all.push({ name: 'dnat', ...dnat, ...asked, ...outside(translated) });
      const rules = kubeProxyRules(asked.address, asked.port, dnat.server.ip4, serverPort);
      await translated.node.output(['sh', '-ec', rules]);

      for (const kind of ['haproxy', 'envoy'] as const satisfies readonly SidecarKind[]) {
        const lab = await newLab();
        const ends = await pair(lab, kind);
        all.push({ name: kind, ...ends, ...asked, ...outside(lab) });
        const proxies = await startSidecars(kind, { ...ends, service: asked, serverPort }, { cgroup: 'outside' });
        sidecars.push({ client: ends.client, proxies });
      }
      return new HttpTargets(labs, all, sidecars);
    } catch (error) {
      for (const lab of labs) await lab.close();
      throw error;
    }
  }

  /** Those of these names that are there. */
  of(...names: readonly HttpTargetName[]): readonly HttpTarget[] {
    return this.all.filter(({ name }) => names.includes(name));
  }

  /** The mesh's target by another of its services; null without the mesh. */
  meshBy(address: string): HttpTarget | null {
    const target = this.all.find(({ name }) => name === 'mesh');
    return target === undefined ? null : { ...target, address };
  }

  /** Where a client of the mesh's target finds the servers of bodies: through the mesh, or at a pod of its own. */
  bodies(target: HttpTarget, which: 'bulk' | 'web'): { readonly address: string; readonly port: number } {
    const [address, port] = bulkAddresses[which];
    return target.name === 'mesh' ? { address, port: servicePort } : { address: target.server.ip4, port };
  }

  /** CPUs that the sidecars may use. */
  async bind(cpus: string): Promise<void> {
    for (const { client, proxies } of this.#sidecars) await bindSidecars({ client }, proxies, cpus);
  }

  /** New server processes: where a process's memory happens to lie is worth a percent or two. */
  async freshServers(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
    this.#servers = [];
    for (const target of this.all) this.#servers.push(await startPinnedNginx(target, serverPort));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const lab of this.#labs) await lab.close();
  }
}
