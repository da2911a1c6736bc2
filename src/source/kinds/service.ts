/** core/v1 Service. Its cluster IPs are served; node ports, external IPs and load balancers are left alone. */
import { addressFamily, isUnspecified } from '../../base/address.ts';
import type { LocalityPolicy } from '../../model/localities.ts';
import type { ServiceObjectPort } from '../../model/objects.ts';
import type { Protocol } from '../../model/types.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsLabelProblem, portNameProblem } from '../names.ts';
import { type KindReader, readAddress, readBalancePer, readLabels, rootTable } from './kind.ts';

const specTable = fieldTable({
  read: `type clusterIP clusterIPs selector ports sessionAffinity sessionAffinityConfig publishNotReadyAddresses
    internalTrafficPolicy trafficDistribution externalIPs loadBalancerIP loadBalancerSourceRanges externalName`,
  harmless: `ipFamilies ipFamilyPolicy externalTrafficPolicy healthCheckNodePort allocateLoadBalancerNodePorts
    loadBalancerClass`,
  refused: {
    topologyKeys: 'not supported: endpoints are not preferred by zone or node',
  },
});

const portTable = fieldTable({ read: 'name port protocol appProtocol targetPort', harmless: 'nodePort' });
const affinityTable = fieldTable({ read: 'clientIP' });
const clientIpTable = fieldTable({ read: 'timeoutSeconds' });

