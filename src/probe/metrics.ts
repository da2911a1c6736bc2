/**
 * Prometheus metrics: Istio's standard metrics with their exact labels, Kmesh's names for the same figures of TCP, how
 * full the kernel's maps are, and the daemon itself. Everything is read when it is asked for; nothing is collected in between.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { MapItem } from '../api/types.ts';
import { kmReason } from '../kernel/gen/layout.gen.ts';
import { labelsOf, type TrafficLabels, trafficLabels } from './labels.ts';
import type { Names } from './names.ts';
import { RequestMetrics, type RequestRow } from './request-metrics.ts';
import type { TrafficRow } from './traffic.ts';

export interface MetricSources {
  readonly names: Names;
  readonly version: string;
  readonly nodeName: string;
  /** Emit kmesh_tcp_* beside istio_tcp_*. */
  readonly kmeshNames: boolean;
  traffic(): readonly TrafficRow[];
  requests(): Iterable<RequestRow>;
  /** Kernel event counters by name, such as `refused_no_endpoint`. */
  counters(): Readonly<Record<string, number>>;
  maps(): readonly MapItem[];
  /** Objects by source and problems by severity. */
  objects(): Readonly<Record<string, number>>;
  problems(): Readonly<Record<'error' | 'warning', number>>;
}

const podLabels = ['destination_pod_address', 'destination_pod_namespace', 'destination_pod_name'] as const;
const serviceLabels = ['destination_service', 'destination_service_namespace', 'destination_service_name'];
const workloadLabels = [...trafficLabels.filter((l) => !serviceLabels.includes(l)), ...podLabels];

type Labels = Readonly<Record<string, string>>;

export class Metrics {
  readonly registry = new Registry();
  /** Seconds from a settled source change to the kernel holding it. */
  readonly publishSeconds: Histogram;
  /** Of HTTP. */
  readonly requests: RequestMetrics;
  readonly #sources: MetricSources;
  /** Sums of rows that the kernel has no more, by labels: a counter never goes back. */
  readonly #carried = new Map<string, { readonly labels: TrafficLabels; readonly row: TrafficRow }>();

  constructor(sources: MetricSources) {
    this.#sources = sources;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.publishSeconds = new Histogram({
      name: 'kmesh_publish_duration_seconds',
      help: 'Time from a settled change of a source until the kernel holds it.',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    });
    new Gauge({
      name: 'istio_build',
      help: 'Version of this component.',
      labelNames: ['component', 'tag'],
      registers,
    }).set({ component: 'kmesh', tag: sources.version }, 1);
    this.#trafficCounters(sources);
    this.requests = new RequestMetrics(this.registry, sources.names, () => sources.requests());
    this.#kernel(sources);
    this.#configuration(sources);
  }

  /** Takes over what rows had counted that are deleted now. Their names must still be known. */
  carry(rows: readonly TrafficRow[]): void {
    for (const row of rows) {
      const labels = labelsOf(row.key, this.#sources.names);
      const name = Object.values(labels).join('\n');
      const before = this.#carried.get(name)?.row;
      this.#carried.set(name, { labels, row: before === undefined ? row : sumOf(before, row) });
    }
  }

  #trafficCounters(sources: MetricSources): void {
    const registers = [this.registry];
    const counter = (name: string, help: string, labelNames: readonly string[]): Counter =>
      new Counter({ name, help, labelNames: [...labelNames], registers });
    const families = [counterFamily('istio_tcp', trafficLabels, counter)];
    if (sources.kmeshNames) families.push(counterFamily('kmesh_tcp', trafficLabels, counter));
    const workloads = sources.kmeshNames ? counterFamily('kmesh_tcp_workload', workloadLabels, counter) : null;
    const retransmits = sources.kmeshNames
      ? counter('kmesh_tcp_retrans_total', 'TCP segments sent again.', workloadLabels)
      : null;
    // prom-client asks each metric for its value; the first one asked fills them all.
    const all = [...families, ...(workloads === null ? [] : [workloads])];
    const first = all[0]?.opened;
    if (first === undefined) return;
    collectWith(first, () => {
      for (const family of all) for (const c of Object.values(family)) c.reset();
      retransmits?.reset();
      for (const { labels, row } of this.#carried.values()) for (const f of families) addRow(f, labels, row);
      for (const row of sources.traffic()) {
        const labels = labelsOf(row.key, sources.names);
        for (const family of families) addRow(family, labels, row);
        if (workloads === null) continue;
        const pod = podLabelsOf(labels, row, sources.names);
        addRow(workloads, pod, row);
        if (row.retransmits > 0) retransmits?.inc(pod, row.retransmits);
      }
    });
  }

  #kernel(sources: MetricSources): void {
    const registers = [this.registry];
    const events = new Counter({
      name: 'kmesh_kernel_events_total',
      help: 'What the kernel programs counted besides traffic, by kind.',
      labelNames: ['event'],
      registers,
    });
    collectWith(events, () => {
      events.reset();
      for (const [event, n] of Object.entries(sources.counters())) events.inc({ event }, n);
    });
    const labelNames = ['node_name', 'map_name'];
    const entries = new Gauge({
      name: 'kmesh_map_entry_count',
      help: 'Entries of a kernel map.',
      labelNames,
      registers,
    });
    const sizes = new Gauge({ name: 'kmesh_map_max_entries', help: 'Size of a kernel map.', labelNames, registers });
    const total = new Gauge({
      name: 'kmesh_map_count_total',
      help: 'Kernel maps in use.',
      labelNames: ['node_name'],
      registers,
    });
    collectWith(entries, () => {
      const maps = sources.maps();
      for (const map of maps) {
        const labels = { node_name: sources.nodeName, map_name: map.name };
        entries.set(labels, map.entries);
        sizes.set(labels, map.maxEntries);
      }
      total.set({ node_name: sources.nodeName }, maps.length);
    });
  }

  #configuration(sources: MetricSources): void {
    const registers = [this.registry];
    const objects = new Gauge({
      name: 'kmesh_source_objects',
      help: 'Objects in force, by source.',
      labelNames: ['source'],
      registers,
    });
    const problems = new Gauge({
      name: 'kmesh_source_problems',
      help: 'Objects refused (error) or taken with a warning.',
      labelNames: ['severity'],
      registers,
    });
    collectWith(objects, () => {
      for (const [source, n] of Object.entries(sources.objects())) objects.set({ source }, n);
      for (const [severity, n] of Object.entries(sources.problems())) problems.set({ severity }, n);
    });
  }
}

