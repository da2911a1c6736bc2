/**
 * Puts workloads under the mesh: finds the network namespace of each workload that its labels enrol and writes the
 * namespace's cookie into the kernel's gate. A namespace that is not there yet, or was made anew under the same path, is
 * found when {@link Enroller.sync} runs next. The programs at its devices come before the gate opens and go after it has
 * closed.
 */
import type { Logger } from '../base/log.ts';
import { workloadId } from '../compile/service.ts';
import type { KmEnrolment } from '../kernel/gen/layout.gen.ts';
import type { Workload } from '../model/types.ts';
import type { Table } from '../publish/tables.ts';
import type { HttpState, NamespacePrograms } from './namespace-programs.ts';

/** Network namespaces by path, as src/kernel/netns.ts reaches them. */
export interface NetnsAccess {
  /** Changes when another namespace is behind the path; null when there is none. */
  identity(path: string): string | null;
  cookie(path: string): bigint;
  /** The path is not asked for any more. */
  forget(path: string): void;
}

/** Where a workload's network namespace is, or why that is not known; `retry`: it may be without a change of workloads. */
export type Locate = (w: Workload) => { readonly path: string } | { readonly reason: string; readonly retry: boolean };

/** The programs at the devices of namespaces, as {@link NamespacePrograms} keeps them. */
export type DeviceAccess = Pick<NamespacePrograms, 'join' | 'keepOnly' | 'due' | 'differences' | 'devices'>;

interface Known {
  readonly identity: string;
  readonly cookie: bigint;
}

interface State {
  /** Why the workload is not enrolled although its labels say so; null: it is. */
  readonly pending: string | null;
  readonly http: HttpState | null;
  /** Of its network namespace. */
  readonly path: string | null;
  /** The pod is being made or ends: what is missing then comes, or is not missed. */
  readonly passing: boolean;
}

export type EnrolTable = Pick<Table<bigint, KmEnrolment>, 'name' | 'maxEntries' | 'entries' | 'write' | 'remove'>;

export class Enroller {
  readonly #table: EnrolTable;
  readonly #netns: NetnsAccess;
  readonly #devices: DeviceAccess;
  readonly #locate: Locate;
  readonly #log: Logger;
  /** What the kernel holds by cookie. */
  #held: Map<bigint, KmEnrolment> | null = null;
  readonly #known = new Map<string, Known>();
  readonly #state = new Map<string, State>();
  /** Something may be found that was not found when it was looked for last. */
  #retry = false;

  constructor(table: EnrolTable, netns: NetnsAccess, devices: DeviceAccess, locate: Locate, log: Logger) {
    this.#table = table;
    this.#netns = netns;
    this.#devices = devices;
    this.#locate = locate;
    this.#log = log;
  }

  /** `enrolled`, `enrolled, HTTP off: REASON`, `not enrolled`, or `pending: REASON`. */
  state(uid: string): string {
    const state = this.#state.get(uid);
    if (state === undefined) return 'not enrolled';
    if (state.pending !== null) return `pending: ${state.pending}`;
    return state.http?.reason ? `enrolled, HTTP off: ${state.http.reason}` : 'enrolled';
  }

  /** Devices that carry a workload's traffic; none of one that is not enrolled. */
  devicesOf(uid: string): readonly string[] {
    return this.#state.get(uid)?.http?.devices ?? [];
  }

  /** Path of a workload's network namespace; null: not known. */
  netnsOf(uid: string): string | null {
    return this.#state.get(uid)?.path ?? null;
  }

  /** Devices that have programs. */
  get devices(): number {
    return this.#devices.devices;
  }

  /** Whether {@link sync} would do something although no workload and no namespace has changed. */
  due(): boolean {
    return this.#retry || this.#devices.due();
  }

  get enrolled(): number {
    return this.#held?.size ?? 0;
  }

