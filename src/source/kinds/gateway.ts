/** What the Gateway API's kinds share, and ReferenceGrant. */
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsLabelProblem } from '../names.ts';
import { type KindReader, rootTable } from './kind.ts';

export const gatewayGroup = 'gateway.networking.k8s.io';

const grantTable = fieldTable({ read: 'from to', closed: true });
const fromTable = fieldTable({ read: 'group kind namespace', closed: true });
const toTable = fieldTable({ read: 'group kind name', closed: true });

export const referenceGrantReader: KindReader = {
  kind: 'ReferenceGrant',
  apiVersions: [`${gatewayGroup}/v1beta1`, `${gatewayGroup}/v1`],
  read(root, { namespace, name, origin }) {
    root.check(rootTable);
    const spec = root.requiredMap('spec', grantTable);
    if (spec === null) return null;
    for (const field of ['from', 'to']) if (!spec.has(field)) spec.error('KM1010', [field], 'is missing');
    // What it grants to other kinds, or of other kinds, is nothing to the mesh.
    const from = spec.maps('from', fromTable).flatMap((fields) => {
      const where = readName(fields, 'namespace');
      return fields.string('group') === gatewayGroup && fields.required('kind') === 'HTTPRoute' ? [where] : [];
    });
    const to = spec.maps('to', toTable).flatMap((fields) => {
      const service = fields.has('name') ? readName(fields, 'name') : null;
      return fields.string('group') === '' && fields.required('kind') === 'Service' ? [service] : [];
    });
    const names = to.filter((service) => service !== null);
    return { kind: 'ReferenceGrant', namespace, name, origin, from, to: names.length < to.length ? null : names };
  },
};

/** A name that is a DNS label; noted when it is none. */
export function readName(fields: Fields, field: string): string {
  const text = fields.required(field);
  const problem = text === '' ? '' : dnsLabelProblem(text);
  if (problem !== '') fields.error('KM1009', [field], `${problem}: ${shown(text)}`);
  return text;
}
