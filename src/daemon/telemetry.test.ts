/** What the daemon reads of requests in real tables. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Log } from '../base/log.ts';
import { RouteCompiler } from '../compile/service.ts';
import { type KmRequests, kmReason } from '../kernel/gen/layout.gen.ts';
import { rootOnly, testCgroup, testPins } from '../kernel/testing.ts';
import { keepRemovedMs } from '../probe/names.ts';
import { event, frontend, namesOf, reviews, service } from '../probe/testing.ts';
import { DataPlane } from './data-plane.ts';
import { Telemetry } from './telemetry.ts';

const skip = rootOnly();

function planeAt(cgroup2Path: string, bpfFsPath: string): DataPlane {
  const log = new Log({ format: 'text', level: 'error', write: () => undefined }).logger('kernel');
  return new DataPlane({ bpfFsPath, cgroup2Path, mapSizes: {}, inbound: false, deviceAttach: 'auto', log });
}

const output = { write: () => undefined, keepsUp: () => true };

test('rows of requests go with what they are about, and are handed over', { skip }, () => {
  using cgroup = testCgroup('telemetry');
  using pins = testPins('telemetry');
  const plane = planeAt(cgroup.path, join(pins.path, 'km'));
  const clock = { now: 0 };
  const names = namesOf(clock);
  const telemetry = new Telemetry(plane, names, new RouteCompiler(), output, (_what, action) => action);
  const { source, destination, cluster } = event();
  const row: KmRequests = {
    count: 3n,
    requestBytes: 1n,
    responseBytes: 2n,
    durationUs: 4n,
    buckets: Array.from({ length: 20 }, (_, i) => (i === 19 ? 3n : 0n)),
  };
  const key = { source, destination, cluster, status: 200, reason: kmReason.NONE };
  const unanswered = { ...key, destination: 0n, cluster: 0n, status: 404, reason: kmReason.NO_ROUTE };
  for (const one of [key, unanswered]) plane.maps.km_requests.set(one, row);
  assert.equal([...telemetry.requests()].length, 2);
  assert.deepEqual(telemetry.pruneRequests(), []);
  // The service goes: its rows stay for as long as its name does.
  const workloads = new Map([frontend, reviews].map((w) => [w.uid, w]));
  names.update({ workloads, services: new Map() }, { workloads: new Set(), services: new Set([service.key]) });
  clock.now = keepRemovedMs;
  assert.deepEqual(telemetry.pruneRequests(), []);
  clock.now = keepRemovedMs + 1;
  assert.deepEqual(telemetry.pruneRequests(), [[key, row]]);
  assert.deepEqual([...telemetry.requests()], [[unanswered, row]]);
  telemetry.close();
  plane.close();
});

test('the kernel is told to write requests for the access log, and an earlier daemon’s wish is forgotten', {
  skip,
}, () => {
  using cgroup = testCgroup('telemetry');
  using pins = testPins('telemetry');
  const plane = planeAt(cgroup.path, join(pins.path, 'km'));
  const config = () => {
    const { accessLog, monitoring, inbound, requests } = plane.switches.get();
    return { accessLog, monitoring, inbound, requests };
  };
  plane.switches.set({ monitoring: 1, requests: 1 });
  const telemetry = new Telemetry(plane, namesOf({ now: 0 }), new RouteCompiler(), output, (_what, action) => action);
  assert.deepEqual(config(), { accessLog: 0, monitoring: 1, inbound: 0, requests: 0 });
  telemetry.setAccessLog(true);
  assert.deepEqual(config(), { accessLog: 1, monitoring: 1, inbound: 0, requests: 1 });
  telemetry.setAccessLog(false);
  assert.deepEqual(config(), { accessLog: 0, monitoring: 1, inbound: 0, requests: 0 });
  assert.ok(telemetry.maps().some((map) => map.name === 'km_request_event' && map.setting === '--request-buffer'));
  telemetry.close();
  plane.close();
});
