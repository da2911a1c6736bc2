/** Layer 4 routes of a VirtualService: the endpoints of a port are those of its destinations. */
import { wholeNumbers } from './localities.ts';
import type { TcpRule, VirtualServiceObject } from './route-objects.ts';
import type { Endpoint, ServicePort } from './types.ts';

/** The rule for a port: the first that takes it. */
export function tcpRuleFor(object: VirtualServiceObject | null, port: number): TcpRule | null {
  return object?.tcp.find(({ ports }) => ports.length === 0 || ports.includes(port)) ?? null;
}

export interface Share extends Pick<ServicePort, 'endpoints' | 'unready' | 'policy'> {
  readonly weight: number;
}

/**
 * All endpoints together, weighted so that each destination gets its share. That of a destination without endpoints goes to
 * the others. The first destination says how they are chosen.
 */
export function joinShares(shares: readonly Share[]): Pick<ServicePort, 'endpoints' | 'unready'> {
  const used = shares.filter(({ weight, endpoints }) => weight > 0 && endpoints.some((one) => one.weight > 0));
  const unready = shares.reduce((sum, share) => sum + share.unready, 0);
  const [first] = used;
  if (first !== undefined && used.length === 1) return { endpoints: first.endpoints, unready };
  const parts = new Map<string, { endpoint: Endpoint; part: number }>();
  for (const { weight, endpoints } of used) {
    const total = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);
    for (const endpoint of endpoints.filter((one) => one.weight > 0)) {
      const key = `${endpoint.address} ${endpoint.port}`;
      const part = (weight * endpoint.weight) / total + (parts.get(key)?.part ?? 0);
      parts.set(key, { endpoint, part });
    }
  }
  const weights = wholeNumbers([...parts.values()].map(({ part }) => part));
  const endpoints = [...parts.values()].map(({ endpoint }, i) => ({ ...endpoint, weight: weights[i] ?? 1 }));
  return { endpoints, unready };
}
