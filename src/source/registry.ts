/**
 * Which version of which object is in force. Every object of every file claims its name; the first claim holds it, later
 * ones wait and are an error until it goes. A refused version leaves the claim's last good one in force.
 */
import { isDeepStrictEqual } from 'node:util';
import { type KubeObject, type ObjectChanges, type ObjectKey, objectKeyText } from '../model/objects.ts';
import type { Item, MovingOrigin } from './items.ts';

/** An object of a file, over all its versions. */
export interface Claim {
  readonly key: ObjectKey;
  item: Item;
  good: KubeObject | null;
  /** The file no longer has it, but has a part that cannot be read and may be it. */
  missing: boolean;
  readonly arrival: number;
  readonly origin: MovingOrigin;
}

interface Name {
  readonly key: ObjectKey;
  claims: Claim[];
  holder: Claim | null;
  told: KubeObject | null;
}

export class Registry {
  readonly #names = new Map<string, Name>();
  readonly #files = new Map<string, Claim[]>();
  readonly #changed = new Set<string>();
  readonly #contested = new Set<Name>();
  #arrivals = 0;
  #inForce = 0;

  /** Objects in force. */
  get size(): number {
    return this.#inForce;
  }

  /** The version in force, as {@link takeChanges} last told it. */
  told(key: ObjectKey): KubeObject | null {
    return this.#names.get(objectKeyText(key))?.told ?? null;
  }

  claims(file: string): readonly Claim[] {
    return this.#files.get(file) ?? [];
  }

  /** The claim that holds this claim's name. */
  holder(claim: Claim): Claim | null {
    return this.#names.get(objectKeyText(claim.key))?.holder ?? null;
  }

  /** Items whose name is held by another object. */
  waiting(): ReadonlySet<Item> {
    const items = new Set<Item>();
    for (const { claims, holder } of this.#contested) {
      for (const claim of claims) if (claim !== holder && claim.item.object !== null) items.add(claim.item);
    }
    return items;
  }

  /**
   * Takes over what a file holds now. Claims that are no longer there are dropped, unless `unreadable` says that a part of
   * the file could not be read: then they stay as they are.
   */
  update(file: string, items: readonly Item[], unreadable: boolean): void {
    const before = new Map<string, Claim[]>();
    for (const claim of this.claims(file)) {
      const text = objectKeyText(claim.key);
      const list = before.get(text);
      if (list === undefined) before.set(text, [claim]);
      else list.push(claim);
    }
    const claims: Claim[] = [];
    for (const item of items) {
      if (item.key === null) continue;
      const claim = before.get(objectKeyText(item.key))?.shift() ?? this.#claim(item.key, item);
      this.#take(claim, item);
      claims.push(claim);
    }
    for (const left of before.values()) {
      for (const claim of left) {
        if (unreadable) {
          claim.missing = true;
          claims.push(claim);
        } else this.#drop(claim);
      }
    }
    if (claims.length > 0) this.#files.set(file, claims);
    else this.#files.delete(file);
  }

  /** What is in force now and was not at the last call, and the other way round. */
  takeChanges(): ObjectChanges {
    const upserted: KubeObject[] = [];
    const removed: ObjectKey[] = [];
    for (const text of this.#changed) {
      const name = this.#names.get(text);
      if (name === undefined) continue;
      if (name.holder === null || name.holder.good === null || !name.claims.includes(name.holder)) {
        name.holder = name.claims.find((claim) => claim.good !== null) ?? null;
      }
      const object = name.holder?.good ?? null;
      if (object !== name.told) {
        if (object !== null) upserted.push(object);
        else removed.push(name.key);
        this.#inForce += Number(object !== null) - Number(name.told !== null);
        name.told = object;
      }
      if (name.claims.length > 1) this.#contested.add(name);
      else this.#contested.delete(name);
      if (name.claims.length === 0) this.#names.delete(text);
    }
    this.#changed.clear();
    return { upserted, removed };
  }

  #claim(key: ObjectKey, item: Item): Claim {
    const claim: Claim = {
      key,
      item,
      good: null,
      missing: false,
      arrival: this.#arrivals++,
      origin: item.origin,
    };
    const text = objectKeyText(key);
    const name = this.#names.get(text);
    if (name === undefined) this.#names.set(text, { key, claims: [claim], holder: null, told: null });
    else name.claims.push(claim);
    return claim;
  }

  #take(claim: Claim, item: Item): void {
    const changed = claim.item !== item || (claim.good === null && item.object !== null);
    claim.item = item;
    claim.missing = false;
    claim.origin.line = item.origin.line;
    if (!changed) return;
    this.#changed.add(objectKeyText(claim.key));
    if (item.refused) return;
    const own = item.object === null || item.object.origin === claim.origin;
    const object = own || item.object === null ? item.object : { ...item.object, origin: claim.origin };
    if (object === null || claim.good === null || !isDeepStrictEqual(object, claim.good)) claim.good = object;
  }

  #drop(claim: Claim): void {
    const text = objectKeyText(claim.key);
    const name = this.#names.get(text);
    if (name === undefined) return;
    name.claims = name.claims.filter((other) => other !== claim);
    this.#changed.add(text);
  }
}
