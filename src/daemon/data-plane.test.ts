/** The request program at the table of sockets, over restarts; the other hooks are tested by the scenarios. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Log } from '../base/log.ts';
import { mapTypes, schema } from '../kernel/gen/layout.gen.ts';
import { openLink } from '../kernel/link.ts';
import { rawMap } from '../kernel/map.ts';
import { linksDirectory, mapsDirectory, openPin } from '../kernel/pin.ts';
import { rootOnly, testCgroup, testPins } from '../kernel/testing.ts';
import { DataPlane, hookNames, removeDataPlane } from './data-plane.ts';

const skip = rootOnly();

/** The descriptor of a connected socket, which Node does not tell officially. */
function descriptor(socket: Socket): number {
  const handle = '_handle' in socket ? socket._handle : null;
  assert.ok(typeof handle === 'object' && handle !== null && 'fd' in handle && typeof handle.fd === 'number');
  return handle.fd;
}

test('the request program is switched with its sockets in place, and follows a table made anew', { skip }, async () => {
  using cgroup = testCgroup('plane');
  using pins = testPins('plane');
  const bpfFsPath = join(pins.path, 'km');
  const log = new Log({ format: 'text', level: 'error', write: () => undefined }).logger('kernel');
  const start = (sockets: number): DataPlane => {
    const plane = new DataPlane({
      bpfFsPath,
      cgroup2Path: cgroup.path,
      mapSizes: { km_sock: sockets },
      inbound: false,
      deviceAttach: 'auto',
      log,
    });
    plane.activate();
    return plane;
  };
  const linkPath = join(linksDirectory(bpfFsPath), 'km_request');
  const link = () => {
    const found = openLink(linkPath);
    const info = found?.info();
    found?.close();
    return info;
  };
  const sockets = () => {
    const fd = openPin(join(mapsDirectory(bpfFsPath, schema), 'km_sock'));
    assert.ok(fd !== null);
    return rawMap(fd, 'km_sock');
  };
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const client = connect(address.port, '127.0.0.1');
  await once(client, 'connect');

  let plane = start(1000);
  assert.deepEqual(plane.hooks(), [...hookNames].sort());
  const first = link();
  let table = sockets();
  if (first !== undefined) assert.equal(first.target, table.info.id);
  const key = { client: [0, 0, 0xffff, 1], server: [0, 0, 0xffff, 2], clientPort: 3, serverPort: 4 };
  table.as(mapTypes.km_sock).set(key, descriptor(client));
  table.close();
  plane.close();

  plane = start(1000);
  table = sockets();
  assert.equal(table.isEmpty(), false, 'the socket is still there');
  assert.deepEqual(plane.hooks(), [...hookNames].sort());
  if (first !== undefined) {
    assert.equal(link()?.id, first.id, 'the same link');
    assert.notEqual(link()?.programId, first.programId, 'another program');
  }
  table.close();
  plane.close();

  plane = start(2000);
  table = sockets();
  assert.equal(table.info.maxEntries, 2000);
  assert.equal(table.isEmpty(), true);
  assert.deepEqual(plane.hooks(), [...hookNames].sort());
  if (first !== undefined) {
    assert.notEqual(link()?.id, first.id);
    assert.equal(link()?.target, table.info.id);
    openLink(linkPath)?.detach();
    assert.deepEqual(plane.hooks(), hookNames.filter((name) => name !== 'km_request').sort());
  }
  table.close();
  plane.close();
  assert.ok(removeDataPlane(bpfFsPath).includes('hook km_connect4'));
  assert.equal(existsSync(bpfFsPath), false);
  client.destroy();
  server.close();
});
