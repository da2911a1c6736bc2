/** The shop as ztunnel's LocalConfig file. The daemon reads enrolment from a directory beside it. */
import { join } from 'node:path';
import type { Lab } from '../../test/lab/lab.ts';
import { addressesOf, isLocal, portsOf, readObjects, type ShopObject, selected, writeObjects } from './objects.ts';
import type { ShopSource } from './source.ts';

interface Entry {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly number: number; readonly targetPort: number }[];
  readonly endpoints: readonly { readonly address: string; readonly weight: number }[];
}

type Ports = Readonly<Record<number, number>>;

export class LocalConfigSource implements ShopSource {
  readonly name = 'local';
  readonly what = 'a LocalConfig file';
  readonly routes = false;
  readonly flags: readonly string[];
  readonly #lab: Lab;
  readonly #directory: string;
  readonly #local: string;
  readonly #file: string;

  constructor(lab: Lab, directory: string) {
    this.#lab = lab;
    this.#directory = directory;
    this.#local = join(lab.directory, 'local');
    this.#file = join(lab.directory, 'local.yaml');
    this.flags = ['--config', this.#local, '--local-xds', this.#file];
  }

  async start(): Promise<void> {
    await this.apply();
  }

  async apply(): Promise<void> {
    const objects = readObjects(this.#directory);
    writeObjects(join(this.#local, 'pods.yaml'), objects.filter(isLocal));
    const services = objects.filter(({ kind }) => kind === 'Service');
    const entries = objects.filter(({ kind }) => kind === 'ServiceEntry');
    writeObjects(this.#file, [
      {
        workloads: [...this.#pods(objects, services), ...entries.flatMap(endpointsOf)],
        services: [...services.map((service) => ofService(service, objects)), ...entries.map(ofEntry)],
      },
    ]);
  }

  #pods(objects: readonly ShopObject[], services: readonly ShopObject[]): readonly object[] {
    return objects
      .filter(({ kind }) => kind === 'Pod')
      .map((pod) => {
        const { name, namespace = '' } = pod.metadata;
        const mine = services.filter((service) => selected(service, objects).includes(pod));
        return {
          uid: `Kubernetes//Pod/${namespace}/${name}`,
          name,
          namespace,
          serviceAccount: String(pod.spec?.['serviceAccountName'] ?? 'default'),
          workloadIps: addressesOf(this.#lab, pod),
          services: Object.fromEntries(mine.map((service) => [keyOf(service), targets(portsOf(service, objects))])),
        };
      });
  }
}

const hostOf = ({ metadata }: ShopObject): string => `${metadata.name}.${metadata.namespace}.svc.cluster.local`;
const keyOf = (service: ShopObject): string => `${service.metadata.namespace}/${hostOf(service)}`;
const targets = (ports: readonly { readonly port: number; readonly target: number }[]): Ports =>
  Object.fromEntries(ports.map(({ port, target }) => [port, target]));

function ofService(service: ShopObject, objects: readonly ShopObject[]): object {
  const { name, namespace } = service.metadata;
  const addresses = (service.spec?.['clusterIPs'] ?? []) as readonly string[];
  const vips = addresses.map((address) => `/${address}`);
  return { name, namespace, hostname: hostOf(service), vips, ports: targets(portsOf(service, objects)) };
}

function entryOf({ spec }: ShopObject): Entry {
  return spec as unknown as Entry;
}

const entryPorts = ({ ports }: Entry): Ports => Object.fromEntries(ports.map((p) => [p.number, p.targetPort]));

function ofEntry(object: ShopObject): object {
  const entry = entryOf(object);
  const { name, namespace } = object.metadata;
  const vips = entry.addresses.map((address) => `/${address}`);
  return { name, namespace, hostname: entry.hosts[0], vips, ports: entryPorts(entry) };
}

/** A weight of its own makes an endpoint a workload of its own. */
function endpointsOf(object: ShopObject): readonly object[] {
  const entry = entryOf(object);
  const { name, namespace } = object.metadata;
  return entry.endpoints.map(({ address, weight }) => ({
    uid: `Kubernetes/networking.istio.io/ServiceEntry/${namespace}/${name}/${address}`,
    name: `${name}-${address}`,
    namespace,
    workloadIps: [address],
    capacity: weight,
    services: { [`${namespace}/${entry.hosts[0]}`]: entryPorts(entry) },
  }));
}
