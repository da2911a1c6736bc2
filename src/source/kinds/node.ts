/** core/v1 Node: where it is, by its well-known labels. */
import { type KindReader, rootTable } from './kind.ts';

export const nodeReader: KindReader = {
  kind: 'Node',
  apiVersions: ['v1'],
  clusterScoped: true,
  read(root, { name, labels, origin }) {
    root.check(rootTable);
    const region = labels['topology.kubernetes.io/region'] ?? '';
    const zone = labels['topology.kubernetes.io/zone'] ?? '';
    const subzone = labels['topology.istio.io/subzone'] ?? '';
    const locality = region === '' && zone === '' ? '' : `${region}/${zone}/${subzone}`;
    return { kind: 'Node', namespace: '', name, origin, locality };
  },
};