export const serviceReader: KindReader = {
  kind: 'Service',
  apiVersions: ['v1'],
  labelName: true,
  read(root, meta) {
    const { namespace, name, origin } = meta;
    root.check(rootTable);
    const spec = root.requiredMap('spec', specTable);
    if (spec === null) return null;
    const type = spec.oneOf('type', ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']);
    if (type === 'ExternalName') {
      spec.warn('KM1014', ['type'], 'an ExternalName service is only a DNS alias: the mesh does nothing for it');
      return null;
    }
    for (const field of ['externalIPs', 'loadBalancerIP', 'loadBalancerSourceRanges']) {
      if (spec.has(field)) spec.warn('KM1014', [field], 'has no effect: the mesh serves the cluster IPs');
    }
    const localOnly = spec.oneOf('internalTrafficPolicy', ['Cluster', 'Local']) === 'Local';
    const addresses = readAddresses(spec);
    const affinitySeconds = readAffinity(spec);
    if (affinitySeconds > 0 && addresses.length === 0) {
      spec.error('KM1009', ['sessionAffinity'], 'ClientIP needs a cluster IP: a headless service balances nothing');
    }
    const ports = spec.maps('ports', portTable).map(readPort);
    checkPorts(spec, ports, addresses.length > 0);
    const selector = readLabels(spec, 'selector');
    return {
      kind: 'Service',
      namespace,
      name,
      origin,
      addresses,
      selector: Object.keys(selector).length === 0 ? null : selector,
      ports,
      affinitySeconds,
      locality: readDistribution(spec),
      ...(localOnly ? { localOnly } : {}),
      publishNotReady: spec.boolean('publishNotReadyAddresses') === true,
      balancePer: readBalancePer(meta),
    };
  },
};

/** trafficDistribution of core/v1: nearer endpoints come first. */
function readDistribution(spec: Fields): LocalityPolicy | null {
  const name = spec.oneOf('trafficDistribution', ['PreferClose', 'PreferSameZone', 'PreferSameNode']);
  if (name === '') return null;
  return { kind: 'priority', keys: name === 'PreferSameNode' ? ['region', 'zone', 'node'] : ['region', 'zone'] };
}

function readAddresses(spec: Fields): string[] {
  const clusterIP = spec.string('clusterIP');
  const texts = spec.strings('clusterIPs');
  if (clusterIP === '' && texts.length === 0) {
    if (spec.raw('clusterIP') === null || spec.raw('clusterIP') === '') {
      spec.error('KM1010', ['clusterIP'], 'no address yet: without an API server that picks one, write one (or None)');
    }
    return [];
  }
  if (texts.length > 0 && clusterIP !== '' && texts[0] !== clusterIP) {
    spec.error('KM1009', ['clusterIPs', 0], `must be the same as clusterIP (${clusterIP}), not ${texts[0]}`);
  }
  const all = texts.length > 0 ? texts : [clusterIP];
  if (all.includes('None')) {
    if (all.length > 1) spec.error('KM1009', ['clusterIPs'], 'None cannot stand beside an address');
    return [];
  }
  if (all.length > 2) spec.error('KM1009', ['clusterIPs'], `at most one address a family, not ${all.length} addresses`);
  const addresses: string[] = [];
  for (const [i, text] of all.entries()) {
    const path = texts.length > 0 ? ['clusterIPs', i] : ['clusterIP'];
    const read = readAddress(text);
    if ('problem' in read) spec.error('KM1009', path, read.problem);
    else if (isUnspecified(read.address)) spec.error('KM1009', path, `must be a usable address, not ${shown(text)}`);
    else if (addresses.some((other) => addressFamily(other) === addressFamily(read.address))) {
      spec.error('KM1009', path, 'at most one address a family');
    } else addresses.push(read.address);
  }
  return addresses;
}

function readAffinity(spec: Fields): number {
  const affinity = spec.oneOf('sessionAffinity', ['None', 'ClientIP']);
  const clientIP = spec.map('sessionAffinityConfig', affinityTable)?.map('clientIP', clientIpTable);
  const seconds = clientIP?.integer('timeoutSeconds', 1, 86400) ?? 10800;
  return affinity === 'ClientIP' ? seconds : 0;
}

function readPort(fields: Fields): ServiceObjectPort {
  const name = fields.string('name');
  const nameProblem = name === '' ? '' : dnsLabelProblem(name);
  if (nameProblem !== '') fields.error('KM1009', ['name'], `${nameProblem}: ${shown(name)}`);
  const port = fields.port('port');
  return {
    name,
    port,
    protocol: readProtocol(fields),
    appProtocol: fields.string('appProtocol'),
    targetPort: readTargetPort(fields, port),
  };
}

/** protocol of a port; SCTP is refused, since its traffic would pass the mesh by. */
export function readProtocol(fields: Fields): Protocol {
  const protocol = fields.oneOf('protocol', ['TCP', 'UDP', 'SCTP']);
  if (protocol === 'SCTP') fields.error('KM1011', ['protocol'], 'SCTP is not supported, only TCP and UDP');
  return protocol === 'UDP' ? 'UDP' : 'TCP';
}

function readTargetPort(fields: Fields, port: number): number | string {
  const target = fields.raw('targetPort');
  // The API server takes 0 and an empty text as not given.
  if (target === null || target === 0 || target === '') return port;
  if (typeof target === 'number') return fields.integer('targetPort', 1, 65535) ?? port;
  const name = fields.string('targetPort');
  if (typeof target !== 'string') return port;
  const problem = portNameProblem(name);
  if (problem !== '') fields.error('KM1009', ['targetPort'], `${problem}: ${shown(name)}`);
  return name;
}

function checkPorts(spec: Fields, ports: readonly ServiceObjectPort[], needed: boolean): void {
  if (ports.length === 0 && needed && !spec.has('ports')) spec.error('KM1010', ['ports'], 'is missing');
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [i, port] of ports.entries()) {
    if (port.name === '' && ports.length > 1) {
      spec.error('KM1010', ['ports', i, 'name'], 'is missing: every port needs a name when there are several');
    } else if (names.has(port.name)) spec.error('KM1009', ['ports', i, 'name'], `${shown(port.name)} is there twice`);
    names.add(port.name);
    const number = `${port.port}/${port.protocol}`;
    if (port.port > 0 && numbers.has(number)) spec.error('KM1009', ['ports', i, 'port'], `${number} is there twice`);
    numbers.add(number);
  }
}
