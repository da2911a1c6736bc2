/**
 * What becomes of a request: which virtual host and route take it, what they do with it, and which endpoints it can reach.
 * Decided by the blob that the kernel reads, through the interpreter. Pure.
 */
import { addressFamily } from '../base/address.ts';
import type { ClusterPolicy, ClusterRef, HttpMatch, HttpRouting } from '../model/http.ts';
import type { Endpoint, Mesh, Origin, Service, ServicePort } from '../model/types.ts';
import { type CompiledRoutes, type Source, sourceHolds, sourceName } from './http.ts';
import { type ActionRecord, decodeAction } from './routes/action-records.ts';
import { fractionWhole } from './routes/conditions.ts';
import { interpret } from './routes/interpret.ts';
import type { RouteRequest } from './routes/types.ts';
import { type Family, type RouteCompiler, referredCluster } from './service.ts';

export interface ExplainRequest {
  readonly method: string;
  /** `http://HOST[:PORT]/PATH?QUERY`, taken as it is: nothing is decoded or normalised. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The workload that sends it; null: one that nothing is known of. */
  readonly source: Source | null;
}

/** A cluster that a request may go to. */
export interface ExplainedCluster {
  readonly ref: ClusterRef;
  readonly id: bigint;
  /** Of the requests of this route, 0 to 1. */
  readonly share: number;
  /** Null: there is no such cluster, and the answer is 503 (NC). */
  readonly policy: ClusterPolicy | null;
  /** None: the answer is 503 (UH). */
  readonly endpoints: readonly Endpoint[];
  readonly unready: number;
}

export interface ExplainedRoute {
  /** As its object names it. */
  readonly name: string;
  readonly origin: Origin;
  /** Index among the routes of the blob's virtual host. */
  readonly index: number;
  /** The alternative that takes the request. */
  readonly match: HttpMatch;
  readonly action: ActionRecord;
  readonly clusters: readonly ExplainedCluster[];
}

/** One of the ways that a request can take; several when routes ask for a share of the requests. */
export interface Outcome {
  /** Of all requests like this one, 0 to 1. */
  readonly share: number;
  /** Null: none takes the host, and the answer is 404 (NR). */
  readonly virtualHost: string | null;
  /** Null: no route of it takes the request, 404 (NR). */
  readonly route: ExplainedRoute | null;
}

export interface Explanation {
  /**
   * `routed`: by `outcomes`. `refused`: the port's route table is, for `reason`; the last good one may be in force.
   * `balanced`: there is no table, and every request goes to `cluster`.
   */
  readonly kind: 'routed' | 'refused' | 'balanced';
  readonly reason: string | null;
  readonly cluster: ExplainedCluster;
  readonly outcomes: readonly Outcome[];
}

/** Explains a request to a port of a service, at its addresses of one family. */
export function explain(
  at: { readonly mesh: Mesh; readonly service: Service; readonly port: ServicePort; readonly family: Family },
  request: ExplainRequest,
  compiler: RouteCompiler,
): Explanation {
  const { mesh, service, port, family } = at;
  const cluster = explainCluster(mesh, { service: service.key, port: port.port, subset: '' }, 1, family);
  const { routing, mode } = port;
  if (routing === undefined || mode === 'tcp') return { kind: 'balanced', reason: null, cluster, outcomes: [] };
  const { routes, refusal } = compiler.compile(`${service.key}:${port.port}`, routing, family);
  if (routes === null) return { kind: 'refused', reason: refusal?.reason ?? null, cluster, outcomes: [] };
  const clusters = refsOf(routing, family);
  const decide = (random: number): Omit<Outcome, 'share'> => {
    const { virtualHost, route } = interpret(routes.blob, routeRequest(request, routes, random));
    const host = virtualHost === null ? undefined : routes.virtualHosts[virtualHost];
    const label = route === null ? undefined : host?.routes[route.route];
    if (route === null || label === undefined) return { virtualHost: host?.name ?? null, route: null };
    const action = decodeAction(routes.blob.words, route.action);
    const explained = clustersOf(action, (id, share) => {
      const ref = clusters.get(id);
      return ref === undefined ? [] : [explainCluster(mesh, ref, share, family)];
    });
    return { virtualHost: host?.name ?? null, route: { ...label, index: route.route, action, clusters: explained } };
  };
  return { kind: 'routed', reason: null, cluster, outcomes: outcomes(drawsThatMatter(routing), decide) };
}

