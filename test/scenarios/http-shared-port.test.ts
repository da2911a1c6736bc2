/** HTTP ServiceEntries without addresses: one port on every address, told apart by host. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { Host } from '../lab/host.ts';
import { virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { startNginx } from '../lab/nginx.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);

const addresses = ['192.0.2.7', '198.51.100.1', '[2001:db8::7]'] as const;

describe('HTTP on every address', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: readonly Host[];

  const entry = (i: number, hosts: readonly string[]): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: entry-${i}, namespace: shop}
spec:
  hosts: ${JSON.stringify(hosts)}
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: ${servers[i]?.ip4 ?? ''}}, {address: "${servers[i]?.ip6 ?? ''}"}]
`;
  const get = async (address: string, host: string, path = '/'): Promise<string> =>
    (
      await client.output(
        ['curl', '-sS', '-m', '5', '-w', '%{http_code}\n', '-H', `Host: ${host}`, `http://${address}${path}`],
        { timeoutMs: 20_000 },
      )
    ).replaceAll('\n', ' ');

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(['red', 'green'].map((name) => lab.pod(name)));
    await Promise.all(servers.map((server) => startNginx(server, { port: 8080 })));
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
    mesh.write('0.yaml', entry(0, ['red.example']));
    mesh.write('1.yaml', entry(1, ['green.example', '*.green.example']));
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('the host says which service is meant, whatever the address', async () => {
    for (const address of addresses) {
      assert.equal(await get(address, 'red.example'), 'red 200 ');
      assert.equal(await get(address, 'red.example:80'), 'red 200 ');
      assert.equal(await get(address, 'GREEN.example'), 'green 200 ');
      assert.equal(await get(address, 'a.b.green.example'), 'green 200 ');
      assert.match(await get(address, 'other.example'), /404 $/);
    }
  });

  test('one connection serves both', async () => {
    const url = `http://${addresses[0]}/`;
    const one = ['-H', 'Host: red.example', url, '--next', '-sS', '-H', 'Host: green.example', url];
    const connects = ['-w', '%{num_connects}\n'];
    assert.equal(await client.output(['curl', '-sS', ...connects, ...one, ...connects]), 'red\n1\ngreen\n0\n');
  });

  test('routes of one host are its own; the first entry goes and the other stays', async () => {
    const gone =
      '- match: [{uri: {prefix: /gone}}]\n  directResponse: {status: 410}\n- route: [{destination: {host: red.example}}]';
    mesh.write('routes.yaml', virtualService('green.example', gone));
    await mesh.settled();
    assert.match(await get(addresses[0], 'green.example', '/gone'), /410 $/);
    assert.equal(await get(addresses[0], 'green.example'), 'red 200 ');
    assert.equal(await get(addresses[0], 'red.example', '/gone'), 'red 200 ');
    mesh.write('routes.yaml', null);
    mesh.write('0.yaml', null);
    await mesh.settled();
    for (const address of addresses) {
      assert.equal(await get(address, 'green.example'), 'green 200 ');
      assert.match(await get(address, 'red.example'), /404 $/);
    }
    const { stdout } = await mesh.ctl('explain', '--from', 'shop/client', '--to', 'http://green.example/');
    assert.match(stdout, /^Listener: +0\.0\.0\.0:80, http$/m);
    assert.match(stdout, /^Host: +green\.example:80$/m);
  });
});
