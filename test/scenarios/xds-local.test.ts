/** ztunnel's LocalConfig file as the source of services, and what comes first when files say something else. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import { manyConnections } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';
import { until } from '../lab/sockets.ts';

const test = requireRoot(nodeTest);
const names = ['red', 'green', 'blue'] as const;
const vip = '10.96.0.10';

describe('LocalConfig', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  let servers: Host[];

  const write = (hosts: readonly Host[]): void => {
    const workloads = hosts.map(
      ({ name, ip4 }) => `
- uid: cluster1//v1/Pod/shop/${name}
  name: ${name}
  namespace: shop
  serviceAccount: default
  workloadIps: [${ip4}]
  services: {"shop/web.example.com": {80: 8080}}`,
    );
    const service = `
- {name: web, namespace: shop, hostname: web.example.com, vips: ["/${vip}"], ports: {80: 8080}}`;
    const path = join(lab.directory, 'local.yaml');
    writeFileSync(`${path}.new`, `workloads:${workloads.join('')}\nservices:${service}\n`);
    renameSync(`${path}.new`, path);
  };
  const becomes = async (wanted: readonly string[]): Promise<void> => {
    let said = '';
    const same = async () => {
      said = Object.keys((await manyConnections(client, [vip, '80', '60'])).answers)
        .sort()
        .join();
      return said === [...wanted].sort().join();
    };
    await until(`${wanted.join()} answer`, same, 10_000, async () => `${said}\n${mesh.daemon.stderr}`);
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    servers = await Promise.all(names.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
    write(servers);
    mesh = meshOf(lab);
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client)));
    await mesh.start(['--local-xds', join(lab.directory, 'local.yaml')]);
    await mesh.settled();
  });
  after(() => lab?.close());

  test('its services are balanced, and follow the file', async () => {
    await becomes(names);
    write(servers.slice(1));
    await becomes(['green', 'blue']);
  });

  test('an object of the directory comes first on an address, and the file has it back afterwards', async () => {
    const [red] = servers;
    assert.ok(red);
    mesh.write('mine.yaml', entry('mine', { addresses: [vip], endpoints: [{ address: red.ip4 }] }));
    await becomes(['red']);
    const told = async () =>
      (await mesh.status()).problems.some(({ code, name }) => code === 'KM2001' && name === 'web');
    await until('the conflict is told', told);
    mesh.write('mine.yaml', null);
    await becomes(['green', 'blue']);
  });

  test('ztunnel’s config dump', async () => {
    const text = await lab.node.output(['curl', '-sS', '-m', '5', 'http://127.0.0.1:15200/config_dump']);
    const dump = JSON.parse(text) as { services: { hostname: string; vips: string[]; endpoints: object }[] };
    assert.deepEqual(
      dump.services.map(({ hostname, vips, endpoints }) => [hostname, vips, Object.keys(endpoints).length]),
      [['web.example.com', [`/${vip}`], 2]],
    );
  });
});
