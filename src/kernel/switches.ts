/** The switches that kernel programs look at (struct km_config): changed one by one, in force at once. */
import type { KmConfig } from './gen/layout.gen.ts';
import type { KernelMap } from './map.ts';

const allOff: KmConfig = {
  accessLog: 0,
  monitoring: 0,
  inbound: 0,
  requests: 0,
  shortCut: 0,
  wireFirst: 0,
  wireLast: 0,
  tables: 0,
  unknown: 0,
};

export class Switches {
  readonly #map: Pick<KernelMap<number, KmConfig>, 'get' | 'set'>;

  constructor(map: Pick<KernelMap<number, KmConfig>, 'get' | 'set'>) {
    this.#map = map;
  }

  get(): KmConfig {
    return this.#map.get(0) ?? allOff;
  }

  set(change: Partial<KmConfig>): void {
    this.#map.set(0, { ...this.get(), ...change });
  }

  /** Tells that listeners have changed: connections look theirs up anew. */
  listenersChanged(): void {
    this.set({ tables: (this.get().tables % 0xffff_ffff) + 1 });
  }

  /** Takes a run of ports among those that packets of spliced connections are looked for under; none ever leaves. */
  addWirePorts(first: number, count: number): void {
    if (count === 0) return;
    const { wireFirst, wireLast } = this.get();
    const last = first + count - 1;
    const wanted =
      wireLast === 0
        ? { wireFirst: first, wireLast: last }
        : { wireFirst: Math.min(first, wireFirst), wireLast: Math.max(last, wireLast) };
    if (wanted.wireFirst !== wireFirst || wanted.wireLast !== wireLast) this.set(wanted);
  }
}
