/** The objects in the shop's files, and what a cluster's own controllers would make of them. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseYaml, splitDocuments } from '../../src/source/documents.ts';
import type { Lab } from '../../test/lab/lab.ts';

export interface ShopObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

export function readObjects(directory: string): ShopObject[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
  return files.sort().flatMap((name) =>
    splitDocuments(readFileSync(join(directory, name), 'utf8')).map(({ text }) => {
      const parsed = parseYaml(text);
      if ('problem' in parsed) throw new Error(`${name}: ${parsed.problem.reason}`);
      return parsed.value as ShopObject;
    }),
  );
}

/** What this machine says itself whatever the source: which pods are here, and that they are under the mesh. */
export const isLocal = ({ kind }: ShopObject): boolean => kind === 'Namespace' || kind === 'Pod';

/** Writes objects as one file, in one step. */
export function writeObjects(path: string, objects: readonly object[]): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, objects.map((object) => `---\n${JSON.stringify(object, null, 1)}\n`).join(''));
  renameSync(`${path}.new`, path);
}

/** Addresses of a pod of the shop; empty for one that does not run yet. */
export function addressesOf(lab: Lab, pod: ShopObject): readonly string[] {
  const host = lab.pods.get(pod.metadata.name);
  return host === undefined ? [] : [host.ip4, host.ip6];
}

/** Pods that a service selects. */
export function selected(service: ShopObject, objects: readonly ShopObject[]): readonly ShopObject[] {
  const selector = (service.spec?.['selector'] ?? null) as Readonly<Record<string, string>> | null;
  if (selector === null) return [];
  return objects.filter(
    ({ kind, metadata }) =>
      kind === 'Pod' &&
      metadata.namespace === service.metadata.namespace &&
      Object.entries(selector).every(([key, value]) => metadata.labels?.[key] === value),
  );
}

export interface ShopPort {
  readonly name: string;
  readonly port: number;
  /** Of the pods; names are looked up. */
  readonly target: number;
}

export function portsOf(service: ShopObject, objects: readonly ShopObject[]): readonly ShopPort[] {
  const ports = (service.spec?.['ports'] ?? []) as readonly {
    name: string;
    port: number;
    targetPort: string | number;
  }[];
  return ports.map(({ name, port, targetPort }) => {
    if (typeof targetPort === 'number') return { name, port, target: targetPort };
    const [pod] = selected(service, objects);
    const containers = (pod?.spec?.['containers'] ?? []) as readonly {
      readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
    }[];
    const found = containers.flatMap((one) => one.ports ?? []).find((one) => one.name === targetPort);
    return { name, port, target: found?.containerPort ?? 0 };
  });
}

const nodeName = 'node1';

/**
 * The objects as they are in a cluster: with what the API server fills in, the kubelet says of a pod, and the controllers
 * make of a service.
 */
export function inCluster(lab: Lab, objects: readonly ShopObject[]): readonly ShopObject[] {
  const services = objects.filter(({ kind }) => kind === 'Service');
  return [
    ...objects.map((object) => (object.kind === 'Pod' ? running(lab, object) : object)),
    ...services.flatMap((service) => slices(lab, service, objects)),
  ];
}

function running(lab: Lab, pod: ShopObject): ShopObject {
  const podIPs = addressesOf(lab, pod).map((ip) => ({ ip }));
  const containers = ((pod.spec?.['containers'] ?? []) as readonly { readonly ports?: readonly object[] }[]).map(
    (container) => ({ ...container, ports: (container.ports ?? []).map((port) => ({ protocol: 'TCP', ...port })) }),
  );
  const conditions = [{ type: 'Ready', status: 'True' }];
  const status = { phase: 'Running', podIP: podIPs[0]?.ip, podIPs, conditions };
  return { ...pod, spec: { ...pod.spec, containers, nodeName }, status };
}

/** One for each family. */
function slices(lab: Lab, service: ShopObject, objects: readonly ShopObject[]): readonly ShopObject[] {
  const { name, namespace = 'default' } = service.metadata;
  const pods = selected(service, objects);
  const ports = portsOf(service, objects).map((port) => ({ name: port.name, port: port.target, protocol: 'TCP' }));
  return (['IPv4', 'IPv6'] as const).map((addressType, family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${addressType.toLowerCase()}`,
      namespace,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType,
    ports,
    endpoints: pods.map((pod) => ({
      addresses: addressesOf(lab, pod).slice(family, family + 1),
      conditions: { ready: true },
      nodeName,
      targetRef: { kind: 'Pod', name: pod.metadata.name, namespace },
    })),
  }));
}
