/** Objects that route: parsed and checked, but no name in them is looked up yet. */
import type { ForwardAction, HeaderEdits, HttpMatch, RedirectAction, ReplyAction } from './http.ts';
import type { ObjectBase } from './objects.ts';

/** Where requests go. */
export interface Destination {
  /** Complete, lower case. */
  readonly host: string;
  /** 0: the service's only port, else the one that the request came to. */
  readonly port: number;
  /** Empty: all endpoints. */
  readonly subset: string;
  readonly weight: number;
  readonly headers: HeaderEdits;
  readonly responseHeaders?: HeaderEdits;
  /** It is of a kind that is none of a mesh's destinations, such as `example.com/Bucket`: nothing is ever sent there. */
  readonly unknownKind?: string;
}

export interface ForwardRule extends Omit<ForwardAction, 'clusters'> {
  /** May be empty in an HTTPRoute. */
  readonly destinations: readonly Destination[];
}

export interface RedirectRule extends RedirectAction {
  /** The port is the one that the request came to. */
  readonly listenerPort?: true;
}

export type RuleAction = ForwardRule | RedirectRule | ReplyAction;

export interface RuleMatch {
  /** 0: every port. */
  readonly port: number;
  readonly match: HttpMatch;
}

export interface HttpRule {
  /** As the object names it, else `OBJECT.INDEX`. */
  readonly name: string;
  /** Place in the object's list, for problems; rules that were one have the same. */
  readonly index: number;
  /** Never empty. */
  readonly matches: readonly RuleMatch[];
  readonly action: RuleAction;
}

/** A layer 4 rule of a VirtualService. */
export interface TcpRule {
  readonly index: number;
  /** Empty: every port. */
  readonly ports: readonly number[];
  readonly destinations: readonly Destination[];
}

export interface VirtualServiceObject extends ObjectBase {
  readonly kind: 'VirtualService';
  /** Milliseconds since 1970; Infinity when the object does not say. The older one comes first. */
  readonly created: number;
  /** Complete, lower case; the first label may be `*`. */
  readonly hosts: readonly string[];
  readonly http: readonly HttpRule[];
  readonly tcp: readonly TcpRule[];
}

/** A Service that an HTTPRoute is for. */
export interface RouteParent {
  /** Place in parentRefs. */
  readonly index: number;
  readonly namespace: string;
  readonly name: string;
  /** 0: every port. */
  readonly port: number;
  /** Name of the port; empty: every port. */
  readonly section: string;
}

export interface HttpRouteObject extends ObjectBase {
  readonly kind: 'HTTPRoute';
  readonly created: number;
  readonly parents: readonly RouteParent[];
  /** In the order of the object, each with one match; the mesh sorts them. */
  readonly rules: readonly HttpRule[];
}

/** Lets HTTPRoutes of other namespaces name Services of its own. */
export interface ReferenceGrantObject extends ObjectBase {
  readonly kind: 'ReferenceGrant';
  /** Namespaces whose HTTPRoutes may. */
  readonly from: readonly string[];
  /** Names of Services; null: all. */
  readonly to: readonly string[] | null;
}

export const noEdits: HeaderEdits = { set: [], add: [], remove: [] };

/** Other endpoints that a request tries when one does not take the connection, where no object says how many (Istio's 2). */
export const defaultConnectRetries = 2;
