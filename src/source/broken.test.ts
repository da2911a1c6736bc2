import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceText, setUp } from './testing.ts';

const fixtures = join(import.meta.dirname, 'broken');
const good = serviceText('good', '10.96.0.1');
const goodKey = 'shop/good.shop.svc.cluster.local';

/**
 * Every file of `broken/`, and all problems that it gives, to the letter. The files end in `.txt` so that no editor and no
 * formatter mends them.
 */
const expected: Readonly<Record<string, readonly string[]>> = {
  'address-clash': [
    'KM2001 Service shop/shop address-clash.yaml:21 spec.ports[0].port: 10.96.0.10:80/TCP belongs to Service shop/web (address-clash.yaml:1): not served here',
  ],
  'affinity-timeout': [
    'KM1009 Service shop/web affinity-timeout.yaml:14 spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be a number from 1 to 86400, not 100000',
  ],
  'alias-of-itself': [
    'KM1015 Service shop/web alias-of-itself.yaml:12: its aliases stand for more than 1000000 values, or for themselves',
  ],
  'bad-indentation': ['KM1004 Service shop/web bad-indentation.yaml:11: bad indentation of a sequence entry'],
  'bad-ip': ['KM1009 Service shop/web bad-ip.yaml:7 spec.clusterIP: must be an IP address, not "10.96.0.300"'],
  'bad-name': [
    'KM1009 Service shop/Web_1 bad-name.yaml:4 metadata.name: must be lower-case letters, digits and \'-\', with a letter or digit at both ends: "Web_1"',
  ],
  'bad-namespace': [
    'KM1009 Service the shop/web bad-namespace.yaml:5 metadata.namespace: must be lower-case letters, digits and \'-\', with a letter or digit at both ends: "the shop"',
  ],
  'billion-laughs': [
    'KM1015 Document 1 billion-laughs.yaml:3: its aliases stand for more than 1000000 values, or for themselves',
  ],
  'duplicate-key': ['KM1004 Service shop/web duplicate-key.yaml:8: duplicated mapping key'],
  'duplicate-object': [
    'KM1013 Service shop/web duplicate-object.yaml:13 metadata.name: duplicate-object.yaml:1 has an object of the same name, which is in force',
  ],
  'duplicate-port': ['KM1009 Service shop/web duplicate-port.yaml:12 spec.ports[1].port: 80/TCP is there twice'],
  'duplicate-port-name': [
    'KM1009 Service shop/web duplicate-port-name.yaml:11 spec.ports[1].name: "http" is there twice',
  ],
  'empty-document': [
    'KM1009 Service shop/web empty-document.yaml:17 spec.ports[0].port: must be a number from 1 to 65535, not "eighty"',
  ],
  'external-name': [
    'KM1014 Service shop/web external-name.yaml:7 spec.type: an ExternalName service is only a DNS alias: the mesh does nothing for it',
  ],
  'fqdn-slice': [
    'KM1011 EndpointSlice shop/web-1 fqdn-slice.yaml:8 addressType: FQDN is not supported, only IPv4 and IPv6',
  ],
  'headless-affinity': [
    'KM1009 Service shop/web headless-affinity.yaml:11 spec.sessionAffinity: ClientIP needs a cluster IP: a headless service balances nothing',
  ],
  'huge-port': [
    'KM1009 Service shop/web huge-port.yaml:10 spec.ports[0].port: must be a number from 1 to 65535, not 70000',
  ],
  'ipv6-zone': [
    'KM1009 Service shop/web ipv6-zone.yaml:7 spec.clusterIP: must be an IP address without a zone, not "fe80::1%eth0"',
  ],
  'list-instead-of-map': [
    'KM1005 Document 1 list-instead-of-map.yaml:1: must be a map with apiVersion, kind and metadata, not a list',
  ],
  'list-item': [
    'KM1009 Service shop/api list-item.yaml:21 spec.ports[0].port: must be a number from 1 to 65535, not "80"',
    'KM1005 Document 1 item 3 list-item.yaml:22: must be a map with apiVersion, kind and metadata, not "just text"',
  ],
  'long-target-port': [
    'KM1009 Service shop/web long-target-port.yaml:11 spec.ports[0].targetPort: must have at most 15 characters, not 21: "a-very-long-port-name"',
  ],
  'middle-document': [
    'KM1004 Service shop/api middle-document.yaml:17: deficient indentation',
    'KM1009 Service shop/last middle-document.yaml:28 spec.ports[0].port: must be a number from 1 to 65535, not 99999',
  ],
  'missing-api-version': [
    'KM1006 Service shop/web missing-api-version.yaml:1 apiVersion: must be v1 for a Service, is missing',
  ],
  'missing-kind': ['KM1005 Document 1 missing-kind.yaml:1 kind: must name the kind of the object'],
  'missing-name': ['KM1010 Service shop/(no name) missing-name.yaml:3 metadata.name: is missing'],
  'missing-port': ['KM1010 Service shop/web missing-port.yaml:9 spec.ports[0].port: is missing'],
  'no-cluster-ip': [
    'KM1010 Service shop/web no-cluster-ip.yaml:6 spec.clusterIP: no address yet: without an API server that picks one, write one (or None)',
  ],
  'numeric-label': [
    'KM1009 Service shop/web numeric-label.yaml:7 metadata.labels.version: must be a string, not 1 (quote it)',
  ],
  'orphan-slice': [
    'KM2006 EndpointSlice shop/lost-1 orphan-slice.yaml:7 metadata.labels["kubernetes.io/service-name"]: there is no Service shop/lost',
  ],
  'other-kinds': [
    'KM1008 ConfigMap a other-kinds.yaml:2 kind: not a mesh object (v1), ignored (and 1 more like it)',
    'KM1007 Sidecar shop/reviews other-kinds.yaml:13 kind: not supported yet',
  ],
  pod: [
    'KM1009 Pod shop/web-1 pod.yaml:7 spec.hostNetwork: must be true or false, not "yes"',
    'KM1009 Pod shop/web-1 pod.yaml:11 spec.containers[0].ports[0].name: must have at most 15 characters, not 23',
    'KM1009 Pod shop/web-1 pod.yaml:15 status.podIPs[0].ip: must be an IP address, not "10.0.0"',
    'KM1009 Pod shop/web-1 pod.yaml:16 status.phase: must be Pending, Running, Succeeded, Failed or Unknown, not "Ready"',
  ],
  'quoted-port': [
    'KM1009 Service shop/web quoted-port.yaml:10 spec.ports[0].port: must be a number from 1 to 65535, not "80"',
  ],
  'rule-without-service': [
    'KM2005 DestinationRule shop/lost rule-without-service.yaml:7 spec.host: there is no service lost.shop.svc.cluster.local',
  ],
  sctp: ['KM1011 Service shop/web sctp.yaml:11 spec.ports[0].protocol: SCTP is not supported, only TCP and UDP'],
  'service-entry': [
    'KM1011 ServiceEntry default/dns service-entry.yaml:7 spec.addresses[0]: a block of addresses is not supported: list the addresses',
    'KM1009 ServiceEntry default/dns service-entry.yaml:11 spec.ports[0].protocol: must be one of TCP, UDP, HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TLS, MONGO, MYSQL, REDIS, not "POSTGRES"',
    'KM1011 ServiceEntry default/dns service-entry.yaml:12 spec.resolution: DNS is not supported: use STATIC and list the addresses',
    'KM1011 ServiceEntry default/none service-entry.yaml:18 spec.resolution: NONE (the default) is not supported: use STATIC and list the endpoints',
    'KM1009 ServiceEntry default/none service-entry.yaml:19 spec.hosts[0]: must name a host; * alone is not supported: "*"',
    'KM1009 ServiceEntry default/none service-entry.yaml:24 spec.endpoints[0].address: must be an IP address, not "backend.example"',
    'KM1009 ServiceEntry default/none service-entry.yaml:25 spec.endpoints[0].weight: must be a number from 0 to 4294967295, not -1',
    'KM1011 ServiceEntry default/none service-entry.yaml:26 spec.endpoints[0].network: not supported: there are no gateways to other networks',
  ],
  slice: [
    'KM1009 EndpointSlice shop/web-1 slice.yaml:15 endpoints[1].addresses[0]: must be IPv4, as addressType says, not "fd00::1"',
    'KM1009 EndpointSlice shop/web-1 slice.yaml:16 endpoints[2].addresses[0]: must be a usable address, not "0.0.0.0"',
    'KM1009 EndpointSlice shop/web-1 slice.yaml:18 endpoints[3].conditions.ready: must be true or false, not "yes please"',
  ],
  'spec-is-a-list': ['KM1009 Service shop/web spec-is-a-list.yaml:6 spec: must be a map, not a list'],
  'tab-indentation': ['KM1004 Document 1 tab-indentation.yaml:4: tab characters must not be used in indentation'],
  'target-port-name': [
    'KM2002 Service shop/web target-port-name.yaml:13 spec.ports[0].targetPort: none of the selected pods has a container port named "web"',
  ],
  'two-addresses-one-family': [
    'KM1009 Service shop/web two-addresses-one-family.yaml:9 spec.clusterIPs[1]: at most one address a family',
  ],
  'unclosed-quote': ['KM1004 Service shop/web unclosed-quote.yaml:10: deficient indentation'],
  'unknown-affinity': [
    'KM1009 Service shop/web unknown-affinity.yaml:11 spec.sessionAffinity: must be None or ClientIP, not "Cookie"',
  ],
  'unknown-field': [
    'KM1012 Service shop/web unknown-field.yaml:11 spec.ports[0].prot: unknown field, ignored',
    'KM1012 Service shop/web unknown-field.yaml:12 spec.selektor: unknown field, ignored',
  ],
  'unknown-protocol': [
    'KM1009 Service shop/web unknown-protocol.yaml:11 spec.ports[0].protocol: must be TCP, UDP or SCTP, not "QUIC"',
  ],
  'unknown-tag': ['KM1004 Service shop/web unknown-tag.yaml:10: unknown scalar tag !<!port>'],
  'unnamed-port': [
    'KM1010 Service shop/web unnamed-port.yaml:11 spec.ports[1].name: is missing: every port needs a name when there are several',
  ],
  'unsupported-field': [
    'KM1009 Service shop/web unsupported-field.yaml:11 spec.internalTrafficPolicy: must be Cluster or Local, not "Near"',
    'KM1009 Service shop/web unsupported-field.yaml:12 spec.trafficDistribution: must be PreferClose, PreferSameZone or PreferSameNode, not "PreferFar"',
    'KM1011 Service shop/web unsupported-field.yaml:13 spec.topologyKeys: not supported: endpoints are not preferred by zone or node',
  ],
  'workload-entry': [
    'KM1009 WorkloadEntry default/vm-1 workload-entry.yaml:6 spec.address: must be an IP address, not "10.0.0.1/32"',
    'KM1009 WorkloadEntry default/vm-1 workload-entry.yaml:8 spec.ports.http: must be a number from 1 to 65535, not 0',
  ],
  'wrong-api-version': [
    'KM1006 Service shop/web wrong-api-version.yaml:1 apiVersion: must be v1 for a Service, not "v2"',
  ],
  'zero-port': [
    'KM1009 Service shop/web zero-port.yaml:10 spec.ports[0].port: must be a number from 1 to 65535, not 0',
  ],
};

