/**
 * Finds the network namespace of a pod on this node without asking its container runtime: by the processes in the pod's
 * cgroup, whose names carry the pod's uid, and by the pod's addresses in the namespaces that the runtime keeps as files
 * (containerd and CRI-O: /run/netns). Processes count more: whoever may set addresses in a pod can claim another pod's
 * there, but cannot enter its cgroup.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalAddress } from '../base/address.ts';
import { netnsAddresses, netnsId } from '../kernel/netns.ts';
import type { PodProcesses } from './pod-processes.ts';

export type Found = { readonly path: string } | { readonly reason: string };

/** A pod as it can be looked for. */
export interface WantedPod {
  readonly runtimeUid: string;
  /** Canonical text. */
  readonly addresses: readonly string[];
}

export interface NetnsFinderParts {
  /** Directory of files that keep namespaces: /run/netns. */
  readonly directory: string;
  readonly processes: Pick<PodProcesses, 'of'>;
  readonly now: () => number;
}

interface Kept {
  /** Device and inode. */
  readonly key: string;
  readonly path: string;
  readonly identity: string;
  readonly addresses: readonly string[];
  readonly readAt: number;
}

/** Addresses in a namespace may change; to read them costs some 50 µs. */
const addressesForMs = 5000;
/** An agent that starts looks for all pods of its node in one go: they share a look at the directory. */
const lookForMs = 10;
const ownNamespace = '/proc/thread-self/ns/net';

export class NetnsFinder {
  readonly #parts: NetnsFinderParts;
  #kept: ReadonlyMap<string, Kept> = new Map();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: NetnsFinderParts) {
    this.#parts = parts;
  }

  /** Looks at the machine as it is now. */
  find(pod: WantedPod): Found {
    this.#look();
    const own = keyOf(ownNamespace);
    const running = this.#ofProcesses(pod.runtimeUid);
    // A process that is just being made a container is in the node's namespace for a moment.
    const inside = [...running.keys()].filter((key) => key !== own);
    const candidates = inside.length > 0 ? inside : this.#withAddress(pod.addresses);
    const [first, ...others] = candidates.length > 1 ? this.#narrow(candidates, running, pod.addresses) : candidates;
    if (others.length > 0) return { reason: `${others.length + 1} network namespaces on this node may be its` };
    if (first === undefined || first === own) {
      const reason =
        running.size > 0 ? "its processes are in the node's own" : 'its network namespace was not found on this node';
      return { reason: `${reason} (yet)` };
    }
    const path = this.#kept.get(first)?.path ?? running.get(first);
    return path === undefined ? { reason: 'its network namespace is gone' } : { path };
  }

  /** The file that keeps the namespace of a path of the node, as a CNI plugin names it; null when there is none here. */
  pathOf(nodePath: string): string | null {
    const name = /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(nodePath)?.[1];
    if (name === '.' || name === '..') return null;
    const path = name === undefined ? nodePath : join(this.#parts.directory, name);
    const key = keyOf(path);
    return key === null || key === keyOf(ownNamespace) ? null : path;
  }

  /** Reads which namespaces are kept, and the addresses of those that were not read lately. */
  #look(): void {
    const { directory, now } = this.#parts;
    if (now() - this.#lookedAt < lookForMs) return;
    this.#lookedAt = now();
    const kept = new Map<string, Kept>();
    const before = new Map([...this.#kept.values()].map((one) => [one.path, one]));
    for (const name of namesIn(directory)) {
      const path = join(directory, name);
      const identity = identityOf(path);
      const key = keyOf(path);
      if (identity === null || key === null) continue;
      const known = before.get(path);
      const isFresh =
        known?.identity === identity && known.addresses.length > 0 && now() - known.readAt < addressesForMs;
      kept.set(key, isFresh ? known : { key, path, identity, addresses: addressesIn(path), readAt: now() });
    }
    this.#kept = kept;
  }

  /** Namespaces of the pod's processes, with a path to each. */
  #ofProcesses(uid: string): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const pid of this.#parts.processes.of(uid)) {
      const path = `/proc/${pid}/ns/net`;
      const key = keyOf(path);
      if (key !== null && !found.has(key)) found.set(key, path);
    }
    return found;
  }

  #withAddress(addresses: readonly string[]): string[] {
    return [...this.#kept.values()]
      .filter((one) => addresses.some((a) => one.addresses.includes(a)))
      .map(({ key }) => key);
  }

  /** Of several namespaces, those with the pod's addresses: a container may have made others for itself. */
  #narrow(keys: readonly string[], running: ReadonlyMap<string, string>, addresses: readonly string[]): string[] {
    return keys.filter((key) => {
      const held = this.#kept.get(key)?.addresses ?? addressesIn(running.get(key) ?? '');
      return addresses.some((address) => held.includes(address));
    });
  }
}

function keyOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    // Processes end, and namespaces go, while they are looked at.
    return null;
  }
}

function identityOf(path: string): string | null {
  try {
    return netnsId(path);
  } catch {
    return null;
  }
}

/** None of what is no namespace (any more). */
function addressesIn(path: string): readonly string[] {
  try {
    return netnsAddresses(path).flatMap((text) => canonicalAddress(text) ?? []);
  } catch {
    return [];
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
