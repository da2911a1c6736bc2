/**
 * HTTP routing of a service port as the daemon understands it, whatever object said it: VirtualService, HTTPRoute, or an xDS
 * RouteConfiguration. Envoy's vocabulary (envoy/config/route/v3), reduced to what the kernel can do; sources refuse the rest.
 */

import type { HeaderMatch, PathMatch, QueryMatch } from './route-match.ts';
import type { Origin } from './types.ts';

/** A condition on the workload that sends the request: all of it must hold. */
export interface SourceMatch {
  readonly labels?: Readonly<Record<string, string>>;
  readonly namespace?: string;
}

/** All of it must hold; what is left out holds. */
export interface HttpMatch {
  readonly path?: PathMatch;
  readonly methods?: readonly string[];
  readonly headers?: readonly HeaderMatch[];
  readonly query?: readonly QueryMatch[];
  readonly source?: SourceMatch;
  /** Share of requests in millionths. */
  readonly fraction?: number;
}

/** A group of endpoints: those of a service port, or of a subset of them by labels (DestinationRule). */
export interface ClusterRef {
  /** `NAMESPACE/HOSTNAME` of a service. */
  readonly service: string;
  readonly port: number;
  /** Name of the subset; empty: all endpoints. */
  readonly subset: string;
}

/** Changes of headers. Removals come first, then set, then add. Names in any case, values literal. */
export interface HeaderEdits {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export interface WeightedCluster {
  readonly cluster: ClusterRef;
  /** 0 or more; any total. */
  readonly weight: number;
  readonly headers: HeaderEdits;
  /** Changes of the answer's head. */
  readonly responseHeaders?: HeaderEdits;
}

/** `prefix`: characters (Envoy's prefix_rewrite); `segments`: whole segments (Gateway API ReplacePrefixMatch). */
export type PathRewrite =
  | { readonly kind: 'path'; readonly value: string }
  | { readonly kind: 'prefix' | 'segments'; readonly prefix: string; readonly value: string };

export interface ForwardAction {
  readonly kind: 'forward';
  /** When all weights are 0 no request is forwarded: 500 as the Gateway API says. */
  readonly clusters: readonly WeightedCluster[];
  /** Weight of what leads nowhere, beside the clusters': answered with 500 as the Gateway API says. */
  readonly lost?: number;
  readonly headers: HeaderEdits;
  /** Changes of the answer's head, after those of its cluster. */
  readonly responseHeaders?: HeaderEdits;
  readonly path?: PathRewrite;
  /** Takes the place of the request's authority. */
  readonly host?: string;
  /** `share` of requests (millionths) is answered with `status` instead. */
  readonly abort?: { readonly status: number; readonly share: number };
  /** How many other endpoints are tried when one refuses the connection or does not answer. */
  readonly connectRetries: number;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme?: 'http' | 'https';
  readonly host?: string;
  /** 0: none is written, whatever the request had. Absent: the request's, or none when scheme changes. */
  readonly port?: number;
  readonly path?: PathRewrite;
  readonly stripQuery?: boolean;
}

export interface ReplyAction {
  readonly kind: 'reply';
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
}

export type HttpAction = ForwardAction | RedirectAction | ReplyAction;

export interface HttpRoute {
  /** As the object names it, else `OBJECT.INDEX`; shown to users. */
  readonly name: string;
  /** The first of several alternatives that matches takes the route. Never empty. */
  readonly matches: readonly HttpMatch[];
  readonly action: HttpAction;
  readonly origin: Origin;
}

export interface HttpVirtualHost {
  readonly name: string;
  /** `a.b`, `*.b`, `a.*` or `*`, without port. */
  readonly domains: readonly string[];
  /** The first that matches decides; a request that none takes is answered with 404. */
  readonly routes: readonly HttpRoute[];
}

/** The route table of an HTTP listener. */
export interface HttpRouting {
  readonly virtualHosts: readonly HttpVirtualHost[];
}

/** The kernel keeps so many bytes of the name of the header or cookie that it hashes (KM_HASH_NAME_MAX). */
export const hashNameMax = 64;

/** How the endpoints of a cluster share its requests. */
export interface ClusterPolicy {
  readonly balance: 'random' | 'round-robin' | 'least-request' | 'maglev';
  /** What maglev hashes. */
  readonly hash?: { readonly kind: 'source' } | { readonly kind: 'header' | 'cookie'; readonly name: string };
  readonly perConnection: boolean;
  /** 0: the default (10 s). */
  readonly connectTimeoutMs: number;
  /** Circuit breakers as the control plane wants them. Kept; the kernel does not enforce them. */
  readonly limits?: ClusterLimits;
}

/** Null: no limit. */
export interface ClusterLimits {
  readonly maxConnections: number | null;
  readonly maxPendingRequests: number | null;
  readonly maxRequests: number | null;
  readonly maxRetries: number | null;
}
