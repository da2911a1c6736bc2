/** The shop in a Kubernetes API server: the real one where `make test-lab` has built it, else a stand-in. */
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject } from '../../src/source/kubernetes/testing.ts';
import { ControlPlane, hasRealServer, serverName } from '../../test/lab/kubernetes/control-plane.ts';
import { documentedRole } from '../../test/lab/kubernetes/role.ts';
import type { Lab } from '../../test/lab/lab.ts';
import { inCluster, readObjects, type ShopObject } from './objects.ts';
import type { ShopSource } from './source.ts';

export class KubernetesSource implements ShopSource {
  readonly name = 'kubernetes';
  readonly what = serverName;
  readonly routes = true;
  readonly flags: readonly string[];
  readonly #api: ControlPlane;
  readonly #lab: Lab;
  readonly #directory: string;
  #applied = new Map<string, ShopObject>();

  constructor(lab: Lab, directory: string) {
    this.#api = new ControlPlane(lab);
    this.#lab = lab;
    this.#directory = directory;
    this.flags = ['--kubeconfig', this.#api.kubeconfig];
  }

  async start(): Promise<void> {
    await this.#api.start();
    await this.#api.grant(documentedRole());
    for (const group of ['gateway.networking.k8s.io', 'networking.istio.io']) await this.#api.installCrds(group);
    await this.apply();
  }

  async apply(): Promise<void> {
    const objects = inCluster(this.#lab, readObjects(this.#directory));
    const wanted = new Map(objects.map((object) => [keyOf(object), object]));
    const changed = objects.filter((object) => !isDeepStrictEqual(object, this.#applied.get(keyOf(object))));
    const gone = [...this.#applied].filter(([key]) => !wanted.has(key)).map(([, object]) => object);
    const namespaces = changed.filter(({ kind }) => kind === 'Namespace');
    if (namespaces.length > 0) await this.#api.apply(...namespaces);
    if (hasRealServer) await this.#accounts(changed);
    await this.#api.apply(...changed.filter(({ kind }) => kind !== 'Namespace'));
    if (hasRealServer) await this.#statuses(changed);
    if (gone.length > 0) await this.#api.remove(...gone);
    this.#applied = wanted;
  }

  /** It admits no pod whose service account is not there. */
  async #accounts(objects: readonly ShopObject[]): Promise<void> {
    for (const { kind, metadata, spec } of objects) {
      if (kind !== 'Pod') continue;
      const { namespace = 'default' } = metadata;
      const name = String(spec?.['serviceAccountName'] ?? 'default');
      const account: ApiObject = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } };
      await this.#api.applyAt(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}`, account);
    }
  }

  /** The kubelet's part: a status has a path of its own. */
  async #statuses(objects: readonly ShopObject[]): Promise<void> {
    for (const object of objects) {
      const { kind, apiVersion, metadata } = object;
      if (kind !== 'Pod') continue;
      const { name, namespace = 'default' } = metadata;
      const status = { apiVersion, kind, metadata: { name, namespace }, status: object['status'] };
      await this.#api.applyAt(`/api/v1/namespaces/${namespace}/pods/${name}/status`, status);
    }
  }
}

const keyOf = ({ kind, metadata }: ShopObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
