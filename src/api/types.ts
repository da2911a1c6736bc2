/** The admin API's JSON, shared by the daemon that writes it and kmeshctl that reads it. No logic here. */
import type { Problem } from '../model/types.ts';

export { problemLine } from '../model/types.ts';

export interface VersionInfo {
  readonly version: string;
  readonly gitCommit: string;
  readonly nodeVersion: string;
  readonly kernel: string;
  /** Hash of the layout that kernel and user space share. */
  readonly schema: string;
}

export interface SourceStatus {
  readonly name: string;
  /** Directory, URL or address. */
  readonly location: string;
  /** A first complete read was done. */
  readonly synced: boolean;
  readonly objects: number;
  /** RFC 3339 time of the last change taken over. */
  readonly lastChange: string | null;
  readonly error: string | null;
  /** What it subscribes to, where it does so one by one; absent: it does not. */
  readonly resources?: readonly SourceResource[];
  /** Of a control plane that is spoken to by xDS. */
  readonly xds?: XdsStatus;
}

/** One subscription of a source: a kind of object, or a type of resource. */
export interface SourceResource {
  /** Such as `HTTPRoute`, with ` in NAMESPACE` when only that is read. */
  readonly name: string;
  /** `waiting`, `reading`, `watching`, `absent` (the server does not have the kind), `forbidden` or `retrying`. */
  readonly state: string;
  readonly objects: number;
  /** The server's version of the last thing heard; null: nothing yet. */
  readonly version: string | null;
  /** RFC 3339 time of the last thing heard, also when it changed nothing. */
  readonly lastHeard: string | null;
  readonly error: string | null;
}

export interface XdsStatus {
  /** The control plane has answered on the stream that is open now. */
  readonly connected: boolean;
  /** Streams opened since the start. */
  readonly streams: number;
  readonly types: readonly XdsTypeStatus[];
}

/** One subscription. */
export interface XdsTypeStatus {
  /** `CDS`, `EDS`, `LDS`, `RDS`, `WDS`, `WADS`. */
  readonly type: string;
  readonly typeUrl: string;
  /** Answered on the stream that is open now. */
  readonly answered: boolean;
  readonly resources: number;
  /** Resources whose last version was refused. */
  readonly refused: number;
  readonly version: string;
  readonly nonce: string;
  readonly acks: number;
  readonly nacks: number;
  /** RFC 3339 time of the last response. */
  readonly lastPush: string | null;
  readonly lastNack: string | null;
}

/** A line of `kmeshctl get sources`: one subscription of a source, or all of a source that does not subscribe. */
export interface SourceItem {
  readonly source: string;
  readonly location: string;
  /** Kind of object or type of resource; null: the source does not ask for things one by one. */
  readonly subscription: string | null;
  /**
   * Of a control plane as `istioctl proxy-status` has it: `SYNCED`, `NOT SENT`, and `REFUSED`, `NOT CONNECTED`; of others
   * {@link SourceResource.state}.
   */
  readonly state: string;
  readonly objects: number;
  /** Resources whose last version was refused. */
  readonly refused: number;
  readonly version: string | null;
  /** Null: the source is not answered. */
  readonly acks: number | null;
  readonly nacks: number | null;
  /** RFC 3339 time of the last thing heard. */
  readonly lastHeard: string | null;
  /** Why it is not heard, or the text of the last NACK. */
  readonly error: string | null;
}

export interface WorkloadItem {
  readonly namespace: string;
  readonly name: string;
  readonly kind: string;
  readonly addresses: readonly string[];
  readonly serviceAccount: string;
  readonly node: string | null;
  readonly ready: boolean;
  /**
   * `enrolled`, `enrolled, HTTP off: REASON`, `not enrolled`, or `pending: REASON` when the labels ask for it and it could
   * not be done.
   */
  readonly mesh: string;
  /** Devices that carry its traffic and have the mesh's programs: the host's end of a veth, or `NAME (inside)`. */
  readonly devices: readonly string[];
  readonly netns: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** `file:line` */
  readonly origin: string;
}

export interface ServiceItem {
  readonly namespace: string;
  readonly name: string;
  readonly kind: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
    readonly cluster: string;
    readonly endpoints: number;
    readonly unready: number;
  }[];
  readonly policy: string;
  readonly affinitySeconds: number;
  readonly origin: string;
}

