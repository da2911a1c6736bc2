/** Istio's standard HTTP metrics, from what the kernel added up per pair of workloads, cluster, status and reason. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { KmRequests, KmRequestsKey } from '../kernel/gen/layout.gen.ts';
import { type RequestLabels, requestLabels, requestLabelsOf } from './labels.ts';
import type { Names } from './names.ts';

/** A row of km_requests. */
export type RequestRow = readonly [KmRequestsKey, KmRequests];

/** Milliseconds: Istio's bounds, and km_duration_bucket's (bpf/include/km_exchange.h). */
export const durationBounds = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;

interface Series {
  readonly labels: RequestLabels;
  readonly sums: KmRequests;
}

type Value = { readonly labels: Readonly<Record<string, string | number>>; value: number; metricName: string };

/** A histogram whose buckets somebody else counts. */
function givenHistogram(name: string, help: string, registers: Registry[], values: () => Value[]): void {
  const options = { name, help, labelNames: [...requestLabels] };
  const empty = new Histogram({ ...options, registers: [] });
  const histogram = new Histogram({ ...options, registers });
  // What prom-client asks a histogram for its samples by, though its types do not say so.
  Object.assign(histogram, { getForPromString: async () => ({ ...(await empty.get()), values: values() }) });
}

export class RequestMetrics {
  readonly #names: Names;
  /** Sums of rows that the kernel has no more, by labels: a counter never goes back. */
  readonly #carried = new Map<string, Series>();

  /** `rows` is read once a scrape. */
  constructor(registry: Registry, names: Names, rows: () => Iterable<RequestRow>) {
    this.#names = names;
    let series: readonly Series[] = [];
    const registers = [registry];
    const total = new Counter({
      name: 'istio_requests_total',
      help: 'HTTP requests that were answered, or were given up.',
      labelNames: [...requestLabels],
      registers,
    });
    // prom-client asks each metric for its value, in the order of their making; the first one reads for all.
    const collect = (): void => {
      series = this.#series(rows());
      total.reset();
      for (const { labels, sums } of series) total.inc(labels, Number(sums.count));
    };
    Object.assign(total, { collect });
    const histogram = (name: string, help: string, values: (one: Series, name: string) => Value[]): void => {
      givenHistogram(name, help, registers, () => series.flatMap((one) => values(one, name)));
    };
    histogram(
      'istio_request_duration_milliseconds',
      'Time from the request until the end of its answer.',
      ({ labels, sums }, name) => histogramValues(name, labels, sums, Number(sums.durationUs) / 1000, durationBounds),
    );
    histogram('istio_request_bytes', 'Bytes of requests, heads and bodies.', ({ labels, sums }, name) =>
      histogramValues(name, labels, sums, Number(sums.requestBytes), []),
    );
    histogram('istio_response_bytes', 'Bytes of responses, heads and bodies.', ({ labels, sums }, name) =>
      histogramValues(name, labels, sums, Number(sums.responseBytes), []),
    );
  }

  /** Takes over what rows had counted that are deleted now. Their names must still be known. */
  carry(rows: Iterable<RequestRow>): void {
    addRows(this.#carried, rows, this.#names);
  }

  /** Several rows have the labels of one series: the pods of a workload have its name. */
  #series(rows: Iterable<RequestRow>): readonly Series[] {
    const series = new Map(this.#carried);
    addRows(series, rows, this.#names);
    return [...series.values()];
  }
}

function addRows(series: Map<string, Series>, rows: Iterable<RequestRow>, names: Names): void {
  for (const [key, row] of rows) {
    const labels = requestLabelsOf(key, names);
    const name = Object.values(labels).join('\n');
    const before = series.get(name)?.sums;
    series.set(name, { labels, sums: before === undefined ? row : sumOf(before, row) });
  }
}

function sumOf(a: KmRequests, b: KmRequests): KmRequests {
  return {
    count: a.count + b.count,
    requestBytes: a.requestBytes + b.requestBytes,
    responseBytes: a.responseBytes + b.responseBytes,
    durationUs: a.durationUs + b.durationUs,
    buckets: a.buckets.map((n, i) => n + (b.buckets[i] ?? 0n)),
  };
}

/**
 * Prometheus wants cumulative buckets, and the one without a bound as large as the count: a request that is counted while
 * the row is read may be in one of them only, so without bounds it is the count, and with them the sum of the buckets.
 */
function histogramValues(
  name: string,
  labels: RequestLabels,
  { count, buckets }: KmRequests,
  sum: number,
  bounds: readonly number[],
): Value[] {
  const values: Value[] = [];
  let below = 0;
  const bucket = (le: number | string, value: number): void => {
    values.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value });
  };
  bounds.forEach((le, i) => {
    below += Number(buckets[i] ?? 0n);
    bucket(le, below);
  });
  const all = bounds.length === 0 ? Number(count) : below + Number(buckets[bounds.length] ?? 0n);
  bucket('+Inf', all);
  values.push({ metricName: `${name}_sum`, labels, value: sum });
  values.push({ metricName: `${name}_count`, labels, value: all });
  return values;
}
