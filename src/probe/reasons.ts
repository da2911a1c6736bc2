/** How a connection or a request ended (enum km_reason), as Envoy's response flags and in words. */
import { kmReason } from '../kernel/gen/layout.gen.ts';

const reasons: ReadonlyMap<number, readonly [flag: string, words: string]> = new Map([
  [kmReason.NO_ENDPOINT, ['UH', 'no usable endpoint']],
  [kmReason.CONNECT_FAILED, ['UF', 'the endpoint refused or did not answer']],
  [kmReason.NO_ROUTE, ['NR', 'no route takes the request']],
  [kmReason.NO_CLUSTER, ['NC', 'the cluster of the route does not exist']],
  [kmReason.FAULT, ['FI', 'a fault was asked for']],
  [kmReason.CLIENT_GONE, ['DC', 'the client closed before the answer was complete']],
  [kmReason.ENDPOINT_GONE, ['UC', 'the endpoint closed before the answer was complete']],
  [kmReason.BAD_REQUEST, ['DPE', 'the request is no HTTP/1.1 that can be taken']],
  [kmReason.OVERFLOW, ['UO', 'no room for another connection to an endpoint']],
]);

/** Envoy's response flag; `-` for what ended well. */
export function responseFlag(reason: number): string {
  return reasons.get(reason)?.[0] ?? '-';
}

/** `UH: no usable endpoint`; undefined for what ended well. */
export function reasonText(reason: number): string | undefined {
  return reasons.get(reason)?.join(': ');
}
