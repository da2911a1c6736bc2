/**
 * Objects as the sources hand them over: parsed, checked, and trimmed to what the mesh reads. They are kept as long as they
 * are in force, 100 000 endpoints and more, so they hold no text of the file and nothing that can be computed.
 *
 * Field meanings and defaults follow the Kubernetes API reference (core/v1, discovery.k8s.io/v1) and Istio's
 * networking.istio.io; defaults are filled in.
 */

import type { Hints } from './hints.ts';
import type { ClusterPolicy } from './http.ts';
import type { LocalityPolicy } from './localities.ts';
import type { HttpRouteObject, ReferenceGrantObject, VirtualServiceObject } from './route-objects.ts';
import type { Origin, Protocol } from './types.ts';

export type Labels = Readonly<Record<string, string>>;

/** The dataplane-mode label `istio.io/dataplane-mode`, any case: Kmesh's own value, `none`, or nothing that concerns us. */
export type DataplaneMode = 'kmesh' | 'none' | '';

export interface ObjectBase {
  /** Empty for a Namespace. */
  readonly namespace: string;
  readonly name: string;
  /** `line` moves along when lines are added above the object's document; nothing else of an object ever changes. */
  readonly origin: Origin;
}

export interface NamespaceObject extends ObjectBase {
  readonly kind: 'Namespace';
  readonly dataplaneMode: DataplaneMode;
}

/** Only its place matters, and only of the node whose mesh this is. */
export interface NodeObject extends ObjectBase {
  readonly kind: 'Node';
  /** `region/zone/`, by the labels topology.kubernetes.io; empty when it has none. */
  readonly locality: string;
}

/** A named port of a container. */
export interface ContainerPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface PodObject extends ObjectBase {
  readonly kind: 'Pod';
  readonly labels: Labels;
  readonly dataplaneMode: DataplaneMode;
  readonly owner: string;
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  readonly node: string;
  /** Label `istio-locality` with slashes, `region/zone/subzone`; empty when there is none. */
  readonly locality: string;
  /** Annotation `kmesh.net/netns`, as written; empty when there is none. */
  readonly netns: string;
  /** Canonical text, from status.podIPs or status.podIP. */
  readonly addresses: readonly string[];
  readonly ready: boolean;
  /** Phase Succeeded or Failed: it runs no more, and its address may be given to another pod. */
  readonly finished: boolean;
  /** Named container ports only. */
  readonly ports: readonly ContainerPort[];
  /** What only a pod of an API server has. */
  readonly kubelet?: KubeletPod;
}

/** A pod as its node's kubelet runs it. */
export interface KubeletPod {
  /** metadata.uid */
  readonly uid: string;
  /** The uid in names of cgroups and in what a CNI plugin is told; of a static pod it is not the API server's. */
  readonly runtimeUid: string;
  /** Annotation `kmesh.net/redirection: enabled`. */
  readonly redirection: boolean;
}

export interface ServiceObjectPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** As written; empty when there is none. */
  readonly appProtocol: string;
  /** A number, or the name of a container port. */
  readonly targetPort: number | string;
}

export interface ServiceObject extends ObjectBase {
  readonly kind: 'Service';
  /** Canonical text; empty: headless. */
  readonly addresses: readonly string[];
  /** Null: no selector. */
  readonly selector: Labels | null;
  readonly ports: readonly ServiceObjectPort[];
  /** sessionAffinity ClientIP in seconds, 0 for none. */
  readonly affinitySeconds: number;
  readonly publishNotReady: boolean;
  /** trafficDistribution; null: endpoints are alike wherever they are. */
  readonly locality: LocalityPolicy | null;
  /** internalTrafficPolicy Local: only endpoints on the client's node are used. */
  readonly localOnly?: true;
  readonly balancePer: BalancePer;
}

/** Annotation `kmesh.net/balance-per`: whether each connection or each request is balanced; empty: not said. */
export type BalancePer = 'connection' | 'request' | '';

/** `draining`: no more ready, terminating, but still serving: used only when no endpoint of the service is ready. */
export type EndpointState = 'ready' | 'draining' | 'unready';

