/** Network namespaces as the model and the enroller ask for them, many times a second: what can be remembered is. */
import { netnsAddresses, netnsId } from '../kernel/netns.ts';

/** Entering a namespace costs some 50 µs, looking at its file 2: addresses are read again only so often. */
const addressesForMs = 5000;

interface Seen {
  readonly identity: string;
  readonly addresses: readonly string[];
  readonly readAt: number;
}

export class Namespaces {
  readonly #now: () => number;
  readonly #cookie: (path: string) => bigint;
  readonly #seen = new Map<string, Seen>();

  constructor(cookie: (path: string) => bigint, now: () => number) {
    this.#cookie = cookie;
    this.#now = now;
  }

  /** Changes when another namespace is behind the path; null when there is none. */
  identity(path: string): string | null {
    try {
      return netnsId(path);
    } catch {
      return null;
    }
  }

  cookie(path: string): bigint {
    return this.#cookie(path);
  }

  /** The namespace's addresses; null when there is none (yet). One that has no address yet is looked at each time. */
  resolve(path: string): { readonly path: string; readonly addresses: readonly string[] } | null {
    const identity = this.identity(path);
    const seen = this.#seen.get(path);
    if (identity === null) {
      this.#seen.delete(path);
      return null;
    }
    const fresh =
      seen?.identity === identity && seen.addresses.length > 0 && this.#now() - seen.readAt < addressesForMs;
    if (fresh) return { path, addresses: seen.addresses };
    try {
      const addresses = netnsAddresses(path);
      this.#seen.set(path, { identity, addresses, readAt: this.#now() });
      return { path, addresses };
    } catch {
      return null;
    }
  }
}
