// Generated from the BTF of build/bpf/*.bpf.o by tools/gen-layout.ts. Do not edit.
import { array, be16, be32, bytes, chars, s32, u32, u64 } from '../codec.ts';
import type { Codec } from '../codec.ts';

/** Changes whenever an object of another layout could not share this one's maps. */
export const schema = 'a4809606715c';

// km_phrase is the kernel side's own: a union without a name.

const nothing = bytes(0);
const be32x4 = array(be32, 4);
const u64x64 = array(u64, 64);
const bytes64 = bytes(64);
const bytes4160 = bytes(4160);
const bytes8256 = bytes(8256);
const chars64 = chars(64);
const u64x2 = array(u64, 2);
const chars8 = chars(8);
const chars128 = chars(128);
const be16x2 = array(be16, 2);
const bytes12 = bytes(12);
const bytes1040 = bytes(1040);
const bytes32704 = bytes(32704);
const u64x20 = array(u64, 20);
const be32x2 = array(be32, 2);
const be32x8 = array(be32, 8);
const u64x4 = array(u64, 4);
const u32x2 = array(u32, 2);
const u32x64 = array(u32, 64);
const bytes128 = bytes(128);
const bytes16448 = bytes(16448);
const u64x8 = array(u64, 8);

export const kmConnFlags = {
  REWRITTEN: 1,
  CLOSED: 2,
  UDP_REPLIES: 4,
  HTTP: 8,
} as const;
export type KmConnFlags = (typeof kmConnFlags)[keyof typeof kmConnFlags];

export const kmCounter = {
  REFUSED_NO_ENDPOINT: 0,
  ENDPOINT_RETRIED: 1,
  EVENT_LOST: 2,
  TRAFFIC_LOST: 3,
  STORAGE_FAILED: 4,
  UDP_REPLY_LOST: 5,
  FLOW_FULL: 6,
  WIRE_FULL: 7,
  BYPASSED: 8,
  KICKS: 9,
  SWITCHES: 10,
  HELD: 11,
  SYN_RETRIED: 12,
  STALE_TUPLE: 13,
  PACKET_FAILED: 14,
  BEHIND_KICK: 15,
  SCRATCH_BUSY: 16,
  OVERTAKEN: 17,
  ANSWER_UNCHANGED: 18,
  MAX: 19,
} as const;
export type KmCounter = (typeof kmCounter)[keyof typeof kmCounter];

export const kmDirection = {
  OUTBOUND: 0,
  INBOUND: 1,
} as const;
export type KmDirection = (typeof kmDirection)[keyof typeof kmDirection];

export const kmFlowFlags = {
  SHAKEN: 1,
  KICK: 2,
  SWITCH: 4,
  ECHO: 8,
  CLOSE: 16,
  OPAQUE: 32,
  CHUNKED: 64,
  NO_SCALE: 128,
  NO_SACK: 256,
  CLOSED: 512,
  DONE: 1024,
  FIN_SENT: 2048,
  CLIENT_FIN: 4096,
  INSIDE: 8192,
  REFUSED: 16384,
  ECHOING: 32768,
  ANSWERS: 65536,
  AHEAD: 131072,
} as const;
export type KmFlowFlags = (typeof kmFlowFlags)[keyof typeof kmFlowFlags];

export const kmHalfFlags = {
  FIN_SEEN: 1,
  FIN_SENT: 2,
  BACK: 4,
} as const;
export type KmHalfFlags = (typeof kmHalfFlags)[keyof typeof kmHalfFlags];

export const kmHalfState = {
  FREE: 0,
  CHOSEN: 1,
  CONNECTING: 2,
  OPEN: 3,
} as const;
export type KmHalfState = (typeof kmHalfState)[keyof typeof kmHalfState];

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

export const kmWireState = {
  LIVE: 0,
  CLOSING: 1,
  CLOSED: 2,
} as const;
export type KmWireState = (typeof kmWireState)[keyof typeof kmWireState];

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

export interface KmAffinityLock {
  readonly taken: number;
}

export const kmAffinityLock: Codec<KmAffinityLock> = {
  size: 8,
  encode(value, view, offset) {
    view.setUint32(offset + 4, value.taken, true);
    view.setUint32(offset, 0);
  },
  decode(view, offset) {
    return {
      taken: view.getUint32(offset + 4, true),
    };
  },
};

export interface KmAnswerEdits {
  readonly names: number;
  readonly bytes: number;
  readonly units: readonly bigint[];
}

export const kmAnswerEdits: Codec<KmAnswerEdits> = {
  size: 520,
  encode(value, view, offset) {
    view.setUint32(offset, value.names, true);
    view.setUint32(offset + 4, value.bytes, true);
    u64x64.encode(value.units, view, offset + 8);
  },
  decode(view, offset) {
    return {
      names: view.getUint32(offset, true),
      bytes: view.getUint32(offset + 4, true),
      units: u64x64.decode(view, offset + 8),
    };
  },
};

export interface KmAnswerWork {
  readonly hash: bigint;
  readonly sum: bigint;
  readonly length: number;
  readonly skip: number;
  readonly begin: number;
  readonly end: number;
  readonly out: number;
  readonly line: number;
  readonly column: number;
  readonly named: number;
  readonly gone: number;
  readonly colon: number;
  readonly lastColon: number;
  readonly final: number;
  readonly names: number;
  readonly goneNames: readonly bigint[];
  readonly tcp: Uint8Array;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export const kmAnswerWork: Codec<KmAnswerWork> = {
  size: 13064,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.hash, true);
    view.setBigUint64(offset + 8, value.sum, true);
    view.setUint32(offset + 16, value.length, true);
    view.setUint32(offset + 20, value.skip, true);
    view.setUint32(offset + 24, value.begin, true);
    view.setUint32(offset + 28, value.end, true);
    view.setUint32(offset + 32, value.out, true);
    view.setUint32(offset + 36, value.line, true);
    view.setUint32(offset + 40, value.column, true);
    view.setUint32(offset + 44, value.named, true);
    view.setUint32(offset + 48, value.gone, true);
    view.setUint32(offset + 52, value.colon, true);
    view.setUint32(offset + 56, value.lastColon, true);
    view.setUint32(offset + 64, value.final, true);
    view.setUint32(offset + 68, value.names, true);
    u64x64.encode(value.goneNames, view, offset + 72);
    bytes64.encode(value.tcp, view, offset + 584);
    bytes4160.encode(value.from, view, offset + 648);
    bytes8256.encode(value.to, view, offset + 4808);
    view.setUint32(offset + 60, 0);
  },
  decode(view, offset) {
    return {
      hash: view.getBigUint64(offset, true),
      sum: view.getBigUint64(offset + 8, true),
      length: view.getUint32(offset + 16, true),
      skip: view.getUint32(offset + 20, true),
      begin: view.getUint32(offset + 24, true),
      end: view.getUint32(offset + 28, true),
      out: view.getUint32(offset + 32, true),
      line: view.getUint32(offset + 36, true),
      column: view.getUint32(offset + 40, true),
      named: view.getUint32(offset + 44, true),
      gone: view.getUint32(offset + 48, true),
      colon: view.getUint32(offset + 52, true),
      lastColon: view.getUint32(offset + 56, true),
      final: view.getUint32(offset + 64, true),
      names: view.getUint32(offset + 68, true),
      goneNames: u64x64.decode(view, offset + 72),
      tcp: bytes64.decode(view, offset + 584),
      from: bytes4160.decode(view, offset + 648),
      to: bytes8256.decode(view, offset + 4808),
    };
  },
};

export interface KmAnswers {
  readonly edits: readonly KmAnswerEdits[];
}

export const kmAnswers: Codec<KmAnswers> = {
  size: 1040,
  encode(value, view, offset) {
    kmAnswerEditsx2.encode(value.edits, view, offset);
  },
  decode(view, offset) {
    return {
      edits: kmAnswerEditsx2.decode(view, offset),
    };
  },
};

export interface KmChunks {
  readonly remaining: bigint;
  readonly line: number;
  readonly step: number;
  readonly digits: number;
}

