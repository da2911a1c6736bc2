/** What ServiceEntry and WorkloadEntry share: endpoints, and the API versions of their group. */
import { isUnspecified } from '../../base/address.ts';
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
  read: 'address ports labels weight serviceAccount',
  harmless: 'locality',
  refused: { network: 'not supported: there are no gateways to other networks' },
});

/** Address, ports and weight. Without a weight it is 1; a weight of 0 takes the endpoint out of use. */
export function readEntryEndpoint(fields: Fields): EntryEndpoint {
  const text = fields.required('address');
  let address = '';
  if (text !== '') {
    const read = readAddress(text);
    if ('problem' in read) fields.error('KM1009', ['address'], read.problem);
    else if (isUnspecified(read.address)) {
      fields.error('KM1009', ['address'], `must be a usable address, not ${shown(text)}`);
    } else address = read.address;
  }
  return { address, ports: fields.portMap('ports'), weight: fields.integer('weight', 0, 0xffffffff) ?? 1 };
}