/** One endpoint of one cluster with what the kernel counted. */
export interface EndpointItem {
  readonly namespace: string;
  readonly service: string;
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  /** 0: in reserve, as long as nearer ones are ready. */
  readonly weight: number;
  /** `region/zone/subzone`, when somebody says it. */
  readonly locality: string | null;
  readonly workload: string | null;
  readonly connectionsOpened: number;
  readonly connectionsActive: number;
  readonly connectionsFailed: number;
  /** HTTP requests that were sent to it; their connections are not counted above. */
  readonly requests: number;
  /** UDP datagrams that were balanced one by one, without a connected socket. */
  readonly datagrams: number;
  /** Bytes as the client sees them. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly retransmits: number;
  /** Moving average, microseconds; null before the first connection has closed. */
  readonly srttUs: number | null;
}

export interface ListenerItem {
  readonly namespace: string;
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly cluster: string;
  readonly policy: string;
  readonly endpoints: number;
  /** Connections refused because no endpoint was usable. */
  readonly refused: number;
}

/** A route of an HTTP port: what it takes and what it does. The routes of a virtual host are in their order. */
export interface RouteItem {
  readonly namespace: string;
  /** Name of the service whose port it is of. */
  readonly service: string;
  readonly port: number;
  readonly virtualHost: string;
  readonly domains: readonly string[];
  /** As its object names it. */
  readonly name: string;
  /** The alternatives, any of which takes the route; in words. */
  readonly matches: readonly string[];
  /** What it does, one thing each; in words. */
  readonly action: readonly string[];
  /** Why the port's route table is refused (the last good one is in force), else null. */
  readonly refused: string | null;
  /** `file:line` */
  readonly origin: string;
}

/** The endpoints of a service's port, or a subset of them, with what the kernel counted of HTTP requests to them. */
export interface ClusterItem {
  readonly namespace: string;
  readonly service: string;
  /** `outbound|80|SUBSET|HOSTNAME` */
  readonly cluster: string;
  readonly port: number;
  readonly protocol: string;
  /** Empty: all endpoints. */
  readonly subset: string;
  /** `random`, `round-robin`, `least-request`, or `maglev` with what is hashed. */
  readonly policy: string;
  /** The requests of a connection stay on one endpoint. */
  readonly perConnection: boolean;
  readonly endpoints: number;
  readonly unready: number;
  readonly requests: number;
  /** Requests that wait for the end of their answer. */
  readonly requestsActive: number;
  /** Connections, datagrams and requests that were refused because no endpoint was usable. */
  readonly refused: number;
}