export const kmChunks: Codec<KmChunks> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.remaining, true);
    view.setUint32(offset + 8, value.line, true);
    view.setUint8(offset + 12, value.step);
    view.setUint8(offset + 13, value.digits);
    view.setUint16(offset + 14, 0);
  },
  decode(view, offset) {
    return {
      remaining: view.getBigUint64(offset, true),
      line: view.getUint32(offset + 8, true),
      step: view.getUint8(offset + 12),
      digits: view.getUint8(offset + 13),
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
  readonly shortCut: number;
  readonly wireFirst: number;
  readonly wireLast: number;
  readonly tables: number;
  readonly unknown: number;
}

export const kmConfig: Codec<KmConfig> = {
  size: 32,
  encode(value, view, offset) {
    view.setUint32(offset, value.accessLog, true);
    view.setUint32(offset + 4, value.monitoring, true);
    view.setUint32(offset + 8, value.inbound, true);
    view.setUint32(offset + 12, value.requests, true);
    view.setUint32(offset + 16, value.shortCut, true);
    view.setUint16(offset + 20, value.wireFirst, true);
    view.setUint16(offset + 22, value.wireLast, true);
    view.setUint32(offset + 24, value.tables, true);
    view.setUint32(offset + 28, value.unknown, true);
  },
  decode(view, offset) {
    return {
      accessLog: view.getUint32(offset, true),
      monitoring: view.getUint32(offset + 4, true),
      inbound: view.getUint32(offset + 8, true),
      requests: view.getUint32(offset + 12, true),
      shortCut: view.getUint32(offset + 16, true),
      wireFirst: view.getUint16(offset + 20, true),
      wireLast: view.getUint16(offset + 22, true),
      tables: view.getUint32(offset + 24, true),
      unknown: view.getUint32(offset + 28, true),
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
  readonly netns: bigint;
  readonly wireFirst: number;
  readonly wireCount: number;
  readonly mode: number;
}

export const kmConn: Codec<KmConn> = {
  size: 96,
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
    view.setBigUint64(offset + 80, value.netns, true);
    view.setUint16(offset + 88, value.wireFirst, true);
    view.setUint16(offset + 90, value.wireCount, true);
    view.setUint8(offset + 92, value.mode);
    view.setUint8(offset + 93, 0);
    view.setUint16(offset + 94, 0);
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
      netns: view.getBigUint64(offset + 80, true),
      wireFirst: view.getUint16(offset + 88, true),
      wireCount: view.getUint16(offset + 90, true),
      mode: view.getUint8(offset + 92),
    };
  },
};

export interface KmDecision {
  readonly listening: KmFoundListener;
  readonly cluster: bigint;
  readonly action: number;
  readonly edits: number;
  readonly route: number;
  readonly virtualHost: number;
  readonly status: number;
  readonly kind: number;
  readonly reason: number;
  readonly retries: number;
  readonly hasRoute: number;
  readonly answerSlot: number;
  readonly answer: number;
}

export const kmDecision: Codec<KmDecision> = {
  size: 56,
  encode(value, view, offset) {
    kmFoundListener.encode(value.listening, view, offset);
    view.setBigUint64(offset + 16, value.cluster, true);
    view.setUint32(offset + 24, value.action, true);
    view.setUint32(offset + 28, value.edits, true);
    view.setUint32(offset + 32, value.route, true);
    view.setUint32(offset + 36, value.virtualHost, true);
    view.setUint16(offset + 40, value.status, true);
    view.setUint8(offset + 42, value.kind);
    view.setUint8(offset + 43, value.reason);
    view.setUint8(offset + 44, value.retries);
    view.setUint8(offset + 45, value.hasRoute);
    view.setUint8(offset + 46, value.answerSlot);
    view.setUint32(offset + 48, value.answer, true);
    view.setUint8(offset + 47, 0);
    view.setUint32(offset + 52, 0);
  },
  decode(view, offset) {
    return {
      listening: kmFoundListener.decode(view, offset),
      cluster: view.getBigUint64(offset + 16, true),
      action: view.getUint32(offset + 24, true),
      edits: view.getUint32(offset + 28, true),
      route: view.getUint32(offset + 32, true),
      virtualHost: view.getUint32(offset + 36, true),
      status: view.getUint16(offset + 40, true),
      kind: view.getUint8(offset + 42),
      reason: view.getUint8(offset + 43),
      retries: view.getUint8(offset + 44),
      hasRoute: view.getUint8(offset + 45),
      answerSlot: view.getUint8(offset + 46),
      answer: view.getUint32(offset + 48, true),
    };
  },
};

export interface KmEditPlan {
  readonly gone: readonly bigint[];
  readonly host: number;
  readonly hostBytes: number;
  readonly path: number;
  readonly scheme: number;
  readonly port: number;
  readonly stripQuery: number;
  readonly hostHeader: number;
  readonly count: number;
}

export const kmEditPlan: Codec<KmEditPlan> = {
  size: 48,
  encode(value, view, offset) {
    u64x2.encode(value.gone, view, offset);
    view.setUint32(offset + 16, value.host, true);
    view.setUint32(offset + 20, value.hostBytes, true);
    view.setUint32(offset + 24, value.path, true);
    view.setUint32(offset + 28, value.scheme, true);
    view.setUint32(offset + 32, value.port, true);
    view.setUint32(offset + 36, value.stripQuery, true);
    view.setUint32(offset + 40, value.hostHeader, true);
    view.setUint32(offset + 44, value.count, true);
  },
  decode(view, offset) {
    return {
      gone: u64x2.decode(view, offset),
      host: view.getUint32(offset + 16, true),
      hostBytes: view.getUint32(offset + 20, true),
      path: view.getUint32(offset + 24, true),
      scheme: view.getUint32(offset + 28, true),
      port: view.getUint32(offset + 32, true),
      stripQuery: view.getUint32(offset + 36, true),
      hostHeader: view.getUint32(offset + 40, true),
      count: view.getUint32(offset + 44, true),
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

export interface KmExchange {
  readonly startNs: bigint;
  readonly cluster: bigint;
  readonly endpoint: bigint;
  readonly destination: bigint;
  readonly generation: bigint;
  readonly requestBytes: number;
  readonly rcvStart: number;
  readonly route: number;
  readonly virtualHost: number;
  readonly status: number;
  readonly reason: number;
  readonly active: number;
  readonly hasRoute: number;
  readonly flags: number;
  readonly hostLength: number;
  readonly pathLength: number;
  readonly pathCut: number;
  readonly lost: number;
  readonly hasText: number;
  readonly edits: number;
}

export const kmExchange: Codec<KmExchange> = {
  size: 72,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.startNs, true);
    view.setBigUint64(offset + 8, value.cluster, true);
    view.setBigUint64(offset + 16, value.endpoint, true);
    view.setBigUint64(offset + 24, value.destination, true);
    view.setBigUint64(offset + 32, value.generation, true);
    view.setUint32(offset + 40, value.requestBytes, true);
    view.setUint32(offset + 44, value.rcvStart, true);
    view.setUint32(offset + 48, value.route, true);
    view.setUint32(offset + 52, value.virtualHost, true);
    view.setUint16(offset + 56, value.status, true);
    view.setUint8(offset + 58, value.reason);
    view.setUint8(offset + 59, value.active);
    view.setUint8(offset + 60, value.hasRoute);
    view.setUint8(offset + 61, value.flags);
    view.setUint8(offset + 62, value.hostLength);
    view.setUint8(offset + 63, value.pathLength);
    view.setUint8(offset + 64, value.pathCut);
    view.setUint8(offset + 65, value.lost);
    view.setUint8(offset + 66, value.hasText);
    view.setUint8(offset + 67, value.edits);
    view.setUint32(offset + 68, 0);
  },
  decode(view, offset) {
    return {
      startNs: view.getBigUint64(offset, true),
      cluster: view.getBigUint64(offset + 8, true),
      endpoint: view.getBigUint64(offset + 16, true),
      destination: view.getBigUint64(offset + 24, true),
      generation: view.getBigUint64(offset + 32, true),
      requestBytes: view.getUint32(offset + 40, true),
      rcvStart: view.getUint32(offset + 44, true),
      route: view.getUint32(offset + 48, true),
      virtualHost: view.getUint32(offset + 52, true),
      status: view.getUint16(offset + 56, true),
      reason: view.getUint8(offset + 58),
      active: view.getUint8(offset + 59),
      hasRoute: view.getUint8(offset + 60),
      flags: view.getUint8(offset + 61),
      hostLength: view.getUint8(offset + 62),
      pathLength: view.getUint8(offset + 63),
      pathCut: view.getUint8(offset + 64),
      lost: view.getUint8(offset + 65),
      hasText: view.getUint8(offset + 66),
      edits: view.getUint8(offset + 67),
    };
  },
};

export interface KmExchangeText {
  readonly method: string;
  readonly host: string;
  readonly path: string;
}

export const kmExchangeText: Codec<KmExchangeText> = {
  size: 200,
  encode(value, view, offset) {
    chars8.encode(value.method, view, offset);
    chars64.encode(value.host, view, offset + 8);
    chars128.encode(value.path, view, offset + 72);
  },
  decode(view, offset) {
    return {
      method: chars8.decode(view, offset),
      host: chars64.decode(view, offset + 8),
      path: chars128.decode(view, offset + 72),
    };
  },
};

export interface KmFlow {
  readonly flags: number;
  readonly current: number;
  readonly target: number;
  readonly clientScale: number;
  readonly mode: number;
  readonly gate: number;
  readonly mss: number;
  readonly clientWindow: number;
  readonly wireFirst: number;
  readonly wireCount: number;
  readonly left: number;
  readonly stopped: number;
  readonly isn: number;
  readonly base: number;
  readonly kickSeq: number;
  readonly kickEnd: number;
  readonly kickGot: number;
  readonly boundary: number;
  readonly reqEnd: number;
  readonly echoSeq: number;
  readonly echoEnd: number;
  readonly echoAck: number;
  readonly finSeq: number;
  readonly requests: number;
  readonly asked: number;
  readonly answered: number;
  readonly kickAfter: number;
  readonly source: bigint;
  readonly netns: bigint;
  readonly closedNs: bigint;
  readonly answer: KmResponse;
  readonly chunks: KmChunks;
  readonly answerSeq: number;
  readonly chunksSeq: number;
  readonly reading: number;
  readonly device: number;
  readonly shortCut: number;
  readonly tables: number;
  readonly listening: KmFoundListener;
  readonly held: number;
  readonly fence: number;
  readonly now: KmExchange;
  readonly next: KmExchange;
  readonly nowText: KmExchangeText;
  readonly nextText: KmExchangeText;
  readonly headSeq: number;
  readonly editSeq: number;
  readonly editEnd: number;
  readonly editMore: number;
  readonly edited: number;
  readonly shifted: number;
  readonly editTries: number;
  readonly following: number;
  readonly victim: KmHalf;
  readonly half: readonly KmHalf[];
}

export const kmFlow: Codec<KmFlow> = {
  size: 1632,
  encode(value, view, offset) {
    view.setUint32(offset, value.flags, true);
    view.setUint8(offset + 4, value.current);
    view.setUint8(offset + 5, value.target);
    view.setUint8(offset + 6, value.clientScale);
    view.setUint8(offset + 7, value.mode);
    view.setUint16(offset + 8, value.gate, true);
    view.setUint16(offset + 10, value.mss, true);
    view.setUint16(offset + 12, value.clientWindow, false);
    view.setUint16(offset + 14, value.wireFirst, true);
    view.setUint16(offset + 16, value.wireCount, true);
    view.setUint8(offset + 18, value.left);
    view.setUint8(offset + 19, value.stopped);
    view.setUint32(offset + 20, value.isn, true);
    view.setUint32(offset + 24, value.base, true);
    view.setUint32(offset + 28, value.kickSeq, true);
    view.setUint32(offset + 32, value.kickEnd, true);
    view.setUint32(offset + 36, value.kickGot, true);
    view.setUint32(offset + 40, value.boundary, true);
    view.setUint32(offset + 44, value.reqEnd, true);
    view.setUint32(offset + 48, value.echoSeq, true);
    view.setUint32(offset + 52, value.echoEnd, true);
    view.setUint32(offset + 56, value.echoAck, true);
    view.setUint32(offset + 60, value.finSeq, true);
    view.setUint32(offset + 64, value.requests, true);
    view.setUint32(offset + 68, value.asked, true);
    view.setUint32(offset + 72, value.answered, true);
    view.setUint32(offset + 76, value.kickAfter, true);
    view.setBigUint64(offset + 80, value.source, true);
    view.setBigUint64(offset + 88, value.netns, true);
    view.setBigUint64(offset + 96, value.closedNs, true);
    kmResponse.encode(value.answer, view, offset + 104);
    kmChunks.encode(value.chunks, view, offset + 136);
    view.setUint32(offset + 152, value.answerSeq, true);
    view.setUint32(offset + 156, value.chunksSeq, true);
    view.setUint32(offset + 160, value.reading, true);
    view.setUint32(offset + 164, value.device, true);
    view.setUint32(offset + 168, value.shortCut, true);
    view.setUint32(offset + 172, value.tables, true);
    kmFoundListener.encode(value.listening, view, offset + 176);
    view.setUint32(offset + 192, value.held, true);
    view.setUint32(offset + 196, value.fence, true);
    kmExchange.encode(value.now, view, offset + 200);
    kmExchange.encode(value.next, view, offset + 272);
    kmExchangeText.encode(value.nowText, view, offset + 344);
    kmExchangeText.encode(value.nextText, view, offset + 544);
    view.setUint32(offset + 744, value.headSeq, true);
    view.setUint32(offset + 748, value.editSeq, true);
    view.setUint32(offset + 752, value.editEnd, true);
    view.setUint16(offset + 756, value.editMore, true);
    view.setUint8(offset + 758, value.edited);
    view.setUint8(offset + 759, value.shifted);
    view.setUint8(offset + 760, value.editTries);
    view.setUint8(offset + 761, value.following);
    kmHalf.encode(value.victim, view, offset + 768);
    kmHalfx8.encode(value.half, view, offset + 864);
    view.setUint16(offset + 762, 0);
    view.setUint32(offset + 764, 0);
  },
  decode(view, offset) {
    return {
      flags: view.getUint32(offset, true),
      current: view.getUint8(offset + 4),
      target: view.getUint8(offset + 5),
      clientScale: view.getUint8(offset + 6),
      mode: view.getUint8(offset + 7),
      gate: view.getUint16(offset + 8, true),
      mss: view.getUint16(offset + 10, true),
      clientWindow: view.getUint16(offset + 12, false),
      wireFirst: view.getUint16(offset + 14, true),
      wireCount: view.getUint16(offset + 16, true),
      left: view.getUint8(offset + 18),
      stopped: view.getUint8(offset + 19),
      isn: view.getUint32(offset + 20, true),
      base: view.getUint32(offset + 24, true),
      kickSeq: view.getUint32(offset + 28, true),
      kickEnd: view.getUint32(offset + 32, true),
      kickGot: view.getUint32(offset + 36, true),
      boundary: view.getUint32(offset + 40, true),
      reqEnd: view.getUint32(offset + 44, true),
      echoSeq: view.getUint32(offset + 48, true),
      echoEnd: view.getUint32(offset + 52, true),
      echoAck: view.getUint32(offset + 56, true),
      finSeq: view.getUint32(offset + 60, true),
      requests: view.getUint32(offset + 64, true),
      asked: view.getUint32(offset + 68, true),
      answered: view.getUint32(offset + 72, true),
      kickAfter: view.getUint32(offset + 76, true),
      source: view.getBigUint64(offset + 80, true),
      netns: view.getBigUint64(offset + 88, true),
      closedNs: view.getBigUint64(offset + 96, true),
      answer: kmResponse.decode(view, offset + 104),
      chunks: kmChunks.decode(view, offset + 136),
      answerSeq: view.getUint32(offset + 152, true),
      chunksSeq: view.getUint32(offset + 156, true),
      reading: view.getUint32(offset + 160, true),
      device: view.getUint32(offset + 164, true),
      shortCut: view.getUint32(offset + 168, true),
      tables: view.getUint32(offset + 172, true),
      listening: kmFoundListener.decode(view, offset + 176),
      held: view.getUint32(offset + 192, true),
      fence: view.getUint32(offset + 196, true),
      now: kmExchange.decode(view, offset + 200),
      next: kmExchange.decode(view, offset + 272),
      nowText: kmExchangeText.decode(view, offset + 344),
      nextText: kmExchangeText.decode(view, offset + 544),
      headSeq: view.getUint32(offset + 744, true),
      editSeq: view.getUint32(offset + 748, true),
      editEnd: view.getUint32(offset + 752, true),
      editMore: view.getUint16(offset + 756, true),
      edited: view.getUint8(offset + 758),
      shifted: view.getUint8(offset + 759),
      editTries: view.getUint8(offset + 760),
      following: view.getUint8(offset + 761),
      victim: kmHalf.decode(view, offset + 768),
      half: kmHalfx8.decode(view, offset + 864),
    };
  },
};

export interface KmFlowKey {
  readonly client: readonly number[];
  readonly server: readonly number[];
  readonly clientPort: number;
  readonly serverPort: number;
}

export const kmFlowKey: Codec<KmFlowKey> = {
  size: 36,
  encode(value, view, offset) {
    be32x4.encode(value.client, view, offset);
    be32x4.encode(value.server, view, offset + 16);
    view.setUint16(offset + 32, value.clientPort, false);
    view.setUint16(offset + 34, value.serverPort, false);
  },
  decode(view, offset) {
    return {
      client: be32x4.decode(view, offset),
      server: be32x4.decode(view, offset + 16),
      clientPort: view.getUint16(offset + 32, false),
      serverPort: view.getUint16(offset + 34, false),
    };
  },
};

export interface KmFoundListener {
  readonly cluster: bigint;
  readonly mode: number;
  readonly routes: number;
}

export const kmFoundListener: Codec<KmFoundListener> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.cluster, true);
    view.setUint32(offset + 8, value.mode, true);
    view.setUint32(offset + 12, value.routes, true);
  },
  decode(view, offset) {
    return {
      cluster: view.getBigUint64(offset, true),
      mode: view.getUint32(offset + 8, true),
      routes: view.getUint32(offset + 12, true),
    };
  },
};