  /** What the kernel's gate holds otherwise than the last {@link sync} left it, one line each. */
  differences(): string[] {
    const missing = new Map(this.#held ?? []);
    const found: string[] = [];
    for (const [cookie, record] of this.#table.entries()) {
      if (same(missing.get(cookie), record)) missing.delete(cookie);
      else found.push(`network namespace ${cookie} is enrolled in the kernel as no source says`);
    }
    return [
      ...found,
      ...[...missing.keys()].map((cookie) => `network namespace ${cookie} is not enrolled in the kernel`),
      ...this.#devices.differences(),
    ];
  }

  /** Makes the kernel's gate what the workloads say. Cheap when nothing changed. */
  sync(workloads: Iterable<Workload>): void {
    this.#held ??= new Map(this.#table.entries());
    const held = this.#held;
    const states = new Map<string, State>();
    const owners = new Map<bigint, { readonly workload: Workload; readonly path: string }>();
    this.#retry = false;
    for (const w of workloads) {
      if (!w.enrolled) continue;
      const located = this.#locate(w);
      const passing = !w.ready;
      if ('reason' in located) {
        this.#retry ||= located.retry;
        states.set(w.uid, { pending: located.reason, http: null, path: null, passing });
        continue;
      }
      const { path } = located;
      const found = this.#find(path);
      const pending = typeof found === 'bigint' ? this.#obstacle(found, owners) : found;
      states.set(w.uid, { pending, http: null, path, passing });
      if (typeof found === 'bigint' && pending === null) owners.set(found, { workload: w, path });
    }
    const http = this.#devices.join(new Map([...owners].map(([cookie, { path }]) => [cookie, path])));
    const wanted = new Map<bigint, KmEnrolment>();
    for (const [cookie, { workload: w, path }] of owners) {
      const state = http.get(cookie) ?? null;
      states.set(w.uid, { pending: null, http: state, path, passing: !w.ready });
      const { first, count } = state?.wire ?? { first: 0, count: 0 };
      wanted.set(cookie, { workload: workloadId(w.uid), wireFirst: first, wireCount: count });
    }
    // Those that leave make room for those that come.
    this.#table.remove([...held.keys()].filter((cookie) => !wanted.has(cookie)));
    this.#table.write(
      [...wanted].filter(([cookie, record]) => !same(held.get(cookie), record)),
      'any',
    );
    this.#held = wanted;
    this.#devices.keepOnly(new Set(wanted.keys()));
    this.#forgetOthers(states);
    this.#report(states);
  }

  /** Paths of pods that are gone come never again. */
  #forgetOthers(states: ReadonlyMap<string, State>): void {
    const used = new Set([...states.values()].map(({ path }) => path));
    for (const { path } of this.#state.values()) {
      if (path === null || used.has(path)) continue;
      this.#known.delete(path);
      this.#netns.forget(path);
    }
  }

  /** Why a namespace that exists cannot be enrolled for one more workload, or null. */
  #obstacle(cookie: bigint, owners: ReadonlyMap<bigint, { readonly workload: Workload }>): string | null {
    const owner = owners.get(cookie)?.workload;
    if (owner !== undefined) return `its network namespace is that of ${owner.namespace}/${owner.name}`;
    if (owners.size < this.#table.maxEntries) return null;
    return `KM3001 ${this.#table.name} is full (${owners.size}/${this.#table.maxEntries}): raise --max-enrolled`;
  }

  /** The cookie, or why there is none. */
  #find(path: string): bigint | string {
    const identity = this.#netns.identity(path);
    if (identity === null) {
      this.#known.delete(path);
      return `network namespace ${path} does not exist`;
    }
    const known = this.#known.get(path);
    if (known?.identity === identity) return known.cookie;
    try {
      const cookie = this.#netns.cookie(path);
      this.#known.set(path, { identity, cookie });
      return cookie;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #report(states: ReadonlyMap<string, State>): void {
    for (const [workload, { pending, http, passing }] of states) {
      const before = this.#state.get(workload);
      const warn = (text: string, reason: string): void => {
        if (passing) this.#log.debug(text, { workload, reason });
        else this.#log.warn(text, { workload, reason });
      };
      // What was passed over is told when it stays.
      const stays = before?.passing === true && !passing;
      if (before === undefined || before.pending !== pending || (stays && pending !== null)) {
        if (pending === null) this.#log.info('workload enrolled', { workload });
        // A pod's network namespace goes a moment before the pod does.
        else if (before?.pending === null)
          this.#log.info('workload is enrolled no more', { workload, reason: pending });
        else warn('workload cannot be enrolled yet', pending);
      }
      const reason = http?.reason ?? null;
      const told = before?.http?.reason ?? null;
      if (reason === told && !(stays && reason !== null)) continue;
      if (reason !== null) warn('HTTP is off for a workload', reason);
      else if (http !== null) this.#log.info('HTTP is on for a workload', { workload });
    }
    for (const uid of this.#state.keys()) {
      if (!states.has(uid)) this.#log.info('workload left the mesh', { workload: uid });
    }
    this.#state.clear();
    for (const [uid, state] of states) this.#state.set(uid, state);
  }
}

function same(a: KmEnrolment | undefined, b: KmEnrolment): boolean {
  return a?.workload === b.workload && a.wireFirst === b.wireFirst && a.wireCount === b.wireCount;
}
