/** One kmesh-daemon from start to stop: sources, model, kernel, enrolment, telemetry, admin API and metrics. */
import { randomInt } from 'node:crypto';
import { startAdminServer } from '../api/server.ts';
import type { CheckResult, SourceStatus } from '../api/types.ts';
import { KmError } from '../base/errors.ts';
import { Log } from '../base/log.ts';
import { RouteCompiler } from '../compile/service.ts';
import { Enroller } from '../enrol/enroller.ts';
import { NamespacePrograms } from '../enrol/namespace-programs.ts';
import { ShortCut } from '../enrol/short-cut.ts';
import { LinkListener } from '../kernel/link-events.ts';
import { netfilterInUse } from '../kernel/netfilter.ts';
import { queuelessDevices } from '../kernel/netlink.ts';
import { Layers } from '../model/layers.ts';
import { parseLocality } from '../model/localities.ts';
import { MeshBuilder } from '../model/mesh.ts';
import type { Problem } from '../model/types.ts';
import { Metrics } from '../probe/metrics.ts';
import { Names } from '../probe/names.ts';
import { nodeMetrics } from '../probe/node-metrics.ts';
import { xdsMetrics } from '../probe/xds-metrics.ts';
import { Publisher } from '../publish/publisher.ts';
import { tableOf } from '../publish/tables.ts';
import { CombinedSource } from '../source/combined.ts';
import { Agent, enrolmentView, plainNode } from './agent.ts';
import { adminBackend } from './backend.ts';
import { Cni } from './cni.ts';
import { Controller } from './controller.ts';
import { DataPlane } from './data-plane.ts';
import { sweepFlows } from './flow-sweep.ts';
import { flowsOf } from './flows.ts';
import { parseHostPort } from './host-port.ts';
import { takeLock } from './lock.ts';
import { MemoryTrim } from './memory.ts';
import { startMetricsServer } from './metrics-server.ts';
import { Namespaces } from './namespaces.ts';
import { OnDemand } from './on-demand.ts';
import { ProblemLog } from './problem-log.ts';
import { routeStatusOf } from './route-status.ts';
import type { Settings } from './settings.ts';
import { sourcesOf } from './sources.ts';
import { type AccessLogOutput, Telemetry } from './telemetry.ts';
import { versionInfo } from './version.ts';
import { meshSources } from './xds.ts';

/** Namespaces are looked at so often: one that is made after its pod's object is under the mesh that soon. */
const namespacesEveryMs = 500;
const shortCutEveryMs = 500;
const pruneEveryMs = 60_000;
const sweepEveryMs = 10_000;
const leaveWithinMs = 5000;
const onDemandEveryMs = 200;

export interface Output {
  readonly accessLog: AccessLogOutput;
  /** Daemon's log. */
  readonly stderr: (text: string) => void;
}

export interface RunningDaemon {
  /** Ends the process's part; the kernel works on. `leaving`: no other daemon will come after this one. */
  stop(leaving: boolean): Promise<void>;
}

