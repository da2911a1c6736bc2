/** What it says is compared with what clients see by test/scenarios/http-sockets.test.ts. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fionreadTells } from './fionread.ts';
import { allocate, bytesToRead, close, connectToItself, waitReadable, write } from './syscall.ts';
import { rootOnly } from './testing.ts';

const skip = rootOnly();

test('a connection to itself has to read what it wrote', () => {
  const socket = connectToItself();
  assert.ok(socket >= 0);
  assert.equal(bytesToRead(socket), 0);
  assert.equal(waitReadable(socket, 0), false);
  assert.equal(write(socket, allocate(10), 7), 7);
  assert.equal(waitReadable(socket, 5000), true);
  assert.equal(bytesToRead(socket), 7);
  close(socket);
});

test('whether FIONREAD tells of a socket in a sockhash is found out, and no descriptor stays', { skip }, () => {
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  const tells = fionreadTells();
  assert.notEqual(tells, null);
  assert.equal(fionreadTells(), tells);
  assert.equal(open(), before);
});
