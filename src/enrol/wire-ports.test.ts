import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wirePorts } from './wire-ports.ts';

const ports = (range: readonly [number, number], reserved: readonly (readonly [number, number])[] = []) =>
  wirePorts({ localPorts: range, reservedPorts: reserved });

test('the longer side of the local range is taken, above the privileged ports', () => {
  assert.deepEqual(ports([32_768, 60_999]), { first: 1024, count: 31_744 });
  assert.deepEqual(ports([1024, 4999]), { first: 5000, count: 60_536 });
  assert.deepEqual(ports([10_000, 65_000]), { first: 1024, count: 8976 });
  assert.deepEqual(ports([2000, 65_535]), { first: 1024, count: 976 });
  assert.deepEqual(ports([1, 60_000]), { first: 60_001, count: 5535 });
});

test('reserved ports cut a side into runs', () => {
  assert.deepEqual(ports([32_768, 60_999], [[30_000, 32_767]]), { first: 1024, count: 28_976 });
  assert.deepEqual(
    ports(
      [32_768, 60_999],
      [
        [2000, 2000],
        [9000, 9010],
        [20_000, 40_000],
      ],
    ),
    { first: 9011, count: 10_989 },
  );
  assert.deepEqual(ports([32_768, 60_999], [[1024, 65_000]]), { first: 65_001, count: 535 });
});

test('too few ports in a row are none, with the reason', () => {
  const reason =
    'net.ipv4.ip_local_port_range (1024-65300) and ip_local_reserved_ports leave fewer than 256 ports in a row';
  assert.equal(ports([1024, 65_300]), reason);
  assert.deepEqual(ports([1280, 65_535]), { first: 1024, count: 256 });
  assert.equal(typeof ports([1279, 65_535]), 'string');
  assert.equal(typeof ports([1024, 65_535]), 'string');
});
