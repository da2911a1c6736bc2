/** Which source ports the spliced connections of a namespace have on the wire. */
import type { NetnsView } from '../kernel/netns-devices.ts';

/** A run of ports; none: count 0, and why. */
export interface WirePorts {
  readonly first: number;
  readonly count: number;
}

/** Fewer would be used again before the endpoint has forgotten them. */
const fewest = 256;
const lowest = 1024;
const highest = 65_535;

/**
 * The longest run of ports that the namespace gives to no socket by itself and that nobody has reserved. A connection that
 * does not pass the mesh can then never have the same port to the same endpoint. A string says why there is none.
 */
export function wirePorts({
  localPorts,
  reservedPorts,
}: Pick<NetnsView, 'localPorts' | 'reservedPorts'>): WirePorts | string {
  const taken = [localPorts, ...reservedPorts].toSorted(([a], [b]) => a - b);
  let best: WirePorts = { first: 0, count: 0 };
  let next = lowest;
  for (const [first, last] of [...taken, [highest + 1, highest + 1] as const]) {
    if (first - next > best.count) best = { first: next, count: first - next };
    next = Math.max(next, last + 1);
  }
  if (best.count >= fewest) return best;
  const range = localPorts.join('-');
  return `net.ipv4.ip_local_port_range (${range}) and ip_local_reserved_ports leave fewer than ${fewest} ports in a row`;
}
