/** The spliced connections that the kernel holds (km_flow), as far as the daemon has to know of them. */
import { addressToWords } from '../base/address.ts';
import type { RawMap } from '../kernel/map.ts';

export interface Flows {
  /** Whether a spliced connection of one of these client addresses is open. */
  hasFlows(addresses: readonly string[]): boolean;
  isEmpty(): boolean;
}

/** `map`: km_flow, whose key begins with the client's address; null when no program has it. */
export function flowsOf(map: RawMap | null): Flows {
  return {
    hasFlows: (addresses) => {
      if (map === null || addresses.length === 0 || map.isEmpty()) return false;
      const wanted = new Set(addresses.map((address) => hexOfAddress(address)));
      for (const key of map.keys()) if (wanted.has(hex(key.subarray(0, 16)))) return true;
      return false;
    },
    isEmpty: () => map === null || map.isEmpty(),
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function hexOfAddress(address: string): string {
  return addressToWords(address)
    .map((word) => word.toString(16).padStart(8, '0'))
    .join('');
}
