/**
 * Where a control plane is not asked for everything (XDS_ON_DEMAND): the addresses of enrolled pods, and those that they have
 * tried to reach and nobody knows, are asked for one by one. The first connection to such an address goes where it says; those
 * that come when the answer is there are served.
 */
import { addressFromWords } from '../base/address.ts';
import type { KmAddressKey } from '../kernel/gen/layout.gen.ts';
import type { Table } from '../publish/tables.ts';

export interface OnDemandParts {
  /** km_unknown. */
  readonly unknown: Pick<Table<KmAddressKey, bigint>, 'entries' | 'remove'>;
  /** Addresses of the pods that are under the mesh here. */
  readonly own: () => Iterable<string>;
  readonly demand: (addresses: readonly string[]) => void;
}

export class OnDemand {
  readonly #parts: OnDemandParts;

  constructor(parts: OnDemandParts) {
    this.#parts = parts;
  }

  /** What has been asked for before is passed over by whoever is asked. */
  poll(): void {
    const { unknown, own, demand } = this.#parts;
    const keys = [...unknown.entries()].map(([key]) => key);
    if (keys.length > 0) unknown.remove(keys);
    demand([...own(), ...keys.map(({ addr }) => addressFromWords(addr))]);
  }
}
