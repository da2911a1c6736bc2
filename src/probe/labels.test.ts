import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadId } from '../compile/service.ts';
import { kmDirection, kmReason } from '../kernel/gen/layout.gen.ts';
import { labelsOf, trafficLabels } from './labels.ts';
import { keepRemovedMs } from './names.ts';
import { cluster, frontend, namesOf, reviews } from './testing.ts';

const key = {
  source: workloadId(frontend.uid),
  destination: workloadId(reviews.uid),
  cluster,
  direction: kmDirection.OUTBOUND,
  reason: kmReason.NONE,
};

test('labels are Istio’s, in ztunnel’s order', () => {
  const labels = labelsOf(key, namesOf({ now: 0 }));
  assert.deepEqual(Object.keys(labels), trafficLabels);
  assert.deepEqual(labels, {
    reporter: 'source',
    source_workload: 'frontend',
    source_canonical_service: 'frontend',
    source_canonical_revision: 'v1',
    source_workload_namespace: 'shop',
    source_principal: 'unknown',
    source_app: 'frontend',
    source_version: 'v1',
    source_cluster: 'Kubernetes',
    destination_service: 'reviews.shop.svc.cluster.local',
    destination_service_namespace: 'shop',
    destination_service_name: 'reviews',
    destination_workload: 'reviews',
    destination_canonical_service: 'reviews-canonical',
    destination_canonical_revision: 'latest',
    destination_workload_namespace: 'shop',
    destination_principal: 'unknown',
    destination_app: 'unknown',
    destination_version: 'unknown',
    destination_cluster: 'Kubernetes',
    request_protocol: 'tcp',
    response_flags: '-',
    connection_security_policy: 'unknown',
  });
});

test('what nobody knows is unknown, and reasons are Envoy’s flags', () => {
  const labels = labelsOf(
    { ...key, destination: 1n, cluster: 0n, reason: kmReason.CONNECT_FAILED },
    namesOf({ now: 0 }),
  );
  assert.equal(labels.destination_workload, 'unknown');
  assert.equal(labels.destination_service, 'unknown');
  assert.equal(labels.response_flags, 'UF');
});

test('the name of a workload that is gone is kept for a while', () => {
  const clock = { now: 0 };
  const names = namesOf(clock);
  const empty = { workloads: new Map(), services: new Map() };
  names.update(empty, { workloads: new Set([reviews.uid]), services: new Set() });
  clock.now = keepRemovedMs;
  assert.equal(names.exists(key.destination), true);
  clock.now = keepRemovedMs + 1;
  assert.equal(names.exists(key.destination), false);
  assert.equal(labelsOf(key, names).destination_workload, 'reviews', 'for the last reading of its rows');
  names.prune();
  assert.equal(labelsOf(key, names).destination_workload, 'unknown');
});
