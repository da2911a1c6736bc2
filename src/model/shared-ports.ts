/**
 * HTTP ports of ServiceEntries without addresses. They have one listener, on every address, and one route table by host,
 * as Istio's listener 0.0.0.0_PORT; the first object gives it.
 */
import { appProtocolOf, modeOf } from './protocols.ts';
import type { ServiceSource } from './services.ts';

/** Whether a port of an object shares its listener with others. Where the first bytes tell, there is no host to go by. */
export function sharesPort(source: ServiceSource, i: number): boolean {
  const port = source.ports[i];
  if (source.kind !== 'ServiceEntry' || source.addresses.length > 0 || port === undefined) return false;
  return modeOf(port.protocol, appProtocolOf(port.appProtocol, port.name), port.port) === 'http';
}

export class SharedPorts {
  /** By port, in order of arrival. */
  readonly #members = new Map<number, Set<string>>();
  readonly #portsOf = new Map<string, readonly number[]>();

  /** Stands for all that share a port where owners of listeners are named. */
  static id(port: number): string {
    return `${port} of every address`;
  }

  /** Says all that an object shares now. Returns the ports of which it was or is a member. */
  set(id: string, ports: readonly number[], touched: Set<string>): number[] {
    const before = this.#portsOf.get(id) ?? [];
    for (const port of before) {
      if (ports.includes(port)) continue;
      const members = this.#members.get(port) ?? new Set();
      const [first] = members;
      members.delete(id);
      if (members.size === 0) this.#members.delete(port);
      // All are told of the next one; a first one that stays has a host less.
      for (const other of first === id ? members : [first]) if (other !== undefined) touched.add(other);
    }
    for (const port of ports) {
      const members = this.#members.get(port) ?? new Set<string>();
      this.#members.set(port, members.add(id));
    }
    if (ports.length > 0) this.#portsOf.set(id, ports);
    else this.#portsOf.delete(id);
    return [...new Set([...before, ...ports])];
  }

  /** Objects that an owner of listeners stands for: an object is itself. */
  membersOf(owner: string): readonly string[] {
    const port = Number(/^([0-9]+) of every address$/.exec(owner)?.[1] ?? Number.NaN);
    return Number.isNaN(port) ? [owner] : [...(this.#members.get(port) ?? [])];
  }

  /** Who a change of an object concerns too: the first one has its routes, and all name the first one's host. */
  touchedBy(id: string): string[] {
    return (this.#portsOf.get(id) ?? []).flatMap((port) => {
      const members = [...(this.#members.get(port) ?? [])];
      return members[0] === id ? members : members.slice(0, 1);
    });
  }
}