export interface SliceEndpoint {
  readonly address: string;
  readonly state: EndpointState;
  /** Name of the Pod that targetRef names in the slice's namespace; empty when it names none. */
  readonly pod: string;
  /** Empty when the slice does not say it. */
  readonly zone: string;
  /** Name of its node, when the slice says it. */
  readonly node?: string;
  /** Whom it is meant for, when the slice says it. */
  readonly hints?: Hints;
}

export interface SlicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface EndpointSliceObject extends ObjectBase {
  readonly kind: 'EndpointSlice';
  /** Label `kubernetes.io/service-name`; empty when it has none. */
  readonly service: string;
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

/** Where ServiceEntry ports differ by endpoint: port name to number. */
export type PortMap = Readonly<Record<string, number>>;

export interface EntryEndpoint {
  readonly address: string;
  readonly ports: PortMap;
  /** 0: never used. */
  readonly weight: number;
  /** `region/zone/subzone` or empty. */
  readonly locality: string;
  readonly labels: Labels;
}

export interface EntryPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** Lower case; empty for UDP, and where the entry does not say it. */
  readonly appProtocol: string;
  readonly targetPort: number;
}

export interface ServiceEntryObject extends ObjectBase {
  readonly kind: 'ServiceEntry';
  readonly hosts: readonly string[];
  /** Canonical text; empty: every address. */
  readonly addresses: readonly string[];
  readonly ports: readonly EntryPort[];
  readonly endpoints: readonly EntryEndpoint[];
  /** workloadSelector.labels; null: the endpoints are listed. */
  readonly selector: Labels | null;
  readonly balancePer: BalancePer;
}

export interface WorkloadEntryObject extends ObjectBase {
  readonly kind: 'WorkloadEntry';
  readonly labels: Labels;
  readonly owner: string;
  readonly serviceAccount: string;
  readonly address: string;
  readonly ports: PortMap;
  readonly weight: number;
  /** `region/zone/subzone` or empty. */
  readonly locality: string;
}

/** How endpoints share requests, as far as a rule says it. */
export interface PolicyFields {
  readonly balance?: Pick<ClusterPolicy, 'balance' | 'hash'>;
  /** Given with `balance`. `service`: as the Service says. Null: endpoints are alike wherever they are. */
  readonly locality?: LocalityPolicy | 'service' | null;
  readonly connectTimeoutMs?: number;
}

export interface TrafficPolicy extends PolicyFields {
  /** By port number: take the place of all fields, also of those that they leave out. */
  readonly ports: ReadonlyMap<number, PolicyFields>;
}

export interface RuleSubset {
  readonly name: string;
  readonly labels: Labels;
  /** Its fields come before the rule's own. */
  readonly policy: TrafficPolicy;
}

export interface DestinationRuleObject extends ObjectBase {
  readonly kind: 'DestinationRule';
  /** Short names are completed: `reviews` is `reviews.NAMESPACE.svc.cluster.local`. */
  readonly host: string;
  readonly policy: TrafficPolicy;
  readonly subsets: readonly RuleSubset[];
  readonly balancePer: BalancePer;
}

export type KubeObject =
  | NamespaceObject
  | NodeObject
  | PodObject
  | ServiceObject
  | EndpointSliceObject
  | ServiceEntryObject
  | WorkloadEntryObject
  | DestinationRuleObject
  | VirtualServiceObject
  | HttpRouteObject
  | ReferenceGrantObject;

export type ObjectKind = KubeObject['kind'];

/** What names an object; no two objects in force have the same. */
export interface ObjectKey {
  readonly kind: ObjectKind;
  readonly namespace: string;
  readonly name: string;
}

/** One settled change of a source: taken over as a whole or not at all. */
export interface ObjectChanges {
  readonly upserted: readonly KubeObject[];
  readonly removed: readonly ObjectKey[];
}

/** `KIND/NAMESPACE/NAME`, for map keys. */
export function objectKeyText(key: ObjectKey): string {
  return `${key.kind}/${key.namespace}/${key.name}`;
}
