/** The real istiod is asked for no more than what this machine's pods have to do with. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ServiceItem } from '../../src/api/types.ts';
import { manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Istiod, istiodMissing } from '../lab/istiod.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const names = ['red', 'green'] as const;
const root = process.getuid?.() === 0;
const skip = root ? (istiodMissing() ?? false) : 'not root';
const vip = (i: number): string => `10.96.0.${10 + i}`;

const object = (kind: string, name: string, rest: object): string =>
  JSON.stringify({ apiVersion: 'v1', kind, metadata: { name, namespace: 'shop', labels: { app: 'web' } }, ...rest });

describe('the real istiod, on demand', { skip }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let istiod: Istiod;
  let client: Host;
  let servers: Host[];

  const objects = (hosts: readonly Host[]): void => {
    const services = Array.from({ length: 20 }, (_, i) =>
      object('Service', `web-${i}`, {
        spec: {
          clusterIP: vip(i),
          clusterIPs: [vip(i)],
          selector: { app: 'web' },
          ports: [{ port: 80, targetPort: 8080 }],
        },
      }),
    );
    const pods = hosts.map(({ name, ip4 }) =>
      object('Pod', name, {
        spec: { serviceAccountName: 'web', containers: [{ name: 'c', image: 'x' }] },
        status: {
          ...{ phase: 'Running', podIP: ip4, podIPs: [{ ip: ip4 }] },
          conditions: [{ type: 'Ready', status: 'True' }],
        },
      }),
    );
    istiod.write(
      'shop.yaml',
      [namespace('istio-system', false), namespace('shop', false), ...services, ...pods].join('\n---\n'),
    );
  };
  const answerers = async (i: number): Promise<string> => {
    const { answers } = await manyConnections(client, [vip(i), '80', '60']);
    return Object.keys(answers).sort().join();
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
    istiod = new Istiod(lab);
    objects(servers);
    await istiod.start();
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
    await mesh.start(['--mesh-controller', istiod.address], undefined, { XDS_ON_DEMAND: 'true' });
    await mesh.settled();
  });
  after(() => lab?.close());

  test('nothing is known before somebody asks for it', async () => {
    assert.deepEqual(await mesh.get('services'), []);
  });

  test('an address that a pod connects to is asked for, and served from then on', async () => {
    await until('it is served', async () => (await answerers(3)) === 'green,red', 10_000 * patience);
    const known = await mesh.get<ServiceItem>('services');
    assert.deepEqual(
      known.filter(({ addresses }) => addresses.includes(vip(3))).map(({ name }) => name),
      ['web-3'],
    );
    // Pods of it are of the others too, so these may be told of; what is not asked for by a pod stays unknown.
    assert.ok(known.length < 20, `${known.length} services`);
  });

  test('it is followed, also over a new stream', async () => {
    const [red] = servers;
    assert.ok(red);
    objects([red]);
    await until('one is gone', async () => (await answerers(3)) === 'red', 10_000 * patience);
    await istiod.stop();
    objects(servers);
    await istiod.start();
    await until('it is back', async () => (await answerers(3)) === 'green,red', 20_000 * patience);
    await mesh.settled();
  });
});