export interface KmHabit {
  readonly cluster: bigint;
  readonly times: number;
}

export const kmHabit: Codec<KmHabit> = {
  size: 16,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.cluster, true);
    view.setUint32(offset + 8, value.times, true);
    view.setUint32(offset + 12, 0);
  },
  decode(view, offset) {
    return {
      cluster: view.getBigUint64(offset, true),
      times: view.getUint32(offset + 8, true),
    };
  },
};

export interface KmHalf {
  readonly addr: readonly number[];
  readonly port: number;
  readonly wirePort: number;
  readonly state: number;
  readonly flags: number;
  readonly scale: number;
  readonly retries: number;
  readonly seqShift: number;
  readonly ackShift: number;
  readonly sndNxt: number;
  readonly rcvNxt: number;
  readonly acked: number;
  readonly una: number;
  readonly window: number;
  readonly used: number;
  readonly timeoutMs: number;
  readonly device: number;
  readonly synNs: bigint;
  readonly endpoint: bigint;
  readonly cluster: bigint;
  readonly destination: bigint;
}

export const kmHalf: Codec<KmHalf> = {
  size: 96,
  encode(value, view, offset) {
    be32x4.encode(value.addr, view, offset);
    view.setUint16(offset + 16, value.port, false);
    view.setUint16(offset + 18, value.wirePort, false);
    view.setUint8(offset + 20, value.state);
    view.setUint8(offset + 21, value.flags);
    view.setUint8(offset + 22, value.scale);
    view.setUint8(offset + 23, value.retries);
    view.setUint32(offset + 24, value.seqShift, true);
    view.setUint32(offset + 28, value.ackShift, true);
    view.setUint32(offset + 32, value.sndNxt, true);
    view.setUint32(offset + 36, value.rcvNxt, true);
    view.setUint32(offset + 40, value.acked, true);
    view.setUint32(offset + 44, value.una, true);
    view.setUint32(offset + 48, value.window, true);
    view.setUint32(offset + 52, value.used, true);
    view.setUint32(offset + 56, value.timeoutMs, true);
    view.setUint32(offset + 60, value.device, true);
    view.setBigUint64(offset + 64, value.synNs, true);
    view.setBigUint64(offset + 72, value.endpoint, true);
    view.setBigUint64(offset + 80, value.cluster, true);
    view.setBigUint64(offset + 88, value.destination, true);
  },
  decode(view, offset) {
    return {
      addr: be32x4.decode(view, offset),
      port: view.getUint16(offset + 16, false),
      wirePort: view.getUint16(offset + 18, false),
      state: view.getUint8(offset + 20),
      flags: view.getUint8(offset + 21),
      scale: view.getUint8(offset + 22),
      retries: view.getUint8(offset + 23),
      seqShift: view.getUint32(offset + 24, true),
      ackShift: view.getUint32(offset + 28, true),
      sndNxt: view.getUint32(offset + 32, true),
      rcvNxt: view.getUint32(offset + 36, true),
      acked: view.getUint32(offset + 40, true),
      una: view.getUint32(offset + 44, true),
      window: view.getUint32(offset + 48, true),
      used: view.getUint32(offset + 52, true),
      timeoutMs: view.getUint32(offset + 56, true),
      device: view.getUint32(offset + 60, true),
      synNs: view.getBigUint64(offset + 64, true),
      endpoint: view.getBigUint64(offset + 72, true),
      cluster: view.getBigUint64(offset + 80, true),
      destination: view.getBigUint64(offset + 88, true),
    };
  },
};

