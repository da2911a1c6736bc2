/** The writes of one publish, in the order in which the publisher makes them, and the records that it writes. */
import type { CompiledCluster } from '../compile/service.ts';
import {
  type KmCluster,
  type KmEndpoint,
  type KmListener,
  type KmListenerKey,
  kmHash,
  kmListenerMode,
  kmPolicy,
} from '../kernel/gen/layout.gen.ts';
import type { ClusterPolicy } from '../model/http.ts';
import type { Run } from './slot-space.ts';

export const zeroEndpointStats = {
  udpConnected: 0n,
  closed: 0n,
  failed: 0n,
  sentBytes: 0n,
  receivedBytes: 0n,
  retransmits: 0n,
  durationUs: 0n,
  datagrams: 0n,
  srttUs: 0,
  active: 0,
  requests: 0n,
};
export const zeroClusterStats = { next: 0n, refused: 0n };

export class Plan {
  /** Slots taken for a cluster whose slots are new. */
  readonly runs = new Map<bigint, Run>();
  readonly endpoints: (readonly [bigint, KmEndpoint])[] = [];
  readonly endpointStats: (readonly [bigint, typeof zeroEndpointStats])[] = [];
  readonly slots: (readonly [number, { endpoint: bigint; alias: bigint; threshold: number }])[] = [];
  readonly clusters: (readonly [bigint, KmCluster])[] = [];
  readonly clusterStats: (readonly [bigint, typeof zeroClusterStats])[] = [];
  readonly listeners: (readonly [KmListenerKey, KmListener])[] = [];
  readonly listenersGone = new Set<string>();
  readonly clustersGone = new Set<bigint>();
  readonly tablesGone = new Set<string>();
  readonly endpointsGone: bigint[] = [];
  /** Endpoints and slots that were written already. */
  written = 0;
}

const policies: Readonly<Record<ClusterPolicy['balance'], number>> = {
  random: kmPolicy.RANDOM,
  'round-robin': kmPolicy.ROUND_ROBIN,
  'least-request': kmPolicy.LEAST_REQUEST,
  maglev: kmPolicy.MAGLEV,
};
const hashes = { source: kmHash.SOURCE, header: kmHash.HEADER, cookie: kmHash.COOKIE } as const;

export const listenerModes = {
  tcp: kmListenerMode.TCP,
  http: kmListenerMode.HTTP,
  detect: kmListenerMode.DETECT,
} as const;

/** The record of a cluster whose slots are in `run`. */
export function clusterRecord(c: CompiledCluster, run: Run): KmCluster {
  const { balance, hash, perConnection, connectTimeoutMs } = c.policy;
  const name = hash === undefined || hash.kind === 'source' ? '' : hash.name;
  return {
    first: run.first,
    slots: run.length,
    policy: policies[balance],
    affinityS: c.affinitySeconds,
    connectTimeoutMs,
    digest: c.digest,
    hash: hash === undefined ? kmHash.NONE : hashes[hash.kind],
    hashNameLength: Buffer.byteLength(name, 'utf8'),
    perConnection: perConnection ? 1 : 0,
    hashName: hash?.kind === 'header' ? name.toLowerCase() : name,
  };
}

/** What a record says besides its endpoints, to compare. */
export function settingsOf(record: KmCluster): string {
  const { policy, affinityS, connectTimeoutMs, hash, perConnection, hashName } = record;
  return `${policy} ${affinityS} ${connectTimeoutMs} ${hash} ${perConnection} ${hashName}`;
}
