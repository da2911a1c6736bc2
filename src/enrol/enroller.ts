/**
 * Puts workloads under the mesh: finds the network namespace of each workload that its labels enrol and writes the
 * namespace's cookie into the kernel's gate. A namespace that is not there yet, or was made anew under the same path, is
 * found when {@link Enroller.sync} runs next.
 */
import type { Logger } from '../base/log.ts';
import { workloadId } from '../compile/service.ts';
import type { KmEnrolment } from '../kernel/gen/layout.gen.ts';
import type { Workload } from '../model/types.ts';
import type { Table } from '../publish/tables.ts';

/** Network namespaces by path, as src/kernel/netns.ts reaches them. */
export interface NetnsAccess {
  /** Changes when another namespace is behind the path; null when there is none. */
  identity(path: string): string | null;
  cookie(path: string): bigint;
}

interface Known {
  readonly identity: string;
  readonly cookie: bigint;
}

export type EnrolTable = Pick<Table<bigint, KmEnrolment>, 'name' | 'maxEntries' | 'entries' | 'write' | 'remove'>;

export class Enroller {
  readonly #table: EnrolTable;
  readonly #netns: NetnsAccess;
  readonly #log: Logger;
  /** What the kernel holds: cookie → workload id. */
  #held: Map<bigint, bigint> | null = null;
  readonly #known = new Map<string, Known>();
  readonly #state = new Map<string, string>();

  constructor(table: EnrolTable, netns: NetnsAccess, log: Logger) {
    this.#table = table;
    this.#netns = netns;
    this.#log = log;
  }

  /** `enrolled`, `not enrolled`, or `pending: REASON`. */
  state(uid: string): string {
    return this.#state.get(uid) ?? 'not enrolled';
  }

  get enrolled(): number {
    return this.#held?.size ?? 0;
  }

  /** What the kernel's gate holds otherwise than the last {@link sync} left it, one line each. */
  differences(): string[] {
    const missing = new Map(this.#held ?? []);
    const found: string[] = [];
    for (const [cookie, { workload }] of this.#table.entries()) {
      if (missing.get(cookie) === workload) missing.delete(cookie);
      else found.push(`network namespace ${cookie} is enrolled in the kernel as no source says`);
    }
    return [
      ...found,
      ...[...missing.keys()].map((cookie) => `network namespace ${cookie} is not enrolled in the kernel`),
    ];
  }

  /** Makes the kernel's gate what the workloads say. Cheap when nothing changed. */
  sync(workloads: Iterable<Workload>): void {
    this.#held ??= new Map([...this.#table.entries()].map(([cookie, e]) => [cookie, e.workload]));
    const held = this.#held;
    const wanted = new Map<bigint, bigint>();
    const states = new Map<string, string>();
    const owners = new Map<bigint, string>();
    for (const w of workloads) {
      if (!w.enrolled) continue;
      const found = this.#find(w);
      const reason = typeof found === 'bigint' ? this.#obstacle(found, owners) : found;
      states.set(w.uid, reason === null ? 'enrolled' : `pending: ${reason}`);
      if (typeof found !== 'bigint' || reason !== null) continue;
      owners.set(found, `${w.namespace}/${w.name}`);
      wanted.set(found, workloadId(w.uid));
    }
    const added = [...wanted].filter(([cookie, workload]) => held.get(cookie) !== workload);
    const gone = [...held.keys()].filter((cookie) => !wanted.has(cookie));
    // Those that leave make room for those that come.
    this.#table.remove(gone);
    this.#table.write(
      added.map(([cookie, workload]) => [cookie, { workload, wireFirst: 0, wireCount: 0 }] as const),
      'any',
    );
    this.#held = wanted;
    this.#report(states);
  }

  /** Why a namespace that exists cannot be enrolled for one more workload, or null. */
  #obstacle(cookie: bigint, owners: ReadonlyMap<bigint, string>): string | null {
    const owner = owners.get(cookie);
    if (owner !== undefined) return `its network namespace is that of ${owner}`;
    if (owners.size < this.#table.maxEntries) return null;
    return `KM3001 ${this.#table.name} is full (${owners.size}/${this.#table.maxEntries}): raise --max-enrolled`;
  }

  /** The cookie, or why there is none. */
  #find(w: Workload): bigint | string {
    if (w.netns === undefined) return 'no network namespace is known (annotation kmesh.net/netns)';
    const identity = this.#netns.identity(w.netns);
    if (identity === null) {
      this.#known.delete(w.netns);
      return `network namespace ${w.netns} does not exist`;
    }
    const known = this.#known.get(w.netns);
    if (known?.identity === identity) return known.cookie;
    try {
      const cookie = this.#netns.cookie(w.netns);
      this.#known.set(w.netns, { identity, cookie });
      return cookie;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #report(states: ReadonlyMap<string, string>): void {
    for (const [uid, state] of states) {
      if (this.#state.get(uid) === state) continue;
      if (state === 'enrolled') this.#log.info('workload enrolled', { workload: uid });
      else
        this.#log.warn('workload cannot be enrolled yet', { workload: uid, reason: state.slice('pending: '.length) });
    }
    for (const uid of this.#state.keys()) {
      if (!states.has(uid)) this.#log.info('workload left the mesh', { workload: uid });
    }
    this.#state.clear();
    for (const [uid, state] of states) this.#state.set(uid, state);
  }
}