function sumOf(a: TrafficRow, b: TrafficRow): TrafficRow {
  return {
    key: a.key,
    opened: a.opened + b.opened,
    closed: a.closed + b.closed,
    failed: a.failed + b.failed,
    sentBytes: a.sentBytes + b.sentBytes,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    retransmits: a.retransmits + b.retransmits,
  };
}

interface CounterFamily {
  readonly opened: Counter;
  readonly closed: Counter;
  readonly failed: Counter;
  readonly sent: Counter;
  readonly received: Counter;
}

function counterFamily(
  prefix: string,
  labels: readonly string[],
  counter: (name: string, help: string, labels: readonly string[]) => Counter,
): CounterFamily {
  return {
    opened: counter(`${prefix}_connections_opened_total`, 'TCP connections opened.', labels),
    closed: counter(`${prefix}_connections_closed_total`, 'TCP connections closed.', labels),
    failed: counter(`${prefix}_connections_failed_total`, 'TCP connections that could not be opened.', labels),
    sent: counter(`${prefix}_sent_bytes_total`, 'Bytes of responses.', labels),
    received: counter(`${prefix}_received_bytes_total`, 'Bytes of requests.', labels),
  };
}

/**
 * In Istio "sent" is what the server sent, whichever side reports: at the source the two are turned round (istio#32399).
 */
function addRow(family: CounterFamily, labels: Labels, row: TrafficRow): void {
  if (row.key.reason !== kmReason.NONE) {
    family.failed.inc(labels, row.failed);
    return;
  }
  const atSource = labels['reporter'] === 'source';
  family.opened.inc(labels, row.opened);
  family.closed.inc(labels, row.closed);
  family.sent.inc(labels, atSource ? row.receivedBytes : row.sentBytes);
  family.received.inc(labels, atSource ? row.sentBytes : row.receivedBytes);
}

function podLabelsOf(labels: Labels, row: TrafficRow, names: Names): Labels {
  const w = names.workload(row.key.destination);
  const address = w?.addresses[0];
  const own: Record<string, string> = {
    destination_pod_address: address ?? 'unknown',
    destination_pod_namespace: w?.namespace ?? 'unknown',
    destination_pod_name: w?.name ?? 'unknown',
  };
  for (const name of workloadLabels) own[name] ??= labels[name] ?? 'unknown';
  return own;
}

/** prom-client takes a collect function only in its options; a metric that is to fill others sets it afterwards. */
function collectWith(metric: Counter | Gauge, collect: () => void): void {
  Object.assign(metric, { collect });
}
