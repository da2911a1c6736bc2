/**
 * Processes of a pod, found by the pod's uid in the name of its cgroup. Kubelet's cgroupfs driver has
 * `kubepods/QOS/podUID/CONTAINER`, its systemd driver `kubepods.slice/kubepods-QOS.slice/kubepods-QOS-podUID.slice/UNIT`
 * with `_` for `-`; the root above differs from node to node.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** kubelet.slice, kubelet-kubepods.slice, kubelet-kubepods-burstable.slice, pod: and two more for roots of their own. */
const maxDepth = 6;
const podName = /(?:^|-)pod([0-9a-f]{8}[-_][0-9a-f_-]{27}|[0-9a-f]{32})(?:\.slice)?$/;
/** What holds no pods and may be large. */
const elsewhere = /\.(?:service|socket|mount|scope|swap|timer)$|^user\.slice$/;

export class PodProcesses {
  readonly #root: string;
  /** Where pods' cgroups were seen. */
  readonly #parents = new Set<string>();

  /** `root`: a cgroup v2 directory with all pods of the node below it. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Process ids, none when the pod has no cgroup here; those that this process may not see are left out. */
  of(uid: string): number[] {
    const wanted = plain(uid);
    for (const parent of this.#parents) {
      const found = namesOf(parent).find((name) => uidIn(name) === wanted);
      if (found !== undefined) return processesBelow(join(parent, found));
    }
    const found = this.#search(this.#root, wanted, 0);
    return found === null ? [] : processesBelow(found);
  }

  #search(directory: string, wanted: string, depth: number): string | null {
    const names = namesOf(directory);
    if (names.some((name) => uidIn(name) !== null)) this.#parents.add(directory);
    const found = names.find((name) => uidIn(name) === wanted);
    if (found !== undefined) return join(directory, found);
    if (depth === maxDepth) return null;
    for (const name of names) {
      if (elsewhere.test(name) || uidIn(name) !== null) continue;
      const below = this.#search(join(directory, name), wanted, depth + 1);
      if (below !== null) return below;
    }
    return null;
  }
}

/** The drivers write uids with `-`, `_` or, of static pods, nothing between. */
const plain = (uid: string): string => uid.replaceAll(/[-_]/g, '');

function uidIn(name: string): string | null {
  const uid = podName.exec(name)?.[1];
  return uid === undefined ? null : plain(uid);
}

function processesBelow(directory: string): number[] {
  const here = read(join(directory, 'cgroup.procs'))
    .split('\n')
    .map(Number)
    // 0 stands for a process of another PID namespace.
    .filter((pid) => pid > 0);
  return [...here, ...namesOf(directory).flatMap((name) => processesBelow(join(directory, name)))];
}

/** Cgroups go while they are looked at. */
function namesOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