/** What `POST /explain` is asked. */
export interface ExplainQuery {
  /** `POD`, `POD.NAMESPACE` or `NAMESPACE/POD`. */
  readonly from: string;
  /** For a pod without one. */
  readonly namespace: string;
  /** `http://HOST[:PORT]/PATH?QUERY`, taken as it is. */
  readonly to: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface ExplainCluster {
  readonly cluster: string;
  /** Of the requests of this route, 0 to 1. */
  readonly share: number;
  /** Null: there is no such cluster. */
  readonly policy: string | null;
  readonly endpoints: readonly {
    readonly address: string;
    readonly weight: number;
    readonly workload: string | null;
  }[];
  readonly unready: number;
}

/** One of the ways that a request can take; several when routes ask for a share of the requests. */
export interface ExplainOutcome {
  readonly share: number;
  readonly virtualHost: string | null;
  readonly route: {
    readonly name: string;
    readonly origin: string;
    /** What took the request, in words. */
    readonly match: string;
    /** One thing each, in words. */
    readonly action: readonly string[];
    readonly clusters: readonly ExplainCluster[];
  } | null;
}

/** What becomes of a request. */
export interface ExplainReport {
  readonly from: { readonly namespace: string; readonly name: string; readonly mesh: string };
  /** Null: the mesh serves no such address, and the connection goes as without it. */
  readonly listener: {
    readonly address: string;
    readonly port: number;
    readonly mode: 'tcp' | 'http' | 'detect';
    readonly namespace: string;
    readonly service: string;
    readonly hostname: string;
    readonly origin: string;
  } | null;
  /** `refused`: the route table is, the last good one may be in force. `unserved`: no listener. */
  readonly kind: 'routed' | 'refused' | 'balanced' | 'unserved';
  /** Why, one line each. */
  readonly reasons: readonly string[];
  /** Where all requests go that no route table decides; null without a listener. */
  readonly cluster: ExplainCluster | null;
  readonly outcomes: readonly ExplainOutcome[];
}

/** An HTTP request that was answered, or was given up. */
export interface RequestItem {
  /** RFC 3339, when its answer was complete. */
  readonly time: string;
  readonly durationMs: number;
  readonly method: string;
  /** As the request has it, without its port; at most 64 bytes. */
  readonly host: string;
  /** Without the query; at most 128 bytes. */
  readonly path: string;
  readonly pathCut: boolean;
  readonly status: number;
  /** Envoy's response flag, `-` when all went well. */
  readonly flags: string;
  readonly source: RequestParty & { readonly address: string };
  /** The address is null for what was answered without an endpoint. */
  readonly destination: RequestParty & { readonly address: string | null };
  /** What the client connected to. */
  readonly asked: string;
  /** Whose address that is, `NAMESPACE/NAME`. */
  readonly service: string | null;
  readonly hostname: string | null;
  readonly cluster: string | null;
  readonly virtualHost: string | null;
  readonly route: string | null;
  /** `file:line` of the route. */
  readonly origin: string | null;
  /** Head and body. */
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface RequestParty {
  readonly namespace: string | null;
  readonly workload: string | null;
}

/** One line of `GET /observe`: a request, how many were left out for a slow reader, or the end of what is remembered. */
export type ObserveLine =
  | { readonly request: RequestItem }
  | { readonly lost: number }
  | { readonly remembered: number };

/** A live connection of an enrolled workload, read from the kernel now. */
export interface ConnectionItem {
  readonly direction: 'outbound' | 'inbound';
  readonly namespace: string;
  readonly workload: string;
  readonly local: string;
  /** What the application asked for. */
  readonly destination: string;
  /** Where it really goes. */
  readonly remote: string;
  readonly service: string | null;
  readonly remoteWorkload: string | null;
  readonly state: string;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly retransmits: number;
  readonly srttUs: number;
  readonly ageSeconds: number;
}

export interface MapItem {
  readonly name: string;
  readonly type: string;
  readonly entries: number;
  readonly maxEntries: number;
  /** Daemon flag that sizes it; null when it has no setting. */
  readonly setting: string | null;
  readonly memoryBytes: number;
}

export interface StatusReport {
  readonly version: VersionInfo;
  readonly uptimeSeconds: number;
  readonly mode: string;
  readonly ready: boolean;
  /** Why not, one line each; empty when ready. */
  readonly pending: readonly string[];
  readonly sources: readonly SourceStatus[];
  readonly problems: readonly Problem[];
  readonly counts: {
    readonly services: number;
    readonly workloads: number;
    readonly enrolled: number;
    readonly endpoints: number;
    readonly listeners: number;
  };
  /** Kernel tables read back and compared with what the sources say. */
  readonly kernel: {
    readonly inSync: boolean;
    readonly differences: readonly string[];
    /** Programs that run for the whole machine. */
    readonly hooks: readonly string[];
    /** Devices of enrolled workloads that have programs. */
    readonly devices: number;
    /** Why HTTP between pods of this machine takes the way through its stack; null: it goes past it. */
    readonly throughStack: string | null;
  };
  readonly maps: readonly MapItem[];
}

/** kubectl's list shape. */
export interface ItemList<T> {
  readonly items: readonly T[];
}

/** One line of `kmeshctl check`. */
export interface CheckResult {
  readonly category: string;
  readonly description: string;
  readonly result: 'success' | 'warning' | 'error';
  readonly hint: string | null;
  readonly error: string | null;
}

export interface LoggerItem {
  readonly name: string;
  readonly level: string;
}

/**
 * Routes of the admin API (default `http://localhost:15200`). Kmesh's own paths first.
 *
 * | method and path | body |
 * |---|---|
 * | GET /version | VersionInfo |
 * | GET /debug/ready, GET /readyz | 200 `ready`, or 503 `not ready, pending: ...` |
 * | GET /healthz | 200 `ok` while the daemon answers |
 * | GET /debug/config_dump/{kernel-native,dual-engine} | the model; the mode that is not running: 400 |
 * | GET /debug/config_dump/bpf/{kernel-native,dual-engine} | the kernel's tables; likewise |
 * | GET /config_dump | the model in the shape of ztunnel's, for `istioctl ztunnel-config -f` |
 * | GET /debug/loggers[?name=N], POST {"name","level"} | ItemList<LoggerItem>; 200 |
 * | POST /accesslog?enable=true\|false[&format=text\|json] | toggles the access log |
 * | POST /monitoring?enable=true\|false | toggles metrics in the kernel |
 * | GET /status | StatusReport |
 * | GET /checks | ItemList<CheckResult> |
 * | GET /services /workloads /endpoints /listeners /routes /clusters /connections /maps /sources | ItemList<...Item> |
 * | GET /observe[?follow=true] | an ObserveLine a line: what is remembered, and with `follow` what comes |
 * | POST /explain with an ExplainQuery | ExplainReport |
 *
 * Errors are `{"error": "KMxxxx message"}` with a 4xx or 5xx status.
 */
export const adminPort = 15200;
export const metricsPort = 15020;
