/** core/v1 Namespace: only its labels matter. */
import { dataplaneMode, type KindReader, rootTable } from './kind.ts';

export const namespaceReader: KindReader = {
  kind: 'Namespace',
  apiVersions: ['v1'],
  clusterScoped: true,
  labelName: true,
  read(root, { name, labels, origin }) {
    root.check(rootTable);
    return { kind: 'Namespace', namespace: '', name, origin, dataplaneMode: dataplaneMode(labels) };
  },
};
