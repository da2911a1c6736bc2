// Generated from the BTF of build/bpf/*.bpf.o by tools/gen-layout.ts. Do not edit.
import { array, be32, bytes, chars, s32, u32, u64 } from '../codec.ts';
import type { Codec } from '../codec.ts';

/** Changes whenever an object of another layout could not share this one's maps. */
export const schema = 'da6e0c1d94b1';

const nothing = bytes(0);
const be32x4 = array(be32, 4);
const chars64 = chars(64);
const u64x4 = array(u64, 4);

export const kmConnFlags = {
  REWRITTEN: 1,
  CLOSED: 2,
  UDP_REPLIES: 4,
} as const;
export type KmConnFlags = (typeof kmConnFlags)[keyof typeof kmConnFlags];

export const kmCounter = {
  REFUSED_NO_ENDPOINT: 0,
  ENDPOINT_RETRIED: 1,
  EVENT_LOST: 2,
  TRAFFIC_LOST: 3,
  STORAGE_FAILED: 4,
  UDP_REPLY_LOST: 5,
  MAX: 6,
} as const;
export type KmCounter = (typeof kmCounter)[keyof typeof kmCounter];

export const kmDirection = {
  OUTBOUND: 0,
  INBOUND: 1,
} as const;
export type KmDirection = (typeof kmDirection)[keyof typeof kmDirection];

export const kmHash = {
  NONE: 0,
  SOURCE: 1,
  HEADER: 2,
  COOKIE: 3,
} as const;
export type KmHash = (typeof kmHash)[keyof typeof kmHash];

export const kmListenerMode = {
  TCP: 0,
  HTTP: 1,
  DETECT: 2,
} as const;
export type KmListenerMode = (typeof kmListenerMode)[keyof typeof kmListenerMode];

export const kmPolicy = {
  RANDOM: 0,
  ROUND_ROBIN: 1,
  LEAST_REQUEST: 2,
  MAGLEV: 3,
} as const;
export type KmPolicy = (typeof kmPolicy)[keyof typeof kmPolicy];

export const kmReason = {
  NONE: 0,
  NO_ENDPOINT: 1,
  CONNECT_FAILED: 2,
  NO_ROUTE: 3,
  NO_CLUSTER: 4,
  FAULT: 5,
  CLIENT_GONE: 6,
  ENDPOINT_GONE: 7,
  BAD_REQUEST: 8,
  OVERFLOW: 9,
} as const;
export type KmReason = (typeof kmReason)[keyof typeof kmReason];

export interface KmAddressKey {
  readonly addr: readonly number[];
}

export const kmAddressKey: Codec<KmAddressKey> = {
  size: 16,
  encode(value, view, offset) {
    be32x4.encode(value.addr, view, offset);
  },
  decode(view, offset) {
    return {
      addr: be32x4.decode(view, offset),
    };
  },
};

export interface KmAffinity {
  readonly endpoint: bigint;
  readonly usedNs: bigint;
}

export const kmAffinity: Codec<KmAffinity> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.endpoint, true);
    view.setBigUint64(offset + 8, value.usedNs, true);
  },
  decode(view, offset) {
    return {
      endpoint: view.getBigUint64(offset, true),
      usedNs: view.getBigUint64(offset + 8, true),
    };
  },
};

export interface KmAffinityKey {
  readonly cluster: bigint;
  readonly netns: bigint;
}

export const kmAffinityKey: Codec<KmAffinityKey> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.cluster, true);
    view.setBigUint64(offset + 8, value.netns, true);
  },
  decode(view, offset) {
    return {
      cluster: view.getBigUint64(offset, true),
      netns: view.getBigUint64(offset + 8, true),
    };
  },
};

export interface KmCluster {
  readonly first: number;
  readonly slots: number;
  readonly policy: number;
  readonly affinityS: number;
  readonly connectTimeoutMs: number;
  readonly digest: bigint;
  readonly hash: number;
  readonly hashNameLength: number;
  readonly perConnection: number;
  readonly hashName: string;
}

