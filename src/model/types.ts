/**
 * The mesh as the daemon understands it, whatever source it came from. Every source feeds these types, and the compiler
 * reads nothing else. Values are immutable: a change makes a new object, so that a reader can compare by identity.
 */

import type { ClusterPolicy, HttpRouting } from './http.ts';
import type { KubeletPod } from './objects.ts';

/** Where an object was read, so that every error can name it. */
export interface Origin {
  /** Name of the source, such as `files`. */
  readonly source: string;
  /**
   * File path as the user gave it (`--config` directory joined with the file's name). An object that is in no file has its
   * source and its own name there: `kubernetes HTTPRoute shop/web`, or the address of a control plane.
   */
  readonly file: string;
  /** 1-based line on which the object's document starts; 0 for an object that is in no file. */
  readonly line: number;
}

/** Where an object was read, as messages say it: `FILE:LINE`, or `kubernetes HTTPRoute shop/web`. */
export function originText({ file, line }: Pick<Origin, 'file' | 'line'>): string {
  return line === 0 ? file : `${file}:${line}`;
}

export type Protocol = 'TCP' | 'UDP';

/** A pod, VM or process with an identity. */
export interface Workload {
  /** `Kubernetes//Pod/NAMESPACE/NAME` or `Kubernetes//WorkloadEntry/NAMESPACE/NAME`, as Istio's workload API says it. */
  readonly uid: string;
  readonly kind: 'Pod' | 'WorkloadEntry';
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the owner (Deployment, ...) where one is known, else the workload's own name. */
  readonly owner: string;
  /** Canonical text of each address (`10.0.0.1`, `fd00::1`). */
  readonly addresses: readonly string[];
  readonly ready: boolean;
  /** What the labels say; the enroller finds out whether it can be done. */
  readonly enrolled: boolean;
  readonly hostNetwork: boolean;
  /** Path of the network namespace on this machine, when the object names one (`kmesh.net/netns`). */
  readonly netns?: string;
  readonly node?: string;
  /** What only a pod of an API server has. */
  readonly kubelet?: KubeletPod;
  /** `region/zone/subzone`, when the object says it. */
  readonly locality?: string;
  readonly origin: Origin;
  /** Network of the addresses, where it is not the daemon's own; they cannot be reached directly then. */
  readonly network?: string;
  /** Where its traffic is to pass: `NAMESPACE/HOSTNAME` or an address. */
  readonly waypoint?: string;
  /** It takes connections in a tunnel (`HBONE`). */
  readonly tunnel?: string;
  readonly trustDomain?: string;
  readonly clusterId?: string;
  /** `NAMESPACE/NAME` of the authorization policies that select it. */
  readonly authorizationPolicies?: readonly string[];
}

/** One address:port of a cluster. Those that must not get new connections are not listed at all. */
export interface Endpoint {
  /** Canonical text, IPv4 or IPv6. */
  readonly address: string;
  readonly port: number;
  /** Relative weight; 0 is held in reserve for when endpoints nearer to the node are not ready. */
  readonly weight: number;
  /** `region/zone/subzone`, when somebody says it; an empty region is not known. */
  readonly locality?: string;
  /** uid of the workload that serves it, when it is known. */
  readonly workload?: string;
}

/** A port of a service, and the cluster behind it. */
export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** `appProtocol`, or what the port's name says; layer 7 needs it. */
  readonly appProtocol?: string;
  readonly endpoints: readonly Endpoint[];
  /** Endpoints that exist but are not ready (or have weight 0): shown, never used. */
  readonly unready: number;
  /** How connections, or HTTP requests, are spread over the endpoints. */
  readonly policy: ClusterPolicy;
  /** `http`: each request is routed. `detect`: the same if the first bytes are HTTP, else as `tcp`. */
  readonly mode: 'tcp' | 'http' | 'detect';
  /** Parts of the endpoints that routes name (DestinationRule). */
  readonly subsets: readonly Subset[];
  /** Absent: every request goes to the endpoints above. */
  readonly routing?: HttpRouting;
  /** Key of the service at whose listener the port's requests arrive and are routed by host; absent: at its own. */
  readonly listener?: string;
}

/** Endpoints of a port with certain labels, and how they share requests. */
export interface Subset {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly unready: number;
  readonly policy: ClusterPolicy;
}

/** A destination that the mesh serves: a Service or one host of a ServiceEntry. */
export interface Service {
  /** `NAMESPACE/HOSTNAME`, unique. */
  readonly key: string;
  readonly kind: 'Service' | 'ServiceEntry';
  readonly namespace: string;
  /** metadata.name of the object. */
  readonly name: string;
  readonly hostname: string;
  /** Virtual addresses, canonical text. `0.0.0.0` or `::` is a listener on every address. Empty: headless. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  /** sessionAffinity ClientIP: seconds that a client stays on its endpoint; 0 is none. */
  readonly affinitySeconds: number;
  readonly origin: Origin;
  /** Where its traffic is to pass: `NAMESPACE/HOSTNAME` or an address. Kept; the mesh does not send anything there. */
  readonly waypoint?: string;
}

/** The whole of it. Maps are live views: read them, do not keep them across an await. */
export interface Mesh {
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly services: ReadonlyMap<string, Service>;
}

/** Keys of what changed since the last delta; a key that the mesh no longer holds was removed. */
export interface MeshDelta {
  readonly workloads: ReadonlySet<string>;
  readonly services: ReadonlySet<string>;
}

/** Something wrong with an object. `error`: the object as written is not in force. `warning`: it is. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Code of the error table, `KM1xxx` or `KM2xxx`. */
  readonly code: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Path of the field, such as `spec.ports[0].port`; empty when it is the object as a whole. */
  readonly field: string;
  readonly reason: string;
  /** For errors: an earlier version of the object stays in force. */
  readonly lastGoodInForce: boolean;
}

/**
 * `kind namespace/name file:line field: reason`, or `kind namespace/name kubernetes field: reason`: the one way a problem is written, in log, status and
 * tests.
 */
export function problemLine(p: Problem): string {
  const object = `${p.kind} ${p.namespace === '' ? p.name : `${p.namespace}/${p.name}`}`;
  const field = p.field === '' ? '' : ` ${p.field}`;
  // An object that is in no file is named once.
  const place = p.line === 0 ? p.file.replace(` ${object}`, '') : originText(p);
  return `${object} ${place}${field}: ${p.reason}`;
}

/** Name of the cluster behind a service's port, or of a subset of it, as Istio writes it. */
export function clusterName(
  service: Pick<Service, 'hostname'>,
  port: Pick<ServicePort, 'port'>,
  subset: string = '',
): string {
  return `outbound|${port.port}|${subset}|${service.hostname}`;
}