test('every broken file has its expectation', () => {
  const files = readdirSync(fixtures).filter((name) => name.endsWith('.yaml.txt'));
  const names = files.map((name) => name.replace(/\.yaml\.txt$/, ''));
  assert.deepEqual(names.sort(), Object.keys(expected).sort());
  assert.ok(names.length >= 25);
});

for (const [name, lines] of Object.entries(expected)) {
  test(`broken/${name}: the right lines, and another file is served all the same`, (t) => {
    const bytes = readFileSync(join(fixtures, `${name}.yaml.txt`));
    const { problems, model } = setUp(t, { [`${name}.yaml`]: bytes, 'good.yaml': good });
    assert.deepEqual(problems(), lines);
    assert.ok(model.mesh.services.has(goodKey));
  });
}

/** Files that cannot well be kept as text files. */
const generated: Readonly<Record<string, { file: string; bytes: string | Buffer; lines: readonly string[] }>> = {
  'bytes that are not UTF-8': {
    file: 'latin1.yaml',
    bytes: Buffer.from(`${good.replace('good', 'web')}# caf\xe9\n`, 'latin1'),
    lines: ['KM1003 File latin1.yaml latin1.yaml:11: not UTF-8 text'],
  },
  'UTF-16': {
    file: 'utf16.yaml',
    bytes: Buffer.from(`\ufeff${good.replace('good', 'web')}`, 'utf16le'),
    lines: ['KM1003 File utf16.yaml utf16.yaml:1: not UTF-8 text'],
  },
  'a zero byte': {
    file: 'zero.yaml',
    bytes: `${serviceText('web', '10.96.0.10')}#\0\n`,
    lines: ['KM1004 Service shop/web zero.yaml:11: null byte is not allowed in input'],
  },
  'a byte order mark, which is no error': {
    file: 'bom.yaml',
    bytes: `\ufeff${serviceText('web', '10.96.0.10')}`,
    lines: [],
  },
  'Windows line ends, and a bad port': {
    file: 'crlf.yaml',
    bytes: `---\n${serviceText('web', '10.96.0.10')}---\n${serviceText('api', '10.96.0.11', 0)}`.replaceAll(
      '\n',
      '\r\n',
    ),
    lines: ['KM1009 Service shop/api crlf.yaml:22 spec.ports[0].port: must be a number from 1 to 65535, not 0'],
  },
  'a comma too many in JSON': {
    file: 'comma.json',
    bytes: '{\n  "apiVersion": "v1",\n  "kind": "Namespace",\n  "metadata": {"name": "x"},\n}\n',
    lines: ['KM1004 Document 1 comma.json:5: not JSON: Expected double-quoted property name'],
  },
  'a key twice in JSON': {
    file: 'twice.json',
    bytes: '{\n  "apiVersion": "v1",\n  "kind": "Namespace",\n  "kind": "Pod"\n}\n',
    lines: ['KM1004 Document 1 twice.json:4: duplicated mapping key'],
  },
  'JSON that ends too early': {
    file: 'early.json',
    bytes: '{\n\t"apiVersion": "v1",\n\t"kind": "Namespace"\n',
    lines: ["KM1004 Document 1 early.json:3: not JSON: Expected ',' or '}' after property value"],
  },
  'a bad field in JSON with tabs': {
    file: 'tabs.json',
    bytes: `\n${JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { clusterIP: 'x' } }, null, '\t')}`,
    lines: ['KM1009 Service default/web tabs.json:9 spec.clusterIP: must be an IP address, not "x"'],
  },
  'nesting without end': {
    file: 'deep.yaml',
    bytes: `a: ${'['.repeat(200_000)}`,
    lines: ['KM1004 Document 1 deep.yaml:1: nesting exceeded maxDepth (100)'],
  },
  'a document of 5 MB, which is no error': {
    file: 'large.yaml',
    bytes: `${serviceText('web', '10.96.0.10')}`.replace(
      'metadata:\n',
      `metadata:\n  annotations:\n${Array.from({ length: 50_000 }, (_, i) => `    note-${i}: ${'x'.repeat(90)}\n`).join('')}`,
    ),
    lines: [],
  },
};

for (const [what, { file, bytes, lines }] of Object.entries(generated)) {
  test(`${what}: the right lines, and another file is served all the same`, (t) => {
    const { problems, model } = setUp(t, { [file]: bytes, 'good.yaml': good });
    assert.deepEqual(problems(), lines);
    assert.ok(model.mesh.services.has(goodKey));
  });
}
