/** What the kinds have in common: metadata, and the shape of a reader. */
import { canonicalAddress } from '../../base/address.ts';
import type { BalancePer, DataplaneMode, KubeObject, Labels, ObjectKind } from '../../model/objects.ts';
import type { Origin } from '../../model/types.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsLabelProblem, dnsNameProblem, labelKeyProblem, labelValueProblem } from '../names.ts';

/** metadata of an object, checked. */
export interface Metadata {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly origin: Origin;
  readonly fields: Fields | null;
}

/** How one kind is read. */
export interface KindReader {
  readonly kind: ObjectKind;
  /** The first is the one to recommend. */
  readonly apiVersions: readonly string[];
  readonly clusterScoped?: true;
  /** Names are DNS labels, not DNS names with dots. */
  readonly labelName?: true;
  /** The trimmed object; null when it has none in the mesh. Findings say why; with an error the result is not used. */
  readonly read: (root: Fields, meta: Metadata) => KubeObject | null;
}

export const metadataTable = fieldTable({
  read: 'name namespace uid labels annotations deletionTimestamp ownerReferences generateName',
  harmless: `resourceVersion generation creationTimestamp deletionGracePeriodSeconds finalizers managedFields selfLink
    clusterName`,
});

/** The root fields of every kind. */
export const rootTable = fieldTable({ read: 'apiVersion kind metadata spec', harmless: 'status' });

/** Reads metadata; what is missing or bad is noted, and name is empty then. */
export function readMetadata(root: Fields, reader: KindReader, origin: Origin): Metadata {
  const fields = root.map('metadata', metadataTable);
  if (fields === null) {
    if (!root.has('metadata')) root.error('KM1010', ['metadata', 'name'], 'is missing');
    return { namespace: '', name: '', labels: {}, origin, fields };
  }
  const name = fields.string('name');
  if (name === '' && fields.raw('name') === null) {
    const hint = fields.has('generateName') ? '; generateName needs an API server that makes a name of it' : '';
    fields.error('KM1010', ['name'], `is missing${hint}`);
  } else if (typeof fields.raw('name') === 'string') {
    const problem = reader.labelName === true ? dnsLabelProblem(name) : dnsNameProblem(name);
    if (problem !== '') fields.error('KM1009', ['name'], `${problem}: ${shown(name)}`);
  }
  let namespace = '';
  if (reader.clusterScoped !== true) {
    namespace = fields.string('namespace') || 'default';
    const problem = dnsLabelProblem(namespace);
    if (problem !== '') fields.error('KM1009', ['namespace'], `${problem}: ${shown(namespace)}`);
  }
  return { namespace, name, labels: readLabels(fields, 'labels'), origin, fields };
}

/** A map of labels with Kubernetes' syntax. */
export function readLabels(fields: Fields, name: string): Labels {
  const labels = fields.stringMap(name);
  for (const [key, value] of Object.entries(labels)) {
    const keyProblem = labelKeyProblem(key);
    if (keyProblem !== '') fields.error('KM1009', [name, key], `bad label key: ${keyProblem}`);
    const valueProblem = labelValueProblem(value);
    if (valueProblem !== '') fields.error('KM1009', [name, key], `${valueProblem}: ${shown(value)}`);
  }
  return labels;
}

/** Annotation `kmesh.net/balance-per`. */
export function readBalancePer({ fields }: Metadata): BalancePer {
  const annotations = fields?.map('annotations', null);
  return (annotations?.oneOf('kmesh.net/balance-per', ['connection', 'request']) ?? '') as BalancePer;
}

/** Label `istio-locality`, in which dots stand for slashes, as labels have none: `region/zone/subzone`. */
export function localityOf(labels: Labels): string {
  const text = labels['istio-locality'] ?? '';
  return text.includes('/') ? text : text.replaceAll('.', '/');
}

/** creationTimestamp in milliseconds since 1970; Infinity when the object has none: it is younger than those that do. */
export function readCreated({ fields }: Metadata): number {
  const time = Date.parse(fields?.string('creationTimestamp') ?? '');
  return Number.isNaN(time) ? Infinity : time;
}

/** Why a text is no IP address, or its canonical text. */
export function readAddress(text: string): { readonly address: string } | { readonly problem: string } {
  const address = canonicalAddress(text);
  if (address !== null) return { address };
  if (text.includes('%')) return { problem: `must be an IP address without a zone, not ${shown(text)}` };
  if (text.startsWith('unix://')) return { problem: 'Unix sockets are not supported, only IP addresses' };
  return { problem: `must be an IP address, not ${shown(text)}` };
}

/** The label `istio.io/dataplane-mode`. Values of other data planes (`ambient`) concern them, not us. */
export function dataplaneMode(labels: Labels): DataplaneMode {
  const mode = (labels['istio.io/dataplane-mode'] ?? '').toLowerCase();
  return mode === 'kmesh' || mode === 'none' ? mode : '';
}
