/**
 * The pods of this node: which they are, and where their network namespaces are. A CNI plugin may say so while it sets a pod
 * up (claims); the others are found.
 */
import { netnsId } from '../kernel/netns.ts';
import type { Workload } from '../model/types.ts';
import type { ClaimAnswer, PodClaim, PodClaims } from './claims.ts';
import type { Found, NetnsFinder } from './netns-finder.ts';

/** Name of the source whose pods a kubelet runs, as origins say it. */
const clusterSource = 'kubernetes';

/** Where a workload's network namespace is, or why it is not known; `retry`: it may be another time without a change. */
export type Located = { readonly path: string } | { readonly reason: string; readonly retry: boolean };

export interface NodePodsParts {
  /** spec.nodeName of the pods that are here. */
  readonly node: string;
  readonly finder: Pick<NetnsFinder, 'find' | 'pathOf'>;
  readonly workload: (uid: string) => Workload | undefined;
  /** As the enroller says it. */
  readonly state: (uid: string) => string;
  /** The programs run, so that what is enrolled is under the mesh. */
  readonly ready: () => boolean;
  /** Enrols what can be enrolled now. */
  readonly enrol: () => void;
}

interface Waiter {
  readonly claim: PodClaim;
  readonly answer: (answer: ClaimAnswer) => void;
}

interface Known {
  readonly runtimeUid: string;
  readonly path: string;
  readonly identity: string;
}

export class NodePods implements PodClaims {
  readonly #parts: NodePodsParts;
  readonly #claims = new Map<string, PodClaim>();
  readonly #known = new Map<string, Known>();
  readonly #waiters = new Set<Waiter>();

  constructor(parts: NodePodsParts) {
    this.#parts = parts;
  }

  /** Whether a workload may be on this machine. What a file of this machine names is. */
  isHere(w: Workload): boolean {
    return w.origin.source !== clusterSource || w.node === this.#parts.node;
  }

  /**
   * Where a workload's network namespace is. Of a pod of the cluster the annotation `kmesh.net/netns` does not count: who may
   * make a pod could name any namespace of the node.
   */
  locate(w: Workload): Located {
    if (w.origin.source !== clusterSource) return annotated(w);
    if (w.kubelet === undefined) return { reason: 'the API server gave it no uid', retry: false };
    const { runtimeUid } = w.kubelet;
    const known = this.#known.get(w.uid);
    if (known?.runtimeUid === runtimeUid && identityOf(known.path) === known.identity) return { path: known.path };
    const found = this.#claimed(w, runtimeUid) ?? this.#parts.finder.find({ runtimeUid, addresses: w.addresses });
    const identity = 'path' in found ? identityOf(found.path) : null;
    if ('path' in found && identity !== null) {
      this.#known.set(w.uid, { runtimeUid, path: found.path, identity });
      return found;
    }
    this.#known.delete(w.uid);
    return { reason: 'reason' in found ? found.reason : 'its network namespace is gone', retry: true };
  }

  async claim(claim: PodClaim, withinMs: number): Promise<ClaimAnswer> {
    this.#claims.set(keyOf(claim), claim);
    this.#parts.enrol();
    const now = this.#answer(claim);
    if (now !== null) return now;
    return await new Promise((resolve) => {
      const waiter: Waiter = {
        claim,
        answer: (answer) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(answer);
        },
      };
      const timer = setTimeout(() => waiter.answer(this.#late(claim)), withinMs);
      this.#waiters.add(waiter);
    });
  }

  release(claim: Pick<PodClaim, 'namespace' | 'name' | 'uid'>): void {
    if (this.#claims.get(keyOf(claim))?.uid === claim.uid) this.#claims.delete(keyOf(claim));
  }

  claimed(namespace: string, name: string): PodClaim | null {
    return this.#claims.get(keyOf({ namespace, name })) ?? null;
  }

  /** To be called when workloads have changed, with those that are no more. */
  forget(gone: Iterable<string>): void {
    for (const uid of gone) {
      const known = this.#known.get(uid);
      this.#known.delete(uid);
      // The next pod of the name may have been claimed already.
      for (const [key, claim] of this.#claims) {
        if (uidOf(claim) === uid && claim.uid === known?.runtimeUid) this.#claims.delete(key);
      }
    }
  }

  /** To be called when workloads were enrolled: whoever waits for it is answered. */
  settle(): void {
    for (const waiter of this.#waiters) {
      const answer = this.#answer(waiter.claim);
      if (answer !== null) waiter.answer(answer);
    }
  }

  #claimed(w: Workload, runtimeUid: string): Found | null {
    const claim = this.#claims.get(keyOf(w));
    if (claim === undefined || (claim.uid !== runtimeUid && claim.uid !== w.kubelet?.uid)) return null;
    const path = this.#parts.finder.pathOf(claim.netns);
    return path === null ? null : { path };
  }

  /** The workload that was claimed, not an earlier one of its name. */
  #workload(claim: PodClaim): Workload | null {
    const w = this.#parts.workload(uidOf(claim));
    return w?.kubelet?.uid === claim.uid || w?.kubelet?.runtimeUid === claim.uid ? (w ?? null) : null;
  }

  /** Null: it is not known yet. */
  #answer(claim: PodClaim): ClaimAnswer | null {
    const w = this.#workload(claim);
    if (w === null) return null;
    if (!w.enrolled) return { result: 'not enrolled', reason: 'no label enrols it' };
    const enrolled = this.#parts.ready() && this.#parts.state(w.uid).startsWith('enrolled');
    return enrolled ? { result: 'enrolled' } : null;
  }

  #late(claim: PodClaim): ClaimAnswer {
    const w = this.#workload(claim);
    if (w === null) return { result: 'unknown' };
    const reason = this.#parts.ready() ? this.#parts.state(w.uid) : 'the programs do not run yet';
    return { result: 'pending', reason };
  }
}

/** Where the annotation `kmesh.net/netns` says a workload's network namespace is. */
export function annotated({ netns }: Workload): Located {
  if (netns !== undefined) return { path: netns };
  return { reason: 'no network namespace is known (annotation kmesh.net/netns)', retry: false };
}

const keyOf = ({ namespace, name }: Pick<PodClaim, 'namespace' | 'name'>): string => `${namespace}/${name}`;
const uidOf = ({ namespace, name }: PodClaim): string => `Kubernetes//Pod/${namespace}/${name}`;

function identityOf(path: string): string | null {
  try {
    return netnsId(path);
  } catch {
    return null;
  }
}