export interface KmHeader {
  readonly ports: readonly number[];
  readonly seq: number;
  readonly ack: number;
  readonly offset: number;
  readonly flags: number;
  readonly window: number;
  readonly check: number;
  readonly urgent: number;
  readonly options: Uint8Array;
}

export const kmHeader: Codec<KmHeader> = {
  size: 32,
  encode(value, view, offset) {
    be16x2.encode(value.ports, view, offset);
    view.setUint32(offset + 4, value.seq, false);
    view.setUint32(offset + 8, value.ack, false);
    view.setUint8(offset + 12, value.offset);
    view.setUint8(offset + 13, value.flags);
    view.setUint16(offset + 14, value.window, false);
    view.setUint16(offset + 16, value.check, false);
    view.setUint16(offset + 18, value.urgent, false);
    bytes12.encode(value.options, view, offset + 20);
  },
  decode(view, offset) {
    return {
      ports: be16x2.decode(view, offset),
      seq: view.getUint32(offset + 4, false),
      ack: view.getUint32(offset + 8, false),
      offset: view.getUint8(offset + 12),
      flags: view.getUint8(offset + 13),
      window: view.getUint16(offset + 14, false),
      check: view.getUint16(offset + 16, false),
      urgent: view.getUint16(offset + 18, false),
      options: bytes12.decode(view, offset + 20),
    };
  },
};

export interface KmHttpHead {
  readonly bytes: number;
  readonly flags: number;
  readonly body: number;
  readonly contentLength: bigint;
}

export const kmHttpHead: Codec<KmHttpHead> = {
  size: 16,
  encode(value, view, offset) {
    view.setUint32(offset, value.bytes, true);
    view.setUint16(offset + 4, value.flags, true);
    view.setUint8(offset + 6, value.body);
    view.setBigUint64(offset + 8, value.contentLength, true);
    view.setUint8(offset + 7, 0);
  },
  decode(view, offset) {
    return {
      bytes: view.getUint32(offset, true),
      flags: view.getUint16(offset + 4, true),
      body: view.getUint8(offset + 6),
      contentLength: view.getBigUint64(offset + 8, true),
    };
  },
};

export interface KmHttpParser {
  readonly length: number;
  readonly first: number;
  readonly seen: number;
  readonly query: number;
  readonly authority: KmRouteRange;
  readonly host: KmRouteRange;
}

