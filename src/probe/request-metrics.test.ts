import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { workloadId } from '../compile/service.ts';
import { type KmRequests, type KmRequestsKey, kmCounter, kmReason } from '../kernel/gen/layout.gen.ts';
import { requestLabels, requestLabelsOf } from './labels.ts';
import { responseFlag } from './reasons.ts';
import { durationBounds, RequestMetrics, type RequestRow } from './request-metrics.ts';
import { cluster, frontend, namesOf, reviews } from './testing.ts';

const key = (change: Partial<KmRequestsKey> = {}): KmRequestsKey => ({
  source: workloadId(frontend.uid),
  destination: workloadId(reviews.uid),
  cluster,
  status: 200,
  reason: kmReason.NONE,
  ...change,
});
/** One request in each of the buckets that are named. */
const row = (...buckets: readonly number[]): KmRequests => ({
  count: BigInt(buckets.length),
  requestBytes: 100n * BigInt(buckets.length),
  responseBytes: 1000n,
  durationUs: 2500n,
  buckets: Array.from({ length: durationBounds.length + 1 }, (_, i) => (buckets.includes(i) ? 1n : 0n)),
});

function metricsOf(rows: () => readonly RequestRow[]) {
  const registry = new Registry();
  const clock = { now: 0 };
  const metrics = new RequestMetrics(registry, namesOf(clock), rows);
  const samples = async (): Promise<Record<string, number>> => {
    const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return Object.fromEntries(
      lines.map((line) => {
        const [, name = '', labels = '', value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
        const shown = [...labels.matchAll(/(le|response_code|response_flags)="([^"]*)"/g)].map(([, , v]) => v);
        return [`${name} ${shown.join(' ')}`, Number(value)];
      }),
    );
  };
  return { metrics, samples };
}

test('labels are Istio’s for HTTP', () => {
  const labels = requestLabelsOf(key({ status: 503, reason: kmReason.NO_ENDPOINT }), namesOf({ now: 0 }));
  assert.deepEqual(Object.keys(labels), requestLabels);
  const { reporter, source_workload, destination_service_name, request_protocol, response_code, response_flags } =
    labels;
  assert.deepEqual(
    [reporter, source_workload, destination_service_name, request_protocol, response_code, response_flags],
    ['source', 'frontend', 'reviews', 'http', '503', 'UH'],
  );
});

test('every reason has a flag of its own', () => {
  const flags = Object.values(kmReason).map(responseFlag);
  assert.deepEqual(flags, ['-', 'UH', 'UF', 'NR', 'NC', 'FI', 'DC', 'UC', 'DPE', 'UO']);
});

test('the buckets of the kernel become cumulative ones, with sum and count', async () => {
  const { samples } = metricsOf(() => [[key(), row(0, 2, 19)]]);
  const seen = await samples();
  assert.equal(seen['istio_requests_total 200 -'], 3);
  const of = (le: string | number) => seen[`istio_request_duration_milliseconds_bucket ${le} 200 -`];
  assert.deepEqual([0.5, 1, 5, 3_600_000, '+Inf'].map(of), [1, 1, 2, 2, 3]);
  assert.equal(Object.keys(seen).filter((name) => name.startsWith('istio_request_duration_milliseconds_b')).length, 20);
  assert.equal(seen['istio_request_duration_milliseconds_sum 200 -'], 2.5);
  assert.equal(seen['istio_request_duration_milliseconds_count 200 -'], 3);
  assert.equal(seen['istio_request_bytes_sum 200 -'], 300);
  assert.equal(seen['istio_request_bytes_bucket +Inf 200 -'], 3);
  assert.equal(seen['istio_response_bytes_sum 200 -'], 1000);
  assert.equal(seen['istio_response_bytes_count 200 -'], 3);
});

test('rows of one series add up, other codes and flags are others', async () => {
  const fault = key({ status: 418, reason: kmReason.FAULT, destination: 0n });
  const { samples } = metricsOf(() => [
    [key(), row(1)],
    [key({ reason: kmReason.NONE }), row(1, 4)],
    [fault, row(0)],
  ]);
  const seen = await samples();
  assert.deepEqual([seen['istio_requests_total 200 -'], seen['istio_requests_total 418 FI']], [3, 1]);
  assert.equal(seen['istio_request_duration_milliseconds_bucket 1 200 -'], 2);
});

test('what a deleted row had counted goes on', async () => {
  let rows: readonly RequestRow[] = [[key(), row(1, 2)]];
  const { metrics, samples } = metricsOf(() => rows);
  metrics.carry(rows);
  rows = [[key(), row(3)]];
  const seen = await samples();
  assert.equal(seen['istio_requests_total 200 -'], 3);
  assert.equal(seen['istio_request_duration_milliseconds_count 200 -'], 3);
  assert.equal((await samples())['istio_requests_total 200 -'], 3);
});

test('bounds are those by which the kernel sorts', () => {
  const source = readFileSync(new URL('../../bpf/include/km_exchange.h', import.meta.url), 'utf8');
  const [body = ''] = /km_duration_bucket[\s\S]*?\n}/.exec(source) ?? [];
  const bounds = [...new Set([...body.matchAll(/us (?:<=|>) ([0-9]+)/g)].map(([, us]) => Number(us) / 1000))];
  assert.deepEqual(
    bounds.sort((a, b) => a - b),
    durationBounds,
  );
});

test('docs/daemon.md says what each kernel event is, and each response flag', () => {
  const docs = readFileSync(new URL('../../docs/daemon.md', import.meta.url), 'utf8');
  const events = Object.keys(kmCounter).filter((name) => name !== 'MAX');
  const wanted = [...events.map((name) => name.toLowerCase()), ...Object.values(kmReason).map(responseFlag)];
  assert.deepEqual(
    wanted.filter((name) => !docs.includes(`\n| \`${name}\` |`)),
    [],
  );
});
