/** Envoy's addresses. */
import { canonicalAddress } from '../../../base/address.ts';
import type { Address } from '../gen/messages.gen.ts';
import { refuse } from '../refusal.ts';

export interface HostAndPort {
  /** Canonical address, or a name where names are allowed. */
  readonly host: string;
  readonly port: number;
}

/** SocketAddress.Protocol.UDP */
const udp = 1;

/** Throws FieldError. An internal address leads to the endpoint that its tunnel would lead to. */
export function hostAndPort(address: Address | undefined, path: string, names: boolean): HostAndPort {
  const to = address?.address;
  if (to?.case === 'envoyInternalAddress') {
    const [, host = '', port = ''] = /^\[?([^\]]*)\]?:(\d+)$/.exec(to.value.endpointId) ?? [];
    const canonical = canonicalAddress(host);
    if (canonical !== null && validPort(Number(port))) return { host: canonical, port: Number(port) };
    return refuse(
      `${path}.envoy_internal_address.endpoint_id`,
      `${JSON.stringify(to.value.endpointId)} is not ADDRESS:PORT`,
    );
  }
  if (to?.case === 'pipe') return refuse(`${path}.pipe`, 'not supported');
  if (to?.case !== 'socketAddress') return refuse(path, 'missing');
  const { protocol, portSpecifier } = to.value;
  if (protocol === udp) refuse(`${path}.socket_address.protocol`, 'UDP is not supported');
  if (portSpecifier.case === 'namedPort') refuse(`${path}.socket_address.named_port`, 'not supported');
  const port = portSpecifier.value ?? 0;
  if (typeof port !== 'number' || !validPort(port)) refuse(`${path}.socket_address.port_value`, `${port} is no port`);
  const canonical = canonicalAddress(to.value.address);
  if (canonical !== null) return { host: canonical, port: Number(port) };
  if (names && isHostName(to.value.address)) return { host: to.value.address.toLowerCase(), port: Number(port) };
  return refuse(`${path}.socket_address.address`, `${JSON.stringify(to.value.address)} is no IP address`);
}

function validPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

function isHostName(text: string): boolean {
  return text.length <= 253 && /^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.?)+$/.test(text);
}
