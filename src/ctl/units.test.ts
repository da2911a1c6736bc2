import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAdminAddress } from './address.ts';
import { paint, printable, wantsColour } from './style.ts';
import { table } from './table.ts';
import { humanBytes, humanDuration, humanMicros, parseDuration } from './units.ts';

test('bytes have three digits at most, and exact ones no unit', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0B'],
    [1023, '1023B'],
    [1024, '1KiB'],
    [1536, '1.5KiB'],
    [102_349, '100KiB'],
    [1_048_575, '1MiB'],
    [5_497_558_138_880, '5TiB'],
    [Number.MAX_SAFE_INTEGER, '8PiB'],
  ];
  for (const [bytes, text] of cases) assert.equal(humanBytes(bytes), text);
});

test('round-trip times go from us to s', () => {
  for (const [us, text] of [
    [0, '0us'],
    [999, '999us'],
    [1000, '1ms'],
    [1249, '1.2ms'],
    [99_960, '100ms'],
    [999_949, '1000ms'],
    [999_950, '1s'],
    [3_456_789, '3.5s'],
  ] as const) {
    assert.equal(humanMicros(us), text);
  }
});

test('ages are those of kubectl', () => {
  const [m, h, d] = [60, 3600, 86_400];
  for (const [seconds, text] of [
    [-3, '0s'],
    [119.9, '119s'],
    [2 * m, '2m'],
    [2 * m + 30, '2m30s'],
    [10 * m + 5, '10m'],
    [179 * m, '179m'],
    [3 * h, '3h'],
    [7 * h + 59 * m, '7h59m'],
    [47 * h, '47h'],
    [2 * d + 3 * h, '2d3h'],
    [8 * d, '8d'],
    [400 * d, '400d'],
    [800 * d, '2y70d'],
    [3000 * d, '8y'],
  ] as const) {
    assert.equal(humanDuration(seconds), text);
  }
});

test('durations are read as Go writes them', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
  ] as const) {
    assert.equal(parseDuration(text), ms);
  }
  for (const bad of ['', '30', 's', '-1s', '1d', '1s ', 'soon']) {
    assert.throws(() => parseDuration(bad), { code: 'KM6005' }, bad);
  }
});

test('the admin address is a host, a port, or both', () => {
  for (const [text, host, port] of [
    ['localhost', 'localhost', 15200],
    ['node-1:80', 'node-1', 80],
    [':1234', 'localhost', 1234],
    ['[::1]:80', '::1', 80],
    ['[fd00::1]', 'fd00::1', 15200],
    ['http://127.0.0.1:8080/', '127.0.0.1', 8080],
  ] as const) {
    assert.deepEqual(parseAdminAddress(text), { host, port });
  }
  for (const bad of ['', 'a:0', 'a:65536', '::1:80', 'a b', 'https://a', 'a:x', 'a/b']) {
    assert.throws(() => parseAdminAddress(bad), { code: 'KM6005' }, bad);
  }
  assert.equal(formatAddress({ host: '::1', port: 80 }), '[::1]:80');
});

test('columns are padded as kubectl does, without a space at the end', () => {
  const lines = [
    ['a', '', 'x'],
    ['longer-one', '1', 'yy'],
  ];
  assert.equal(
    table(['N', 'LEVEL', 'Z'], lines),
    'N            LEVEL    Z\na            <none>   x\nlonger-one   1        yy\n',
  );
  assert.equal(table(null, [['a', 'b']]), 'a     b\n');
});

test('an escape sequence in a name does not reach the terminal', () => {
  assert.equal(printable('a\x1b[31mb\nc\u202e'), 'a\\u001b[31mb\\u000ac\\u202e');
  assert.equal(printable('ünïcode √'), 'ünïcode √');
});

test('colour is for terminals, and NO_COLOR ends it', () => {
  const output = (isTTY: boolean) => ({ isTTY, write: () => undefined });
  assert.equal(wantsColour(output(true), {}), true);
  assert.equal(wantsColour(output(false), {}), false);
  assert.equal(wantsColour(output(true), { NO_COLOR: '1' }), false);
  assert.equal(wantsColour(output(true), { NO_COLOR: '' }), true);
  assert.equal(wantsColour(output(true), { TERM: 'dumb' }), false);
  assert.equal(paint('red', 'x', true), '\x1b[31mx\x1b[0m');
});