/** Between two neighbours every draw decides alike. */
function drawsThatMatter(routing: HttpRouting): number[] {
  const draws = new Set([0]);
  for (const { routes } of routing.virtualHosts) {
    for (const { fraction } of routes.flatMap(({ matches }) => matches)) {
      if (fraction !== undefined && fraction > 0 && fraction < fractionWhole) draws.add(fraction);
    }
  }
  return [...draws].sort((a, b) => a - b);
}

/** The different results, the most likely first. */
function outcomes(draws: readonly number[], decide: (random: number) => Omit<Outcome, 'share'>): Outcome[] {
  const found = new Map<string, { share: number; readonly result: Omit<Outcome, 'share'> }>();
  draws.forEach((draw, i) => {
    const result = decide(draw);
    const key = `${result.virtualHost} ${result.route?.index}`;
    const entry = found.get(key) ?? { share: 0, result };
    entry.share += ((draws[i + 1] ?? fractionWhole) - draw) / fractionWhole;
    found.set(key, entry);
  });
  return [...found.values()].sort((a, b) => b.share - a.share).map(({ share, result }) => ({ share, ...result }));
}

function routeRequest(
  { method, url, headers, source }: ExplainRequest,
  { sources }: CompiledRoutes,
  random: number,
): RouteRequest {
  const [, authority = '', path = '', query = ''] = /^[a-z]+:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/i.exec(url) ?? [];
  const given = headers.find(([name]) => name.toLowerCase() === 'host')?.[1];
  const host = (given ?? authority).trim();
  const held = source === null ? [] : sources.filter((match) => sourceHolds(match, source));
  return {
    host: host.replace(/:[0-9]*$/, ''),
    path: path === '' ? '/' : path,
    query,
    method,
    headers: given === undefined ? [['host', host], ...headers] : headers,
    random,
    sources: new Set(held.map(sourceName)),
  };
}

function clustersOf<T>(action: ActionRecord, explainOne: (id: bigint, share: number) => readonly T[]): T[] {
  if (action.kind !== 'forward') return [];
  const total = action.splits.reduce((sum, { weight }) => sum + weight, 0);
  return action.splits.flatMap(({ cluster, weight }) => explainOne(cluster, weight / total));
}

/** The clusters that a routing names, by their ids. */
function refsOf(routing: HttpRouting, family: Family): ReadonlyMap<bigint, ClusterRef> {
  const actions = routing.virtualHosts.flatMap(({ routes }) => routes.map(({ action }) => action));
  const refs = actions.flatMap((action) => (action.kind === 'forward' ? action.clusters : [])).map((c) => c.cluster);
  return new Map(refs.map((ref) => [referredCluster(ref, family), ref]));
}

function explainCluster(mesh: Mesh, ref: ClusterRef, share: number, family: Family): ExplainedCluster {
  const port = mesh.services.get(ref.service)?.ports.find((p) => p.port === ref.port && p.protocol === 'TCP');
  const part = ref.subset === '' ? port : port?.subsets.find(({ name }) => name === ref.subset);
  return {
    ref,
    id: referredCluster(ref, family),
    share,
    policy: part?.policy ?? null,
    endpoints: (part?.endpoints ?? []).filter((e) => e.weight > 0 && addressFamily(e.address) === family),
    unready: part?.unready ?? 0,
  };
}
