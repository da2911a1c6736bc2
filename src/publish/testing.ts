/** Real kernel tables for tests: the maps of the real object, small and not pinned. */
import { join } from 'node:path';
import type { CompiledService } from '../compile/service.ts';
import { compileService } from '../compile/service.ts';
import { mapTypes } from '../kernel/gen/layout.gen.ts';
import { openLibbpf } from '../kernel/libbpf.ts';
import { typedMaps } from '../kernel/map.ts';
import { type LoadedObjects, loadObjects } from '../kernel/object.ts';
import { RoutePlaces } from '../kernel/route-places.ts';
import type { ClusterPolicy } from '../model/http.ts';
import type { Endpoint, Service, ServicePort } from '../model/types.ts';
import { type Tables, tablesOf } from './tables.ts';

export interface TestTables {
  readonly tables: Tables;
  readonly programs: LoadedObjects['programs'];
  readonly maps: LoadedObjects['maps'];
  close(): void;
}

export function realTables(entries = 1000, moreObjects: readonly string[] = []): TestTables {
  const names = [
    'km_listener',
    'km_cluster',
    'km_cluster_stats',
    'km_slot',
    'km_endpoint',
    'km_endpoint_stats',
    'km_source',
  ];
  const build = join(import.meta.dirname, '..', '..', 'build', 'bpf');
  const loaded = loadObjects(openLibbpf(), {
    objects: [join(build, 'sock_addr.bpf.o'), join(build, 'routes.bpf.o'), ...moreObjects],
    maxEntries: Object.fromEntries(names.map((name) => [name, entries])),
  });
  const { km_listener, km_cluster, km_cluster_stats, km_slot, km_endpoint, km_endpoint_stats, km_workload_address } =
    mapTypes;
  const { km_source, km_route_14, km_route_16, km_route_18, km_route_20, km_route_22 } = mapTypes;
  const maps = typedMaps(loaded.maps, {
    km_listener,
    km_cluster,
    km_cluster_stats,
    km_slot,
    km_endpoint,
    km_endpoint_stats,
    km_workload_address,
    km_source,
    km_route_14,
    km_route_16,
    km_route_18,
    km_route_20,
    km_route_22,
  });
  const reader = loaded.programs.get('km_route_places');
  if (reader === undefined) throw new Error('routes.bpf.o has another program');
  return {
    tables: tablesOf(maps, new RoutePlaces(reader)),
    programs: loaded.programs,
    maps: loaded.maps,
    close: () => loaded.close(),
  };
}

export function service(
  name: string,
  options: {
    readonly addresses?: readonly string[];
    readonly endpoints: readonly (Partial<Endpoint> & { readonly address: string })[];
    readonly policy?: ClusterPolicy['balance'];
    readonly affinitySeconds?: number;
    readonly port?: Partial<ServicePort>;
  },
): Service {
  return {
    key: `shop/${name}.shop.svc.cluster.local`,
    kind: 'Service',
    namespace: 'shop',
    name,
    hostname: `${name}.shop.svc.cluster.local`,
    addresses: options.addresses ?? ['10.96.0.1'],
    ports: [
      {
        name: 'http',
        port: 80,
        protocol: 'TCP',
        endpoints: options.endpoints.map((e) => ({ port: 8080, weight: 1, ...e })),
        unready: 0,
        policy: { balance: options.policy ?? 'random', perConnection: false, connectTimeoutMs: 0 },
        mode: 'tcp',
        subsets: [],
        ...options.port,
      },
    ],
    affinitySeconds: options.affinitySeconds ?? 0,
    origin: { source: 'files', file: 'shop.yaml', line: 1 },
  };
}

/** The services as a publisher takes them. */
export function compiled(...services: readonly Service[]): Map<string, CompiledService> {
  return new Map(services.map((s) => [s.key, compileService(s)]));
}
