/**
 * What becomes of a pod that the runtime starts: whether the mesh concerns it, and that the kernel holds it before the
 * runtime goes on. The pod may be younger than what the watch has told; then the API server is asked for this one pod.
 */
import { KmError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { ClaimAnswer, PodClaim, PodClaims } from '../node/claims.ts';
import type { PodName, Sandbox } from './call.ts';

export interface CniPodsParts {
  readonly claims: PodClaims;
  /** Whether the sources say that this pod is to be under the mesh; null: they have not told of it. */
  readonly isWanted: (pod: PodName) => boolean | null;
  /** Whether pods of a namespace are under the mesh unless they say otherwise, as far as is known. */
  readonly isEnrolled: (namespace: string) => boolean;
  /** Asks the API server the same of one pod; null: it has no such pod. Without one there is nobody to ask. */
  readonly ask: ((pod: PodName, signal: AbortSignal) => Promise<boolean | null>) | null;
  readonly log: Logger;
}

export class CniPods {
  readonly #parts: CniPodsParts;
  /** By container. */
  readonly #sandboxes = new Map<string, Sandbox>();

  constructor(parts: CniPodsParts) {
    this.#parts = parts;
  }

  /** Resolves when the pod may go on. KM5021 when it must be under the mesh and is not yet. */
  async add(sandbox: Sandbox, withinMs: number): Promise<void> {
    const { claims } = this.#parts;
    this.#sandboxes.set(sandbox.container, sandbox);
    const asking = new AbortController();
    const timer = setTimeout(() => asking.abort(new Error(`no answer within ${withinMs} ms`)), withinMs);
    try {
      const claimed = claims.claim(claimOf(sandbox), withinMs);
      const answer = await Promise.race([claimed, this.#asked(sandbox, asking.signal)]);
      this.#conclude(sandbox, answer === 'await the claim' ? await claimed : answer);
    } finally {
      clearTimeout(timer);
      asking.abort();
    }
  }

  /** Throws KM5022 when a pod is not under the mesh although it is to be. */
  check(sandbox: Sandbox): void {
    const { claims, isWanted } = this.#parts;
    if (isWanted(sandbox) !== true) return;
    const { namespace, name, netns } = sandbox;
    const claimed = claims.claimed(namespace, name);
    if (claimed === null || claimed.netns === netns) return;
    throw new KmError('KM5022', `${namespace}/${name} is known in ${claimed.netns}, not in ${netns}`);
  }

  release(sandbox: Sandbox): void {
    const { claims } = this.#parts;
    const { container, namespace, name, uid } = sandbox;
    const netns = sandbox.netns || (this.#sandboxes.get(container)?.netns ?? '');
    this.#sandboxes.delete(container);
    // What is left of a start that failed is taken down after the pod was started again.
    if (claims.claimed(namespace, name)?.netns === netns) claims.release({ namespace, name, uid });
  }

  /** Only these containers are there. */
  keepOnly(containers: ReadonlySet<string>): void {
    for (const [container, sandbox] of [...this.#sandboxes]) if (!containers.has(container)) this.release(sandbox);
  }

  /** What the API server says of a pod that the sources do not know (yet), where that is an answer. */
  async #asked(sandbox: Sandbox, signal: AbortSignal): Promise<ClaimAnswer | 'await the claim'> {
    const { isWanted, ask, log } = this.#parts;
    if (ask === null || isWanted(sandbox) !== null) return 'await the claim';
    try {
      const wanted = await ask(sandbox, signal);
      if (wanted === null) return { result: 'not enrolled', reason: 'the API server has no such pod (any more)' };
      if (!wanted) return { result: 'not enrolled', reason: 'its labels do not ask for it' };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!signal.aborted)
        log.warn('the API server does not tell of a pod that starts', { pod: nameOf(sandbox), reason });
    }
    return 'await the claim';
  }

  #conclude(sandbox: Sandbox, answer: ClaimAnswer): void {
    const { isEnrolled, isWanted, log } = this.#parts;
    const pod = nameOf(sandbox);
    switch (answer.result) {
      case 'enrolled':
        log.debug('pod starts under the mesh', { pod });
        return;
      case 'not enrolled':
        log.debug('pod starts outside the mesh', { pod, reason: answer.reason });
        return;
      case 'pending':
        throw new KmError('KM5021', `${pod} is not under the mesh yet: ${answer.reason}`);
      case 'unknown':
        if (isWanted(sandbox) ?? isEnrolled(sandbox.namespace)) {
          throw new KmError('KM5021', `${pod} is not under the mesh yet: the API server has not told of it`);
        }
        log.warn('pod starts outside the mesh', { pod, reason: 'the API server has not told of it' });
    }
  }
}

const nameOf = ({ namespace, name }: PodName): string => `${namespace}/${name}`;

const claimOf = ({ namespace, name, uid, netns }: Sandbox): PodClaim => ({ namespace, name, uid, netns });
