/** What the admin API needs from the daemon. The server knows nothing else of it, and tests bring their own. */
import type {
  CheckResult,
  ClusterItem,
  ConnectionItem,
  EndpointItem,
  ExplainQuery,
  ExplainReport,
  ListenerItem,
  LoggerItem,
  MapItem,
  ObserveLine,
  RouteItem,
  ServiceItem,
  SourceStatus,
  StatusReport,
  VersionInfo,
  WorkloadItem,
} from './types.ts';

export const modes = ['kernel-native', 'dual-engine'] as const;
export type Mode = (typeof modes)[number];

export const accessLogFormats = ['text', 'json'] as const;
export type AccessLogFormat = (typeof accessLogFormats)[number];

export interface Readiness {
  readonly ready: boolean;
  /** What is waited for, one short phrase each; empty when ready. */
  readonly pending: readonly string[];
}

/**
 * One method a route. A method that throws a KmError is answered with its code: KM5003, KM5004 and KM5006 as the
 * client's fault (400, 400, 404), every other as the daemon's (500). Anything else that is thrown is KM5008.
 * What the dumps return must be JSON; a bigint becomes a number, or a string beyond 2^53.
 */
export interface AdminBackend {
  readonly mode: Mode;
  version(): Promise<VersionInfo>;
  ready(): Promise<Readiness>;
  status(): Promise<StatusReport>;
  checks(): Promise<readonly CheckResult[]>;
  services(): Promise<readonly ServiceItem[]>;
  workloads(): Promise<readonly WorkloadItem[]>;
  endpoints(): Promise<readonly EndpointItem[]>;
  listeners(): Promise<readonly ListenerItem[]>;
  routes(): Promise<readonly RouteItem[]>;
  clusters(): Promise<readonly ClusterItem[]>;
  connections(): Promise<readonly ConnectionItem[]>;
  maps(): Promise<readonly MapItem[]>;
  sources(): Promise<readonly SourceStatus[]>;
  /** KM5003 when the pod is not known or the URL is none. */
  explain(query: ExplainQuery): Promise<ExplainReport>;
  /** Requests that are remembered, then the end of these, and with `follow` all that come until the reader is gone. */
  observe(follow: boolean, gone: AbortSignal): AsyncIterable<ObserveLine>;
  /** The model. */
  configDump(): Promise<unknown>;
  /** The model as ztunnel shows its own. */
  ztunnelDump(): Promise<unknown>;
  /** The kernel's tables, read now. */
  kernelDump(): Promise<unknown>;
  loggers(): Promise<readonly LoggerItem[]>;
  /** The name is one of {@link loggers}; throws KM5003 when the level is none that this logger has. */
  setLogger(name: string, level: string): Promise<void>;
  /** Without a format the present one stays. */
  setAccessLog(enable: boolean, format?: AccessLogFormat): Promise<void>;
  setMonitoring(enable: boolean): Promise<void>;
}