export const kmCluster: Codec<KmCluster> = {
  size: 104,
  encode(value, view, offset) {
    view.setUint32(offset + 4, value.first, true);
    view.setUint32(offset + 8, value.slots, true);
    view.setUint32(offset + 12, value.policy, true);
    view.setUint32(offset + 16, value.affinityS, true);
    view.setUint32(offset + 20, value.connectTimeoutMs, true);
    view.setBigUint64(offset + 24, value.digest, true);
    view.setUint8(offset + 32, value.hash);
    view.setUint8(offset + 33, value.hashNameLength);
    view.setUint8(offset + 34, value.perConnection);
    chars64.encode(value.hashName, view, offset + 40);
    view.setUint32(offset, 0);
    view.setUint8(offset + 35, 0);
    view.setUint32(offset + 36, 0);
  },
  decode(view, offset) {
    return {
      first: view.getUint32(offset + 4, true),
      slots: view.getUint32(offset + 8, true),
      policy: view.getUint32(offset + 12, true),
      affinityS: view.getUint32(offset + 16, true),
      connectTimeoutMs: view.getUint32(offset + 20, true),
      digest: view.getBigUint64(offset + 24, true),
      hash: view.getUint8(offset + 32),
      hashNameLength: view.getUint8(offset + 33),
      perConnection: view.getUint8(offset + 34),
      hashName: chars64.decode(view, offset + 40),
    };
  },
};

export interface KmClusterStats {
  readonly next: bigint;
  readonly refused: bigint;
}

export const kmClusterStats: Codec<KmClusterStats> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.next, true);
    view.setBigUint64(offset + 8, value.refused, true);
  },
  decode(view, offset) {
    return {
      next: view.getBigUint64(offset, true),
      refused: view.getBigUint64(offset + 8, true),
    };
  },
};

export interface KmConfig {
  readonly accessLog: number;
  readonly monitoring: number;
  readonly inbound: number;
  readonly requests: number;
}

export const kmConfig: Codec<KmConfig> = {
  size: 16,
  encode(value, view, offset) {
    view.setUint32(offset, value.accessLog, true);
    view.setUint32(offset + 4, value.monitoring, true);
    view.setUint32(offset + 8, value.inbound, true);
    view.setUint32(offset + 12, value.requests, true);
  },
  decode(view, offset) {
    return {
      accessLog: view.getUint32(offset, true),
      monitoring: view.getUint32(offset + 4, true),
      inbound: view.getUint32(offset + 8, true),
      requests: view.getUint32(offset + 12, true),
    };
  },
};

export interface KmConn {
  readonly source: bigint;
  readonly destination: bigint;
  readonly cluster: bigint;
  readonly endpoint: bigint;
  readonly askedAddr: readonly number[];
  readonly realAddr: readonly number[];
  readonly askedPort: number;
  readonly realPort: number;
  readonly protocol: number;
  readonly direction: number;
  readonly flags: number;
  readonly reason: number;
  readonly startNs: bigint;
}

export const kmConn: Codec<KmConn> = {
  size: 80,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.source, true);
    view.setBigUint64(offset + 8, value.destination, true);
    view.setBigUint64(offset + 16, value.cluster, true);
    view.setBigUint64(offset + 24, value.endpoint, true);
    be32x4.encode(value.askedAddr, view, offset + 32);
    be32x4.encode(value.realAddr, view, offset + 48);
    view.setUint16(offset + 64, value.askedPort, false);
    view.setUint16(offset + 66, value.realPort, false);
    view.setUint8(offset + 68, value.protocol);
    view.setUint8(offset + 69, value.direction);
    view.setUint8(offset + 70, value.flags);
    view.setUint8(offset + 71, value.reason);
    view.setBigUint64(offset + 72, value.startNs, true);
  },
  decode(view, offset) {
    return {
      source: view.getBigUint64(offset, true),
      destination: view.getBigUint64(offset + 8, true),
      cluster: view.getBigUint64(offset + 16, true),
      endpoint: view.getBigUint64(offset + 24, true),
      askedAddr: be32x4.decode(view, offset + 32),
      realAddr: be32x4.decode(view, offset + 48),
      askedPort: view.getUint16(offset + 64, false),
      realPort: view.getUint16(offset + 66, false),
      protocol: view.getUint8(offset + 68),
      direction: view.getUint8(offset + 69),
      flags: view.getUint8(offset + 70),
      reason: view.getUint8(offset + 71),
      startNs: view.getBigUint64(offset + 72, true),
    };
  },
};

export interface KmEndpoint {
  readonly addr: readonly number[];
  readonly port: number;
  readonly usable: number;
  readonly cluster: bigint;
  readonly workload: bigint;
}

