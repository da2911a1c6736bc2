/**
 * Traffic per pair of workloads: what the kernel counted for closed connections plus what the live ones have carried so
 * far. A connection that closes between the two readings would make a sum go down, which a counter must not, so no
 * figure is ever given lower than before.
 */
import type { KmEvent, KmTraffic, KmTrafficKey } from '../kernel/gen/layout.gen.ts';

export interface TrafficRow {
  readonly key: KmTrafficKey;
  readonly opened: number;
  readonly closed: number;
  readonly failed: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly retransmits: number;
}

const figures = ['opened', 'closed', 'failed', 'sentBytes', 'receivedBytes', 'retransmits'] as const;
type Figures = Record<(typeof figures)[number], number>;

const nothing: Figures = { opened: 0, closed: 0, failed: 0, sentBytes: 0, receivedBytes: 0, retransmits: 0 };

const keyOf = ({ source, destination, cluster, direction, reason }: KmEvent): KmTrafficKey => ({
  source,
  destination,
  cluster,
  direction,
  reason,
});

const nameOf = (k: Pick<KmTrafficKey, 'source' | 'destination' | 'cluster' | 'direction' | 'reason'>): string =>
  `${k.source} ${k.destination} ${k.cluster} ${k.direction} ${k.reason}`;

export class Traffic {
  readonly #last = new Map<string, Figures>();

  rows(closed: Iterable<readonly [KmTrafficKey, KmTraffic]>, live: Iterable<KmEvent>): TrafficRow[] {
    const rows = new Map<string, { key: KmTrafficKey } & Figures>();
    for (const [key, t] of closed) {
      rows.set(nameOf(key), {
        key,
        opened: Number(t.closed),
        closed: Number(t.closed),
        failed: Number(t.failed),
        sentBytes: Number(t.sentBytes),
        receivedBytes: Number(t.receivedBytes),
        retransmits: Number(t.retransmits),
      });
    }
    for (const event of live) {
      const name = nameOf(event);
      const row = rows.get(name) ?? { key: keyOf(event), ...nothing };
      rows.set(name, row);
      row.opened += 1;
      row.sentBytes += Number(event.sentBytes);
      row.receivedBytes += Number(event.receivedBytes);
      row.retransmits += event.retransmits;
    }
    for (const [name, row] of rows) {
      const last = this.#last.get(name);
      if (last !== undefined) for (const f of figures) row[f] = Math.max(row[f], last[f]);
      this.#last.set(name, row);
    }
    for (const name of this.#last.keys()) if (!rows.has(name)) this.#last.delete(name);
    return [...rows.values()];
  }
}
