/** Names that Istio gives to clusters and virtual hosts, and the mesh's names for what has none. */

/** `outbound|PORT|SUBSET|HOST` */
export interface IstioCluster {
  readonly port: number;
  readonly subset: string;
  readonly host: string;
}

/** Null for a cluster of another control plane, and for Istio's own inbound ones. */
export function istioCluster(name: string): IstioCluster | null {
  const found = /^outbound\|([0-9]{1,5})\|([^|]*)\|([^|]+)$/.exec(name);
  if (found === null) return null;
  return { port: Number(found[1]), subset: found[2] ?? '', host: found[3] ?? '' };
}

/** The namespace of what has none of its own. */
export const ownNamespace = 'xds';

/** Namespace that a Kubernetes host name has in it; null: it is none. */
export function namespaceOfHost(host: string): string | null {
  return /^[^.]+\.([^.]+)\.svc(\.|$)/.exec(host)?.[1] ?? null;
}

/** `HOST:PORT` of a virtual host. */
export function virtualHostName(name: string): { readonly host: string; readonly port: number } | null {
  const found = /^(.+):([0-9]{1,5})$/.exec(name);
  return found === null ? null : { host: found[1] ?? '', port: Number(found[2]) };
}
