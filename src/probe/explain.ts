/** Where a request of a pod goes and why: finds pod and listener as a user names them, and asks the compiler's interpreter. */
import type { ExplainCluster, ExplainOutcome, ExplainQuery, ExplainReport } from '../api/types.ts';
import { addressFamily, canonicalAddress, hostPort, isUnspecified } from '../base/address.ts';
import { KmError } from '../base/errors.ts';
import { actionLines, matchText } from '../compile/describe.ts';
import { type ExplainedCluster, explain, type Outcome } from '../compile/explain.ts';
import type { RouteCompiler } from '../compile/service.ts';
import type { Mesh, Service, ServicePort, Workload } from '../model/types.ts';
import { place } from './items.ts';
import { policyText, refName } from './route-items.ts';

/** What a request is explained by. */
export interface ExplainParts {
  readonly mesh: Mesh;
  readonly compiler: RouteCompiler;
  /** What the enroller says of a workload. */
  readonly stateOf: (uid: string) => string;
}

interface Listener {
  readonly service: Service;
  readonly port: ServicePort;
  readonly address: string;
}

/** Throws KM5003 for a pod that is not there and a URL that is none. */
export function explainRequest({ mesh, compiler, stateOf }: ExplainParts, query: ExplainQuery): ExplainReport {
  const { host, port } = urlParts(query.to);
  const source = findWorkload(mesh, query.from, query.namespace);
  const from = { namespace: source.namespace, name: source.name, mesh: stateOf(source.uid) };
  const outside =
    from.mesh === 'enrolled'
      ? []
      : [`${from.namespace}/${from.name} is ${from.mesh}: the routes of HTTP ports are for enrolled pods alone`];
  const found = findListener(mesh, host, port, source.namespace);
  if (found === null) {
    const reason = `no service has port ${port} (TCP) at ${host}: the connection goes as without the mesh`;
    return { from, listener: null, kind: 'unserved', reasons: [...outside, reason], cluster: null, outcomes: [] };
  }
  const { service, port: served, address } = found;
  const { method, headers, to: url } = query;
  const at = { mesh, service, port: served, family: addressFamily(address) };
  const explained = explain(at, { method, url, headers, source }, compiler);
  const listener = {
    address,
    port: served.port,
    mode: served.mode,
    namespace: service.namespace,
    service: service.name,
    hostname: service.hostname,
    origin: place(service.origin),
  };
  return {
    from,
    listener,
    kind: explained.kind,
    reasons: [...outside, ...reasonsOf(served, explained.kind, explained.reason)],
    cluster: clusterReport(mesh, explained.cluster),
    outcomes: explained.outcomes.map((outcome) => outcomeReport(mesh, outcome)),
  };
}

function reasonsOf(port: ServicePort, kind: 'routed' | 'refused' | 'balanced', reason: string | null): string[] {
  if (kind === 'refused') return [`the route table is refused, the last good one is in force: ${reason ?? ''}`];
  if (port.mode === 'tcp') return ['the port is not HTTP by its name or appProtocol: connections are balanced'];
  if (kind === 'balanced') return ['no route is attached to the port: every request is balanced over all endpoints'];
  return port.mode === 'detect' ? ['the port does not say its protocol: what begins as HTTP/1.1 is routed'] : [];
}

function outcomeReport(mesh: Mesh, { share, virtualHost, route }: Outcome): ExplainOutcome {
  if (route === null) return { share, virtualHost, route: null };
  const names = new Map(route.clusters.map(({ id, ref }) => [id, refName(ref)]));
  return {
    share,
    virtualHost,
    route: {
      name: route.name,
      origin: place(route.origin),
      match: matchText(route.match),
      action: actionLines(route.action, (id) => names.get(id) ?? String(id)),
      clusters: route.clusters.map((cluster) => clusterReport(mesh, cluster)),
    },
  };
}

function clusterReport(mesh: Mesh, { ref, share, policy, endpoints, unready }: ExplainedCluster): ExplainCluster {
  return {
    cluster: refName(ref),
    share,
    policy: policy === null ? null : policyText(policy),
    endpoints: endpoints.map(({ address, port, weight, workload }) => {
      const served = workload === undefined ? undefined : mesh.workloads.get(workload);
      const name = served === undefined ? null : `${served.namespace}/${served.name}`;
      return { address: hostPort(address, port), weight, workload: name };
    }),
    unready,
  };
}

/** Names of pods may have dots, so the whole word is tried first. */
function findWorkload(mesh: Mesh, word: string, namespace: string): Workload {
  const slash = word.indexOf('/');
  const dot = word.lastIndexOf('.');
  const pairs = [
    ...(slash > 0 ? [[word.slice(0, slash), word.slice(slash + 1)]] : [[namespace, word]]),
    ...(dot > 0 ? [[word.slice(dot + 1), word.slice(0, dot)]] : []),
  ];
  for (const [ns, name] of pairs) {
    for (const w of mesh.workloads.values()) if (w.namespace === ns && w.name === name) return w;
  }
  throw new KmError(
    'KM5003',
    `no workload ${JSON.stringify(word)} in namespace ${namespace}; POD.NAMESPACE names another`,
  );
}

function urlParts(url: string): { readonly host: string; readonly port: number } {
  const [, host = '', port = '80'] =
    /^http:\/\/(\[[^\]/?#]+\]|[^:/?#@[\]]+)(?::([0-9]{1,5}))?(?:[/?][\x21-\x7e]*)?$/i.exec(url) ?? [];
  if (host === '') throw new KmError('KM5003', `${JSON.stringify(url)} is not http://HOST[:PORT]/PATH`);
  return { host: host.replace(/^\[|\]$/g, '').toLowerCase(), port: Number(port) };
}

/** A host name is looked up as a pod's resolver does it: bare, with the pod's namespace, with the domains of the cluster. */
function findListener(mesh: Mesh, host: string, port: number, namespace: string): Listener | null {
  const served = (service: Service): ServicePort | undefined =>
    service.ports.find((p) => p.port === port && p.protocol === 'TCP');
  const address = canonicalAddress(host);
  if (address !== null) {
    const isAny = (own: string): boolean => isUnspecified(own) && addressFamily(own) === addressFamily(address);
    for (const fits of [(own: string) => own === address, isAny]) {
      for (const service of mesh.services.values()) {
        const found = served(service);
        if (found !== undefined && found.listener === undefined && service.addresses.some(fits))
          return { service, port: found, address };
      }
    }
    return null;
  }
  const name = host.replace(/\.$/, '');
  const names = ['', `.${namespace}.svc.cluster.local`, '.svc.cluster.local', '.cluster.local'].map((d) => name + d);
  for (const wanted of names) {
    for (const service of mesh.services.values()) {
      const found = served(service);
      if (service.hostname !== wanted || found === undefined) continue;
      // Where others listen for it, they have its routes.
      const listening = found.listener === undefined ? service : mesh.services.get(found.listener);
      const port = listening === undefined ? undefined : served(listening);
      const address = listening?.addresses[0];
      if (listening === undefined || port === undefined || address === undefined) continue;
      return { service: listening, port, address };
    }
  }
  return null;
}