export const kmHttpParser: Codec<KmHttpParser> = {
  size: 24,
  encode(value, view, offset) {
    view.setUint32(offset, value.length, true);
    view.setUint32(offset + 4, value.first, true);
    view.setUint32(offset + 8, value.seen, true);
    view.setUint32(offset + 12, value.query, true);
    kmRouteRange.encode(value.authority, view, offset + 16);
    kmRouteRange.encode(value.host, view, offset + 20);
  },
  decode(view, offset) {
    return {
      length: view.getUint32(offset, true),
      first: view.getUint32(offset + 4, true),
      seen: view.getUint32(offset + 8, true),
      query: view.getUint32(offset + 12, true),
      authority: kmRouteRange.decode(view, offset + 16),
      host: kmRouteRange.decode(view, offset + 20),
    };
  },
};

export interface KmHttpWindow {
  readonly response: KmResponse;
  readonly offset: number;
  readonly length: number;
  readonly position: number;
  readonly begin: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

export const kmHttpWindow: Codec<KmHttpWindow> = {
  size: 1096,
  encode(value, view, offset) {
    kmResponse.encode(value.response, view, offset);
    view.setUint32(offset + 32, value.offset, true);
    view.setUint32(offset + 36, value.length, true);
    view.setUint32(offset + 40, value.position, true);
    view.setUint32(offset + 44, value.begin, true);
    view.setUint32(offset + 48, value.end, true);
    bytes1040.encode(value.bytes, view, offset + 56);
    view.setUint32(offset + 52, 0);
  },
  decode(view, offset) {
    return {
      response: kmResponse.decode(view, offset),
      offset: view.getUint32(offset + 32, true),
      length: view.getUint32(offset + 36, true),
      position: view.getUint32(offset + 40, true),
      begin: view.getUint32(offset + 44, true),
      end: view.getUint32(offset + 48, true),
      bytes: bytes1040.decode(view, offset + 56),
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

export interface KmMessage {
  readonly key: KmFlowKey;
  readonly seq: number;
  readonly seen: number;
  readonly busy: number;
  readonly pending: number;
}

export const kmMessage: Codec<KmMessage> = {
  size: 52,
  encode(value, view, offset) {
    kmFlowKey.encode(value.key, view, offset);
    view.setUint32(offset + 36, value.seq, true);
    view.setUint32(offset + 40, value.seen, true);
    view.setUint32(offset + 44, value.busy, true);
    view.setUint32(offset + 48, value.pending, true);
  },
  decode(view, offset) {
    return {
      key: kmFlowKey.decode(view, offset),
      seq: view.getUint32(offset + 36, true),
      seen: view.getUint32(offset + 40, true),
      busy: view.getUint32(offset + 44, true),
      pending: view.getUint32(offset + 48, true),
    };
  },
};

export interface KmOut {
  readonly bytes: number;
  readonly plan: KmEditPlan;
  readonly text: Uint8Array;
}

export const kmOut: Codec<KmOut> = {
  size: 32760,
  encode(value, view, offset) {
    view.setUint32(offset, value.bytes, true);
    kmEditPlan.encode(value.plan, view, offset + 8);
    bytes32704.encode(value.text, view, offset + 56);
    view.setUint32(offset + 4, 0);
  },
  decode(view, offset) {
    return {
      bytes: view.getUint32(offset, true),
      plan: kmEditPlan.decode(view, offset + 8),
      text: bytes32704.decode(view, offset + 56),
    };
  },
};

export interface KmPacket {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly fromPort: number;
  readonly toPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly payload: number;
  readonly window: number;
  readonly flags: number;
  readonly header: number;
  readonly tcp: number;
  readonly ip6: number;
  readonly check: number;
}

export const kmPacket: Codec<KmPacket> = {
  size: 56,
  encode(value, view, offset) {
    be32x4.encode(value.from, view, offset);
    be32x4.encode(value.to, view, offset + 16);
    view.setUint16(offset + 32, value.fromPort, false);
    view.setUint16(offset + 34, value.toPort, false);
    view.setUint32(offset + 36, value.seq, true);
    view.setUint32(offset + 40, value.ack, true);
    view.setUint32(offset + 44, value.payload, true);
    view.setUint16(offset + 48, value.window, true);
    view.setUint8(offset + 50, value.flags);
    view.setUint8(offset + 51, value.header);
    view.setUint8(offset + 52, value.tcp);
    view.setUint8(offset + 53, value.ip6);
    view.setUint16(offset + 54, value.check, false);
  },
  decode(view, offset) {
    return {
      from: be32x4.decode(view, offset),
      to: be32x4.decode(view, offset + 16),
      fromPort: view.getUint16(offset + 32, false),
      toPort: view.getUint16(offset + 34, false),
      seq: view.getUint32(offset + 36, true),
      ack: view.getUint32(offset + 40, true),
      payload: view.getUint32(offset + 44, true),
      window: view.getUint16(offset + 48, true),
      flags: view.getUint8(offset + 50),
      header: view.getUint8(offset + 51),
      tcp: view.getUint8(offset + 52),
      ip6: view.getUint8(offset + 53),
      check: view.getUint16(offset + 54, false),
    };
  },
};

export interface KmRequestEvent {
  readonly timeNs: bigint;
  readonly durationNs: bigint;
  readonly source: bigint;
  readonly destination: bigint;
  readonly cluster: bigint;
  readonly endpoint: bigint;
  readonly requestBytes: bigint;
  readonly responseBytes: bigint;
  readonly generation: bigint;
  readonly clientAddr: readonly number[];
  readonly askedAddr: readonly number[];
  readonly realAddr: readonly number[];
  readonly clientPort: number;
  readonly askedPort: number;
  readonly realPort: number;
  readonly status: number;
  readonly route: number;
  readonly virtualHost: number;
  readonly reason: number;
  readonly hasRoute: number;
  readonly hostLength: number;
  readonly pathLength: number;
  readonly pathCut: number;
  readonly method: string;
  readonly host: string;
  readonly path: string;
}

export const kmRequestEvent: Codec<KmRequestEvent> = {
  size: 344,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.timeNs, true);
    view.setBigUint64(offset + 8, value.durationNs, true);
    view.setBigUint64(offset + 16, value.source, true);
    view.setBigUint64(offset + 24, value.destination, true);
    view.setBigUint64(offset + 32, value.cluster, true);
    view.setBigUint64(offset + 40, value.endpoint, true);
    view.setBigUint64(offset + 48, value.requestBytes, true);
    view.setBigUint64(offset + 56, value.responseBytes, true);
    view.setBigUint64(offset + 64, value.generation, true);
    be32x4.encode(value.clientAddr, view, offset + 72);
    be32x4.encode(value.askedAddr, view, offset + 88);
    be32x4.encode(value.realAddr, view, offset + 104);
    view.setUint16(offset + 120, value.clientPort, false);
    view.setUint16(offset + 122, value.askedPort, false);
    view.setUint16(offset + 124, value.realPort, false);
    view.setUint16(offset + 126, value.status, true);
    view.setUint32(offset + 128, value.route, true);
    view.setUint32(offset + 132, value.virtualHost, true);
    view.setUint8(offset + 136, value.reason);
    view.setUint8(offset + 137, value.hasRoute);
    view.setUint8(offset + 138, value.hostLength);
    view.setUint8(offset + 139, value.pathLength);
    view.setUint8(offset + 140, value.pathCut);
    chars8.encode(value.method, view, offset + 144);
    chars64.encode(value.host, view, offset + 152);
    chars128.encode(value.path, view, offset + 216);
    view.setUint8(offset + 141, 0);
    view.setUint16(offset + 142, 0);
  },
  decode(view, offset) {
    return {
      timeNs: view.getBigUint64(offset, true),
      durationNs: view.getBigUint64(offset + 8, true),
      source: view.getBigUint64(offset + 16, true),
      destination: view.getBigUint64(offset + 24, true),
      cluster: view.getBigUint64(offset + 32, true),
      endpoint: view.getBigUint64(offset + 40, true),
      requestBytes: view.getBigUint64(offset + 48, true),
      responseBytes: view.getBigUint64(offset + 56, true),
      generation: view.getBigUint64(offset + 64, true),
      clientAddr: be32x4.decode(view, offset + 72),
      askedAddr: be32x4.decode(view, offset + 88),
      realAddr: be32x4.decode(view, offset + 104),
      clientPort: view.getUint16(offset + 120, false),
      askedPort: view.getUint16(offset + 122, false),
      realPort: view.getUint16(offset + 124, false),
      status: view.getUint16(offset + 126, true),
      route: view.getUint32(offset + 128, true),
      virtualHost: view.getUint32(offset + 132, true),
      reason: view.getUint8(offset + 136),
      hasRoute: view.getUint8(offset + 137),
      hostLength: view.getUint8(offset + 138),
      pathLength: view.getUint8(offset + 139),
      pathCut: view.getUint8(offset + 140),
      method: chars8.decode(view, offset + 144),
      host: chars64.decode(view, offset + 152),
      path: chars128.decode(view, offset + 216),
    };
  },
};

export interface KmRequests {
  readonly count: bigint;
  readonly requestBytes: bigint;
  readonly responseBytes: bigint;
  readonly durationUs: bigint;
  readonly buckets: readonly bigint[];
}

export const kmRequests: Codec<KmRequests> = {
  size: 192,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.count, true);
    view.setBigUint64(offset + 8, value.requestBytes, true);
    view.setBigUint64(offset + 16, value.responseBytes, true);
    view.setBigUint64(offset + 24, value.durationUs, true);
    u64x20.encode(value.buckets, view, offset + 32);
  },
  decode(view, offset) {
    return {
      count: view.getBigUint64(offset, true),
      requestBytes: view.getBigUint64(offset + 8, true),
      responseBytes: view.getBigUint64(offset + 16, true),
      durationUs: view.getBigUint64(offset + 24, true),
      buckets: u64x20.decode(view, offset + 32),
    };
  },
};

