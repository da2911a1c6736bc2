/**
 * Things that only one can have: an address with a port, a host name. Who comes first holds them; who wants the same waits,
 * and gets them, by order of arrival, when the first lets go. A claim holds all that it wants or nothing.
 */

interface Claim {
  readonly owner: string;
  readonly id: string;
  readonly wants: readonly string[];
  readonly arrival: number;
  held: boolean;
}

export interface Want {
  /** Names the claim among its owner's. */
  readonly id: string;
  readonly wants: readonly string[];
}

export class Claims {
  readonly #owners = new Map<string, Map<string, Claim>>();
  readonly #holders = new Map<string, Claim>();
  readonly #waiting = new Map<string, Set<Claim>>();
  #arrivals = 0;
  #moved = new Set<string>();

  /** Says all that an owner wants now. Claims that want the same as before keep their place. */
  set(owner: string, wants: readonly Want[]): void {
    const before = this.#owners.get(owner);
    const claims = new Map<string, Claim>();
    const released: Claim[] = [];
    for (const want of wants) {
      const old = before?.get(want.id);
      before?.delete(want.id);
      if (old !== undefined && sameTexts(old.wants, want.wants)) {
        claims.set(want.id, old);
        continue;
      }
      if (old !== undefined) released.push(old);
      claims.set(want.id, { owner, id: want.id, wants: want.wants, arrival: this.#arrivals++, held: false });
    }
    released.push(...(before?.values() ?? []));
    if (claims.size > 0) this.#owners.set(owner, claims);
    else this.#owners.delete(owner);
    const freed = released.flatMap((claim) => this.#release(claim));
    for (const claim of claims.values()) if (!claim.held) this.#acquire(claim);
    this.#hand(freed);
  }

  holds(owner: string, id: string): boolean {
    return this.#owners.get(owner)?.get(id)?.held ?? false;
  }

  /** Why a claim is not held: the thing it lacks, and who has it. */
  blocker(owner: string, id: string): { readonly thing: string; readonly owner: string } | null {
    const claim = this.#owners.get(owner)?.get(id);
    if (claim === undefined || claim.held) return null;
    for (const thing of claim.wants) {
      const holder = this.#holders.get(thing);
      if (holder !== undefined && holder !== claim) return { thing, owner: holder.owner };
    }
    return null;
  }

  /** Owners that got something since the last call because somebody else let go. */
  takeMoved(): ReadonlySet<string> {
    const moved = this.#moved;
    this.#moved = new Set();
    return moved;
  }

  #acquire(claim: Claim): boolean {
    const blocked = claim.wants.some((thing) => this.#holders.has(thing));
    for (const thing of claim.wants) {
      const waiting = this.#waiting.get(thing);
      if (!blocked) {
        this.#holders.set(thing, claim);
        waiting?.delete(claim);
        if (waiting?.size === 0) this.#waiting.delete(thing);
      } else if (waiting === undefined) this.#waiting.set(thing, new Set([claim]));
      else waiting.add(claim);
    }
    claim.held = !blocked;
    return claim.held;
  }

  /** Lets go, and returns who waited for it. */
  #release(claim: Claim): Claim[] {
    const waited: Claim[] = [];
    for (const thing of claim.wants) {
      if (this.#holders.get(thing) === claim) this.#holders.delete(thing);
      const waiting = this.#waiting.get(thing);
      waiting?.delete(claim);
      if (waiting?.size === 0) this.#waiting.delete(thing);
      if (claim.held) waited.push(...(waiting ?? []));
    }
    claim.held = false;
    return waited;
  }

  #hand(waited: readonly Claim[]): void {
    for (const claim of [...new Set(waited)].sort((a, b) => a.arrival - b.arrival)) {
      const alive = this.#owners.get(claim.owner)?.get(claim.id) === claim;
      if (alive && !claim.held && this.#acquire(claim)) this.#moved.add(claim.owner);
    }
  }
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
