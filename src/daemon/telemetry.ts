/** The kernel's counters and events, read for metrics, lists and the access log. */
import type { MapItem } from '../api/types.ts';
import type { RouteCompiler } from '../compile/service.ts';
import { type KmEvent, kmCounter, kmEvent, kmRequestEvent } from '../kernel/gen/layout.gen.ts';
import type { KernelMap } from '../kernel/map.ts';
import { mapTypeName } from '../kernel/maptype.ts';
import { RingBuffer } from '../kernel/ringbuf.ts';
import { type AccessLogFormat, accessLogLine } from '../probe/access-log.ts';
import { systemClock } from '../probe/clock.ts';
import { decodeEvents } from '../probe/connections.ts';
import type { Names } from '../probe/names.ts';
import type { RequestRow } from '../probe/request-metrics.ts';
import { requestItem, requestLogLine } from '../probe/requests.ts';
import { Traffic, type TrafficRow } from '../probe/traffic.ts';
import { sizeClasses } from '../publish/route-store.ts';
import type { DataPlane } from './data-plane.ts';
import { RequestFeed, type RequestSource } from './request-feed.ts';
import { sizeFlags } from './settings.ts';

/** The kernel wakes nobody for an event; this is how long an access-log line waits at most. */
const drainEveryMs = 100;
/** Events in one go, so that the admin API is answered in between. */
const drainBudget = 5000;

/** Where access-log lines go. */
export interface AccessLogOutput {
  write(lines: string): void;
  /** False while earlier lines are still waiting to be read. */
  keepsUp(): boolean;
}

export class Telemetry {
  readonly #plane: DataPlane;
  readonly #names: Names;
  readonly #log: AccessLogOutput;
  readonly #traffic = new Traffic();
  readonly #ring: RingBuffer;
  readonly #requestRing: RingBuffer;
  /** HTTP requests as they end. */
  readonly feed: RequestFeed;
  readonly #drainSafely: () => void;
  #format: AccessLogFormat = 'text';
  #timer: NodeJS.Timeout | null = null;

  constructor(
    plane: DataPlane,
    names: Names,
    compiler: RouteCompiler,
    log: AccessLogOutput,
    guarded: (what: string, action: () => void) => () => void,
  ) {
    this.#drainSafely = guarded('writing the access log', () => this.#drainConnections());
    this.#plane = plane;
    this.#names = names;
    this.#log = log;
    this.#ring = new RingBuffer(plane.eventMap);
    this.#requestRing = new RingBuffer(plane.requestEventMap);
    this.feed = new RequestFeed({
      source: this.#requestSource(compiler),
      setWanted: (wanted) => this.#plane.switches.set({ requests: wanted ? 1 : 0 }),
      log,
      guarded,
    });
  }

  setAccessLog(enable: boolean, format?: AccessLogFormat): void {
    this.#format = format ?? this.#format;
    this.#plane.switches.set({ accessLog: enable ? 1 : 0 });
    this.feed.setLog(enable);
    if (enable) this.#timer ??= setInterval(this.#drainSafely, drainEveryMs);
    else if (this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      this.drain();
    }
  }

  get accessLog(): boolean {
    return this.#plane.switches.get().accessLog === 1;
  }

  /** Accepted connections are observed too. */
  setInbound(enable: boolean): void {
    this.#plane.switches.set({ inbound: enable ? 1 : 0 });
  }

  setMonitoring(enable: boolean): void {
    this.#plane.switches.set({ monitoring: enable ? 1 : 0 });
  }

  /** Writes what waits, unless the reader of the log does not keep up: then the kernel's buffer fills and counts what is lost. */
  drain(): void {
    this.#drainConnections();
    this.feed.drain();
  }

  #drainConnections(): void {
    if (!this.#log.keepsUp()) return;
    const lines: string[] = [];
    this.#ring.drain((view, offset) => {
      lines.push(accessLogLine(kmEvent.decode(view, offset), this.#names, systemClock, this.#format));
    }, drainBudget);
    if (lines.length > 0) this.#log.write(lines.join(''));
  }

  live(): KmEvent[] {
    return decodeEvents(this.#plane.liveConnections());
  }

  traffic(): readonly TrafficRow[] {
    return this.#traffic.rows([...this.#plane.maps.km_traffic.entries()], this.live());
  }

  /**
   * Deletes rows of workloads and services that nobody knows any more, so that the table does not fill with them, and
   * returns them: counters must go on from what they had.
   */
  pruneTraffic(): readonly TrafficRow[] {
    const dead = this.traffic().filter(({ key }) => this.#isGone(key));
    // A row that still has live connections stays until they are closed.
    const closed = dead.filter((row) => row.opened === row.closed);
    this.#plane.maps.km_traffic.deleteAll(closed.map((row) => row.key));
    return closed;
  }

  requests(): Iterable<RequestRow> {
    return this.#plane.maps.km_requests.entries();
  }

  /** Deletes rows of requests likewise, and returns them. */
  pruneRequests(): readonly RequestRow[] {
    const dead = [...this.requests()].filter(([key]) => this.#isGone(key));
    this.#plane.maps.km_requests.deleteAll(dead.map(([key]) => key));
    return dead;
  }

  counters(): Record<string, number> {
    const values = Object.entries(kmCounter).filter(([name]) => name !== 'MAX');
    return Object.fromEntries(
      values.map(([name, index]) => [name.toLowerCase(), Number(this.#plane.maps.km_counters.getSum(index) ?? 0n)]),
    );
  }

  maps(): MapItem[] {
    const tables: KernelMap<never, never>[] = Object.values(this.#plane.maps) as KernelMap<never, never>[];
    return tables
      .filter((map) => map.info.name !== 'km_config' && map.info.name !== 'km_counters')
      .map((map) => this.#item(map, this.#entries(map)))
      .concat(
        this.#item(this.#plane.eventMap, this.#ring.fill()),
        this.#item(this.#plane.requestEventMap, this.#requestRing.fill()),
      )
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#ring.close();
    this.feed.close();
    this.#requestRing.close();
  }

  #requestSource(compiler: RouteCompiler): RequestSource {
    const what = { names: this.#names, compiler, clock: systemClock };
    return {
      drain: (handler, budget) => {
        this.#requestRing.drain((view, offset) => {
          const event = kmRequestEvent.decode(view, offset);
          const item = requestItem(event, what);
          handler(item, () => requestLogLine(item, event.reason, this.#format));
        }, budget);
      },
    };
  }

  #isGone(key: { readonly source: bigint; readonly destination: bigint; readonly cluster: bigint }): boolean {
    return [key.source, key.destination, key.cluster].some((id) => id !== 0n && !this.#names.exists(id));
  }

  #entries(map: KernelMap<never, never>): number {
    const { name } = map.info;
    if (name === 'km_slot') return this.#slotsInUse();
    const bits = sizeClasses.find((size) => name === `km_route_${size}`);
    if (bits === undefined) return map.count();
    return [...this.#plane.tables.routes.handles(bits)].length;
  }

  #slotsInUse(): number {
    let slots = 0;
    for (const [, cluster] of this.#plane.maps.km_cluster.entries()) slots += cluster.slots;
    return slots;
  }

  #item(map: Pick<KernelMap<never, never>, 'info' | 'memoryBytes'>, entries: number): MapItem {
    return {
      name: map.info.name,
      type: mapTypeName(map.info.type),
      entries,
      maxEntries: map.info.maxEntries,
      setting: sizeFlags[map.info.name] ?? null,
      memoryBytes: map.memoryBytes(),
    };
  }
}
