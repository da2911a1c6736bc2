/** HTTP: what a client's own socket tells it, and when the mesh lets go of it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import { fionreadTells } from '../../src/kernel/fionread.ts';
import { mapTypes, schema } from '../../src/kernel/gen/layout.gen.ts';
import { rawMap } from '../../src/kernel/map.ts';
import { mapsDirectory, openPin } from '../../src/kernel/pin.ts';
import type { Host } from '../lab/host.ts';
import { forgotten, service } from '../lab/http-mesh.ts';
import { Shop, shopAddresses } from '../lab/http-shop.ts';
import { file, patience, pod } from '../lab/mesh.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { startTunnel } from '../lab/servers.ts';

const test = requireRoot(nodeTest);
const upgradeAddresses = ['10.96.0.30', 'fd00:10:96::30'] as const;
const anyAddresses = ['10.96.0.31', 'fd00:10:96::31'] as const;

describe('HTTP sockets', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let shop: Shop;
  before(async () => {
    shop = await Shop.create();
    const server: Host = await shop.lab.pod('tunnel');
    await startTunnel(server, { port: 8090 });
    const to = { selector: { app: 'tunnel' }, targetPort: 8090 };
    shop.mesh.write(
      'tunnel.yaml',
      file(
        pod(server, { app: 'tunnel' }),
        service('up', { addresses: upgradeAddresses, ...to }),
        service('any', { addresses: anyAddresses, portName: 'any', ...to }),
      ),
    );
    await shop.mesh.settled();
  });
  after(() => shop?.lab.close());

  /** Whether the kernel holds no socket whose messages are looked at. */
  const noSockets = (): boolean => {
    const fd = openPin(join(mapsDirectory(join(shop.lab.bpfFsPath, 'km'), schema), 'km_sock'));
    assert.ok(fd !== null);
    const sockets = rawMap(fd, 'km_sock');
    try {
      return sockets.as(mapTypes.km_sock).isEmpty();
    } finally {
      sockets.close();
    }
  };

  const ways = [
    ['answers', shopAddresses, 'FIONREAD tells what there is of an answer', false],
    ['upgrade', upgradeAddresses, 'an upgraded connection is let go', true],
    ['connect', upgradeAddresses, 'a tunnel is let go', true],
    ['other', anyAddresses, 'a connection that is not HTTP is let go', true],
    ['early', upgradeAddresses, 'bytes that were held back when the upgrade came are sent on', true],
  ] as const;
  for (const [way, addresses, what, letGo] of ways) {
    for (const [i, address] of addresses.entries()) {
      const skip = way === 'answers' && fionreadTells() === false && 'this kernel does not tell: docs/daemon.md';
      test(`${what}, IPv${i === 0 ? 4 : 6}`, { skip }, async () => {
        const client = shop.client.spawn([...pythonProgram('clients/unread.py'), address, '80', way]);
        try {
          const [line] = await client.line(/^.+$/, { timeoutMs: 30_000 * patience });
          assert.equal(line, 'ready');
          assert.equal(noSockets(), letGo);
        } finally {
          await client.kill();
        }
      });
    }
  }

  test('when all is done the kernel has forgotten every connection', () => forgotten(shop.mesh));
});
