/** A pod that calls a service of which it is an endpoint itself. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad, type LoadCase, leave, leaveStates, leaveWays, manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { forgotten, many, service } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { patternFile } from '../lab/pattern.ts';
import { requireRoot } from '../lab/root.ts';
import { startBad, startWeb } from '../lab/servers.ts';

const test = requireRoot(nodeTest);

/** Each with an address of both families: an endpoint that is the client alone, and two of which it is one. */
const alone = ['10.96.0.10', 'fd00:10:96::10'] as const;
const both = ['10.96.0.11', 'fd00:10:96::11'] as const;
const plain = ['10.96.0.12', 'fd00:10:96::12'] as const;
const web = ['10.96.0.13', 'fd00:10:96::13'] as const;
const bad = ['10.96.0.14', 'fd00:10:96::14'] as const;

for (const attach of ['auto', 'clsact'] as const) {
  describe(`hairpin (${attach})`, { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
    let lab: Lab;
    let mesh: TestMesh;
    let self: Host;
    let other: Host;

    before(async () => {
      lab = await Lab.create();
      self = await lab.pod('self');
      other = await lab.pod('other');
      for (const host of [self, other]) await startNginx(host, { port: 8080, extra: ' $request_uri' });
      await startWeb(self, { port: 8081 });
      await startBad(self, { port: 8082, mode: 'reset-head' });
      mesh = meshOf(lab);
      const pods = [self, other].map((host) => pod(host, { app: 'shop', name: host.name }));
      const own = { name: 'self' };
      mesh.write('pods.yaml', file(namespace('shop', true), ...pods));
      mesh.write(
        'services.yaml',
        file(
          service('alone', { addresses: alone, selector: own }),
          service('both', { addresses: both, selector: { app: 'shop' } }),
          service('plain', { addresses: plain, selector: own, portName: 'tcp' }),
          service('web', { addresses: web, selector: own, targetPort: 8081 }),
          service('bad', { addresses: bad, selector: own, targetPort: 8082 }),
        ),
      );
      await mesh.start(['--device-attach', attach]);
      await mesh.settled();
    });
    after(() => lab?.close());

    test('by connection it goes through loopback', async () => {
      for (const address of plain) {
        const { answers, failures } = await manyConnections(self, [address, '80', '100']);
        assert.deepEqual([answers, failures], [{ self: 100 }, 0]);
      }
    });

    test('each request reaches the pod itself, on one connection or many', async () => {
      const cases: readonly LoadCase[] = [{ from: 'self', path: '/me' }];
      for (const address of alone) {
        for (const flags of [['--connections', '4'], ['--new']]) {
          const load = await httpLoad(self, address, 80, cases, ['--requests', String(many(1000, 20_000)), ...flags]);
          assert.deepEqual([load.errors, load.misrouted, load.crossed], [{}, 0, 0]);
        }
      }
    });

    test('requests alternate between the pod itself and another, which calls too', async () => {
      const cases: readonly LoadCase[] = [{ from: ['self', 'other'], path: '/any' }];
      const count = many(2000, 50_000);
      for (const address of both) {
        for (const flags of [['--connections', '2'], ['--new']]) {
          const run = (from: Host) => httpLoad(from, address, 80, cases, ['--requests', String(count), ...flags]);
          for (const load of await Promise.all([run(self), run(other)])) {
            assert.deepEqual([load.errors, load.misrouted, load.crossed], [{}, 0, 0]);
            assert.ok(Math.abs((load.answers['self'] ?? 0) / load.requests - 0.5) < 0.1, JSON.stringify(load.answers));
          }
        }
      }
    });

    test('large bodies both ways', async () => {
      const pattern = patternFile(lab.directory, 3_000_000);
      const sha256 = createHash('sha256').update(readFileSync(pattern).subarray(0, 3_000_000)).digest('hex');
      for (const address of [web[0], `[${web[1]}]`]) {
        const curl = ['curl', '-sS', '-m', '20', '--data-binary', `@${pattern}`, `http://${address}/digest`];
        assert.equal((JSON.parse(await self.output(curl, { timeoutMs: 30_000 })) as { sha256: string }).sha256, sha256);
      }
    });

    test('a server that resets, and clients that leave, leave nothing behind', async () => {
      const { stderr } = await self.exec(['curl', '-sS', '-m', '5', `http://${bad[0]}/`]);
      assert.match(stderr, /reset by peer/);
      for (const state of leaveStates) {
        for (const how of leaveWays) {
          const left = await leave(self, { address: web[0], port: 80, state, how, count: 3 });
          assert.equal(left.done, 3, `${state} ${how}`);
        }
      }
      const begin = performance.now();
      await forgotten(mesh);
      // What needs the sweep stays for a minute.
      assert.ok(performance.now() - begin < 30_000 * patience, 'the kernel forgets by itself');
    });
  });
}
