/** For tests of Envoy's resources: a world that is told one resource at a time, and reads as lines. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { HttpAction, HttpMatch } from '../../../model/http.ts';
import type { Service } from '../../../model/types.ts';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  HttpConnectionManagerSchema,
  ListenerSchema,
  RouteConfigurationSchema,
  TcpProxySchema,
} from '../gen/messages.gen.ts';
import { ManualClock } from '../source-testing.ts';
import { anyOf, socket } from '../testing.ts';
import { EnvoyWorld } from './world.ts';

export const origin = { source: 'xds', file: 'xds://test', line: 0 };

export function worldOf(): { world: EnvoyWorld; clock: ManualClock } {
  const clock = new ManualClock();
  const resolve = () => Promise.reject(new Error('no DNS here'));
  return { world: new EnvoyWorld({ origin, clock, resolve, changed: () => undefined }), clock };
}

export const matchText = (match: HttpMatch): string =>
  [
    match.path === undefined ? '' : JSON.stringify(match.path),
    ...(match.headers ?? []).map((h) => `${h.name} ${JSON.stringify(h.match)}`),
  ]
    .filter((part) => part !== '')
    .join(' ');
export const actionText = (action: HttpAction): string =>
  action.kind === 'forward'
    ? `${action.clusters.map((one) => `${one.cluster.service}:${one.cluster.port}/${one.cluster.subset} ${one.weight}`).join(', ')} retries ${action.connectRetries}`
    : JSON.stringify(action);
export const portLines = (s: Service): string[] =>
  s.ports.flatMap((p) => [
    `${s.key} ${s.addresses.join(',')}:${p.port} ${p.mode} ${p.policy.balance} -> ${p.endpoints.map((e) => `${e.address}:${e.port}*${e.weight}`).join(' ')}`,
    ...p.subsets.map((one) => `  ${one.name} -> ${one.endpoints.map((e) => `${e.address}:${e.port}`).join(' ')}`),
    ...(p.routing?.virtualHosts ?? []).flatMap((host) =>
      host.routes.map(
        (r) => `  ${host.domains.join()} ${r.name}: ${r.matches.map(matchText).join(' | ')} => ${actionText(r.action)}`,
      ),
    ),
  ]);

export type ClusterInit = MessageInitShape<typeof ClusterSchema>;

/** Says what a control plane says, one resource at a time. */
export class Plane {
  readonly world: EnvoyWorld;
  readonly clock: ManualClock;

  constructor() {
    const { world, clock } = worldOf();
    this.world = world;
    this.clock = clock;
  }

  cluster(name: string, init: object = {}): string | null {
    const eds = { clusterDiscoveryType: { case: 'type', value: 3 }, edsClusterConfig: {} };
    return this.#put(0, toBinary(ClusterSchema, create(ClusterSchema, { name, ...eds, ...init } as ClusterInit)));
  }

  endpoints(clusterName: string, ...addresses: string[]): string | null {
    return this.assignment({
      clusterName,
      endpoints: [{ lbEndpoints: addresses.map((address) => endpoint(address)) }],
    });
  }

  assignment(init: object): string | null {
    return this.#put(1, toBinary(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, init as never)));
  }

  listener(init: object): string | null {
    return this.#put(2, toBinary(ListenerSchema, create(ListenerSchema, init as never)));
  }

  routes(init: object): string | null {
    return this.#put(3, toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, init as never)));
  }

  get lines(): string[] {
    this.world.update();
    return [...this.world.mesh.services.values()].flatMap(portLines);
  }

  #put(sink: number, body: Uint8Array): string | null {
    return this.world.sinks[sink]?.put(body, null).refusal ?? null;
  }
}

export const endpoint = (address: string, rest: { weight?: number; health?: number } = {}) =>
  ({
    hostIdentifier: { case: 'endpoint', value: { address: socket(address, 8080) } },
    ...(rest.weight === undefined ? {} : { loadBalancingWeight: rest.weight }),
    healthStatus: rest.health ?? 0,
  }) as const;

export const any = (schema: Parameters<typeof anyOf>[0], message: object) => anyOf(schema, message as never);
export const tcpFilter = (init: object) =>
  ({ name: 'tcp', configType: { case: 'typedConfig', value: any(TcpProxySchema as never, init) } }) as const;
export const httpFilter = (init: object) =>
  ({
    name: 'http',
    configType: { case: 'typedConfig', value: any(HttpConnectionManagerSchema as never, init) },
  }) as const;
export const toCluster = (value: string) => ({ clusterSpecifier: { case: 'cluster', value } });
export const prefix = (value: string) => ({ pathSpecifier: { case: 'prefix', value } });
export const route = (to: object, match: object = prefix('/')) => ({ match, action: { case: 'route', value: to } });
export const host = 'web.shop.svc.cluster.local';
export const base = `outbound|80||${host}`;

/** A listener on every address for port 80, with routes by RDS `80`. */
export const listen80 = (plane: Plane): string | null =>
  plane.listener({
    name: '0.0.0.0_80',
    address: socket('0.0.0.0', 80),
    filterChains: [{ filters: [httpFilter({ routeSpecifier: { case: 'rds', value: { routeConfigName: '80' } } })] }],
  } as never);
export const vhost = (routes: object[], rest: object = {}) => ({
  name: `${host}:80`,
  domains: [host, '10.96.0.1'],
  routes,
  ...rest,
});
export const routes80 = (plane: Plane, ...virtualHosts: object[]): string | null =>
  plane.routes({ name: '80', virtualHosts } as never);

/** A web service, all there. */
export function web(): Plane {
  const plane = new Plane();
  plane.cluster(base);
  plane.endpoints(base, '10.0.0.1');
  listen80(plane);
  routes80(plane, vhost([route(toCluster(base))]));
  return plane;
}
export const plainWeb = `shop/${host} 10.96.0.1:80 http round-robin -> 10.0.0.1:8080*1`;
