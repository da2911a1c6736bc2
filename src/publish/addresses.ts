/** Address → workload id, for the metrics of connections that no listener matched. */
import { addressFromWords, addressToWords } from '../base/address.ts';
import type { KmAddressKey } from '../kernel/gen/layout.gen.ts';
import type { Table } from './tables.ts';

export class Addresses {
  readonly #table: Table<KmAddressKey, bigint>;
  readonly #held = new Map<string, bigint>();

  constructor(table: Table<KmAddressKey, bigint>) {
    this.#table = table;
  }

  adopt(): void {
    for (const [key, id] of this.#table.entries()) this.#held.set(addressFromWords(key.addr), id);
  }

  /** What changed; null: nobody has the address any more. */
  update(changes: ReadonlyMap<string, bigint | null>): void {
    const set = [...changes].flatMap(([address, id]) =>
      id === null || this.#held.get(address) === id ? [] : [[address, id] as const],
    );
    const gone = [...changes].flatMap(([address, id]) => (id === null && this.#held.has(address) ? [address] : []));
    this.#write(set, gone);
  }

  /** The whole of it. */
  publish(wanted: ReadonlyMap<string, bigint>): void {
    const set = [...wanted].filter(([address, id]) => this.#held.get(address) !== id);
    const gone = [...this.#held.keys()].filter((address) => !wanted.has(address));
    this.#write(set, gone);
  }

  #write(set: readonly (readonly [address: string, id: bigint])[], gone: readonly string[]): void {
    this.#table.remove(gone.map((address) => ({ addr: addressToWords(address) })));
    this.#table.write(
      set.map(([address, id]) => [{ addr: addressToWords(address) }, id] as const),
      'any',
    );
    for (const address of gone) this.#held.delete(address);
    for (const [address, id] of set) this.#held.set(address, id);
  }
}
