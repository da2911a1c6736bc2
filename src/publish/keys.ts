/** Kernel keys to and from the text that the mirror and messages use. */
import { addressFromWords, addressToWords, hostPort } from '../base/address.ts';
import type { CompiledListener } from '../compile/service.ts';
import type { KmListenerKey } from '../kernel/gen/layout.gen.ts';
import type { Protocol } from '../model/types.ts';

const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17 };

export function listenerKey(l: Pick<CompiledListener, 'address' | 'port' | 'protocol'>): KmListenerKey {
  return { addr: addressToWords(l.address), port: l.port, protocol: protocolNumbers[l.protocol] };
}

/** `TCP 10.96.0.1:80`, `UDP [fd00::1]:53`. */
export function listenerName(key: KmListenerKey): string {
  const protocol = key.protocol === protocolNumbers.UDP ? 'UDP' : 'TCP';
  return `${protocol} ${hostPort(addressFromWords(key.addr), key.port)}`;
}
