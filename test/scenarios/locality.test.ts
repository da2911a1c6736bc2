/** Endpoints near the node come first; others take over as far as those are not ready. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { destination, many, service } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startHttp } from '../lab/servers.ts';

const test = requireRoot(nodeTest);

const places = { near: 'us.a', zone: 'us.b', region: 'eu.a' } as const;
const names = Object.keys(places) as readonly (keyof typeof places)[];
const rule = (setting: string) => destination('shop', [], `{loadBalancer: {localityLbSetting: ${setting}}}`);

describe('locality', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: readonly Host[];

  const pods = (...away: readonly string[]): string =>
    file(
      ...servers.map((server, i) => {
        const place = places[names[i] ?? 'near'];
        const ready = away.includes(server.name) ? 'False' : 'True';
        const status = `status: {phase: Running, podIPs: [{ip: ${server.ip4}}, {ip: "${server.ip6}"}], conditions: [{type: Ready, status: "${ready}"}]}\n`;
        return pod(server, { app: 'shop', 'istio-locality': place }) + status;
      }),
    );
  /** Shares in per cent of who answers at an address, in the order of the places. */
  const shares = async (address: string, count = many(1000, 5000)): Promise<number[]> => {
    const { answers, failures } = await manyConnections(client, [address, '80', String(count)]);
    assert.equal(failures, 0);
    return servers.map(({ name }) => (100 * (answers[name] ?? 0)) / count);
  };
  const near = (found: readonly number[], wanted: readonly number[]): void => {
    const close = found.every((share, i) => Math.abs(share - (wanted[i] ?? 0)) <= (wanted[i] === 0 ? 0 : 8));
    assert.ok(close, `${found.join(' ')} instead of ${wanted.join(' ')}`);
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((server) => startHttp(server, { port: 8080 })));
    mesh = meshOf(lab);
    const shop = service('shop', { addresses: ['10.96.0.10', 'fd00:10:96::10'], selector: { app: 'shop' } });
    mesh.write('shop.yaml', file(namespace('shop', true), pod(client), shop));
    mesh.write('pods.yaml', pods());
    await mesh.start(['--locality', 'us/a']);
    await mesh.settled();
  });
  after(() => lab?.close());

  test('without a rule places do not matter', async () => {
    near(await shares('10.96.0.10'), [33.3, 33.3, 33.3]);
  });

  test('fail-over: the zone, then the region, then another region; and back', async () => {
    mesh.write('rule.yaml', rule('{}'));
    for (const [away, wanted] of [
      [[], [100, 0, 0]],
      [['near'], [0, 100, 0]],
      [
        ['near', 'zone'],
        [0, 0, 100],
      ],
      [['zone'], [100, 0, 0]],
    ] as const) {
      mesh.write('pods.yaml', pods(...away));
      await mesh.settled();
      for (const address of ['10.96.0.10', 'fd00:10:96::10']) near(await shares(address, many(200, 1000)), wanted);
    }
    mesh.write('pods.yaml', pods());
    await mesh.settled();
  });

  test('distribution by weights', async () => {
    mesh.write('rule.yaml', rule('{distribute: [{from: us/*, to: {us/a/*: 70, eu/*: 30}}]}'));
    await mesh.settled();
    near(await shares('10.96.0.10'), [70, 0, 30]);
  });

  test('places of a ServiceEntry’s endpoints, on a TCP port', async () => {
    const endpoints = servers.map(({ ip4 }, i) => ({ address: ip4, locality: ['eu/a', 'us/a', 'us/b'][i] ?? '' }));
    mesh.write('entry.yaml', entry('db', { addresses: ['240.0.0.1'], endpoints }));
    const distribution = `{loadBalancer: {localityLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}}`;
    mesh.write('db-rule.yaml', destination('db.example', [], distribution));
    await mesh.settled();
    near(await shares('240.0.0.1'), [50, 50, 0]);
  });
});
