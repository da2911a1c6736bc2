import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { problemLine } from '../../../model/types.ts';
import { noDns } from '../source-testing.ts';
import { LocalXdsSource } from './source.ts';

const text = `
workloads:
- uid: cluster1//v1/Pod/default/local
  name: local
  namespace: default
  serviceAccount: default
  workloadIps: ["127.0.0.1"]
  protocol: HBONE
  node: local
  network: ""
  services:
    "default/example.com":
      80: 8080
    "default/example2.com":
      80: 8080
- uid: cluster1//v1/Pod/default/remote
  name: remote
  namespace: default
  serviceAccount: default
  workloadIps: ["127.0.0.6", "::7"]
  status: Unhealthy
  waypoint: {destination: default/wp.example.com}
  locality: {region: r, zone: z}
  services: {"default/example.com": {80: 9090}}
policies:
- action: Deny
  name: deny-9999
  namespace: default
  rules: [[[{notDestinationPorts: [9999], namespaces: [{Exact: a}], sourceIps: [10.0.0.0/8]}]]]
  scope: Namespace
services:
- name: local
  namespace: default
  hostname: example.com
  vips: [/127.10.0.1]
  ports: {80: 8080}
  subjectAltNames: [spiffe://cluster.local/ns/default/sa/local]
- name: local2
  namespace: default
  hostname: example2.com
  vips: ["remote/127.10.0.2"]
  ports: {80: 8080}
  loadBalancer: {routingPreferences: [Network], mode: Strict}
`;

function sourceOf(config: string): LocalXdsSource {
  const source = new LocalXdsSource({
    from: { text: config },
    network: '',
    node: 'local',
    clusterId: 'cluster1',
    ...noDns,
    onChange: () => undefined,
  });
  source.start();
  return source;
}

test('ztunnel’s LocalConfig, as it is', () => {
  const source = sourceOf(text);
  assert.equal(source.status().error, null);
  const service = source.mesh.services.get('default/example.com');
  assert.deepEqual(service?.addresses, ['127.10.0.1']);
  assert.deepEqual(
    service.ports.map(({ port, endpoints, unready }) => [
      port,
      endpoints.map((e) => `${e.address}:${e.port}`),
      unready,
    ]),
    [[80, ['127.0.0.1:8080'], 1]],
  );
  assert.deepEqual(source.mesh.services.get('default/example2.com')?.addresses, [], 'it is of another network');
  const remote = source.mesh.workloads.get('cluster1//v1/Pod/default/remote');
  assert.deepEqual(remote?.addresses, ['127.0.0.6', '::7']);
  assert.equal(remote?.waypoint, 'default/wp.example.com');
  assert.deepEqual(source.problems().map(problemLine), [
    'Authorization default/deny-9999 $LOCAL_XDS: the policy (DENY) is not enforced: the mesh has no authorization yet, connections are let through',
  ]);
});

const wrong: readonly (readonly [string, string, RegExp])[] = [
  [
    'an unknown field',
    'services: [{name: a, namespace: b, hostname: c, vip: x}]',
    /\$LOCAL_XDS:1 services\[0\]\.vip: unknown field/,
  ],
  [
    'no address',
    'workloads:\n- {uid: a, workloadIps: [x]}',
    /\$LOCAL_XDS:2 workloads\[0\]\.workloadIps\[0\]: "x" is no IP/,
  ],
  ['no uid', 'workloads: [{name: a}]', /LocalConfig a .*workloads\[0\]\.uid: missing/],
  ['a bad port', 'services: [{name: a, namespace: b, hostname: c, ports: {x: 1}}]', /ports\.x: must be a port/],
  [
    'an unknown mode',
    'services: [{name: a, namespace: b, hostname: c, loadBalancer: {mode: Maybe}}]',
    /mode: must be one of/,
  ],
  ['a list for a map', 'services: [[]]', /services\[0\]: must be a map/],
  ['one thing twice', 'workloads: [{uid: a}, {uid: a}]', /LocalConfig a .*it is there twice/],
];
for (const [what, config, line] of wrong) {
  test(`refused alone, with line and field: ${what}`, () => {
    assert.match(sourceOf(config).problems().map(problemLine).join('\n'), line);
  });
}

test('a file that cannot be read leaves what was in force; a file that changes is read again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'local-xds-'));
  const path = join(directory, 'local.yaml');
  const write = (content: string): void => {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  };
  write(text);
  let told: () => void = () => undefined;
  const source = new LocalXdsSource({
    from: { path },
    network: '',
    node: '',
    clusterId: '',
    ...noDns,
    onChange: () => told(),
  });
  const change = (): Promise<void> =>
    new Promise((resolve) => {
      told = resolve;
    });
  source.start();
  assert.equal(source.mesh.services.size, 2);
  const changed = change();
  write(text.replace('hostname: example2.com', 'hostname: example3.com'));
  await changed;
  assert.deepEqual([...source.mesh.services.keys()], ['default/example.com', 'default/example3.com']);
  source.close();
  rmSync(directory, { recursive: true });
  const broken = sourceOf('services: [');
  assert.match(broken.status().error ?? '', /KM1002 line 1/);
});
