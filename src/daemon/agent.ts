/**
 * What the daemon does beside the mesh when it is the agent of a Kubernetes node (`--node-agent`): it finds the pods' network
 * namespaces, takes what a CNI plugin tells, and says on the pods that they are enrolled.
 */
import type { Log } from '../base/log.ts';
import type { Locate } from '../enrol/enroller.ts';
import type { Mesh, MeshDelta, Workload } from '../model/types.ts';
import { Annotator } from '../node/annotator.ts';
import type { PodClaims } from '../node/claims.ts';
import { NetnsFinder } from '../node/netns-finder.ts';
import { annotated, NodePods } from '../node/node-pods.ts';
import { PodProcesses } from '../node/pod-processes.ts';
import type { EnrolmentView } from '../probe/items.ts';
import type { ApiClient } from '../source/kubernetes/client.ts';
import { systemTimers } from '../source/timers.ts';
import type { Settings } from './settings.ts';
import { clientOf } from './sources.ts';

/** What the controller and the enroller ask about this node. */
export interface NodeView {
  readonly locate: Locate;
  /** Whether a workload may be on this machine. */
  isHere(w: Workload): boolean;
  /** Workloads have changed. */
  changed(delta: MeshDelta): void;
  /** Workloads were enrolled, or left. */
  enrolled(): void;
}

export interface AgentParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly mesh: Mesh;
  /** cgroup v2 directory with the node's pods below it. */
  readonly cgroup: string;
  readonly state: (uid: string) => string;
  /** The programs run. */
  readonly ready: () => boolean;
  /** Enrols what can be enrolled now. */
  readonly enrol: () => void;
}

/** A machine of its own: pods name their network namespaces themselves. */
export const plainNode: NodeView = {
  locate: annotated,
  isHere: () => true,
  changed: () => undefined,
  enrolled: () => undefined,
};

export class Agent implements NodeView {
  /** For the server that CNI plugins ask. */
  readonly pods: NodePods & PodClaims;
  readonly #parts: AgentParts;
  readonly #annotator: Annotator;
  readonly #client: ApiClient;
  /** Workloads of this node. */
  readonly #local = new Map<string, Workload>();

  /** KM1021. */
  constructor(parts: AgentParts) {
    const { settings, log, mesh, cgroup, state, ready, enrol } = parts;
    this.#parts = parts;
    const processes = new PodProcesses(cgroup);
    const finder = new NetnsFinder({ directory: settings.netnsPath, processes, now: () => performance.now() });
    const workload = (uid: string): Workload | undefined => mesh.workloads.get(uid);
    this.pods = new NodePods({ node: settings.nodeName, finder, workload, state, ready, enrol });
    this.#client = clientOf(settings.kubernetes);
    this.#annotator = new Annotator({ client: this.#client, timers: systemTimers, log: log.logger('node') });
  }

  readonly locate: Locate = (w) => this.pods.locate(w);

  isHere(w: Workload): boolean {
    return this.pods.isHere(w);
  }

  changed({ workloads }: MeshDelta): void {
    const gone: string[] = [];
    for (const uid of workloads) {
      const w = this.#parts.mesh.workloads.get(uid);
      if (w === undefined) gone.push(uid);
      if (w !== undefined && this.isHere(w)) this.#local.set(uid, w);
      else this.#local.delete(uid);
    }
    this.pods.forget(gone);
  }

  enrolled(): void {
    this.pods.settle();
    if (!this.#parts.ready()) return;
    this.#annotator.sync(this.#local.values(), (w) => {
      if (!w.enrolled) return false;
      return this.#parts.state(w.uid).startsWith('enrolled') ? true : null;
    });
  }

  /** Says on no pod any more that it is under the mesh. */
  async leave(withinMs: number): Promise<void> {
    this.#annotator.sync(this.#local.values(), () => false);
    await this.#annotator.idle(withinMs);
  }

  close(): void {
    this.#annotator.close();
    this.#client.close();
  }
}

/** What is told of enrolment: also why a pod is none of this node's business. */
export function enrolmentView(enroller: EnrolmentView, mesh: Mesh, isHere: (w: Workload) => boolean): EnrolmentView {
  return {
    devicesOf: (uid) => enroller.devicesOf(uid),
    netnsOf: (uid) => enroller.netnsOf(uid),
    state: (uid) => {
      const w = mesh.workloads.get(uid);
      if (w?.hostNetwork === true) return 'host network: not enrolled';
      if (w?.enrolled === true && !isHere(w)) return w.node === undefined ? 'on no node yet' : `on node ${w.node}`;
      return enroller.state(uid);
    },
  };
}
