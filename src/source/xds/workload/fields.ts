/** Readers of fields that workloads and services share. They throw FieldError. */
import { bytesToAddress } from '../../../base/address.ts';
import type { IstioGatewayAddress } from '../gen/messages.gen.ts';
import { refuse } from '../refusal.ts';

/** Canonical text of 4 or 16 bytes. */
export function addressOf(bytes: Uint8Array, field: string): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length === 16) return bytesToAddress(bytes);
  return refuse(field, `an IP address has 4 or 16 bytes, not ${bytes.length}`);
}

export function waypointOf(waypoint: IstioGatewayAddress | undefined): string | undefined {
  const to = waypoint?.destination;
  if (to?.case === 'hostname') return `${to.value.namespace}/${to.value.hostname}`;
  if (to?.case === 'address') return addressOf(to.value.address, 'waypoint.address.address');
  return undefined;
}

export function portOf(port: number, field: string): number {
  if (port < 1 || port > 65535) refuse(field, `${port} is no port`);
  return port;
}

/** Gives one and the same text for equal texts: a hundred thousand workloads share their namespaces, nodes and accounts. */
export class Interner {
  readonly #known = new Map<string, string>();

  of(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    // Names that come and go must not stay for ever.
    if (this.#known.size > 200_000) this.#known.clear();
    this.#known.set(text, text);
    return text;
  }
}
