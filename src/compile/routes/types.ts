/**
 * A route table as Envoy's RouteConfiguration has it (envoy/config/route/v3), reduced to what decides. Everything is
 * read-only and says nothing about where it came from; the caller keeps names of objects for its messages.
 */

/** A condition on a text. `ignoreCase` folds ASCII letters only. A regular expression is RE2's and matches the whole text. */
export type TextMatch =
  | {
      readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains';
      readonly value: string;
      readonly ignoreCase?: boolean;
    }
  | { readonly kind: 'regex'; readonly pattern: string };

/**
 * A condition on the path, without its query. `prefix` compares characters, `segments` whole segments: `/a` takes `/a`
 * and `/a/b`, not `/ab` (Envoy's path_separated_prefix, the Gateway API's PathPrefix).
 */
export type PathMatch =
  | { readonly kind: 'exact' | 'prefix' | 'segments'; readonly value: string; readonly ignoreCase?: boolean }
  | { readonly kind: 'regex'; readonly pattern: string };

/** `range` takes a decimal integer with start <= value < end. */
export type ValueMatch =
  | TextMatch
  | { readonly kind: 'range'; readonly start: bigint; readonly end: bigint }
  | { readonly kind: 'present' }
  | { readonly kind: 'absent' };

/**
 * A condition on a request header. Several values of one name count as one text, joined with a comma in the order of the
 * request. A header that is missing matches nothing, not even inverted, but `absent`; with `missingAsEmpty` it is an
 * empty text (Envoy's treat_missing_header_as_empty, which Istio's withoutHeaders sets).
 */
export interface HeaderMatch {
  /** Compared without case. */
  readonly name: string;
  readonly match: ValueMatch;
  readonly invert?: boolean;
  readonly missingAsEmpty?: boolean;
}

/** A condition on the first query parameter of a name; both stay percent-encoded. `a` and `a=` have an empty value. */
export interface QueryMatch {
  readonly name: string;
  readonly match: TextMatch | { readonly kind: 'present' };
}

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
  /** What to do, as a number that only the caller understands; 32 bits. */
  readonly action: number;
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

/** Indices into the table, and the action of the route. */
export interface RouteDecision {
  readonly virtualHost: number;
  readonly route: number;
  readonly action: number;
}