export const kmEndpoint: Codec<KmEndpoint> = {
  size: 48,
  encode(value, view, offset) {
    be32x4.encode(value.addr, view, offset + 8);
    view.setUint16(offset + 24, value.port, false);
    view.setUint8(offset + 26, value.usable);
    view.setBigUint64(offset + 32, value.cluster, true);
    view.setBigUint64(offset + 40, value.workload, true);
    view.setUint32(offset, 0);
    view.setUint32(offset + 4, 0);
    view.setUint8(offset + 27, 0);
    view.setUint32(offset + 28, 0);
  },
  decode(view, offset) {
    return {
      addr: be32x4.decode(view, offset + 8),
      port: view.getUint16(offset + 24, false),
      usable: view.getUint8(offset + 26),
      cluster: view.getBigUint64(offset + 32, true),
      workload: view.getBigUint64(offset + 40, true),
    };
  },
};

export interface KmEndpointStats {
  readonly udpConnected: bigint;
  readonly closed: bigint;
  readonly failed: bigint;
  readonly sentBytes: bigint;
  readonly receivedBytes: bigint;
  readonly retransmits: bigint;
  readonly durationUs: bigint;
  readonly datagrams: bigint;
  readonly srttUs: number;
  readonly active: number;
  readonly requests: bigint;
}

export const kmEndpointStats: Codec<KmEndpointStats> = {
  size: 80,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.udpConnected, true);
    view.setBigUint64(offset + 8, value.closed, true);
    view.setBigUint64(offset + 16, value.failed, true);
    view.setBigUint64(offset + 24, value.sentBytes, true);
    view.setBigUint64(offset + 32, value.receivedBytes, true);
    view.setBigUint64(offset + 40, value.retransmits, true);
    view.setBigUint64(offset + 48, value.durationUs, true);
    view.setBigUint64(offset + 56, value.datagrams, true);
    view.setUint32(offset + 64, value.srttUs, true);
    view.setUint32(offset + 68, value.active, true);
    view.setBigUint64(offset + 72, value.requests, true);
  },
  decode(view, offset) {
    return {
      udpConnected: view.getBigUint64(offset, true),
      closed: view.getBigUint64(offset + 8, true),
      failed: view.getBigUint64(offset + 16, true),
      sentBytes: view.getBigUint64(offset + 24, true),
      receivedBytes: view.getBigUint64(offset + 32, true),
      retransmits: view.getBigUint64(offset + 40, true),
      durationUs: view.getBigUint64(offset + 48, true),
      datagrams: view.getBigUint64(offset + 56, true),
      srttUs: view.getUint32(offset + 64, true),
      active: view.getUint32(offset + 68, true),
      requests: view.getBigUint64(offset + 72, true),
    };
  },
};

export interface KmEnrolment {
  readonly workload: bigint;
  readonly wireFirst: number;
  readonly wireCount: number;
}

export const kmEnrolment: Codec<KmEnrolment> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.workload, true);
    view.setUint16(offset + 8, value.wireFirst, true);
    view.setUint16(offset + 10, value.wireCount, true);
    view.setUint32(offset + 12, 0);
  },
  decode(view, offset) {
    return {
      workload: view.getBigUint64(offset, true),
      wireFirst: view.getUint16(offset + 8, true),
      wireCount: view.getUint16(offset + 10, true),
    };
  },
};

export interface KmEvent {
  readonly timeNs: bigint;
  readonly startNs: bigint;
  readonly source: bigint;
  readonly destination: bigint;
  readonly cluster: bigint;
  readonly sentBytes: bigint;
  readonly receivedBytes: bigint;
  readonly localAddr: readonly number[];
  readonly askedAddr: readonly number[];
  readonly realAddr: readonly number[];
  readonly localPort: number;
  readonly askedPort: number;
  readonly realPort: number;
  readonly direction: number;
  readonly reason: number;
  readonly retransmits: number;
  readonly srttUs: number;
  readonly state: number;
}

