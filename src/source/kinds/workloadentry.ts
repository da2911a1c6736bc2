/** networking.istio.io WorkloadEntry: a VM or process with an address. */
import { networkingVersions, readEntryEndpoint, workloadEntryTable } from './istio.ts';
import { type KindReader, localityOf, readLabels, rootTable } from './kind.ts';

export const workloadEntryReader: KindReader = {
  kind: 'WorkloadEntry',
  apiVersions: networkingVersions,
  read(root, { namespace, name, labels, origin }) {
    root.check(rootTable);
    const spec = root.requiredMap('spec', workloadEntryTable);
    if (spec === null) return null;
    // Istio merges the two, and metadata wins.
    const all = { ...readLabels(spec, 'labels'), ...labels };
    const endpoint = readEntryEndpoint(spec);
    return {
      kind: 'WorkloadEntry',
      namespace,
      name,
      origin,
      labels: all,
      owner: name,
      serviceAccount: spec.string('serviceAccount') || 'default',
      ...endpoint,
      locality: localityOf(all) || endpoint.locality,
    };
  },
};
