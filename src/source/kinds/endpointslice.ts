/** discovery.k8s.io/v1 EndpointSlice. */
import { addressFamily, isUnspecified } from '../../base/address.ts';
import type { Hints } from '../../model/hints.ts';
import type { EndpointState, SliceEndpoint, SlicePort } from '../../model/objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsLabelProblem } from '../names.ts';
import { type KindReader, readAddress } from './kind.ts';
import { readProtocol } from './service.ts';

const rootTable = fieldTable({ read: 'apiVersion kind metadata addressType endpoints ports' });
const endpointTable = fieldTable({
  read: 'addresses conditions targetRef zone nodeName hints',
  harmless: 'hostname deprecatedTopology',
});
const hintsTable = fieldTable({ read: 'forZones forNodes' });
const hintTable = fieldTable({ read: 'name' });
const conditionsTable = fieldTable({ read: 'ready serving terminating' });
const portTable = fieldTable({ read: 'name port protocol', harmless: 'appProtocol' });

export const endpointSliceReader: KindReader = {
  kind: 'EndpointSlice',
  apiVersions: ['discovery.k8s.io/v1'],
  read(root, { namespace, name, labels, origin }) {
    root.check(rootTable);
    const type = root.required('addressType');
    if (type === 'FQDN') {
      root.error('KM1011', ['addressType'], 'FQDN is not supported, only IPv4 and IPv6');
      return null;
    }
    if (type !== '') root.oneOf('addressType', ['IPv4', 'IPv6']);
    const family = type === 'IPv6' ? 6 : 4;
    const service = labels['kubernetes.io/service-name'] ?? '';
    if (service === '') {
      root.warn('KM1014', ['metadata', 'labels'], 'has no effect without the label kubernetes.io/service-name');
    }
    const ports = root.maps('ports', portTable).map(readPort);
    checkPorts(root, ports);
    return {
      kind: 'EndpointSlice',
      namespace,
      name,
      origin,
      service,
      ports,
      endpoints: root.maps('endpoints', endpointTable).map((fields) => readEndpoint(fields, family, namespace)),
    };
  },
};

function readPort(fields: Fields): SlicePort {
  const name = fields.string('name');
  const problem = name === '' ? '' : dnsLabelProblem(name);
  if (problem !== '') fields.error('KM1009', ['name'], `${problem}: ${shown(name)}`);
  return { name, port: fields.port('port'), protocol: readProtocol(fields) };
}

function checkPorts(root: Fields, ports: readonly SlicePort[]): void {
  const names = new Set<string>();
  for (const [i, port] of ports.entries()) {
    if (names.has(port.name)) root.error('KM1009', ['ports', i, 'name'], `${shown(port.name)} is there twice`);
    names.add(port.name);
  }
}

/** Only the first address counts, as for kube-proxy: the API says that they may be assumed to be the same endpoint. */
function readEndpoint(fields: Fields, family: 4 | 6, namespace: string): SliceEndpoint {
  const texts = fields.strings('addresses');
  if (texts.length === 0 && !fields.has('addresses')) fields.error('KM1010', ['addresses'], 'is missing');
  if (texts.length > 1) fields.warn('KM1014', ['addresses', 1], 'only the first address of an endpoint is used');
  let address = '';
  for (const [i, text] of texts.entries()) {
    const read = readAddress(text);
    if ('problem' in read) fields.error('KM1009', ['addresses', i], read.problem);
    else if (addressFamily(read.address) !== family) {
      fields.error('KM1009', ['addresses', i], `must be IPv${family}, as addressType says, not ${shown(text)}`);
    } else if (isUnspecified(read.address)) {
      fields.error('KM1009', ['addresses', i], `must be a usable address, not ${shown(text)}`);
    } else if (i === 0) address = read.address;
  }
  const state = readState(fields);
  const node = fields.string('nodeName');
  const hints = readHints(fields);
  return {
    ...{ address, state, pod: readTarget(fields, namespace), zone: fields.string('zone') },
    ...(node === '' ? {} : { node }),
    ...(hints === null ? {} : { hints }),
  };
}

function readHints(fields: Fields): Hints | null {
  const hints = fields.map('hints', hintsTable);
  if (hints === null) return null;
  const names = (list: string) => hints.maps(list, hintTable).map((one) => one.required('name'));
  return { zones: names('forZones'), nodes: names('forNodes') };
}

/** A condition that is not given counts as the API reference says: ready and serving are true, terminating is false. */
function readState(fields: Fields): EndpointState {
  const conditions = fields.map('conditions', conditionsTable);
  if (conditions === null) return 'ready';
  const ready = conditions.boolean('ready') ?? true;
  const serving = conditions.boolean('serving') ?? ready;
  const terminating = conditions.boolean('terminating') ?? false;
  if (ready) return 'ready';
  return serving && terminating ? 'draining' : 'unready';
}

function readTarget(fields: Fields, namespace: string): string {
  const target = fields.map('targetRef', null);
  if (target === null || target.string('kind') !== 'Pod') return '';
  const where = target.string('namespace');
  return where === '' || where === namespace ? target.string('name') : '';
}
