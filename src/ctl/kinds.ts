/** The kinds of `kmeshctl get` and their columns. */
import type {
  ClusterItem,
  ConnectionItem,
  EndpointItem,
  ListenerItem,
  MapItem,
  RouteItem,
  ServiceItem,
  SourceItem,
  WorkloadItem,
} from '../api/types.ts';
import { defineKind, type Kind } from './kind.ts';
import { agoText, humanBytes, humanDuration, humanMicros } from './units.ts';

const shownAddresses = 3;

const services = defineKind<ServiceItem>({
  singular: 'service',
  plural: 'services',
  aliases: ['svc'],
  namespace: (item) => item.namespace,
  name: (item) => item.name,
  alsoKnownAs: (item) => [item.hostname],
  columns: [
    { header: 'ADDRESSES', cell: (item, wide) => addressList(item.addresses, wide) },
    { header: 'PORTS', cell: (item) => item.ports.map((p) => `${p.port}/${p.protocol}`).join(',') },
    { header: 'ENDPOINTS', cell: readyEndpoints },
    { header: 'POLICY', cell: (item) => item.policy },
    { header: 'KIND', wide: true, cell: (item) => item.kind },
    { header: 'HOSTNAME', wide: true, cell: (item) => item.hostname },
    {
      header: 'AFFINITY',
      wide: true,
      cell: (item) => (item.affinitySeconds === 0 ? '' : humanDuration(item.affinitySeconds)),
    },
    { header: 'ORIGIN', wide: true, cell: (item) => item.origin },
  ],
});

const workloads = defineKind<WorkloadItem>({
  singular: 'workload',
  plural: 'workloads',
  aliases: ['wl', 'pods', 'pod', 'po'],
  namespace: (item) => item.namespace,
  name: (item) => item.name,
  labels: (item) => item.labels,
  columns: [
    { header: 'READY', cell: (item) => String(item.ready) },
    { header: 'MESH', cell: (item) => item.mesh },
    { header: 'ADDRESSES', cell: (item, wide) => addressList(item.addresses, wide) },
    { header: 'KIND', wide: true, cell: (item) => item.kind },
    { header: 'SERVICE-ACCOUNT', wide: true, cell: (item) => item.serviceAccount },
    { header: 'NODE', wide: true, cell: (item) => item.node ?? '' },
    { header: 'NETNS', wide: true, cell: (item) => item.netns ?? '' },
    { header: 'DEVICES', wide: true, cell: (item) => item.devices.join(',') },
    { header: 'LABELS', wide: true, cell: (item) => labelList(item.labels) },
    { header: 'ORIGIN', wide: true, cell: (item) => item.origin },
  ],
});

const endpoints = defineKind<EndpointItem>({
  singular: 'endpoint',
  plural: 'endpoints',
  aliases: ['ep'],
  namespace: (item) => item.namespace,
  name: (item) => item.service,
  alsoKnownAs: (item) => [socketAddress(item), item.cluster],
  columns: [
    { header: 'ENDPOINT', cell: socketAddress },
    { header: 'PROTOCOL', cell: (item) => item.protocol },
    { header: 'WEIGHT', cell: (item) => String(item.weight) },
    { header: 'WORKLOAD', cell: (item) => workloadName(item.workload) },
    { header: 'OPENED', cell: (item) => String(item.connectionsOpened) },
    { header: 'ACTIVE', cell: (item) => String(item.connectionsActive) },
    { header: 'FAILED', cell: (item) => String(item.connectionsFailed) },
    { header: 'REQUESTS', cell: (item) => String(item.requests) },
    { header: 'SENT', cell: (item) => humanBytes(item.sentBytes) },
    { header: 'RECEIVED', cell: (item) => humanBytes(item.receivedBytes) },
    { header: 'RTT', cell: (item) => (item.srttUs === null ? '' : humanMicros(item.srttUs)) },
    { header: 'RETRANSMITS', wide: true, cell: (item) => String(item.retransmits) },
    { header: 'LOCALITY', wide: true, cell: (item) => item.locality ?? '' },
    { header: 'CLUSTER', wide: true, cell: (item) => item.cluster },
  ],
});

const listeners = defineKind<ListenerItem>({
  singular: 'listener',
  plural: 'listeners',
  aliases: ['ls'],
  namespace: (item) => item.namespace,
  name: (item) => item.service,
  alsoKnownAs: (item) => [socketAddress(item), item.cluster],
  columns: [
    { header: 'LISTENER', cell: socketAddress },
    { header: 'PROTOCOL', cell: (item) => item.protocol },
    { header: 'POLICY', cell: (item) => item.policy },
    { header: 'ENDPOINTS', cell: (item) => String(item.endpoints) },
    { header: 'REFUSED', cell: (item) => String(item.refused) },
    { header: 'CLUSTER', wide: true, cell: (item) => item.cluster },
  ],
});

const routes = defineKind<RouteItem>({
  singular: 'route',
  plural: 'routes',
  aliases: [],
  ordered: true,
  namespace: (item) => item.namespace,
  name: (item) => item.service,
  alsoKnownAs: (item) => [item.name, item.virtualHost],
  columns: [
    { header: 'PORT', cell: (item) => String(item.port) },
    { header: 'VIRTUAL-HOST', cell: (item) => item.virtualHost },
    { header: 'DOMAINS', cell: (item, wide) => shortList(item.domains, ',', wide ? item.domains.length : 1) },
    { header: 'ROUTE', cell: (item) => item.name },
    { header: 'MATCH', cell: (item, wide) => shortList(item.matches, ' | ', wide ? item.matches.length : 1) },
    { header: 'ACTION', cell: (item) => item.action.join('; ') },
    { header: 'REFUSED', wide: true, cell: (item) => item.refused ?? '' },
    { header: 'ORIGIN', cell: (item) => item.origin },
  ],
});