export interface KmRequestsKey {
  readonly source: bigint;
  readonly destination: bigint;
  readonly cluster: bigint;
  readonly status: number;
  readonly reason: number;
}

export const kmRequestsKey: Codec<KmRequestsKey> = {
  size: 32,
  encode(value, view, offset) {
    view.setBigUint64(offset, value.source, true);
    view.setBigUint64(offset + 8, value.destination, true);
    view.setBigUint64(offset + 16, value.cluster, true);
    view.setUint16(offset + 24, value.status, true);
    view.setUint8(offset + 26, value.reason);
    view.setUint8(offset + 27, 0);
    view.setUint32(offset + 28, 0);
  },
  decode(view, offset) {
    return {
      source: view.getBigUint64(offset, true),
      destination: view.getBigUint64(offset + 8, true),
      cluster: view.getBigUint64(offset + 16, true),
      status: view.getUint16(offset + 24, true),
      reason: view.getUint8(offset + 26),
    };
  },
};

export interface KmResponse {
  readonly body: KmChunks;
  readonly status: number;
  readonly flags: number;
  readonly phase: number;
  readonly step: number;
  readonly index: number;
  readonly left: number;
}

export const kmResponse: Codec<KmResponse> = {
  size: 32,
  encode(value, view, offset) {
    kmChunks.encode(value.body, view, offset);
    view.setUint16(offset + 16, value.status, true);
    view.setUint16(offset + 18, value.flags, true);
    view.setUint8(offset + 20, value.phase);
    view.setUint8(offset + 21, value.step);
    view.setUint8(offset + 22, value.index);
    view.setUint8(offset + 23, value.left);
    view.setUint32(offset + 24, 0);
    view.setUint32(offset + 28, 0);
  },
  decode(view, offset) {
    return {
      body: kmChunks.decode(view, offset),
      status: view.getUint16(offset + 16, true),
      flags: view.getUint16(offset + 18, true),
      phase: view.getUint8(offset + 20),
      step: view.getUint8(offset + 21),
      index: view.getUint8(offset + 22),
      left: view.getUint8(offset + 23),
    };
  },
};

export interface KmRewrite4 {
  readonly check: number;
  readonly addresses: readonly number[];
  readonly ports: readonly number[];
  readonly seq: number;
  readonly ack: number;
  readonly offset: number;
  readonly flags: number;
  readonly window: number;
}

export const kmRewrite4: Codec<KmRewrite4> = {
  size: 28,
  encode(value, view, offset) {
    view.setUint16(offset + 2, value.check, false);
    be32x2.encode(value.addresses, view, offset + 4);
    be16x2.encode(value.ports, view, offset + 12);
    view.setUint32(offset + 16, value.seq, false);
    view.setUint32(offset + 20, value.ack, false);
    view.setUint8(offset + 24, value.offset);
    view.setUint8(offset + 25, value.flags);
    view.setUint16(offset + 26, value.window, false);
    view.setUint16(offset, 0);
  },
  decode(view, offset) {
    return {
      check: view.getUint16(offset + 2, false),
      addresses: be32x2.decode(view, offset + 4),
      ports: be16x2.decode(view, offset + 12),
      seq: view.getUint32(offset + 16, false),
      ack: view.getUint32(offset + 20, false),
      offset: view.getUint8(offset + 24),
      flags: view.getUint8(offset + 25),
      window: view.getUint16(offset + 26, false),
    };
  },
};

export interface KmRewrite6 {
  readonly addresses: readonly number[];
  readonly ports: readonly number[];
  readonly seq: number;
  readonly ack: number;
  readonly offset: number;
  readonly flags: number;
  readonly window: number;
}

export const kmRewrite6: Codec<KmRewrite6> = {
  size: 48,
  encode(value, view, offset) {
    be32x8.encode(value.addresses, view, offset);
    be16x2.encode(value.ports, view, offset + 32);
    view.setUint32(offset + 36, value.seq, false);
    view.setUint32(offset + 40, value.ack, false);
    view.setUint8(offset + 44, value.offset);
    view.setUint8(offset + 45, value.flags);
    view.setUint16(offset + 46, value.window, false);
  },
  decode(view, offset) {
    return {
      addresses: be32x8.decode(view, offset),
      ports: be16x2.decode(view, offset + 32),
      seq: view.getUint32(offset + 36, false),
      ack: view.getUint32(offset + 40, false),
      offset: view.getUint8(offset + 44),
      flags: view.getUint8(offset + 45),
      window: view.getUint16(offset + 46, false),
    };
  },
};

export interface KmRouteHeaderField {
  readonly name: KmRouteRange;
  readonly value: KmRouteRange;
}

export const kmRouteHeaderField: Codec<KmRouteHeaderField> = {
  size: 8,
  encode(value, view, offset) {
    kmRouteRange.encode(value.name, view, offset);
    kmRouteRange.encode(value.value, view, offset + 4);
  },
  decode(view, offset) {
    return {
      name: kmRouteRange.decode(view, offset),
      value: kmRouteRange.decode(view, offset + 4),
    };
  },
};

export interface KmRouteQuestion {
  readonly handle: number;
  readonly places: number;
  readonly generation: bigint;
  readonly taken: bigint;
}

export const kmRouteQuestion: Codec<KmRouteQuestion> = {
  size: 24,
  encode(value, view, offset) {
    view.setUint32(offset, value.handle, true);
    view.setUint32(offset + 4, value.places, true);
    view.setBigUint64(offset + 8, value.generation, true);
    view.setBigUint64(offset + 16, value.taken, true);
  },
  decode(view, offset) {
    return {
      handle: view.getUint32(offset, true),
      places: view.getUint32(offset + 4, true),
      generation: view.getBigUint64(offset + 8, true),
      taken: view.getBigUint64(offset + 16, true),
    };
  },
};

export interface KmRouteRange {
  readonly offset: number;
  readonly length: number;
}

export const kmRouteRange: Codec<KmRouteRange> = {
  size: 4,
  encode(value, view, offset) {
    view.setUint16(offset, value.offset, true);
    view.setUint16(offset + 2, value.length, true);
  },
  decode(view, offset) {
    return {
      offset: view.getUint16(offset, true),
      length: view.getUint16(offset + 2, true),
    };
  },
};

