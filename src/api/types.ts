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
  readonly weight: number;
  readonly workload: string | null;
  readonly connectionsOpened: number;
  readonly connectionsActive: number;
  readonly connectionsFailed: number;
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
 * | GET /debug/ready | 200 `ready`, or 503 `not ready, pending: ...` |
 * | GET /debug/config_dump/{kernel-native,dual-engine} | the model; the mode that is not running: 400 |
 * | GET /debug/config_dump/bpf/{kernel-native,dual-engine} | the kernel's tables; likewise |
 * | GET /debug/loggers[?name=N], POST {"name","level"} | ItemList<LoggerItem>; 200 |
 * | POST /accesslog?enable=true\|false[&format=text\|json] | toggles the access log |
 * | POST /monitoring?enable=true\|false | toggles metrics in the kernel |
 * | GET /status | StatusReport |
 * | GET /checks | ItemList<CheckResult> |
 * | GET /services /workloads /endpoints /listeners /connections /maps | ItemList<...Item> |
 *
 * Errors are `{"error": "KMxxxx message"}` with a 4xx or 5xx status.
 */
export const adminPort = 15200;
export const metricsPort = 15020;
