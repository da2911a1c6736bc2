/** All kinds: those that are read, and those that are known and refused. */
import { destinationRuleReader } from './destinationrule.ts';
import { endpointSliceReader } from './endpointslice.ts';
import { referenceGrantReader } from './gateway.ts';
import { httpRouteReader } from './httproute.ts';
import type { KindReader } from './kind.ts';
import { namespaceReader } from './namespace.ts';
import { nodeReader } from './node.ts';
import { podReader } from './pod.ts';
import { serviceReader } from './service.ts';
import { serviceEntryReader } from './serviceentry.ts';
import { virtualServiceReader } from './virtualservice.ts';
import { workloadEntryReader } from './workloadentry.ts';

export const kindReaders: ReadonlyMap<string, KindReader> = new Map(
  [
    namespaceReader,
    nodeReader,
    podReader,
    serviceReader,
    endpointSliceReader,
    serviceEntryReader,
    workloadEntryReader,
    destinationRuleReader,
    virtualServiceReader,
    httpRouteReader,
    referenceGrantReader,
  ].map((reader) => [reader.kind, reader]),
);

/** Kinds that change traffic, by API group. To pass them over would let traffic do what the user forbade or redirected. */
const unsupported: Readonly<Record<string, string>> = {
  '': 'Endpoints',
  'networking.istio.io': 'Gateway Sidecar EnvoyFilter',
  'security.istio.io': 'AuthorizationPolicy PeerAuthentication RequestAuthentication',
  'extensions.istio.io': 'WasmPlugin',
  'gateway.networking.k8s.io': `Gateway GRPCRoute TCPRoute TLSRoute UDPRoute BackendTLSPolicy
    BackendTrafficPolicy XBackendTrafficPolicy`,
};

/** Why an object of this kind is refused; empty when the mesh has nothing to do with it. */
export function unsupportedReason(group: string, kind: string): string {
  if (!(unsupported[group] ?? '').split(/\s+/).includes(kind)) return '';
  return kind === 'Endpoints' ? 'not supported: write an EndpointSlice (discovery.k8s.io/v1)' : 'not supported yet';
}

/** API group of an apiVersion: empty for core. */
export function apiGroup(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}
