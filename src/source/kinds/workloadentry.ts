/** networking.istio.io WorkloadEntry: a VM or process with an address. */
import { networkingVersions, readEntryEndpoint, workloadEntryTable } from './istio.ts';
import { type KindReader, readLabels, rootTable } from './kind.ts';

export const workloadEntryReader: KindReader = {
  kind: 'WorkloadEntry',
  apiVersions: networkingVersions,
  read(root, { namespace, name, labels, origin }) {
    root.check(rootTable);
    const spec = root.requiredMap('spec', workloadEntryTable);
    if (spec === null) return null;
    return {
      kind: 'WorkloadEntry',
      namespace,
      name,
      origin,
      // Istio merges the two, and metadata wins.
      labels: { ...readLabels(spec, 'labels'), ...labels },
      owner: name,
      serviceAccount: spec.string('serviceAccount') || 'default',
      ...readEntryEndpoint(spec),
    };
  },
};
