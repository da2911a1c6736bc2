/**
 * One line a connection when it ends, in ztunnel's words with Kmesh's TCP figures added. Bytes are as the workload that
 * the line is about sees them; Istio's metrics count them the other way round at the source (istio#32399), logs do not.
 */
import { type Entry, formatEntry } from '../base/log.ts';
import type { KmEvent } from '../kernel/gen/layout.gen.ts';
import { kmReason } from '../kernel/gen/layout.gen.ts';
import type { Workload } from '../model/types.ts';
import type { Clock } from './clock.ts';
import { viewOf } from './connections.ts';
import type { Names } from './names.ts';
import { reasonText } from './reasons.ts';

export type AccessLogFormat = 'text' | 'json';

export function accessLogLine(event: KmEvent, names: Names, clock: Clock, format: AccessLogFormat): string {
  const view = viewOf(event, names);
  const inbound = view.direction === 'inbound';
  const failed = event.reason !== kmReason.NONE;
  const entry: Entry = {
    time: clock.date(event.timeNs).toISOString(),
    level: 'info',
    name: 'access',
    message: failed ? 'connection failed' : 'connection complete',
    fields: {
      'src.addr': inbound ? view.real : failed && event.localPort === 0 ? undefined : view.local,
      ...workloadFields('src', view.source),
      'dst.addr': inbound ? view.local : event.reason === kmReason.NO_ENDPOINT ? undefined : view.real,
      'dst.vip': inbound || event.cluster === 0n ? undefined : view.asked,
      'dst.service': view.service,
      ...workloadFields('dst', view.destination),
      direction: view.direction,
      bytes_sent: event.sentBytes,
      bytes_recv: event.receivedBytes,
      retransmits: event.retransmits,
      srtt: `${event.srttUs}us`,
      duration: `${Number((event.timeNs - event.startNs) / 1000n) / 1000}ms`,
      error: reasonText(event.reason),
    },
  };
  return formatEntry(format, entry);
}

function workloadFields(side: 'src' | 'dst', workload: Workload | undefined): Record<string, string> {
  if (workload === undefined) return {};
  return { [`${side}.workload`]: workload.name, [`${side}.namespace`]: workload.namespace };
}
