import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressFamily, addressToBytes, bytesToAddress, canonicalAddress, hostPort, parsePrefix } from './address.ts';

test('canonical text follows RFC 5952, and mapped addresses are plain IPv4', () => {
  const cases: [string, string | null][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8:0000:0000:0000:0000:0002:0001', '2001:db8::2:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::192.0.2.33', '::c000:221'],
    ['fe80::1%eth0', null],
    ['10.0.0', null],
    ['010.0.0.1', null],
    ['10.0.0.256', null],
    ['10.0.0.1/32', null],
    ['1:2:3:4:5:6:7', null],
    ['1::2::3', null],
    ['host.example', null],
    ['', null],
    [' 10.0.0.1', null],
  ];
  for (const [text, expected] of cases) assert.equal(canonicalAddress(text), expected, text);
});

test('bytes are network order, IPv4 is mapped, and text survives the round trip', () => {
  assert.deepEqual([...(addressToBytes('10.1.2.3') ?? [])], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3]);
  assert.deepEqual([...(addressToBytes('fd00::1:2') ?? [])].slice(0, 2), [0xfd, 0]);
  // A seeded generator (LCG), so that a failure can be repeated. Zero groups are frequent on purpose.
  let seed = 42;
  const next = () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return seed >>> 8;
  };
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: 16 }, () => (next() % 3 === 0 ? next() & 255 : 0));
    const text = bytesToAddress(bytes);
    assert.deepEqual(addressToBytes(text), bytes, text);
    assert.equal(canonicalAddress(text), text);
  }
  assert.throws(() => bytesToAddress(new Uint8Array(4)), RangeError);
});

test('prefixes, families and host:port', () => {
  assert.deepEqual(parsePrefix('10.0.0.0/8'), { address: '10.0.0.0', bits: 8 });
  assert.deepEqual(parsePrefix('10.0.0.1'), { address: '10.0.0.1', bits: 32 });
  assert.deepEqual(parsePrefix('FD00::/64'), { address: 'fd00::', bits: 64 });
  assert.deepEqual(parsePrefix('::ffff:10.0.0.0/104'), { address: '10.0.0.0', bits: 8 });
  for (const bad of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/08', 'x/8', '::ffff:10.0.0.0/8']) {
    assert.equal(parsePrefix(bad), null, bad);
  }
  assert.equal(addressFamily('10.0.0.1'), 4);
  assert.equal(addressFamily('::1'), 6);
  assert.equal(hostPort('10.0.0.1', 80), '10.0.0.1:80');
  assert.equal(hostPort('::1', 80), '[::1]:80');
});