export interface KmRouteRequest {
  readonly source: readonly bigint[];
  readonly random: number;
  readonly headerCount: number;
  readonly host: KmRouteRange;
  readonly path: KmRouteRange;
  readonly query: KmRouteRange;
  readonly method: KmRouteRange;
  readonly headers: readonly KmRouteHeaderField[];
}

export const kmRouteRequest: Codec<KmRouteRequest> = {
  size: 1080,
  encode(value, view, offset) {
    u64x4.encode(value.source, view, offset);
    view.setUint32(offset + 32, value.random, true);
    view.setUint32(offset + 36, value.headerCount, true);
    kmRouteRange.encode(value.host, view, offset + 40);
    kmRouteRange.encode(value.path, view, offset + 44);
    kmRouteRange.encode(value.query, view, offset + 48);
    kmRouteRange.encode(value.method, view, offset + 52);
    kmRouteHeaderFieldx128.encode(value.headers, view, offset + 56);
  },
  decode(view, offset) {
    return {
      source: u64x4.decode(view, offset),
      random: view.getUint32(offset + 32, true),
      headerCount: view.getUint32(offset + 36, true),
      host: kmRouteRange.decode(view, offset + 40),
      path: kmRouteRange.decode(view, offset + 44),
      query: kmRouteRange.decode(view, offset + 48),
      method: kmRouteRange.decode(view, offset + 52),
      headers: kmRouteHeaderFieldx128.decode(view, offset + 56),
    };
  },
};

export interface KmRouteResult {
  readonly status: number;
  readonly virtualHost: number;
  readonly route: number;
  readonly action: number;
}

export const kmRouteResult: Codec<KmRouteResult> = {
  size: 16,
  encode(value, view, offset) {
    view.setUint32(offset, value.status, true);
    view.setUint32(offset + 4, value.virtualHost, true);
    view.setUint32(offset + 8, value.route, true);
    view.setUint32(offset + 12, value.action, true);
  },
  decode(view, offset) {
    return {
      status: view.getUint32(offset, true),
      virtualHost: view.getUint32(offset + 4, true),
      route: view.getUint32(offset + 8, true),
      action: view.getUint32(offset + 12, true),
    };
  },
};

export interface KmRouteScratch {
  readonly request: KmRouteRequest;
  readonly result: KmRouteResult;
  readonly generation: readonly number[];
  readonly state: number;
  readonly classes: number;
  readonly position: number;
  readonly remaining: number;
  readonly lookups: number;
  readonly lookupCount: number;
  readonly summaryWords: number;
  readonly changed: number;
  readonly words: bigint;
  readonly summary: number;
  readonly unused: number;
  readonly workload: bigint;
  readonly any: readonly number[];
  readonly chosen: readonly number[];
  readonly first: Uint8Array;
  readonly last: Uint8Array;
  readonly next: Uint8Array;
  readonly head: KmHttpHead;
  readonly parser: KmHttpParser;
  readonly bytes: Uint8Array;
}

export const kmRouteScratch: Codec<KmRouteScratch> = {
  size: 18544,
  encode(value, view, offset) {
    kmRouteRequest.encode(value.request, view, offset);
    kmRouteResult.encode(value.result, view, offset + 1080);
    u32x2.encode(value.generation, view, offset + 1096);
    view.setUint32(offset + 1104, value.state, true);
    view.setUint32(offset + 1108, value.classes, true);
    view.setUint32(offset + 1112, value.position, true);
    view.setUint32(offset + 1116, value.remaining, true);
    view.setUint32(offset + 1120, value.lookups, true);
    view.setUint32(offset + 1124, value.lookupCount, true);
    view.setUint32(offset + 1128, value.summaryWords, true);
    view.setUint32(offset + 1132, value.changed, true);
    view.setBigUint64(offset + 1136, value.words, true);
    view.setUint32(offset + 1144, value.summary, true);
    view.setUint32(offset + 1148, value.unused, true);
    view.setBigUint64(offset + 1152, value.workload, true);
    u32x64.encode(value.any, view, offset + 1160);
    u32x64.encode(value.chosen, view, offset + 1416);
    bytes128.encode(value.first, view, offset + 1672);
    bytes128.encode(value.last, view, offset + 1800);
    bytes128.encode(value.next, view, offset + 1928);
    kmHttpHead.encode(value.head, view, offset + 2056);
    kmHttpParser.encode(value.parser, view, offset + 2072);
    bytes16448.encode(value.bytes, view, offset + 2096);
  },
  decode(view, offset) {
    return {
      request: kmRouteRequest.decode(view, offset),
      result: kmRouteResult.decode(view, offset + 1080),
      generation: u32x2.decode(view, offset + 1096),
      state: view.getUint32(offset + 1104, true),
      classes: view.getUint32(offset + 1108, true),
      position: view.getUint32(offset + 1112, true),
      remaining: view.getUint32(offset + 1116, true),
      lookups: view.getUint32(offset + 1120, true),
      lookupCount: view.getUint32(offset + 1124, true),
      summaryWords: view.getUint32(offset + 1128, true),
      changed: view.getUint32(offset + 1132, true),
      words: view.getBigUint64(offset + 1136, true),
      summary: view.getUint32(offset + 1144, true),
      unused: view.getUint32(offset + 1148, true),
      workload: view.getBigUint64(offset + 1152, true),
      any: u32x64.decode(view, offset + 1160),
      chosen: u32x64.decode(view, offset + 1416),
      first: bytes128.decode(view, offset + 1672),
      last: bytes128.decode(view, offset + 1800),
      next: bytes128.decode(view, offset + 1928),
      head: kmHttpHead.decode(view, offset + 2056),
      parser: kmHttpParser.decode(view, offset + 2072),
      bytes: bytes16448.decode(view, offset + 2096),
    };
  },
};

export interface KmSegment {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly fromPort: number;
  readonly toPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly flags: number;
  readonly syn: number;
  readonly mss: number;
  readonly scale: number;
  readonly sack: number;
  readonly back: number;
}

