/** The objects that `kmeshctl install` puts into a cluster: those of deploy/kmesh.yaml, with what the user wants otherwise. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmError } from '../base/errors.ts';
import { parseYaml, splitDocuments } from '../source/documents.ts';
import { isMap } from '../source/fields.ts';

const file = join(import.meta.dirname, '..', '..', 'deploy', 'kmesh.yaml');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

export interface InstallOptions {
  readonly namespace: string;
  /** Null: as the manifest says. */
  readonly image: string | null;
  readonly imagePullPolicy: string | null;
  /** Control plane to ask by xDS; null: none. */
  readonly meshController: string | null;
  readonly mode: string | null;
  readonly cni: boolean;
  /** cgroup v2 of the nodes, and a directory below it. */
  readonly cgroup2: string | null;
  readonly cgroup2SubPath: string | null;
}

/** The objects in the order in which they are to be made. */
export function manifests(options: InstallOptions): Manifest[] {
  return readManifests().map((object) => {
    const { namespace } = options;
    if (object.kind === 'Namespace') return { ...object, metadata: { ...object.metadata, name: namespace } };
    const moved: Manifest = {
      ...object,
      metadata: object.metadata.namespace === undefined ? object.metadata : { ...object.metadata, namespace },
      ...(Array.isArray(object['subjects'])
        ? { subjects: object['subjects'].map((one: unknown) => (isMap(one) ? { ...one, namespace } : one)) }
        : {}),
    };
    return moved.kind === 'DaemonSet' ? daemonSet(moved, options) : moved;
  });
}

/** Path of an object in the API. */
export function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const plural = `${kind.toLowerCase()}s`;
  const within = metadata.namespace === undefined ? '' : `/namespaces/${encodeURIComponent(metadata.namespace)}`;
  const api = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${api}${within}/${plural}/${encodeURIComponent(metadata.name)}`;
}

function readManifests(): Manifest[] {
  return splitDocuments(readFileSync(file, 'utf8')).flatMap(({ text }) => {
    const parsed = parseYaml(text);
    if ('problem' in parsed) throw new KmError('KM6010', `${file}: ${parsed.problem.reason}`);
    return isMap(parsed.value) ? [parsed.value as unknown as Manifest] : [];
  });
}

interface Container {
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly args: readonly string[];
  readonly env: readonly object[];
  readonly volumeMounts: readonly ({ readonly name: string } & Readonly<Record<string, unknown>>)[];
}

type Volume = { readonly name: string } & Readonly<Record<string, unknown>>;

/** As the chart's template does it for the same values; a test compares them. */
function daemonSet(object: Manifest, options: InstallOptions): Manifest {
  const { image, imagePullPolicy, meshController, mode, cni, cgroup2, cgroup2SubPath } = options;
  const spec = object['spec'] as { template: { spec: { containers: [Container]; volumes: readonly Volume[] } } };
  const pod = spec.template.spec;
  const [container] = pod.containers;
  const isKept = ({ name }: { readonly name: string }): boolean => cni || !name.startsWith('cni-');
  const xds = meshController !== null;
  const changed: Container = {
    ...container,
    image: image ?? container.image,
    imagePullPolicy: imagePullPolicy ?? container.imagePullPolicy,
    args: container.args
      .filter((arg) => cni || !/^--cni/.test(arg))
      .map((arg) => (mode !== null && arg.startsWith('--mode=') ? `--mode=${mode}` : arg)),
    env: [
      ...container.env,
      ...(xds
        ? [
            { name: 'MESH_CONTROLLER', value: meshController },
            { name: 'CLUSTER_ID', value: 'Kubernetes' },
          ]
        : []),
    ],
    volumeMounts: [
      ...container.volumeMounts
        .filter(isKept)
        .map((one) =>
          one.name === 'cgroup2' && cgroup2SubPath !== null ? { ...one, subPathExpr: cgroup2SubPath } : one,
        ),
      ...(xds
        ? [
            { name: 'istio-token', mountPath: '/var/run/secrets/tokens', readOnly: true },
            { name: 'istio-root', mountPath: '/var/run/secrets/istio', readOnly: true },
          ]
        : []),
    ],
  };
  const token = { audience: 'istio-ca', expirationSeconds: 43200, path: 'istio-token' };
  const volumes: object[] = [
    ...pod.volumes
      .filter(isKept)
      .map((one) =>
        one.name === 'cgroup2' && cgroup2 !== null ? { ...one, hostPath: { path: cgroup2, type: 'Directory' } } : one,
      ),
    ...(xds
      ? [
          { name: 'istio-token', projected: { sources: [{ serviceAccountToken: token }] } },
          { name: 'istio-root', configMap: { name: 'istio-ca-root-cert', optional: true } },
        ]
      : []),
  ];
  const template = { ...spec.template, spec: { ...pod, containers: [changed], volumes } };
  return { ...object, spec: { ...spec, template } };
}
