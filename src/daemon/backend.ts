/** The admin API's view of a running daemon. */
import type { AdminBackend } from '../api/backend.ts';
import type { CheckResult, SourceStatus, StatusReport, VersionInfo } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { isLevel, type Log, levels } from '../base/log.ts';
import type { RouteCompiler } from '../compile/service.ts';
import type { Enroller } from '../enrol/enroller.ts';
import type { Mesh, Problem } from '../model/types.ts';
import { systemClock } from '../probe/clock.ts';
import { connectionItem } from '../probe/connections.ts';
import { explainRequest } from '../probe/explain.ts';
import { type EnrolmentView, endpointItems, listenerItems, serviceItems, workloadItems } from '../probe/items.ts';
import type { Names } from '../probe/names.ts';
import { clusterItems, routeItems } from '../probe/route-items.ts';
import { ztunnelDump } from '../probe/ztunnel-dump.ts';
import { differences } from '../publish/verify.ts';
import type { Controller } from './controller.ts';
import { type DataPlane, hookNames } from './data-plane.ts';
import { kernelDump } from './dump.ts';
import type { Settings } from './settings.ts';
import type { Telemetry } from './telemetry.ts';

export interface DaemonParts {
  readonly settings: Settings;
  readonly version: VersionInfo;
  readonly log: Log;
  readonly plane: DataPlane;
  readonly controller: Controller;
  readonly enroller: Enroller;
  readonly enrolment: EnrolmentView;
  readonly telemetry: Telemetry;
  readonly names: Names;
  readonly compiler: RouteCompiler;
  readonly mesh: Mesh;
  readonly startedMs: number;
  readonly throughStack: () => string | null;
  readonly sources: () => readonly SourceStatus[];
  readonly problems: () => readonly Problem[];
  /** Resources of control planes, as they have them. */
  readonly dumps: () => readonly object[];
  /** What the start still waits for. */
  readonly starting: () => readonly string[];
  readonly checks: () => readonly CheckResult[];
}

export function adminBackend(d: DaemonParts): AdminBackend {
  const pending = (): string[] => {
    const starting = d.starting();
    return [...(starting.length > 0 ? starting : detached(d.plane)), ...d.controller.pending()];
  };
  return {
    mode: d.settings.mode,
    version: async () => d.version,
    ready: async () => ({ ready: pending().length === 0, pending: pending() }),
    status: async () => statusReport(d, pending()),
    checks: async () => d.checks(),
    services: async () => serviceItems(d.mesh),
    workloads: async () => workloadItems(d.mesh, d.enrolment),
    endpoints: async () => endpointItems(d.mesh, (id) => d.plane.maps.km_endpoint_stats.get(id), d.telemetry.live()),
    listeners: async () => listenerItems(d.mesh, (id) => d.plane.maps.km_cluster_stats.get(id)),
    routes: async () => routeItems(d.mesh, d.compiler),
    clusters: async () =>
      clusterItems(d.mesh, {
        endpoint: (id) => d.plane.maps.km_endpoint_stats.get(id),
        cluster: (id) => d.plane.maps.km_cluster_stats.get(id),
      }),
    explain: async (query) =>
      explainRequest({ mesh: d.mesh, compiler: d.compiler, stateOf: (uid) => d.enrolment.state(uid) }, query),
    observe: (follow, gone) => d.telemetry.feed.observe(follow, gone),
    connections: async () => d.telemetry.live().map((event) => connectionItem(event, d.names, systemClock)),
    maps: async () => d.telemetry.maps(),
    sources: async () => d.sources(),
    configDump: async () => ({
      workloads: workloadItems(d.mesh, d.enrolment),
      services: [...d.mesh.services.values()],
      ...Object.assign({}, ...d.dumps()),
    }),
    ztunnelDump: async () => ztunnelDump(d.mesh, d.dumps().flatMap(policiesIn)),
    kernelDump: async () => kernelDump(d.plane.maps),
    loggers: async () => d.log.list(),
    setLogger: async (name, level) => {
      if (!isLevel(level)) throw new KmError('KM5003', `no level ${level}: one of ${levels.join(', ')} is expected`);
      d.log.setLevel(name, level);
    },
    setAccessLog: async (enable, format) => d.telemetry.setAccessLog(enable, format),
    setMonitoring: async (enable) => d.telemetry.setMonitoring(enable),
  };
}

function policiesIn(dump: object): readonly unknown[] {
  return 'policies' in dump && Array.isArray(dump.policies) ? dump.policies : [];
}

function detached(plane: DataPlane): string[] {
  const running = new Set(plane.hooks());
  return hookNames.filter((name) => !running.has(name)).map((name) => `hook ${name} was detached`);
}

function statusReport(d: DaemonParts, pending: readonly string[]): StatusReport {
  const found = [
    ...differences(d.plane.tables, d.controller.compiled()),
    ...d.controller.sourceDifferences(),
    ...d.enroller.differences(),
  ];
  const { counts } = d.controller;
  return {
    version: d.version,
    uptimeSeconds: (performance.now() - d.startedMs) / 1000,
    mode: d.settings.mode,
    ready: pending.length === 0,
    pending,
    sources: d.sources(),
    problems: d.problems(),
    counts: {
      services: d.mesh.services.size,
      workloads: d.mesh.workloads.size,
      enrolled: d.enroller.enrolled,
      endpoints: counts.endpoints,
      listeners: counts.listeners,
    },
    kernel: {
      inSync: found.length === 0,
      differences: found,
      hooks: d.plane.hooks(),
      devices: d.enroller.devices,
      throughStack: d.throughStack(),
    },
    maps: d.telemetry.maps(),
  };
}
