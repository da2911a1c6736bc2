/** Routes that change the heads of answers: what the client gets, over every kind of answer and on kept connections. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { badWire, singleSegments } from '../lab/bad-wire.ts';
import { ask, meshService, parent } from '../lab/gateway-mesh.ts';
import type { Host } from '../lab/host.ts';
import { forgotten, meshRoute, many as size, virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { pythonProgram } from '../lab/python.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const web = '10.96.0.10';
const web6 = 'fd00:10:96::10';
const common = { namespace: 'shop' } as const;
const both = (i: number) => ({
  clusterIP: `10.96.0.1${i}`,
  spec: { clusterIPs: [`10.96.0.1${i}`, `fd00:10:96::1${i}`] },
});
const to = (name: string, more = ''): string => `backendRefs: [{name: ${name}, port: 80${more}}]`;
const modify = (edits: string): string =>
  `filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {${edits}}}]`;

describe('heads of answers', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: readonly Host[];

  const use = async (rules: string): Promise<void> => {
    mesh.write('routes.yaml', meshRoute('shop', 'web', parent('web'), rules));
    await mesh.settled();
  };
  const get = (path: string, ...flags: readonly string[]) => ask(client, `http://${web}${path}`, ...flags);

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(['red', 'green'].map((name) => lab.pod(name)));
    await Promise.all(servers.map((server) => startWeb(server, { port: 8080 })));
    mesh = meshOf(lab);
    mesh.write(
      'mesh.yaml',
      file(
        namespace('shop', true),
        pod(client),
        ...servers.map((server) => pod(server, { app: 'web', color: server.name })),
        meshService({
          ...common,
          name: 'web',
          clusterIP: web,
          selector: { app: 'web' },
          spec: { clusterIPs: [web, web6] },
        }),
        meshService({ ...common, ...both(1), name: 'red', selector: { color: 'red' } }),
        meshService({ ...common, ...both(2), name: 'green', selector: { color: 'green' } }),
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

  test('by the rule and by the backend; not where another rule takes the request', async () => {
    await use(`
- matches: [{path: {value: /both}}]
  ${modify('set: [{name: X-Rule, value: r}], add: [{name: X-Both, value: rule}]')}
  ${to('red', `, ${modify('set: [{name: X-Backend, value: b}], add: [{name: X-Both, value: backend}]')}`)}
- ${to('green')}`);
    const both = await get('/both');
    const fields = ['x-rule', 'x-backend', 'x-both', 'x-server'].map((name) => both.headers.get(name));
    assert.deepEqual(fields, ['r', 'b', 'rule', 'red']);
    assert.match(both.head, /^x-both: backend\r?$/im);
    assert.equal((await get('/other')).headers.has('x-rule'), false);
  });

  test('a VirtualService says the same in its own words', async () => {
    const http = `
- match: [{uri: {prefix: /set}}]
  headers: {response: {set: {x-rule: "100%%"}}}
  route: [{destination: {host: red}, headers: {response: {remove: [x-server]}}}]
- route: [{destination: {host: red}}]`;
    mesh.write('routes.yaml', virtualService('web', http));
    await mesh.settled();
    const { headers } = await get('/set');
    assert.deepEqual([headers.get('x-rule'), headers.has('x-server')], ['100%', false]);
    const plain = await get('/plain');
    assert.deepEqual([plain.headers.has('x-rule'), plain.who], [false, 'red']);
  });

  test('interim answers stay as they are', async () => {
    await use(`- ${modify('set: [{name: X-Header-Set, value: set}]')}\n  ${to('red')}`);
    const text = await client.output([
      ...['curl', '-sS', '-v', '-m', '10', '-H', 'Expect: 100-continue', '-d', 'x'.repeat(3000)],
      ...['-o', '/dev/null', '-D', '-', `http://${web}/digest`],
    ]);
    const [interim = '', final = ''] = text.split(/\r\n\r\n/);
    assert.match(interim, /^HTTP\/1\.1 100 /);
    assert.doesNotMatch(interim, /X-Header-Set/i);
    assert.match(final, /^HTTP\/1\.1 200 [\s\S]*\r\nX-Header-Set: set/i);
  });

  interface Answers {
    readonly requests: number;
    readonly wrong: Readonly<Record<string, number>>;
    readonly servers: Readonly<Record<string, number>>;
  }
  const told = async (): Promise<number> => {
    const rows = await mesh.metric('istio_requests_total');
    return rows.reduce((sum, row) => sum + Number(row.slice(row.lastIndexOf(' '))), 0);
  };
  const many = async (address: string, requests: number, connections: number): Promise<void> => {
    const before = await told();
    const program = [...pythonProgram('clients/answers.py'), address, '80', String(requests), String(connections)];
    const text = await client.output(program, { timeoutMs: 100_000 * patience });
    const found = JSON.parse(text) as Answers;
    assert.deepEqual(found.wrong, {});
    assert.equal(found.requests, requests * connections);
    assert.deepEqual(Object.keys(found.servers).sort(), ['green', 'red']);
    // Those whose end nobody could see are told with the next request, or with the end of the connection.
    const counted = async () => (await told()) - before;
    const all = async () => (await counted()) >= requests * connections;
    await until('every request is counted', all, undefined, async () => String(await counted()));
    assert.equal(await counted(), requests * connections);
  };
  const edited = `- ${modify('set: [{name: X-Header-Set, value: set}], remove: [Date]')}
  backendRefs: [{name: red, port: 80}, {name: green, port: 80}]`;

  for (const [family, address] of [
    ['IPv4', web],
    ['IPv6', web6],
  ] as const) {
    test(`answers of every kind and size, of two servers on kept connections, ${family}`, async () => {
      await use(edited);
      await many(address, size(300, 5000), 4);
    });
  }

  for (const [what, faults, whose] of [
    ['3 % of the packets between client and node are lost', { loseIn: 0.03, loseOut: 0.03 }, () => [client]],
    ['3 % of the packets between node and servers are lost', { loseIn: 0.03, loseOut: 0.03 }, () => servers],
    ['one packet in five from the servers is overtaken by others', { late: 0.2 }, () => servers],
  ] as const) {
    test(`the same when ${what}`, async (t) => {
      await using stack = new AsyncDisposableStack();
      stack.use(await singleSegments([client, ...servers]));
      for (const host of whose()) {
        const wire = stack.use(await badWire(lab.node, host, faults));
        t.diagnostic(`by ${wire.means}`);
      }
      await use(edited);
      // Two packets at once on two CPUs, at the end of an answer: once in some thousands of requests.
      await many(web, 'late' in faults ? size(500, 8000) : size(60, 1000), 4);
    });
  }

  test('when all is done the kernel has forgotten every connection', async () => {
    await forgotten(mesh);
  });
});
