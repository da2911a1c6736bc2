/**
 * A route table as Envoy's RouteConfiguration has it (envoy/config/route/v3), reduced to what decides. Everything is
 * read-only and says nothing about where it came from; the caller keeps names of objects for its messages.
 */

import type { HeaderMatch, PathMatch, QueryMatch, TextMatch, ValueMatch } from '../../model/route-match.ts';
import type { ActionRecord } from './action-records.ts';

export type { HeaderMatch, PathMatch, QueryMatch, TextMatch, ValueMatch };

/** All of it must hold; what is left out holds. */
export interface RouteMatch {
  readonly path?: PathMatch;
  /** One of them, compared with case; an empty list asks nothing. */
  readonly methods?: readonly string[];
  readonly headers?: readonly HeaderMatch[];
  readonly query?: readonly QueryMatch[];
  /** Names of predicates over the source workload (labels, namespace, port), each of which must hold. */
  readonly sources?: readonly string[];
  /** Share of requests in millionths, 0 to 1 000 000. */
  readonly fraction?: number;
}

export interface Route {
  readonly match: RouteMatch;
  /** What to do: a record that the blob is to hold, or 32 bits that only the caller understands. */
  readonly action: ActionRecord | number;
  /** For messages. */
  readonly name?: string;
}

export interface VirtualHost {
  readonly name: string;
  /** `a.b`, `*.b`, `a.*` or `*`, without port, any case. */
  readonly domains: readonly string[];
  /** The first that matches decides. */
  readonly routes: readonly Route[];
}

export interface RouteTable {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
}

/** What a request shows to a route table. */
export interface RouteRequest {
  /** Authority without port, any case. */
  readonly host: string;
  /** Request target up to `?` or `#`. */
  readonly path: string;
  /** What follows `?`, up to `#`; empty without one. */
  readonly query: string;
  readonly method: string;
  /** In the order of the request. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** 0 to 999 999, drawn once for a request. */
  readonly random: number;
  /** The predicates that hold for the source. */
  readonly sources: ReadonlySet<string>;
}

/** Indices into the table, and the route's action: its number, or the unit of its record. */
export interface RouteDecision {
  readonly virtualHost: number;
  readonly route: number;
  readonly action: number;
}
