import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kmDirection, kmReason } from '../kernel/gen/layout.gen.ts';
import { accessLogLine } from './access-log.ts';
import { event, namesOf } from './testing.ts';

const names = namesOf({ now: 0 });
const clock = { monotonic: () => 0n, date: (ns: bigint) => new Date(Number(ns / 1_000_000n)) };

test('a line tells who spoke to whom, what was asked for, and what it carried', () => {
  assert.equal(
    accessLogLine(event(), names, clock, 'text'),
    '1970-01-01T00:00:03.500Z  INFO access: connection complete src.addr=10.0.0.1:40000 src.workload=frontend-1 ' +
      'src.namespace=shop dst.addr=10.0.0.2:8080 dst.vip=10.96.0.1:80 dst.service=reviews.shop.svc.cluster.local ' +
      'dst.workload=reviews-1 dst.namespace=shop direction=outbound bytes_sent=74 bytes_recv=134 retransmits=1 ' +
      'srtt=250us duration=2500ms\n',
  );
});

test('JSON has the same names, and numbers as numbers', () => {
  const line = JSON.parse(accessLogLine(event(), names, clock, 'json')) as Record<string, unknown>;
  assert.equal(line['dst.service'], 'reviews.shop.svc.cluster.local');
  assert.equal(line['bytes_sent'], 74);
  assert.equal('error' in line, false);
});

test('a refused connection went nowhere and says why', () => {
  const line = accessLogLine(event({ reason: kmReason.NO_ENDPOINT, localPort: 0 }), names, clock, 'text');
  assert.match(line, /connection failed .*dst\.vip=10\.96\.0\.1:80 .*error="UH: no usable endpoint"\n$/);
  assert.doesNotMatch(line, /dst\.addr|src\.addr/);
});

test('an accepted connection: the remote is the source', () => {
  const inbound = event({ direction: kmDirection.INBOUND, cluster: 0n, localPort: 8080, realPort: 40000 });
  const line = accessLogLine(inbound, names, clock, 'text');
  assert.match(line, / src\.addr=10\.0\.0\.2:40000 .* dst\.addr=10\.0\.0\.1:8080 .* direction=inbound /);
});
