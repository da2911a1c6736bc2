/** Routes as the API server has them, whole: their status is part of it. */
import { isMap } from '../source/fields.ts';
import { identify } from '../source/kubernetes/answers.ts';
import type { ReflectedStore } from '../source/kubernetes/reflector.ts';
import { type ReadRoute, readRoute } from './judge.ts';

export interface HeldRoute {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  readonly generation: number;
  readonly route: ReadRoute;
  /** `status.parents`. */
  readonly parents: unknown;
  readonly round: number;
}

export class RouteStore implements ReflectedStore {
  readonly #kind: string;
  readonly #changed: (route: HeldRoute) => void;
  readonly #held = new Map<string, HeldRoute>();
  #round = 0;

  constructor(kind: string, changed: (route: HeldRoute) => void) {
    this.#kind = kind;
    this.#changed = changed;
  }

  /** The newest version of a route; undefined when it is gone. */
  get(namespace: string, name: string): HeldRoute | undefined {
    return this.#held.get(`${namespace}/${name}`);
  }

  all(): Iterable<HeldRoute> {
    return this.#held.values();
  }

  beginList(): void {
    this.#round++;
  }

  endList(): void {
    for (const [id, { round }] of this.#held) if (round !== this.#round) this.#held.delete(id);
  }

  clear(): void {
    this.#held.clear();
  }

  put(value: unknown, apiVersion: string): void {
    const { namespace, name, version } = identify(value);
    const id = `${namespace}/${name}`;
    const before = this.#held.get(id);
    const whole = { ...(value as Readonly<Record<string, unknown>>), apiVersion, kind: this.#kind };
    const { metadata, status } = whole as Readonly<Record<string, unknown>>;
    const generation = isMap(metadata) && typeof metadata['generation'] === 'number' ? metadata['generation'] : 0;
    // Without a generation nobody says whether the spec is the same.
    const known = before !== undefined && before.generation === generation && generation > 0;
    const held: HeldRoute = {
      ...{ kind: this.#kind, apiVersion, namespace, name, version, generation, round: this.#round },
      route: known ? before.route : readRoute(whole, this.#kind, id),
      parents: isMap(status) ? status['parents'] : undefined,
    };
    this.#held.set(id, held);
    if (before?.version !== version) this.#changed(held);
  }

  remove(value: unknown): void {
    const { namespace, name } = identify(value);
    this.#held.delete(`${namespace}/${name}`);
  }
}