export const kmEvent: Codec<KmEvent> = {
  size: 128,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.timeNs, true);
    view.setBigUint64(offset + 8, value.startNs, true);
    view.setBigUint64(offset + 16, value.source, true);
    view.setBigUint64(offset + 24, value.destination, true);
    view.setBigUint64(offset + 32, value.cluster, true);
    view.setBigUint64(offset + 40, value.sentBytes, true);
    view.setBigUint64(offset + 48, value.receivedBytes, true);
    be32x4.encode(value.localAddr, view, offset + 56);
    be32x4.encode(value.askedAddr, view, offset + 72);
    be32x4.encode(value.realAddr, view, offset + 88);
    view.setUint16(offset + 104, value.localPort, false);
    view.setUint16(offset + 106, value.askedPort, false);
    view.setUint16(offset + 108, value.realPort, false);
    view.setUint8(offset + 110, value.direction);
    view.setUint8(offset + 111, value.reason);
    view.setUint32(offset + 112, value.retransmits, true);
    view.setUint32(offset + 116, value.srttUs, true);
    view.setUint8(offset + 120, value.state);
    view.setUint8(offset + 121, 0);
    view.setUint16(offset + 122, 0);
    view.setUint32(offset + 124, 0);
  },
  decode(view, offset) {
    return {
      timeNs: view.getBigUint64(offset, true),
      startNs: view.getBigUint64(offset + 8, true),
      source: view.getBigUint64(offset + 16, true),
      destination: view.getBigUint64(offset + 24, true),
      cluster: view.getBigUint64(offset + 32, true),
      sentBytes: view.getBigUint64(offset + 40, true),
      receivedBytes: view.getBigUint64(offset + 48, true),
      localAddr: be32x4.decode(view, offset + 56),
      askedAddr: be32x4.decode(view, offset + 72),
      realAddr: be32x4.decode(view, offset + 88),
      localPort: view.getUint16(offset + 104, false),
      askedPort: view.getUint16(offset + 106, false),
      realPort: view.getUint16(offset + 108, false),
      direction: view.getUint8(offset + 110),
      reason: view.getUint8(offset + 111),
      retransmits: view.getUint32(offset + 112, true),
      srttUs: view.getUint32(offset + 116, true),
      state: view.getUint8(offset + 120),
    };
  },
};

export interface KmListener {
  readonly mode: number;
  readonly cluster: bigint;
  readonly routes: number;
}

export const kmListener: Codec<KmListener> = {
  size: 24,
  encode(value, view, offset) {
    view.setUint32(offset + 4, value.mode, true);
    view.setBigUint64(offset + 8, value.cluster, true);
    view.setUint32(offset + 16, value.routes, true);
    view.setUint32(offset, 0);
    view.setUint32(offset + 20, 0);
  },
  decode(view, offset) {
    return {
      mode: view.getUint32(offset + 4, true),
      cluster: view.getBigUint64(offset + 8, true),
      routes: view.getUint32(offset + 16, true),
    };
  },
};

export interface KmListenerKey {
  readonly addr: readonly number[];
  readonly port: number;
  readonly protocol: number;
}

export const kmListenerKey: Codec<KmListenerKey> = {
  size: 20,
  encode(value, view, offset) {
    be32x4.encode(value.addr, view, offset);
    view.setUint16(offset + 16, value.port, false);
    view.setUint8(offset + 18, value.protocol);
    view.setUint8(offset + 19, 0);
  },
  decode(view, offset) {
    return {
      addr: be32x4.decode(view, offset),
      port: view.getUint16(offset + 16, false),
      protocol: view.getUint8(offset + 18),
    };
  },
};

export interface KmSlot {
  readonly endpoint: bigint;
  readonly alias: bigint;
  readonly threshold: number;
}

export const kmSlot: Codec<KmSlot> = {
  size: 24,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.endpoint, true);
    view.setBigUint64(offset + 8, value.alias, true);
    view.setUint32(offset + 16, value.threshold, true);
    view.setUint32(offset + 20, 0);
  },
  decode(view, offset) {
    return {
      endpoint: view.getBigUint64(offset, true),
      alias: view.getBigUint64(offset + 8, true),
      threshold: view.getUint32(offset + 16, true),
    };
  },
};

export interface KmSource {
  readonly bits: readonly bigint[];
}

export const kmSource: Codec<KmSource> = {
  size: 40,
  encode(value, view, offset) {
    u64x4.encode(value.bits, view, offset + 8);
    view.setUint32(offset, 0);
    view.setUint32(offset + 4, 0);
  },
  decode(view, offset) {
    return {
      bits: u64x4.decode(view, offset + 8),
    };
  },
};

export interface KmSourceKey {
  readonly generation: bigint;
  readonly workload: bigint;
}

export const kmSourceKey: Codec<KmSourceKey> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.generation, true);
    view.setBigUint64(offset + 8, value.workload, true);
  },
  decode(view, offset) {
    return {
      generation: view.getBigUint64(offset, true),
      workload: view.getBigUint64(offset + 8, true),
    };
  },
};

export interface KmTraffic {
  readonly closed: bigint;
  readonly failed: bigint;
  readonly sentBytes: bigint;
  readonly receivedBytes: bigint;
  readonly retransmits: bigint;
  readonly durationUs: bigint;
}