/** Starts everything, or throws a KmError and leaves the kernel as it was. */
export async function startDaemon(
  settings: Settings,
  output: Output,
  checks: () => readonly CheckResult[],
): Promise<RunningDaemon> {
  if (process.getuid?.() !== 0) throw new KmError('KM5010', 'kmesh-daemon is not running as root');
  if (settings.config === null && settings.kubernetes === null && settings.xds === null) {
    throw new KmError('KM5011', 'no source of configuration is given');
  }
  const release = takeLock(settings.bpfFsPath);
  try {
    return await run(settings, output, checks, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function run(
  settings: Settings,
  output: Output,
  checks: () => readonly CheckResult[],
  release: () => void,
): Promise<RunningDaemon> {
  const startedMs = performance.now();
  const log = new Log({ format: settings.logFormat, level: settings.logLevel, write: output.stderr });
  const daemonLog = log.logger('daemon');
  const version = versionInfo();
  daemonLog.info('kmesh-daemon starts', {
    version: version.version,
    commit: version.gitCommit,
    kernel: version.kernel,
  });
  /** Nothing that goes wrong in a timer or an event may end the daemon. */
  const guarded = (what: string, action: () => void) => (): void => {
    try {
      action();
    } catch (error) {
      daemonLog.error(`${what} failed`, { error: error instanceof Error ? error.message : String(error) });
    }
  };
  const plane = new DataPlane({
    bpfFsPath: settings.bpfFsPath,
    cgroup2Path: settings.cgroup2Path,
    mapSizes: settings.mapSizes,
    inbound: settings.inbound,
    deviceAttach: settings.deviceAttach,
    log: log.logger('kernel'),
  });
  const now = (): number => performance.now();
  const names = new Names(now);
  const compiler = new RouteCompiler();
  const telemetry = new Telemetry(plane, names, compiler, output.accessLog, guarded);
  telemetry.setMonitoring(settings.monitoring);
  telemetry.setInbound(settings.inbound);
  telemetry.setAccessLog(settings.accessLog !== 'off', settings.accessLog === 'off' ? undefined : settings.accessLog);
  const namespaces = new Namespaces((path) => plane.netnsCookie(path), now);
  const flows = flowsOf(plane.flowMap);
  const listener = new LinkListener();
  const devices = new NamespacePrograms({
    programs: plane.devicePrograms,
    cookie: (path) => plane.netnsCookie(path),
    events: () => listener.drain(),
    hasFlows: (addresses) => flows.hasFlows(addresses),
    usePorts: ({ first, count }) => plane.switches.addWirePorts(first, count),
    now,
    log: log.logger('enrol'),
  });
  const shortCut = new ShortCut({
    switches: plane.switches,
    table: tableOf(plane.maps.km_device),
    obstacle: () => (settings.shortCut === 'off' ? 'it is switched off' : netfilterInUse()),
    queueless: queuelessDevices,
    isAlone: (ifindex) => plane.devicePrograms.isAlone(ifindex),
    start: randomInt(2 ** 31),
    log: log.logger('enrol'),
  });
  const enroller = new Enroller(
    tableOf(plane.maps.km_enrolment),
    namespaces,
    devices,
    (w) => node.locate(w),
    log.logger('enrol'),
  );
  const builder = new MeshBuilder({
    resolveNetns: (path) => namespaces.resolve(path),
    locate: (origin, path) => source.locate(origin, path),
    place: { locality: parseLocality(settings.locality), node: settings.nodeName },
  });
  const more = meshSources(settings, log, {
    onChange: (delta) => {
      guarded('taking over a change of the control plane', () => controller.applyLayer(delta))();
      problemLog.reportLater(problems);
      if (!attached() && running) guarded('attaching', activate)();
    },
    onApplied: (seconds) => applied.observe(seconds),
  });
  const onDemand = new OnDemand({
    unknown: tableOf(plane.maps.km_unknown),
    own: () => controller.ownAddresses(),
    demand: (addresses) => {
      for (const one of more) one.demand?.(addresses);
    },
  });
  const isOnDemand = settings.xds?.onDemand === true;
  plane.switches.set({ unknown: isOnDemand ? 1 : 0 });
  const layers = new Layers([builder.mesh, ...more.map(({ mesh }) => mesh)]);
  let starting: readonly string[] = ['the kernel programs are not attached yet'];
  const agent = settings.nodeAgent
    ? new Agent({
        ...{ settings, log, mesh: layers.mesh, cgroup: plane.cgroup },
        state: (uid) => enroller.state(uid),
        ready: () => attached(),
        enrol: () => controller.enrol(),
      })
    : null;
  const node = agent ?? plainNode;
  const cni = agent !== null && settings.cni ? new Cni({ settings, log, mesh: layers.mesh, claims: agent.pods }) : null;
  const metrics = new Metrics({
    names,
    version: version.version,
    nodeName: settings.nodeName,
    kmeshNames: settings.kmeshMetricNames,
    traffic: () => telemetry.traffic(),
    requests: () => telemetry.requests(),
    counters: () => telemetry.counters(),
    maps: () => telemetry.maps(),
    objects: () => Object.fromEntries(sources().map(({ name, objects }) => [name, objects])),
    problems: () => countProblems(problems()),
  });
  const applied = xdsMetrics(metrics.registry, () => more.map((one) => one.status()));
  if (agent !== null) {
    nodeMetrics(metrics.registry, { checks, cniChained: () => (cni === null ? null : cni.pending().length === 0) });
  }
  const memory = new MemoryTrim();
  let unreadable = false;
  const controller = new Controller({
    builder,
    layers,
    names,
    compiler,
    enroller,
    node,
    adopt: () => adopt(plane, now),
    log: log.logger('publish'),
    // What an earlier daemon published stays until each control plane has said all.
    unreadable: () => unreadable || more.some(({ synced }) => !synced),
    waiting: () =>
      more
        .filter(({ synced }) => !synced)
        .map((one) => `the control plane ${one.status().location} has not said all yet`),
    onPublished: (seconds) => {
      memory.setLoading(more.some(({ synced }) => !synced));
      metrics.publishSeconds.observe(seconds);
      memory.changed();
    },
  });
  const problemLog = new ProblemLog(log.logger('source'));
  const problems = (): readonly Problem[] => [
    ...source.problems(),
    ...more.flatMap((one) => one.problems()),
    ...builder.problems(),
    ...layers.problems(),
    ...controller.problems(),
  ];
  const sources = (): SourceStatus[] => [...source.status(), ...more.map((one) => one.status())];
  const source = new CombinedSource(sourcesOf(settings, log), (batch) => {
    // An object of a kind that is not supported (KM1007) has never been in the kernel.
    unreadable = batch.problems.some((p) => p.severity === 'error' && !p.lastGoodInForce && p.code !== 'KM1007');
    guarded('taking over a change', () => controller.apply(batch))();
    if (cni !== null) guarded('listing enrolled namespaces', () => cni.changed(batch))();
    routeStatus?.changed(batch);
    problemLog.report(problems());
    if (!attached() && running) guarded('attaching', activate)();
  });
  const routeStatus = routeStatusOf(settings, log, builder, () => controller.problems());
  // What fails at the start ends it with an error; later the daemon goes on.
  let running = false;
  const attached = (): boolean => starting.length === 0;
  // Programs that are attached to empty tables would take the mesh away that an earlier daemon left: publish first.
  const activate = (): void => {
    if (controller.failed) return;
    plane.activate();
    starting = [];
    node.enrolled();
    daemonLog.info('ready', { services: layers.mesh.services.size, seconds: (now() - startedMs) / 1000 });
  };
  const admin = parseHostPort(settings.adminAddress, '--admin-address');
  const adminServer = await startAdminServer({
    ...admin,
    backend: adminBackend({
      settings,
      version,
      log,
      plane,
      controller,
      enroller,
      enrolment: enrolmentView(enroller, layers.mesh, (w) => node.isHere(w)),
      telemetry,
      names,
      compiler,
      mesh: layers.mesh,
      startedMs,
      throughStack: () => shortCut.reason,
      sources,
      dumps: () => more.flatMap((one) => one.dump() ?? []),
      problems,
      starting: () => [...source.pending(), ...starting, ...(cni?.pending() ?? [])],
      checks,
    }),
    onError: (error) => daemonLog.error('an admin request failed', { error: String(error) }),
  });
  const metricsAddress = parseHostPort(settings.metricsAddress, '--metrics-address');
  const metricsServer = await startMetricsServer(metrics.registry, metricsAddress.host, metricsAddress.port, (error) =>
    daemonLog.error('metrics could not be read', { error: String(error) }),
  );
  if (settings.config === null && settings.kubernetes === null)
    controller.applyLayer({ workloads: new Set(), services: new Set() });
  source.start();
  const lookAtStack = guarded('looking at the stack of this machine', () => shortCut.look(devices.outerDevices()));
  lookAtStack();
  activate();
  for (const one of more) one.start();
  await cni?.start();
  routeStatus?.start();
  running = true;
  const every = (milliseconds: number, what: string, action: () => void): NodeJS.Timeout =>
    setInterval(guarded(what, action), milliseconds);
  const timers = [
    every(namespacesEveryMs, 'looking at network namespaces', () => {
      controller.refresh(namespaces.changed() || enroller.due());
      if (!attached()) activate();
    }),
    setInterval(lookAtStack, shortCutEveryMs),
    ...(isOnDemand ? [every(onDemandEveryMs, 'asking for unknown addresses', () => onDemand.poll())] : []),
    every(sweepEveryMs, 'sweeping connections', () => {
      const tables = { flows: plane.maps.km_flow, answers: plane.maps.km_answers, wires: plane.maps.km_wire };
      if (!flows.isEmpty() || !plane.maps.km_wire.isEmpty()) sweepFlows(tables, process.hrtime.bigint());
    }),
    every(pruneEveryMs, 'pruning metrics', () => {
      metrics.carry(telemetry.pruneTraffic());
      metrics.requests.carry(telemetry.pruneRequests());
      names.prune();
    }),
  ];
  return {
    stop: async (leaving) => {
      for (const timer of timers) clearInterval(timer);
      source?.close();
      for (const one of more) one.close();
      if (leaving) await agent?.leave(leaveWithinMs);
      cni?.close();
      agent?.close();
      await routeStatus?.close();
      controller.close();
      telemetry.drain();
      telemetry.close();
      await adminServer.stop();
      metricsServer.closeAllConnections();
      metricsServer.close();
      listener.close();
      plane.close();
      release();
      daemonLog.info('stopped; the kernel works on without a daemon');
    },
  };
}

function adopt(plane: DataPlane, now: () => number): Publisher {
  const publisher = new Publisher(plane.tables, { now });
  publisher.adopt();
  return publisher;
}

function countProblems(problems: readonly Problem[]): { error: number; warning: number } {
  const errors = problems.filter((p) => p.severity === 'error').length;
  return { error: errors, warning: problems.length - errors };
}