export const kmSegment: Codec<KmSegment> = {
  size: 56,
  encode(value, view, offset) {
    be32x4.encode(value.from, view, offset);
    be32x4.encode(value.to, view, offset + 16);
    view.setUint16(offset + 32, value.fromPort, false);
    view.setUint16(offset + 34, value.toPort, false);
    view.setUint32(offset + 36, value.seq, true);
    view.setUint32(offset + 40, value.ack, true);
    view.setUint16(offset + 44, value.window, true);
    view.setUint8(offset + 46, value.flags);
    view.setUint8(offset + 47, value.syn);
    view.setUint16(offset + 48, value.mss, true);
    view.setUint8(offset + 50, value.scale);
    view.setUint8(offset + 51, value.sack);
    view.setUint8(offset + 52, value.back);
    view.setUint8(offset + 53, 0);
    view.setUint16(offset + 54, 0);
  },
  decode(view, offset) {
    return {
      from: be32x4.decode(view, offset),
      to: be32x4.decode(view, offset + 16),
      fromPort: view.getUint16(offset + 32, false),
      toPort: view.getUint16(offset + 34, false),
      seq: view.getUint32(offset + 36, true),
      ack: view.getUint32(offset + 40, true),
      window: view.getUint16(offset + 44, true),
      flags: view.getUint8(offset + 46),
      syn: view.getUint8(offset + 47),
      mss: view.getUint16(offset + 48, true),
      scale: view.getUint8(offset + 50),
      sack: view.getUint8(offset + 51),
      back: view.getUint8(offset + 52),
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

export interface KmSlots {
  readonly taken: readonly bigint[];
}

export const kmSlots: Codec<KmSlots> = {
  size: 64,
  encode(value, view, offset) {
    u64x8.encode(value.taken, view, offset);
  },
  decode(view, offset) {
    return {
      taken: u64x8.decode(view, offset),
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

export interface KmSyn {
  readonly mss: number;
  readonly scale: number;
  readonly sack: number;
}

export const kmSyn: Codec<KmSyn> = {
  size: 4,
  encode(value, view, offset) {
    view.setUint16(offset, value.mss, true);
    view.setUint8(offset + 2, value.scale);
    view.setUint8(offset + 3, value.sack);
  },
  decode(view, offset) {
    return {
      mss: view.getUint16(offset, true),
      scale: view.getUint8(offset + 2),
      sack: view.getUint8(offset + 3),
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

export interface KmWalk {
  readonly turns: number;
}

export const kmWalk: Codec<KmWalk> = {
  size: 8,
  encode(value, view, offset) {
    view.setUint32(offset + 4, value.turns, true);
    view.setUint32(offset, 0);
  },
  decode(view, offset) {
    return {
      turns: view.getUint32(offset + 4, true),
    };
  },
};

export interface KmWire {
  readonly flow: KmFlowKey;
  readonly half: number;
  readonly state: number;
  readonly inside: number;
  readonly closingNs: bigint;
}

export const kmWire: Codec<KmWire> = {
  size: 48,
  encode(value, view, offset) {
    kmFlowKey.encode(value.flow, view, offset);
    view.setUint8(offset + 36, value.half);
    view.setUint8(offset + 37, value.state);
    view.setUint8(offset + 38, value.inside);
    view.setBigUint64(offset + 40, value.closingNs, true);
    view.setUint8(offset + 39, 0);
  },
  decode(view, offset) {
    return {
      flow: kmFlowKey.decode(view, offset),
      half: view.getUint8(offset + 36),
      state: view.getUint8(offset + 37),
      inside: view.getUint8(offset + 38),
      closingNs: view.getBigUint64(offset + 40, true),
    };
  },
};

export interface KmWork {
  readonly p: KmPacket;
  readonly to: KmSegment;
  readonly syn: KmSyn;
  readonly key: KmFlowKey;
  readonly wire: KmFlowKey;
  readonly fromClient: number;
  readonly outside: number;
  readonly device: number;
  readonly cloning: number;
  readonly options: Uint8Array;
  readonly before: KmHeader;
  readonly after: KmHeader;
  readonly rewrite4: KmRewrite4;
  readonly rewrite6: KmRewrite6;
}

export const kmWork: Codec<KmWork> = {
  size: 472,
  encode(value, view, offset) {
    kmPacket.encode(value.p, view, offset);
    kmSegment.encode(value.to, view, offset + 56);
    kmSyn.encode(value.syn, view, offset + 112);
    kmFlowKey.encode(value.key, view, offset + 116);
    kmFlowKey.encode(value.wire, view, offset + 152);
    view.setUint32(offset + 188, value.fromClient, true);
    view.setUint32(offset + 192, value.outside, true);
    view.setUint32(offset + 196, value.device, true);
    view.setUint32(offset + 200, value.cloning, true);
    bytes128.encode(value.options, view, offset + 204);
    kmHeader.encode(value.before, view, offset + 332);
    kmHeader.encode(value.after, view, offset + 364);
    kmRewrite4.encode(value.rewrite4, view, offset + 396);
    kmRewrite6.encode(value.rewrite6, view, offset + 424);
  },
  decode(view, offset) {
    return {
      p: kmPacket.decode(view, offset),
      to: kmSegment.decode(view, offset + 56),
      syn: kmSyn.decode(view, offset + 112),
      key: kmFlowKey.decode(view, offset + 116),
      wire: kmFlowKey.decode(view, offset + 152),
      fromClient: view.getUint32(offset + 188, true),
      outside: view.getUint32(offset + 192, true),
      device: view.getUint32(offset + 196, true),
      cloning: view.getUint32(offset + 200, true),
      options: bytes128.decode(view, offset + 204),
      before: kmHeader.decode(view, offset + 332),
      after: kmHeader.decode(view, offset + 364),
      rewrite4: kmRewrite4.decode(view, offset + 396),
      rewrite6: kmRewrite6.decode(view, offset + 424),
    };
  },
};

const kmAnswerEditsx2 = array(kmAnswerEdits, 2);
const kmHalfx8 = array(kmHalf, 8);
const kmRouteHeaderFieldx128 = array(kmRouteHeaderField, 128);

/** Every map by name. The value of a per-CPU map is one CPU's. */
export const mapTypes = {
  km_affinity: { type: 'lru_hash', key: kmAffinityKey, value: kmAffinity, flags: 0 },
  km_affinity_lock: { type: 'array', key: u32, value: kmAffinityLock, flags: 0 },
  km_answer_work: { type: 'percpu_array', key: u32, value: kmAnswerWork, flags: 0 },
  km_answers: { type: 'hash', key: kmFlowKey, value: kmAnswers, flags: 1 },
  km_backs: { type: 'array', key: u32, value: u32, flags: 0 },
  km_cluster: { type: 'hash', key: u64, value: kmCluster, flags: 1 },
  km_cluster_stats: { type: 'hash', key: u64, value: kmClusterStats, flags: 1 },
  km_config: { type: 'array', key: u32, value: kmConfig, flags: 0 },
  km_conn: { type: 'sk_storage', key: s32, value: kmConn, flags: 1 },
  km_counters: { type: 'percpu_array', key: u32, value: u64, flags: 0 },
  km_decision: { type: 'percpu_array', key: u32, value: kmDecision, flags: 0 },
  km_device: { type: 'hash', key: u32, value: u32, flags: 1 },
  km_endpoint: { type: 'hash', key: u64, value: kmEndpoint, flags: 1 },
  km_endpoint_stats: { type: 'hash', key: u64, value: kmEndpointStats, flags: 1 },
  km_enrolment: { type: 'hash', key: u64, value: kmEnrolment, flags: 1 },
  km_event: { type: 'ringbuf', key: nothing, value: nothing, flags: 0 },
  km_flow: { type: 'hash', key: kmFlowKey, value: kmFlow, flags: 1 },
  km_flow_blank: { type: 'percpu_array', key: u32, value: kmFlow, flags: 0 },
  km_habit: { type: 'array', key: u32, value: kmHabit, flags: 0 },
  km_http_window: { type: 'percpu_array', key: u32, value: kmHttpWindow, flags: 0 },
  km_listener: { type: 'hash', key: kmListenerKey, value: kmListener, flags: 1 },
  km_message: { type: 'percpu_array', key: u32, value: kmMessage, flags: 0 },
  km_netns_cookie: { type: 'array', key: u32, value: u64, flags: 0 },
  km_out: { type: 'percpu_array', key: u32, value: kmOut, flags: 0 },
  km_refused: { type: 'lru_hash', key: kmFlowKey, value: u32, flags: 0 },
  km_request_event: { type: 'ringbuf', key: nothing, value: nothing, flags: 0 },
  km_requests: { type: 'hash', key: kmRequestsKey, value: kmRequests, flags: 1 },
  km_route_14: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_16: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_18: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_20: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_22: { type: 'array_of_maps', key: u32, value: u32, flags: 0 },
  km_route_scratch: { type: 'percpu_array', key: u32, value: kmRouteScratch, flags: 0 },
  km_slot: { type: 'array', key: u32, value: kmSlot, flags: 0 },
  km_slots: { type: 'percpu_array', key: u32, value: kmSlots, flags: 0 },
  km_sock: { type: 'sockhash', key: kmFlowKey, value: u32, flags: 0 },
  km_source: { type: 'hash', key: kmSourceKey, value: kmSource, flags: 1 },
  km_traffic: { type: 'hash', key: kmTrafficKey, value: kmTraffic, flags: 1 },
  km_udp_reply: { type: 'lru_hash', key: kmUdpReplyKey, value: kmUdpReply, flags: 0 },
  km_unknown: { type: 'lru_hash', key: kmAddressKey, value: u64, flags: 0 },
  km_walk: { type: 'array', key: u32, value: kmWalk, flags: 0 },
  km_wire: { type: 'hash', key: kmFlowKey, value: kmWire, flags: 1 },
  km_wire_next: { type: 'percpu_array', key: u32, value: u32, flags: 0 },
  km_work: { type: 'percpu_array', key: u32, value: kmWork, flags: 0 },
  km_workload_address: { type: 'hash', key: kmAddressKey, value: u64, flags: 1 },
} as const;
