/** Routes as Envoy's resources say them, checked; clusters are still names. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { ForwardAction, HeaderEdits, HttpMatch, RedirectAction, ReplyAction } from '../../../model/http.ts';

/** A cluster that a route names. */
export interface ClusterUse {
  readonly name: string;
  readonly weight: number;
  readonly headers: HeaderEdits;
  /** `envoy.lb` of metadata_match: only endpoints with this; null: all. */
  readonly metadata: JsonObject | null;
}

export type Hash = { readonly kind: 'source' } | { readonly kind: 'header' | 'cookie'; readonly name: string };

export interface ForwardSpec extends Omit<ForwardAction, 'clusters'> {
  readonly clusters: readonly ClusterUse[];
  readonly hash: Hash | null;
}

export interface RouteSpec {
  readonly name: string;
  readonly match: HttpMatch;
  readonly action: ForwardSpec | RedirectAction | ReplyAction;
}

export interface VirtualHostSpec {
  readonly name: string;
  /** Without ports, each once. */
  readonly domains: readonly string[];
  readonly routes: readonly RouteSpec[];
}

export interface RouteTable {
  /** Name of the RouteConfiguration. */
  readonly name: string;
  readonly virtualHosts: readonly VirtualHostSpec[];
}
