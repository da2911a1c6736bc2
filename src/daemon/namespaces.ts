/** Network namespaces as the model and the enroller ask for them, many times a second: what can be remembered is. */
import { netnsAddresses, netnsId } from '../kernel/netns.ts';

/** Entering a namespace costs some 50 µs, looking at its file 2: addresses are read again only so often. */
const addressesForMs = 5000;

/** What was found behind a path; identity null: nothing. */
interface Seen {
  readonly identity: string | null;
  readonly addresses: readonly string[];
  readonly readAt: number;
}

export class Namespaces {
  readonly #now: () => number;
  readonly #cookie: (path: string) => bigint;
  readonly #seen = new Map<string, Seen>();
  /** What {@link identity} last told of each path. */
  readonly #told = new Map<string, string | null>();

  constructor(cookie: (path: string) => bigint, now: () => number) {
    this.#cookie = cookie;
    this.#now = now;
  }

  /** Changes when another namespace is behind the path; null when there is none. */
  identity(path: string): string | null {
    const identity = identityOf(path);
    this.#told.set(path, identity);
    return identity;
  }

  /** Nobody asks for the path's identity any more. */
  forget(path: string): void {
    this.#told.delete(path);
  }

  cookie(path: string): bigint {
    return this.#cookie(path);
  }

  /** Whether a path that was asked for might be answered otherwise now. Costs a stat(2) a path. */
  changed(): boolean {
    for (const [path, told] of this.#told) if (identityOf(path) !== told) return true;
    for (const [path, seen] of this.#seen) if (!this.#isFresh(seen, identityOf(path))) return true;
    return false;
  }

  /** The namespace's addresses; null when there is none (yet). One that has no address yet is looked at each time. */
  resolve(path: string): { readonly path: string; readonly addresses: readonly string[] } | null {
    const identity = identityOf(path);
    const seen = this.#seen.get(path);
    if (seen === undefined || !this.#isFresh(seen, identity)) {
      this.#seen.set(path, { identity, addresses: addressesOf(path), readAt: this.#now() });
    }
    return identity === null ? null : { path, addresses: this.#seen.get(path)?.addresses ?? [] };
  }

  #isFresh(seen: Seen, identity: string | null): boolean {
    if (seen.identity !== identity) return false;
    return identity === null || (seen.addresses.length > 0 && this.#now() - seen.readAt < addressesForMs);
  }
}

function identityOf(path: string): string | null {
  try {
    return netnsId(path);
  } catch {
    return null;
  }
}

function addressesOf(path: string): readonly string[] {
  try {
    return netnsAddresses(path);
  } catch {
    return [];
  }
}
