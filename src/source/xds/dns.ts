/** Names of DNS clusters, resolved again and again; traffic never waits for it. */
import { Resolver } from 'node:dns/promises';
import { canonicalAddress } from '../../base/address.ts';
import type { Clock } from './clock.ts';

export interface Answer {
  readonly addresses: readonly string[];
  /** How long it holds, in milliseconds. */
  readonly ttlMs: number;
}

/** Asks once; rejects when there is no answer. */
export type Resolve = (host: string, family: 4 | 6) => Promise<Answer>;

export interface Wanted {
  readonly families: readonly (4 | 6)[];
  readonly refreshMs: number;
  readonly respectTtl: boolean;
}

interface Entry {
  wanted: Wanted;
  addresses: readonly string[];
  error: string | null;
  cancel: (() => void) | null;
  /** Counts lookups, so that a late answer of an earlier one is told. */
  serial: number;
}

/** A TTL of nothing would be a flood. */
const leastMs = 1000;

export class DnsNames {
  readonly #names = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #resolve: Resolve;
  readonly #changed: (host: string) => void;

  constructor(clock: Clock, resolve: Resolve, changed: (host: string) => void) {
    this.#clock = clock;
    this.#resolve = resolve;
    this.#changed = changed;
  }

  /** Says which names are needed now; others are forgotten. */
  want(names: ReadonlyMap<string, Wanted>): void {
    for (const [host, entry] of this.#names) {
      if (names.has(host)) continue;
      entry.cancel?.();
      entry.serial = -1;
      this.#names.delete(host);
    }
    for (const [host, wanted] of names) {
      const known = this.#names.get(host);
      if (known !== undefined) {
        known.wanted = wanted;
        continue;
      }
      const entry: Entry = { wanted, addresses: [], error: null, cancel: null, serial: 0 };
      this.#names.set(host, entry);
      this.#ask(host, entry);
    }
  }

  /** The last answer: it stays when a later lookup fails. */
  addresses(host: string): readonly string[] {
    return this.#names.get(host)?.addresses ?? [];
  }

  *failures(): Generator<{ readonly host: string; readonly error: string }> {
    for (const [host, { error }] of this.#names) if (error !== null) yield { host, error };
  }

  close(): void {
    this.want(new Map());
  }

  #ask(host: string, entry: Entry): void {
    entry.serial += 1;
    const { serial } = entry;
    const { families, refreshMs, respectTtl } = entry.wanted;
    void Promise.allSettled(families.map((family) => this.#resolve(host, family))).then((answers) => {
      if (entry.serial !== serial) return;
      const good = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const [failed] = answers.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
      const before = entry.addresses.join();
      if (good.length > 0) {
        const all = good.flatMap(({ addresses }) => addresses.flatMap((text) => canonicalAddress(text) ?? []));
        // The order of answers turns; what counts is the set.
        entry.addresses = [...new Set(all)].sort();
      }
      entry.error = good.length > 0 ? null : (failed ?? 'no answer');
      const ttl = respectTtl && good.length > 0 ? Math.min(...good.map(({ ttlMs }) => ttlMs)) : refreshMs;
      entry.cancel = this.#clock.after(Math.max(leastMs, ttl), () => this.#ask(host, entry));
      if (entry.addresses.join() !== before) this.#changed(host);
    });
  }
}

/** By the resolvers of /etc/resolv.conf. */
export function systemResolve(): Resolve {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  return async (host, family) => {
    if (host === 'localhost') return { addresses: [family === 4 ? '127.0.0.1' : '::1'], ttlMs: 60_000 };
    const records = await (family === 4
      ? resolver.resolve4(host, { ttl: true })
      : resolver.resolve6(host, { ttl: true }));
    return {
      addresses: records.map(({ address }) => address),
      ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1000,
    };
  };
}