export const kmTraffic: Codec<KmTraffic> = {
  size: 48,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.closed, true);
    view.setBigUint64(offset + 8, value.failed, true);
    view.setBigUint64(offset + 16, value.sentBytes, true);
    view.setBigUint64(offset + 24, value.receivedBytes, true);
    view.setBigUint64(offset + 32, value.retransmits, true);
    view.setBigUint64(offset + 40, value.durationUs, true);
  },
  decode(view, offset) {
    return {
      closed: view.getBigUint64(offset, true),
      failed: view.getBigUint64(offset + 8, true),
      sentBytes: view.getBigUint64(offset + 16, true),
      receivedBytes: view.getBigUint64(offset + 24, true),
      retransmits: view.getBigUint64(offset + 32, true),
      durationUs: view.getBigUint64(offset + 40, true),
    };
  },
};

export interface KmTrafficKey {
  readonly source: bigint;
  readonly destination: bigint;
  readonly cluster: bigint;
  readonly direction: number;
  readonly reason: number;
}

export const kmTrafficKey: Codec<KmTrafficKey> = {
  size: 32,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.source, true);
    view.setBigUint64(offset + 8, value.destination, true);
    view.setBigUint64(offset + 16, value.cluster, true);
    view.setUint8(offset + 24, value.direction);
    view.setUint8(offset + 25, value.reason);
    view.setUint16(offset + 26, 0);
    view.setUint32(offset + 28, 0);
  },
  decode(view, offset) {
    return {
      source: view.getBigUint64(offset, true),
      destination: view.getBigUint64(offset + 8, true),
      cluster: view.getBigUint64(offset + 16, true),
      direction: view.getUint8(offset + 24),
      reason: view.getUint8(offset + 25),
    };
  },
};

export interface KmUdpReply {
  readonly addr: readonly number[];
  readonly port: number;
}

export const kmUdpReply: Codec<KmUdpReply> = {
  size: 20,
  encode(value, view, offset) {
    be32x4.encode(value.addr, view, offset);
    view.setUint16(offset + 16, value.port, false);
    view.setUint16(offset + 18, 0);
  },
  decode(view, offset) {
    return {
      addr: be32x4.decode(view, offset),
      port: view.getUint16(offset + 16, false),
    };
  },
};

export interface KmUdpReplyKey {
  readonly socket: bigint;
  readonly addr: readonly number[];
  readonly port: number;
}

export const kmUdpReplyKey: Codec<KmUdpReplyKey> = {
  size: 32,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.socket, true);
    be32x4.encode(value.addr, view, offset + 8);
    view.setUint16(offset + 24, value.port, false);
    view.setUint16(offset + 26, 0);
    view.setUint32(offset + 28, 0);
  },
  decode(view, offset) {
    return {
      socket: view.getBigUint64(offset, true),
      addr: be32x4.decode(view, offset + 8),
      port: view.getUint16(offset + 24, false),
    };
  },
};

/** Every map by name. The value of a per-CPU map is one CPU's. */
export const mapTypes = {
  km_affinity: { type: 'lru_hash', key: kmAffinityKey, value: kmAffinity, flags: 0 },
  km_cluster: { type: 'hash', key: u64, value: kmCluster, flags: 1 },
  km_cluster_stats: { type: 'hash', key: u64, value: kmClusterStats, flags: 1 },
  km_config: { type: 'array', key: u32, value: kmConfig, flags: 0 },
  km_conn: { type: 'sk_storage', key: s32, value: kmConn, flags: 1 },
  km_counters: { type: 'percpu_array', key: u32, value: u64, flags: 0 },
  km_endpoint: { type: 'hash', key: u64, value: kmEndpoint, flags: 1 },
  km_endpoint_stats: { type: 'hash', key: u64, value: kmEndpointStats, flags: 1 },
  km_enrolment: { type: 'hash', key: u64, value: kmEnrolment, flags: 1 },
  km_event: { type: 'ringbuf', key: nothing, value: nothing, flags: 0 },
  km_listener: { type: 'hash', key: kmListenerKey, value: kmListener, flags: 1 },
  km_netns_cookie: { type: 'array', key: u32, value: u64, flags: 0 },
  km_route_14: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_16: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_18: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_20: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_22: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_slot: { type: 'array', key: u32, value: kmSlot, flags: 0 },
  km_source: { type: 'hash', key: kmSourceKey, value: kmSource, flags: 1 },
  km_traffic: { type: 'hash', key: kmTrafficKey, value: kmTraffic, flags: 1 },
  km_udp_reply: { type: 'lru_hash', key: kmUdpReplyKey, value: kmUdpReply, flags: 0 },
  km_workload_address: { type: 'hash', key: kmAddressKey, value: u64, flags: 1 },
} as const;
