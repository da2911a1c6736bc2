/** Connections as a person reads them, from the records that the kernel writes. */
import type { ConnectionItem } from '../api/types.ts';
import { addressFromWords, hostPort } from '../base/address.ts';
import { type KmEvent, kmDirection, kmEvent } from '../kernel/gen/layout.gen.ts';
import type { Workload } from '../model/types.ts';
import type { Clock } from './clock.ts';
import type { Names } from './names.ts';

/** include/net/tcp_states.h */
const tcpStates = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'NEW_SYN_RECV',
];

/** What the iterator wrote, one struct km_event after the other. */
export function decodeEvents(bytes: Uint8Array): KmEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.byteLength / kmEvent.size) }, (_, i) =>
    kmEvent.decode(view, i * kmEvent.size),
  );
}

export interface ConnectionView {
  readonly direction: 'outbound' | 'inbound';
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  readonly service: string | undefined;
  readonly local: string;
  readonly asked: string;
  readonly real: string;
}

export function viewOf(event: KmEvent, names: Names): ConnectionView {
  return {
    direction: event.direction === kmDirection.INBOUND ? 'inbound' : 'outbound',
    source: names.workload(event.source),
    destination: names.workload(event.destination),
    service: names.cluster(event.cluster)?.service.hostname,
    local: hostPort(addressFromWords(event.localAddr), event.localPort),
    asked: hostPort(addressFromWords(event.askedAddr), event.askedPort),
    real: hostPort(addressFromWords(event.realAddr), event.realPort),
  };
}

export function connectionItem(event: KmEvent, names: Names, clock: Clock): ConnectionItem {
  const view = viewOf(event, names);
  const inbound = view.direction === 'inbound';
  const [own, remote] = inbound ? [view.destination, view.source] : [view.source, view.destination];
  return {
    direction: view.direction,
    namespace: own?.namespace ?? 'unknown',
    workload: own?.name ?? 'unknown',
    local: view.local,
    destination: view.asked,
    remote: view.real,
    service: view.service ?? null,
    remoteWorkload: remote === undefined ? null : `${remote.namespace}/${remote.name}`,
    state: tcpStates[event.state] ?? String(event.state),
    sentBytes: Number(event.sentBytes),
    receivedBytes: Number(event.receivedBytes),
    retransmits: event.retransmits,
    srttUs: event.srttUs,
    ageSeconds: Number(clock.monotonic() - event.startNs) / 1e9,
  };
}
