/** A parsed object, from a file or from an API server, read by its kind's reader. */
import type { KubeObject, ObjectKey } from '../model/objects.ts';
import type { Origin } from '../model/types.ts';
import { Fields, type Finding, isMap, shown } from './fields.ts';
import { apiGroup, kindReaders, unsupportedReason } from './kinds/index.ts';
import { type KindReader, readMetadata } from './kinds/kind.ts';

export interface ReadObject {
  readonly namespace: string;
  readonly name: string;
  /** Null: it cannot be told which object it is, or it is none of ours. */
  readonly key: ObjectKey | null;
  /** The object, when it has no error and a place in the mesh. */
  readonly object: KubeObject | null;
  readonly refused: boolean;
  readonly findings: readonly Finding[];
}

export function readObject(value: Readonly<Record<string, unknown>>, kind: string, origin: Origin): ReadObject {
  const { apiVersion } = value;
  const findings: Finding[] = [];
  const root = Fields.root(value, kind, findings);
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  const reader = readerFor(kind, version);
  if (reader === null) {
    const name = looseText(value['metadata'], 'name') || '(no name)';
    const namespace = looseText(value['metadata'], 'namespace');
    const reason = unsupportedReason(apiGroup(version), kind);
    if (version === '') root.error('KM1005', ['apiVersion'], 'is missing');
    else if (reason !== '') root.error('KM1007', ['kind'], reason);
    else {
      const onceFor = `${version} ${kind}`;
      const why = `not a mesh object (${version}), ignored`;
      findings.push({ severity: 'warning', code: 'KM1008', path: ['kind'], reason: why, onceFor });
    }
    return { namespace, name, key: null, object: null, refused: hasError(findings), findings };
  }
  if (!reader.apiVersions.includes(version)) {
    const needed = `must be ${reader.apiVersions[0]} for a ${kind}`;
    const found = apiVersion === undefined ? 'is missing' : `not ${shown(apiVersion)}`;
    root.error('KM1006', ['apiVersion'], `${needed}, ${found}`);
  }
  const meta = readMetadata(root, reader, origin);
  const object = reader.read(root, meta);
  const refused = hasError(findings);
  const key = meta.name === '' ? null : { kind: reader.kind, namespace: meta.namespace, name: meta.name };
  const name = meta.name || '(no name)';
  return { namespace: meta.namespace, name, key, object: refused ? null : object, refused, findings };
}

function hasError(findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.severity === 'error');
}

/** The reader of a kind. Another group's kind of the same name (Knative has a Service too) is not ours. */
function readerFor(kind: string, version: string): KindReader | null {
  const reader = kindReaders.get(kind);
  if (reader === undefined) return null;
  const group = apiGroup(version);
  const own = reader.apiVersions.some((known) => apiGroup(known) === group);
  return own || !group.includes('.') || /(\.|^)(k8s|istio)\.io$/.test(group) ? reader : null;
}

function looseText(value: unknown, name: string): string {
  const text = isMap(value) ? value[name] : undefined;
  return typeof text === 'string' ? text : '';
}
