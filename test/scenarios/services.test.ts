/** Services as a cluster has them: which pods of which node get the connections, by the word of its EndpointSlices. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { manyConnections } from '../lab/clients.ts';
import { meshService } from '../lab/gateway-mesh.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startHttp } from '../lab/servers.ts';

const test = requireRoot(nodeTest);
const names = ['red', 'green', 'blue'] as const;
const web = '10.96.0.10';

type EndpointText = readonly [i: number, rest: string];

describe('services of a cluster', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: readonly Host[];

  const service = (name: string, clusterIP: string, spec: Readonly<Record<string, unknown>> = {}): string =>
    meshService({ namespace: 'shop', name, clusterIP, selector: { app: 'web' }, spec });
  /** `rest`: further fields of the endpoint, as YAML in braces. */
  const slice = (...endpoints: readonly EndpointText[]): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-a, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: http-alt, port: 8081}, {name: tcp, port: 8080}]
endpoints:
${endpoints.map(([i, rest]) => `- {addresses: [${servers[i]?.ip4}]${rest === '' ? '' : `, ${rest}`}}\n`).join('')}`;
  const use = async (...documents: readonly string[]): Promise<void> => {
    mesh.write('services.yaml', file(...documents));
    await mesh.settled();
  };
  /** Who answers, and whether nobody does. */
  const who = async (address = web, port = 80): Promise<string> => {
    const { answers, failures } = await manyConnections(client, [address, String(port), '60']);
    return failures === 60 ? 'nobody' : [...Object.keys(answers).sort(), ...(failures > 0 ? ['failures'] : [])].join();
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((server) => startHttp(server, { port: 8080 })));
    await Promise.all(servers.map((server) => startHttp(server, { port: 8081, name: `${server.name}-alt` })));
    mesh = meshOf(lab);
    const node = `
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: a}}
`;
    const pods = servers.map((server) => pod(server, { app: 'web' }));
    mesh.write('mesh.yaml', file(namespace('shop', true), node, pod(client), ...pods));
    await mesh.start(['--node-name', 'n1']);
    await mesh.settled();
  });
  after(() => lab?.close());

  test('several ports, by number and by the name of a container port', async () => {
    await use(service('web', web));
    assert.equal(await who(), 'blue,green,red');
    await use(service('web', web), slice([0, ''], [1, '']));
    assert.deepEqual([await who(web, 80), await who(web, 8080)], ['green,red', 'green-alt,red-alt']);
    assert.equal(await who(web, 9090), 'green,red');
  });

  test('hints: the zone of the node, as its Node says it; the node itself before it', async () => {
    const zone = (name: string): string => `hints: {forZones: [{name: ${name}}]}`;
    const near = service('web', web, { trafficDistribution: 'PreferClose' });
    await use(near, slice([0, zone('a')], [1, zone('b')], [2, zone('a')]));
    assert.equal(await who(), 'blue,red');
    await use(near, slice([0, zone('b')], [1, zone('b')], [2, zone('c')]));
    assert.equal(await who(), 'blue,green,red', 'none is meant for zone a');
    const node = (name: string): string => `hints: {forZones: [{name: a}], forNodes: [{name: ${name}}]}`;
    const same = service('web', web, { trafficDistribution: 'PreferSameNode' });
    await use(same, slice([0, node('n2')], [1, node('n1')], [2, node('n3')]));
    assert.equal(await who(), 'green');
  });

  test('internalTrafficPolicy Local: pods of the node, or refused', async () => {
    const local = service('web', web, { internalTrafficPolicy: 'Local' });
    await use(local, slice([0, 'nodeName: n1'], [1, 'nodeName: n2']));
    assert.equal(await who(), 'red');
    await use(local, slice([0, 'nodeName: n3'], [1, 'nodeName: n2']));
    assert.equal(await who(), 'nobody');
  });

  test('not ready ones are not used; those that end while they still serve are, when no other is left', async () => {
    const conditions = (text: string): string => `conditions: {${text}}`;
    const ending = conditions('ready: false, serving: true, terminating: true');
    await use(service('web', web), slice([0, ending], [1, ''], [2, conditions('ready: false')]));
    assert.equal(await who(), 'green');
    await use(service('web', web), slice([0, ending], [2, conditions('ready: false')]));
    assert.equal(await who(), 'red');
    await use(service('web', web), slice([2, conditions('ready: false')]));
    assert.equal(await who(), 'nobody');
  });

  test('headless: the pods’ own addresses are left alone', async () => {
    await use(service('web', 'None'));
    assert.equal(await who(servers[1]?.ip4, 8080), 'green');
    assert.deepEqual(await mesh.get('listeners'), []);
  });

  test('sessionAffinity ClientIP keeps a client', async () => {
    await use(service('web', web, { sessionAffinity: 'ClientIP' }));
    const first = await who(web, 9090);
    assert.ok(
      names.some((name) => name === first),
      first,
    );
    assert.equal(await who(web, 9090), first);
  });

  test('ExternalName is said plainly and does nothing', async () => {
    await use(
      service('web', web),
      '\napiVersion: v1\nkind: Service\nmetadata: {name: out, namespace: shop}\nspec: {type: ExternalName, externalName: example.com}\n',
    );
    const { problems } = await mesh.status();
    assert.deepEqual(
      problems.map(({ severity, name, reason }) => `${severity} ${name} ${reason}`),
      ['warning out an ExternalName service is only a DNS alias: the mesh does nothing for it'],
    );
    assert.equal((await mesh.get('services')).length, 1);
  });
});
