/** Pods that join and leave the mesh while they talk HTTP: no connection fails, whichever way its packets go. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad, httpLoadCommand, loadResult } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { forgotten, many, service } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);

describe('HTTP while pods join and leave', {
  skip: process.getuid?.() !== 0 && process.env['CI'] === undefined,
}, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let server: Host;

  before(async () => {
    lab = await Lab.create();
    [client, server] = await Promise.all([lab.pod('client'), lab.pod('server')]);
    await startNginx(server, { port: 8080 });
    mesh = meshOf(lab);
    // The server's own addresses: without the mesh, too, they lead to it, as kube-proxy's rules would.
    const addresses = [server.ip4, server.ip6] as const;
    mesh.write('service.yaml', service('web', { addresses, selector: { app: 'server' }, port: 8080 }));
    mesh.write('namespace.yaml', namespace('shop', false));
    mesh.write('pods.yaml', file(pod(client), pod(server)));
    await mesh.start();
  });
  after(() => lab?.close());

  for (const family of [4, 6] as const) {
    const turns = many(10, 100);
    test(`${turns} times, with one connection that stays and new ones all the time, IPv${family}`, async () => {
      const address = family === 4 ? server.ip4 : server.ip6;
      const cases = [{ from: 'server', path: '/', fields: ['host: web'] }];
      const start = (...flags: string[]) => {
        const command = httpLoadCommand(address, 8080, cases, ['--until-eof', '--connections', '1', ...flags]);
        return client.spawn(command, { holdInput: true });
      };
      mesh.write('namespace.yaml', namespace('shop', true));
      await mesh.settled();
      // Spliced: it keeps the programs at the pod's device while the pod is out.
      const kept = start('--rate', '200');
      const fresh = start('--new');
      for (let i = 0; i < turns; i++) {
        for (const enrolled of [false, true]) {
          mesh.write('namespace.yaml', namespace('shop', enrolled));
          await mesh.settled();
        }
      }
      for (const load of [kept, fresh]) {
        load.endInput();
        const { answers, errors, failed, connections } = await loadResult(load);
        assert.deepEqual([errors, failed], [{}, 0]);
        assert.deepEqual(Object.keys(answers), ['server']);
        assert.ok(load === kept ? connections === 1 : connections > turns * 20, String(connections));
      }
      const [full = ''] = await mesh.metric('kmesh_kernel_events_total{event="flow_full"}');
      assert.match(full, / 0$/);
    });
  }

  test('connections for which there is no room are refused at once, and counted; later ones find room again', async () => {
    mesh.write('namespace.yaml', namespace('shop', true));
    await mesh.daemon.kill('SIGTERM');
    await mesh.start(['--max-http-connections', '64']);
    await mesh.settled();
    const cases = [{ from: 'server', path: '/', fields: ['host: web'] }];
    const flags = ['--connections', '100', '--requests', '2000', '--rate', '1000'];
    const crowd = await httpLoad(client, server.ip4, 8080, cases, flags);
    assert.deepEqual(Object.keys(crowd.errors), ['ECONNREFUSED']);
    assert.deepEqual(Object.keys(crowd.answers), ['server']);
    const [full = ''] = await mesh.metric('kmesh_kernel_events_total{event="flow_full"}');
    assert.match(full, / [1-9]/);
    await forgotten(mesh);
    const few = await httpLoad(client, server.ip4, 8080, cases, ['--connections', '32', '--requests', '1000']);
    assert.deepEqual([few.errors, few.answers], [{}, { server: 1000 }]);
  });
});
