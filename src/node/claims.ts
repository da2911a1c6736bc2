/**
 * What a CNI plugin tells the agent while it sets up a pod, and what it is told back. The pod may not start before the answer,
 * so that it is under the mesh before its first packet.
 */

/** A pod's network namespace, as CNI's ADD names it. */
export interface PodClaim {
  readonly namespace: string;
  readonly name: string;
  /** K8S_POD_UID: tells the pod from an earlier one of the same name. */
  readonly uid: string;
  /** CNI_NETNS, a path on the node. */
  readonly netns: string;
}

/** What became of a claim. `unknown`: the API server has not shown the pod within the time. */
export type ClaimAnswer =
  | { readonly result: 'enrolled' }
  | { readonly result: 'not enrolled'; readonly reason: string }
  | { readonly result: 'pending'; readonly reason: string }
  | { readonly result: 'unknown' };

export interface PodClaims {
  /**
   * Notes where the pod's network namespace is, and answers when the pod is under the mesh, or is known not to belong to
   * it, at the latest after `withinMs`. A pod that was not enrolled in time is enrolled later, as every other.
   */
  claim(claim: PodClaim, withinMs: number): Promise<ClaimAnswer>;
  /** DEL: the network namespace goes. A claim of another uid stays. */
  release(claim: Pick<PodClaim, 'namespace' | 'name' | 'uid'>): void;
  /** What is claimed now, for CHECK. */
  claimed(namespace: string, name: string): PodClaim | null;
}
