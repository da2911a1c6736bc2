/** The daemon's part in starting pods (`--cni`): the CNI plugin on the node, and its calls. */
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import { askForPod } from '../cni/ask.ts';
import type { PodName } from '../cni/call.ts';
import { EnrolledList, readEnrolledList } from '../cni/enrolled-list.ts';
import { CniInstaller } from '../cni/installer.ts';
import { CniPods } from '../cni/pods.ts';
import { startCniServer } from '../cni/server.ts';
import type { DataplaneMode, ObjectChanges } from '../model/objects.ts';
import type { Mesh } from '../model/types.ts';
import { workloadUid } from '../model/workloads.ts';
import type { PodClaims } from '../node/claims.ts';
import type { ApiClient } from '../source/kubernetes/client.ts';
import type { Settings } from './settings.ts';
import { clientOf } from './sources.ts';

const program = join(import.meta.dirname, '..', '..', 'build', 'cni', 'kmesh-cni');

export interface CniParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly mesh: Mesh;
  readonly claims: PodClaims;
}

export class Cni {
  readonly #parts: CniParts;
  readonly #client: ApiClient;
  readonly #installer: CniInstaller;
  readonly #list: EnrolledList;
  /** Of the namespaces that the sources have told of; null: they have not been read. */
  #modes: Map<string, DataplaneMode> | null = null;
  readonly #remembered: ReadonlySet<string>;
  #server: Server | null = null;

  /** KM1021. */
  constructor(parts: CniParts) {
    const { settings, log } = parts;
    this.#parts = parts;
    this.#client = clientOf(settings.kubernetes);
    this.#list = new EnrolledList(settings.cniEtcPath);
    this.#remembered = readEnrolledList(settings.cniEtcPath);
    this.#installer = new CniInstaller({
      confDirectory: settings.cniEtcPath,
      binDirectory: settings.cniBinPath,
      runDirectory: settings.runPath,
      conflistName: settings.conflistName,
      program,
      log: log.logger('cni'),
    });
  }

  /** Listens, and only then makes the runtime call. KM5023. */
  async start(): Promise<void> {
    const { settings, claims } = this.#parts;
    const log = this.#parts.log.logger('cni');
    const pods = new CniPods({
      claims,
      isWanted: (pod) => this.#isWanted(pod),
      isEnrolled: (namespace) => {
        if (this.#modes === null) return this.#remembered.has(namespace);
        return this.#modes.get(namespace) === 'kmesh';
      },
      ask: (pod, signal) => askForPod(this.#client, (namespace) => this.#modes?.get(namespace) ?? null, pod, signal),
      log,
    });
    this.#server = await startCniServer({ runDirectory: settings.runPath, pods, log });
    this.#installer.start();
  }

  /** Takes over what the sources say of namespaces. */
  changed({ upserted, removed }: ObjectChanges): void {
    this.#modes ??= new Map();
    for (const { kind, name } of removed) if (kind === 'Namespace') this.#modes.delete(name);
    for (const one of upserted) if (one.kind === 'Namespace') this.#modes.set(one.name, one.dataplaneMode);
    this.#list.write([...this.#modes].flatMap(([name, mode]) => (mode === 'kmesh' ? [name] : [])));
  }

  /** What keeps pods from starting under the mesh. */
  pending(): readonly string[] {
    return this.#installer.problem === null ? [] : [this.#installer.problem];
  }

  close(): void {
    this.#installer.close();
    this.#list.close();
    this.#server?.close();
    this.#client.close();
  }

  #isWanted({ namespace, name, uid }: PodName): boolean | null {
    const w = this.#parts.mesh.workloads.get(workloadUid({ kind: 'Pod', namespace, name }));
    if (w === undefined) return null;
    return uid === '' || w.kubelet?.uid === uid || w.kubelet?.runtimeUid === uid ? w.enrolled : null;
  }
}