const clusters = defineKind<ClusterItem>({
  singular: 'cluster',
  plural: 'clusters',
  aliases: ['cl'],
  namespace: (item) => item.namespace,
  name: (item) => item.service,
  alsoKnownAs: (item) => [item.cluster],
  columns: [
    { header: 'CLUSTER', cell: (item) => item.cluster },
    { header: 'POLICY', cell: (item) => item.policy },
    { header: 'ENDPOINTS', cell: (item) => `${item.endpoints}/${item.endpoints + item.unready}` },
    { header: 'REQUESTS', cell: (item) => String(item.requests) },
    { header: 'ACTIVE', cell: (item) => String(item.requestsActive) },
    { header: 'REFUSED', cell: (item) => String(item.refused) },
    { header: 'BALANCED-BY', wide: true, cell: (item) => (item.perConnection ? 'connection' : 'request') },
  ],
});

const connections = defineKind<ConnectionItem>({
  singular: 'connection',
  plural: 'connections',
  aliases: ['conn', 'conns', 'cons'],
  namespace: (item) => item.namespace,
  name: (item) => item.workload,
  alsoKnownAs: (item) => [item.local, item.remote],
  columns: [
    { header: 'DIRECTION', cell: (item) => item.direction },
    { header: 'LOCAL', cell: (item) => item.local },
    { header: 'DESTINATION', cell: (item) => item.destination },
    { header: 'REMOTE', cell: (item) => item.remote },
    { header: 'SERVICE', cell: (item) => item.service ?? '' },
    { header: 'STATE', cell: (item) => item.state },
    { header: 'SENT', cell: (item) => humanBytes(item.sentBytes) },
    { header: 'RECEIVED', cell: (item) => humanBytes(item.receivedBytes) },
    { header: 'RTT', cell: (item) => humanMicros(item.srttUs) },
    { header: 'RETRANSMITS', wide: true, cell: (item) => String(item.retransmits) },
    { header: 'REMOTE-WORKLOAD', wide: true, cell: (item) => item.remoteWorkload ?? '' },
    { header: 'AGE', cell: (item) => humanDuration(item.ageSeconds) },
  ],
});

const maps = defineKind<MapItem>({
  singular: 'map',
  plural: 'maps',
  aliases: [],
  name: (item) => item.name,
  columns: [
    { header: 'TYPE', cell: (item) => item.type },
    { header: 'ENTRIES', cell: (item) => String(item.entries) },
    { header: 'MAX-ENTRIES', cell: (item) => String(item.maxEntries) },
    { header: 'USED', cell: (item) => usedPercent(item) },
    { header: 'MEMORY', cell: (item) => humanBytes(item.memoryBytes) },
    { header: 'SETTING', cell: (item) => item.setting ?? '' },
  ],
});

/** In the shape of `istioctl proxy-status`, and the other sources beside. */
const sources = defineKind<SourceItem>({
  singular: 'source',
  plural: 'sources',
  aliases: ['src'],
  // In the order in which sources come before each other, and control planes are asked.
  ordered: true,
  name: (item) => item.source,
  alsoKnownAs: (item) => [item.location, ...(item.subscription === null ? [] : [item.subscription])],
  columns: [
    { header: 'LOCATION', cell: (item) => item.location },
    { header: 'SUBSCRIBED', cell: (item) => item.subscription ?? '' },
    { header: 'STATE', cell: (item) => item.state },
    { header: 'OBJECTS', cell: (item) => String(item.objects) },
    { header: 'REFUSED', cell: (item) => String(item.refused) },
    { header: 'VERSION', cell: (item) => item.version ?? '' },
    { header: 'ACK', cell: (item) => (item.acks === null ? '' : String(item.acks)) },
    { header: 'NACK', cell: (item) => (item.nacks === null ? '' : String(item.nacks)) },
    { header: 'LAST-HEARD', cell: (item, _wide, nowMs) => agoText(item.lastHeard, nowMs) },
    { header: 'ERROR', wide: true, cell: (item) => item.error ?? '' },
  ],
});

export const kinds: readonly Kind[] = [
  services,
  workloads,
  endpoints,
  listeners,
  routes,
  clusters,
  connections,
  maps,
  sources,
];

/** The kind of a name, plural or short name; case does not matter. */
export function findKind(word: string): Kind | undefined {
  const wanted = word.toLowerCase();
  return kinds.find((kind) => [kind.plural, kind.singular, ...kind.aliases].includes(wanted));
}

/** Share of a map that is in use, such as `96%`; rounded down, so that 100% is really full. */
export function usedPercent(map: MapItem): string {
  return `${map.maxEntries === 0 ? 0 : Math.floor((map.entries * 100) / map.maxEntries)}%`;
}

function addressList(addresses: readonly string[], wide: boolean): string {
  return shortList(addresses, ',', wide ? addresses.length : shownAddresses);
}

function shortList(texts: readonly string[], separator: string, shown: number): string {
  if (texts.length <= shown) return texts.join(separator);
  return `${texts.slice(0, shown).join(separator)} + ${texts.length - shown} more...`;
}

function socketAddress({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `3/3` ready of all; one such pair a port where ports differ, in the order of PORTS. */
function readyEndpoints(item: ServiceItem): string {
  const pairs = item.ports.map((port) => `${port.endpoints}/${port.endpoints + port.unready}`);
  return new Set(pairs).size === 1 ? (pairs[0] ?? '') : pairs.join(',');
}

/** The name in a uid such as `Kubernetes//Pod/NAMESPACE/NAME`. */
function workloadName(uid: string | null): string {
  return uid?.split('/').at(-1) ?? '';
}

function labelList(labels: WorkloadItem['labels']): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(',');
}
