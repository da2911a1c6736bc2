/** HTTP routes and the clusters that they lead to, as the admin API lists them. */
import type { ClusterItem, RouteItem } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { actionRecord } from '../compile/actions.ts';
import { actionLines, matchText } from '../compile/describe.ts';
import {
  clusterId,
  endpointId,
  type Family,
  familyOf,
  type RouteCompiler,
  referredCluster,
} from '../compile/service.ts';
import type { KmClusterStats, KmEndpointStats } from '../kernel/gen/layout.gen.ts';
import type { ClusterPolicy, ClusterRef, HttpAction } from '../model/http.ts';
import { defaultConnectRetries } from '../model/route-objects.ts';
import { clusterName, type Mesh, type Service, type ServicePort, type Subset } from '../model/types.ts';
import { byName, place } from './items.ts';

/** Routes of all ports whose requests are routed, in the order in which they are tried. */
export function routeItems(mesh: Mesh, compiler: RouteCompiler): RouteItem[] {
  return [...mesh.services.values()].sort(byName).flatMap((s) => s.ports.flatMap((p) => routesOf(s, p, compiler)));
}

function routesOf(s: Service, p: ServicePort, compiler: RouteCompiler): RouteItem[] {
  const { routing } = p;
  if (routing === undefined || p.mode === 'tcp') return [];
  const families = new Set(s.addresses.map(familyOf));
  const tables = [...families].map((family) => compiler.compile(`${s.key}:${p.port}`, routing, family));
  const refused = tables.find(({ refusal }) => refusal !== null)?.refusal?.reason ?? null;
  return routing.virtualHosts.flatMap((host) =>
    host.routes.map((route) => ({
      namespace: s.namespace,
      service: s.name,
      port: p.port,
      virtualHost: host.name,
      domains: host.domains,
      name: route.name,
      matches: route.matches.map(matchText),
      action: actionText(route.action, route.name),
      refused,
      origin: place(route.origin),
    })),
  );
}

/** In the words of the record that the kernel gets; clusters have the same names in both address families. */
function actionText(action: HttpAction, route: string): string[] {
  const names = new Map<bigint, string>();
  const idOf = (ref: ClusterRef): bigint => {
    const id = referredCluster(ref, 4);
    names.set(id, refName(ref));
    return id;
  };
  try {
    const record = actionRecord(action, idOf, route);
    // What every route has without being told says nothing.
    const usual = record.kind === 'forward' && record.retries === defaultConnectRetries;
    return actionLines(usual ? { ...record, retries: 0 } : record, (id) => names.get(id) ?? String(id));
  } catch (error) {
    if (error instanceof KmError) return [`refused: ${error.message}`];
    throw error;
  }
}

/** `outbound|80|v1|reviews.shop.svc.cluster.local` */
export function refName({ service, port, subset }: ClusterRef): string {
  return clusterName({ hostname: service.slice(service.indexOf('/') + 1) }, { port }, subset);
}

/** `maglev (header x-user)`, `random`. */
export function policyText({ balance, hash }: ClusterPolicy): string {
  if (balance !== 'maglev' || hash === undefined) return balance;
  return `${balance} (${hash.kind === 'source' ? 'source' : `${hash.kind} ${hash.name}`})`;
}

export interface ClusterCounters {
  endpoint(id: bigint): KmEndpointStats | undefined;
  cluster(id: bigint): KmClusterStats | undefined;
}

/** Clusters of all ports and of their subsets; both address families are one. */
export function clusterItems(mesh: Mesh, counters: ClusterCounters): ClusterItem[] {
  return [...mesh.services.values()]
    .sort(byName)
    .flatMap((s) =>
      s.ports.flatMap((p) =>
        [{ ...p, name: '' }, ...p.subsets].map((part: Subset) => clusterItem(s, p, part, counters)),
      ),
    );
}

const families: readonly Family[] = [4, 6];

function clusterItem(s: Service, p: ServicePort, part: Subset, counters: ClusterCounters): ClusterItem {
  const ids = new Map(families.map((family) => [family, clusterId(s, p, family, part.name)]));
  let requests = 0;
  let active = 0;
  for (const e of part.endpoints) {
    const counted = counters.endpoint(endpointId(ids.get(familyOf(e.address)) ?? 0n, e));
    requests += Number(counted?.requests ?? 0n);
    active += counted?.active ?? 0;
  }
  return {
    namespace: s.namespace,
    service: s.name,
    cluster: clusterName(s, p, part.name),
    port: p.port,
    protocol: p.protocol,
    subset: part.name,
    policy: policyText(part.policy),
    perConnection: part.policy.perConnection,
    endpoints: part.endpoints.length,
    unready: part.unready,
    requests,
    requestsActive: active,
    refused: [...ids.values()].reduce((sum, id) => sum + Number(counters.cluster(id)?.refused ?? 0n), 0),
  };
}
