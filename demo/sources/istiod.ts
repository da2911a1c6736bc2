/**
 * The shop in the real istiod, which speaks to the daemon by Envoy's resources (`ads`) or the workload API (`workload`). Which
 * pods are on this machine, and in which network namespaces, the daemon reads from a directory beside it.
 */
import { join } from 'node:path';
import { Istiod, istiodMissing } from '../../test/lab/istiod.ts';
import type { Lab } from '../../test/lab/lab.ts';
import { inCluster, isLocal, readObjects, writeObjects } from './objects.ts';
import type { ShopSource } from './source.ts';

export class IstiodSource implements ShopSource {
  readonly name: 'ads' | 'workload';
  readonly what: string;
  readonly routes: boolean;
  readonly flags: readonly string[];
  readonly #lab: Lab;
  readonly #directory: string;
  readonly #local: string;
  readonly #istiod: Istiod;

  constructor(name: 'ads' | 'workload', lab: Lab, directory: string) {
    const missing = istiodMissing();
    if (missing !== null) throw new Error(`this source needs istiod: ${missing}`);
    this.name = name;
    this.what = name === 'ads' ? 'istiod, by Envoy’s resources' : 'istiod, by the workload API';
    // The workload API knows services and workloads: what becomes of a single request is a waypoint's matter there.
    this.routes = name === 'ads';
    this.#lab = lab;
    this.#directory = directory;
    this.#local = join(lab.directory, 'local');
    this.#istiod = new Istiod(lab);
    const mode = name === 'ads' ? 'kernel-native' : 'dual-engine';
    this.flags = ['--config', this.#local, '--mesh-controller', this.#istiod.address, '--mode', mode];
  }

  async start(): Promise<void> {
    await this.apply();
    // It tells of IPv6 beside IPv4 only then.
    await this.#istiod.start({ ISTIO_DUAL_STACK: 'true' });
  }

  async apply(): Promise<void> {
    const objects = readObjects(this.#directory);
    writeObjects(join(this.#local, 'pods.yaml'), objects.filter(isLocal));
    // One file, so that istiod never sees half of a change.
    writeObjects(join(this.#istiod.directory, 'shop.yaml'), [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } },
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } },
      ...inCluster(this.#lab, objects),
    ]);
  }
}
