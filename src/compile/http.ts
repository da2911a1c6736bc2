/**
 * From the HTTP routing of the model to a route table as the kernel reads it. An alternative of a route's matches is a
 * route of the table, all with the same action; what the table's numbers mean to a user is kept beside it.
 */
import { KmError } from '../base/errors.ts';
import type { ClusterRef, HttpMatch, HttpRouting, SourceMatch } from '../model/http.ts';
import type { Origin } from '../model/types.ts';
import { actionRecord, changesAnswers } from './actions.ts';
import { compileRoutes, type RouteBlob } from './routes/compile.ts';
import * as layout from './routes/layout.ts';
import type { Route, RouteMatch, RouteTable } from './routes/types.ts';
import { planVirtualHost } from './routes/virtual-host.ts';

/** A route of the blob, as its object names it. */
export interface RouteLabel {
  readonly name: string;
  readonly origin: Origin;
  /** The alternative of the route that it stands for. */
  readonly match: HttpMatch;
}

/** A virtual host of the blob, with its routes by their index. */
export interface HostLabel {
  readonly name: string;
  readonly routes: readonly RouteLabel[];
}

export interface CompiledRoutes {
  readonly blob: RouteBlob;
  /** Digest of the contents, as it stands in the blob. */
  readonly generation: bigint;
  /** What the bits of a request's source mean. */
  readonly sources: readonly SourceMatch[];
  readonly virtualHosts: readonly HostLabel[];
}

/** A table is refused for one of its routes. */
export class RouteError extends KmError {
  readonly origin: Origin;

  constructor(error: KmError, { name, origin }: Pick<RouteLabel, 'name' | 'origin'>) {
    super(error.code, error.message.includes(`route ${name}`) ? error.message : `route ${name}: ${error.message}`);
    this.origin = origin;
  }
}

/** KM3010 to KM3014; `name` begins their messages. The same routing and ids give the same blob. */
export function compileHttp(
  name: string,
  routing: HttpRouting,
  clusterOf: (ref: ClusterRef) => bigint,
): CompiledRoutes {
  const sources = new Map<string, SourceMatch>();
  const virtualHosts: HostLabel[] = [];
  const hosts: RouteTable['virtualHosts'][number][] = [];
  const answers = routing.virtualHosts.some(({ routes }) => routes.some(({ action }) => changesAnswers(action)));
  for (const host of routing.virtualHosts) {
    const routes: Route[] = [];
    const labels: RouteLabel[] = [];
    for (const route of host.routes) {
      const action = blame(route, () => actionRecord(route.action, clusterOf, `${name}, route ${route.name}`, answers));
      for (const match of route.matches) {
        routes.push({ match: routeMatch(match, sources), action, name: route.name });
        labels.push({ name: route.name, origin: route.origin, match });
      }
    }
    hosts.push({ name: host.name, domains: host.domains, routes });
    virtualHosts.push({ name: host.name, routes: labels });
  }
  const blob = compileAll({ name, virtualHosts: hosts }, routing);
  return {
    blob,
    generation: generationOf(blob.words),
    sources: blob.sources.flatMap((text) => sources.get(text) ?? []),
    virtualHosts,
  };
}

/** A route that is refused for its own sake is named with its origin. */
function compileAll(table: RouteTable, routing: HttpRouting): RouteBlob {
  try {
    return compileRoutes(table);
  } catch (error) {
    for (const route of routing.virtualHosts.flatMap(({ routes }) => routes)) {
      const matches = route.matches.map((match) => routeMatch(match, new Map()));
      blame(route, () => planVirtualHost(matches, table.name));
    }
    throw error;
  }
}

function blame<T>(route: Pick<RouteLabel, 'name' | 'origin'>, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof KmError ? new RouteError(error, route) : error;
  }
}

/** Digest of a blob's contents. */
export function generationOf(words: Uint32Array): bigint {
  const { generationLow, generationHigh } = layout.header;
  return (BigInt(words[generationHigh] ?? 0) << 32n) | BigInt(words[generationLow] ?? 0);
}

function routeMatch({ source, ...rest }: HttpMatch, sources: Map<string, SourceMatch>): RouteMatch {
  if (source === undefined || isEmpty(source)) return rest;
  const name = sourceName(source);
  sources.set(name, source);
  return { ...rest, sources: [name] };
}

const isEmpty = ({ labels, namespace }: SourceMatch): boolean =>
  namespace === undefined && Object.keys(labels ?? {}).length === 0;

/** The same text for the same condition, however it is written. */
export function sourceName({ labels = {}, namespace }: SourceMatch): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([namespace ?? null, sorted]);
}

/** What a source shows to the predicates of a table. */
export interface Source {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function sourceHolds(match: SourceMatch, source: Source): boolean {
  if (match.namespace !== undefined && match.namespace !== source.namespace) return false;
  return Object.entries(match.labels ?? {}).every(([key, value]) => source.labels[key] === value);
}

/** The bits of a request's source (struct km_source): four words of 64 predicates. */
export function sourceBits(sources: readonly SourceMatch[], source: Source): readonly bigint[] {
  const words = [0n, 0n, 0n, 0n];
  sources.forEach((match, i) => {
    if (sourceHolds(match, source)) words[i >> 6] = (words[i >> 6] ?? 0n) | (1n << BigInt(i & 63));
  });
  return words;
}
