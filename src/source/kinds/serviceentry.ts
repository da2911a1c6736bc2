/** networking.istio.io ServiceEntry with resolution STATIC: a service that is no Kubernetes Service. */
import { addressFamily, isUnspecified, parsePrefix } from '../../base/address.ts';
import type { EntryPort } from '../../model/objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsLabelProblem, hostProblem } from '../names.ts';
import { networkingVersions, readEntryEndpoint, workloadEntryTable } from './istio.ts';
import { type KindReader, readBalancePer, readLabels, rootTable } from './kind.ts';

const specTable = fieldTable({
  read: 'hosts addresses ports resolution endpoints workloadSelector location exportTo',
  refused: { subjectAltNames: 'not supported: the mesh checks no certificates' },
});
const portTable = fieldTable({ read: 'number name protocol targetPort' });
const selectorTable = fieldTable({ read: 'labels' });
const protocols = 'TCP UDP HTTP HTTPS HTTP2 GRPC GRPC-WEB TLS MONGO MYSQL REDIS'.split(' ');

export const serviceEntryReader: KindReader = {
  kind: 'ServiceEntry',
  apiVersions: networkingVersions,
  read(root, meta) {
    const { namespace, name, origin } = meta;
    root.check(rootTable);
    const spec = root.requiredMap('spec', specTable);
    if (spec === null) return null;
    checkResolution(spec);
    spec.oneOf('location', ['MESH_EXTERNAL', 'MESH_INTERNAL']);
    if (spec.strings('exportTo').some((target) => target !== '*')) {
      spec.warn('KM1014', ['exportTo'], 'has no effect: every enrolled workload sees the entry');
    }
    const selector = spec.map('workloadSelector', selectorTable);
    if (selector !== null && !selector.has('labels')) selector.error('KM1010', ['labels'], 'is missing');
    const endpoints = spec.maps('endpoints', workloadEntryTable).map((fields) => ({
      ...readEntryEndpoint(fields),
      labels: readLabels(fields, 'labels'),
    }));
    if (selector !== null && endpoints.length > 0) {
      spec.error('KM1009', ['workloadSelector'], 'cannot stand beside endpoints');
    }
    return {
      kind: 'ServiceEntry',
      namespace,
      name,
      origin,
      hosts: readHosts(spec),
      addresses: readAddresses(spec),
      ports: readPorts(spec),
      endpoints,
      selector: selector === null ? null : readLabels(selector, 'labels'),
      balancePer: readBalancePer(meta),
    };
  },
};

function checkResolution(spec: Fields): void {
  const resolution = spec.oneOf('resolution', ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']);
  if (resolution === 'STATIC' || (resolution === '' && spec.has('resolution'))) return;
  const reason =
    resolution === '' || resolution === 'NONE'
      ? `NONE${resolution === '' ? ' (the default)' : ''} is not supported: use STATIC and list the endpoints`
      : `${resolution} is not supported: use STATIC and list the addresses`;
  spec.error('KM1011', ['resolution'], reason);
}

function readHosts(spec: Fields): string[] {
  const hosts = spec.strings('hosts').map((host) => host.toLowerCase());
  if (hosts.length === 0 && !spec.has('hosts')) spec.error('KM1010', ['hosts'], 'is missing');
  for (const [i, host] of hosts.entries()) {
    const problem = hostProblem(host);
    if (problem !== '') spec.error('KM1009', ['hosts', i], `${problem}: ${shown(host)}`);
    else if (hosts.indexOf(host) < i) spec.error('KM1009', ['hosts', i], `${shown(host)} is there twice`);
  }
  return hosts;
}

/** Addresses, and blocks of one address (`/32`, `/128`). Wider blocks are refused: listeners match one address. */
function readAddresses(spec: Fields): string[] {
  const addresses: string[] = [];
  for (const [i, text] of spec.strings('addresses').entries()) {
    const prefix = parsePrefix(text);
    if (prefix === null) {
      spec.error('KM1009', ['addresses', i], `must be an IP address, not ${shown(text)}`);
    } else if (prefix.bits < (addressFamily(prefix.address) === 4 ? 32 : 128)) {
      spec.error('KM1011', ['addresses', i], 'a block of addresses is not supported: list the addresses');
    } else if (isUnspecified(prefix.address)) {
      spec.error('KM1009', ['addresses', i], `must be a usable address, not ${shown(text)}`);
    } else if (!addresses.includes(prefix.address)) addresses.push(prefix.address);
  }
  return addresses;
}

function readPorts(spec: Fields): EntryPort[] {
  const fields = spec.maps('ports', portTable);
  if (fields.length === 0 && !spec.has('ports')) spec.error('KM1010', ['ports'], 'is missing');
  const names = new Set<string>();
  const numbers = new Set<string>();
  return fields.map((port) => {
    const number = port.port('number');
    const name = port.required('name');
    const problem = name === '' ? '' : dnsLabelProblem(name);
    if (problem !== '') port.error('KM1009', ['name'], `${problem}: ${shown(name)}`);
    else if (name !== '' && names.has(name)) port.error('KM1009', ['name'], `${shown(name)} is there twice`);
    names.add(name);
    const written = port.string('protocol').toUpperCase();
    if (written !== '' && !protocols.includes(written)) {
      port.error('KM1009', ['protocol'], `must be one of ${protocols.join(', ')}, not ${shown(written)}`);
    }
    const protocol = written === 'UDP' ? 'UDP' : 'TCP';
    const key = `${number}/${protocol}`;
    if (number > 0 && numbers.has(key)) port.error('KM1009', ['number'], `${key} is there twice`);
    numbers.add(key);
    const appProtocol = protocol === 'UDP' ? '' : written.toLowerCase();
    return { name, port: number, protocol, appProtocol, targetPort: port.integer('targetPort', 1, 65535) ?? number };
  });
}
