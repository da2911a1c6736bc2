/** Routes that change the heads of answers: what the client gets, over every kind of answer and on kept connections. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { ask, meshRoute, meshService, parent } from '../lab/gateway-mesh.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';

const test = requireRoot(nodeTest);
const web = '10.96.0.10';
const to = (name: string, more = ''): string => `backendRefs: [{name: ${name}, port: 80${more}}]`;
const modify = (edits: string): string =>
  `filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {${edits}}}]`;

describe('heads of answers', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;

  const use = async (rules: string): Promise<void> => {
    mesh.write('routes.yaml', meshRoute('shop', 'web', parent('web'), rules));
    await mesh.settled();
  };
  const get = (path: string, ...flags: readonly string[]) => ask(client, `http://${web}${path}`, ...flags);

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    const servers = await Promise.all(['red', 'green'].map((name) => lab.pod(name)));
    await Promise.all(servers.map((server) => startWeb(server, { port: 8080 })));
    mesh = meshOf(lab);
    mesh.write(
      'mesh.yaml',
      file(
        namespace('shop', true),
        pod(client),
        ...servers.map((server) => pod(server, { app: 'web', color: server.name })),
        meshService({ namespace: 'shop', name: 'web', clusterIP: web, selector: { app: 'web' } }),
        meshService({ namespace: 'shop', name: 'red', clusterIP: '10.96.0.11', selector: { color: 'red' } }),
        meshService({ namespace: 'shop', name: 'green', clusterIP: '10.96.0.12', selector: { color: 'green' } }),
      ),
    );
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('set, add and remove', async () => {
    await use(`
- matches: [{path: {value: /echo/set}}]
  ${modify('set: [{name: X-Header-Set, value: set}]')}
  ${to('red')}
- matches: [{path: {value: /echo/replace}}]
  ${modify('set: [{name: X-Server, value: nobody}], add: [{name: X-More, value: "1"}]')}
  ${to('red')}
- matches: [{path: {value: /echo/remove}}]
  ${modify('remove: [X-SERVER, Date]')}
  ${to('red')}
- ${to('red')}`);
    const plain = await get('/echo/plain');
    assert.deepEqual([plain.status, plain.headers.get('x-header-set'), plain.who], [200, undefined, 'red']);
    const set = await get('/echo/set');
    assert.deepEqual([set.status, set.headers.get('x-header-set'), set.who], [200, 'set', 'red']);
    assert.equal(JSON.parse(set.body).path, '/echo/set');
    const replaced = await get('/echo/replace');
    assert.deepEqual([replaced.who, replaced.headers.get('x-more')], ['nobody', '1']);
    const removed = await get('/echo/remove');
    assert.deepEqual([removed.headers.has('x-server'), removed.headers.has('date')], [false, false]);
    assert.equal(JSON.parse(removed.body).path, '/echo/remove');
  });
});
