/** Answered HTTP requests as a person reads them, from the records that the kernel writes (struct km_request_event). */
import type { RequestItem, RequestParty } from '../api/types.ts';
import { addressFamily, addressFromWords, hostPort } from '../base/address.ts';
import { type Entry, formatEntry } from '../base/log.ts';
import type { RouteLabel } from '../compile/http.ts';
import type { RouteCompiler } from '../compile/service.ts';
import type { KmRequestEvent } from '../kernel/gen/layout.gen.ts';
import { clusterName, type Workload } from '../model/types.ts';
import type { AccessLogFormat } from './access-log.ts';
import type { Clock } from './clock.ts';
import { place } from './items.ts';
import type { ListenerName, Names } from './names.ts';
import { reasonText, responseFlag } from './reasons.ts';

/** What the numbers of a record mean. */
export interface RequestNames {
  readonly names: Names;
  readonly compiler: RouteCompiler;
  readonly clock: Clock;
}

export function requestItem(event: KmRequestEvent, { names, compiler, clock }: RequestNames): RequestItem {
  const address = addressFromWords(event.askedAddr);
  const listener = names.listenerAt(address, event.askedPort);
  const taken = event.hasRoute === 0 || listener === undefined ? null : routeOf(event, listener, address, compiler);
  const cluster = names.cluster(event.cluster);
  const client = hostPort(addressFromWords(event.clientAddr), event.clientPort);
  const answered = event.realAddr.some((word) => word !== 0) || event.realPort !== 0;
  return {
    time: clock.date(event.timeNs).toISOString(),
    durationMs: Number(event.durationNs / 1000n) / 1000,
    method: event.method,
    host: firstBytes(event.host, event.hostLength),
    path: firstBytes(event.path, event.pathLength),
    pathCut: event.pathCut !== 0,
    status: event.status,
    flags: responseFlag(event.reason),
    source: { ...partyOf(names.workload(event.source)), address: client },
    destination: {
      ...partyOf(names.workload(event.destination)),
      address: answered ? hostPort(addressFromWords(event.realAddr), event.realPort) : null,
    },
    asked: hostPort(address, event.askedPort),
    service: listener === undefined ? null : `${listener.service.namespace}/${listener.service.name}`,
    hostname: listener?.service.hostname ?? null,
    cluster: cluster === undefined ? null : clusterName(cluster.service, cluster.port, cluster.subset),
    virtualHost: taken?.virtualHost ?? null,
    route: taken?.route.name ?? null,
    origin: taken === null ? null : place(taken.route.origin),
    requestBytes: Number(event.requestBytes),
    responseBytes: Number(event.responseBytes),
  };
}

/** By the table that routed it; null when that is not known any more. */
function routeOf(
  event: KmRequestEvent,
  { service, port }: ListenerName,
  address: string,
  compiler: RouteCompiler,
): { readonly virtualHost: string; readonly route: RouteLabel } | null {
  const owner = `${service.key}:${port.port}`;
  const { routing } = port;
  const routes = routing === undefined ? null : compiler.compile(owner, routing, addressFamily(address)).routes;
  const hosts = routes?.generation === event.generation ? routes.virtualHosts : compiler.labels(event.generation);
  const host = hosts?.[event.virtualHost];
  const route = host?.routes[event.route];
  return host === undefined || route === undefined ? null : { virtualHost: host.name, route };
}

function partyOf(workload: Workload | undefined): RequestParty {
  return { namespace: workload?.namespace ?? null, workload: workload?.name ?? null };
}

/** What follows them in the record is not part of the text. */
function firstBytes(text: string, length: number): string {
  return Buffer.from(text).subarray(0, length).toString();
}

/** One line of the access log. */
export function requestLogLine(item: RequestItem, reason: number, format: AccessLogFormat): string {
  const error = reasonText(reason);
  const { source, destination } = item;
  const entry: Entry = {
    time: item.time,
    level: 'info',
    name: 'access',
    message: error === undefined ? 'request complete' : 'request failed',
    fields: {
      'src.addr': source.address,
      'src.workload': source.workload ?? undefined,
      'src.namespace': source.namespace ?? undefined,
      'dst.addr': destination.address ?? undefined,
      'dst.vip': item.asked,
      'dst.service': item.hostname ?? undefined,
      'dst.workload': destination.workload ?? undefined,
      'dst.namespace': destination.namespace ?? undefined,
      direction: 'outbound',
      method: item.method,
      authority: item.host,
      path: item.pathCut ? `${item.path}…` : item.path,
      response_code: item.status,
      response_flags: item.flags,
      route: item.route ?? undefined,
      cluster: item.cluster ?? undefined,
      bytes_sent: item.requestBytes,
      bytes_recv: item.responseBytes,
      duration: `${item.durationMs}ms`,
      error,
    },
  };
  return formatEntry(format, entry);
}
