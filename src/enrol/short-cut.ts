/**
 * Whether packets between pods of this machine may go from device to device, past the machine's own stack
 * (docs/adr/017-short-cut.md): only while nothing in that stack would have a say about them.
 */
import type { Logger } from '../base/log.ts';
import type { Switches } from '../kernel/switches.ts';

export interface DeviceTable {
  entries(): Iterable<readonly [number, number]>;
  write(entries: readonly (readonly [number, number])[], mode: 'any'): void;
  remove(keys: readonly number[]): void;
}

export interface ShortCutParts {
  readonly switches: Pick<Switches, 'get' | 'set'>;
  /** Devices that packets may be handed over to (km_device). */
  readonly table: DeviceTable;
  /** What has a say in the stack, such as `nftables`; null: nothing. */
  readonly obstacle: () => string | null;
  /** Devices whose packets wait in no queue. */
  readonly queueless: () => ReadonlySet<number>;
  /** Whether only our own programs are at a device. */
  readonly isAlone: (ifindex: number) => boolean;
  /** Where numbers begin: not where those of an earlier daemon did, which connections may still know. */
  readonly start: number;
  readonly log: Logger;
}

/** Known devices whose programs are looked at anew in one go: each costs some 100 µs, twice a second. New ones go first. */
const looksAtOnce = 8;

export class ShortCut {
  readonly #parts: ShortCutParts;
  #held: Set<number> | null = null;
  /** What was found at each device, the one that was looked at longest ago first. */
  readonly #alone = new Map<number, boolean>();
  #reason: string | null = 'it has not been looked at yet';
  /** The last number that connections may have learned. */
  #number: number;

  constructor(parts: ShortCutParts) {
    this.#parts = parts;
    this.#number = parts.start;
  }

  /** Why packets take the way through the stack; null: they need not. */
  get reason(): string | null {
    return this.#reason;
  }

  /**
   * Looks at the machine anew. `devices`: host sides of the enrolled pods' devices. What connections have learned before
   * holds no longer once something is in the way.
   */
  look(devices: ReadonlySet<number>): void {
    const { table, log } = this.#parts;
    this.#held ??= new Set([...table.entries()].map(([ifindex]) => ifindex));
    const reason = this.#parts.obstacle();
    const free = reason === null ? this.#free(devices) : new Set<number>();
    const lost = [...this.#held].filter((ifindex) => !free.has(ifindex));
    // A device that is gone harms nobody; of one that is there, connections must forget.
    const blocked = reason === null && lost.some((ifindex) => devices.has(ifindex));
    if (blocked || reason !== null) this.#forget(reason === null);
    else if (this.#parts.switches.get().shortCut === 0) this.#forget(true);
    table.remove(lost);
    const held = this.#held;
    table.write(
      [...free].filter((ifindex) => !held.has(ifindex)).map((ifindex) => [ifindex, 1] as const),
      'any',
    );
    this.#held = free;
    if (reason !== this.#reason) {
      if (reason === null) log.info('pods of this machine reach each other past its stack');
      else log.info('pods of this machine reach each other through its stack', { reason });
    }
    this.#reason = reason;
  }

  #free(devices: ReadonlySet<number>): Set<number> {
    const queueless = this.#parts.queueless();
    for (const ifindex of [...this.#alone.keys()]) if (!devices.has(ifindex)) this.#alone.delete(ifindex);
    const fresh = [...devices].filter((ifindex) => !this.#alone.has(ifindex));
    for (const ifindex of [...[...this.#alone.keys()].slice(0, looksAtOnce), ...fresh]) {
      this.#alone.delete(ifindex);
      this.#alone.set(ifindex, this.#parts.isAlone(ifindex));
    }
    return new Set([...devices].filter((ifindex) => queueless.has(ifindex) && this.#alone.get(ifindex) === true));
  }

  /** Makes what was learned void; `on`: connections may learn anew. */
  #forget(on: boolean): void {
    const { switches } = this.#parts;
    const { shortCut } = switches.get();
    if (shortCut !== 0) this.#number = shortCut;
    if (on) switches.set({ shortCut: (this.#number % 0xffff_ffff) + 1 });
    else if (shortCut !== 0) switches.set({ shortCut: 0 });
  }
}
