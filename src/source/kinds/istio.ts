/** What ServiceEntry and WorkloadEntry share: endpoints, and the API versions of their group. */
import { isUnspecified } from '../../base/address.ts';
import { serviceHost } from '../../model/hostnames.ts';
import type { EntryEndpoint } from '../../model/objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { readAddress } from './kind.ts';

export const networkingVersions = [
  'networking.istio.io/v1',
  'networking.istio.io/v1beta1',
  'networking.istio.io/v1alpha3',
] as const;

/** Fields of an Istio WorkloadEntry's spec, which is also an endpoint of a ServiceEntry. */
export const workloadEntryTable = fieldTable({
  read: 'address ports labels weight serviceAccount locality',
  refused: { network: 'not supported: there are no gateways to other networks' },
});

/** Address, ports and weight. Without a weight it is 1; a weight of 0 takes the endpoint out of use. */
export function readEntryEndpoint(fields: Fields): Omit<EntryEndpoint, 'labels'> {
  const text = fields.required('address');
  let address = '';
  if (text !== '') {
    const read = readAddress(text);
    if ('problem' in read) fields.error('KM1009', ['address'], read.problem);
    else if (isUnspecified(read.address)) {
      fields.error('KM1009', ['address'], `must be a usable address, not ${shown(text)}`);
    } else address = read.address;
  }
  const weight = fields.integer('weight', 0, 0xffffffff) ?? 1;
  return { address, ports: fields.portMap('ports'), weight, locality: readLocality(fields, 'locality') };
}

/** `region/zone/subzone`, of which the last ones may be missing. */
export function readLocality(fields: Fields, name: string): string {
  const text = fields.string(name);
  const problem = text === '' ? '' : localityProblem(text);
  if (problem !== '') fields.error('KM1009', [name], `${problem}: ${shown(text)}`);
  return text;
}

/** Why a text is no place; empty when it is. */
export function localityProblem(text: string): string {
  const parts = text.split('/');
  if (parts.length > 3 || parts.some((part) => part === ''))
    return 'must be REGION, REGION/ZONE or REGION/ZONE/SUBZONE';
  return parts.some((part) => part.includes('*')) ? 'must be a place, not a pattern' : '';
}

/** A host as Istio's routing objects name it: a short name is a Service of the object's namespace. */
export function completeHost(host: string, namespace: string): string {
  return host.includes('.') || host === '' ? host : serviceHost(host, namespace);
}

/** exportTo cannot be followed: whatever routes, routes for all clients. */
export function warnExportTo(spec: Fields, what: string): void {
  if (spec.strings('exportTo').some((target) => target !== '*')) {
    spec.warn('KM1014', ['exportTo'], `has no effect: ${what} for every client`);
  }
}
