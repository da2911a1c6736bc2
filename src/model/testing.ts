/** For tests: objects with usual values, and a builder to put them into. */
import type { ClusterPolicy } from './http.ts';
import type { MeshBuilder } from './mesh.ts';
import type {
  DestinationRuleObject,
  EndpointSliceObject,
  EndpointState,
  KubeObject,
  NamespaceObject,
  ObjectKey,
  PodObject,
  ServiceEntryObject,
  ServiceObject,
  WorkloadEntryObject,
} from './objects.ts';
import {
  type Destination,
  defaultConnectRetries,
  type HttpRouteObject,
  type HttpRule,
  noEdits,
  type ReferenceGrantObject,
  type VirtualServiceObject,
} from './route-objects.ts';
import { type MeshDelta, type Origin, problemLine, type Service, type Workload } from './types.ts';
import { workloadUid } from './workloads.ts';

let line = 0;
export const origin = (): Origin => ({ source: 'test', file: 'a.yaml', line: ++line });

export function namespace(name: string, dataplaneMode: NamespaceObject['dataplaneMode']): NamespaceObject {
  return { kind: 'Namespace', namespace: '', name, origin: origin(), dataplaneMode };
}

export function pod(name: string, addresses: string[], rest: Partial<PodObject> = {}): PodObject {
  return {
    kind: 'Pod',
    namespace: 'shop',
    name,
    origin: origin(),
    labels: { app: 'web' },
    dataplaneMode: '',
    owner: name,
    serviceAccount: 'default',
    hostNetwork: false,
    node: '',
    locality: '',
    netns: '',
    addresses,
    ready: true,
    finished: false,
    ports: [],
    ...rest,
  };
}

/** An enrolled workload of `shop`, as the mesh has it. */
export function workload(name: string, rest: Partial<Workload> = {}): Workload {
  return {
    uid: workloadUid({ kind: 'Pod', namespace: 'shop', name }),
    kind: 'Pod',
    namespace: 'shop',
    name,
    serviceAccount: 'default',
    labels: {},
    owner: name,
    addresses: [],
    ready: true,
    enrolled: true,
    hostNetwork: false,
    origin: origin(),
    ...rest,
  };
}

export function service(name: string, addresses: string[], rest: Partial<ServiceObject> = {}): ServiceObject {
  return {
    kind: 'Service',
    namespace: 'shop',
    name,
    origin: origin(),
    addresses,
    selector: { app: name },
    ports: [{ name: 'http', port: 80, protocol: 'TCP', appProtocol: '', targetPort: 8080 }],
    affinitySeconds: 0,
    publishNotReady: false,
    locality: null,
    balancePer: '',
    ...rest,
  };
}

export function slice(
  of: string,
  endpoints: [string, EndpointState?, string?][],
  rest: Partial<EndpointSliceObject> = {},
) {
  const made: EndpointSliceObject = {
    kind: 'EndpointSlice',
    namespace: 'shop',
    name: `${of}-1`,
    origin: origin(),
    service: of,
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map(([address, state = 'ready', target = '']) => ({ address, state, pod: target, zone: '' })),
    ...rest,
  };
  return made;
}

export function entry(name: string, rest: Partial<ServiceEntryObject> = {}): ServiceEntryObject {
  return {
    kind: 'ServiceEntry',
    namespace: 'shop',
    name,
    origin: origin(),
    hosts: [`${name}.example`],
    addresses: ['240.0.0.1'],
    ports: [{ name: 'tcp', port: 5432, protocol: 'TCP', appProtocol: '', targetPort: 5432 }],
    endpoints: [],
    selector: null,
    balancePer: '',
    ...rest,
  };
}

export function vm(name: string, address: string, rest: Partial<WorkloadEntryObject> = {}): WorkloadEntryObject {
  const common = { namespace: 'shop', name, origin: origin(), owner: name, serviceAccount: 'default', address };
  return { kind: 'WorkloadEntry', labels: { app: 'db' }, ports: {}, weight: 1, locality: '', ...common, ...rest };
}

export function rule(name: string, host: string, balance: ClusterPolicy['balance'] | null, where = 'shop') {
  const made: DestinationRuleObject = {
    kind: 'DestinationRule',
    namespace: where,
    name,
    origin: origin(),
    host,
    policy: { ports: new Map(), ...(balance === null ? {} : { balance: { balance } }) },
    subsets: [],
    balancePer: '',
  };
  return made;
}

function destination(to: string): Destination {
  const [host = '', subset = ''] = to.split(' ');
  return { host, port: 0, subset, weight: 1, headers: noEdits };
}

function forward(name: string, to: readonly string[], port = 0): HttpRule {
  const destinations = to.map((one) => ({ ...destination(one), port }));
  const action = { kind: 'forward', destinations, headers: noEdits, connectRetries: defaultConnectRetries } as const;
  return { name, index: 0, matches: [{ port: 0, match: {} }], action };
}

/** `to`: hosts, each with the name of a subset behind a blank. */
export function virtualService(
  name: string,
  hosts: readonly string[],
  to: { readonly http?: readonly string[]; readonly tcp?: readonly string[] },
): VirtualServiceObject {
  const { http, tcp } = to;
  return {
    kind: 'VirtualService',
    namespace: 'shop',
    name,
    origin: origin(),
    created: Infinity,
    hosts,
    http: http === undefined ? [] : [forward(name, http)],
    tcp: tcp === undefined ? [] : [{ index: 0, ports: [], destinations: tcp.map(destination) }],
  };
}

/** Of the namespace `where`, for a service of the namespace shop, to port 80 of hosts. */
export function httpRoute(name: string, parent: string, to: readonly string[], where = 'shop'): HttpRouteObject {
  const parents = [{ index: 0, namespace: 'shop', name: parent, port: 0, section: '' }];
  const common = { namespace: where, name, origin: origin(), created: Infinity };
  return { kind: 'HTTPRoute', ...common, parents, rules: [forward(name, to, 80)] };
}

/** Of the namespace shop. */
export function grant(name: string, from: readonly string[]): ReferenceGrantObject {
  return { kind: 'ReferenceGrant', namespace: 'shop', name, origin: origin(), from, to: null };
}

export const upsert = (builder: MeshBuilder, ...upserted: KubeObject[]) => builder.apply({ upserted, removed: [] });
export const remove = (builder: MeshBuilder, ...removed: ObjectKey[]) => builder.apply({ upserted: [], removed });
export const keyOf = (name: string) => `shop/${name}.shop.svc.cluster.local`;
export const get = (builder: MeshBuilder, name: string) => builder.mesh.services.get(keyOf(name));
export const uid = (name: string) => `Kubernetes//Pod/shop/${name}`;
export const lines = (builder: MeshBuilder) =>
  builder.problems().map((problem) => `${problem.code} ${problemLine(problem)}`);

export function addresses(found: Service | undefined, port = 0): string[] {
  return (found?.ports[port]?.endpoints ?? []).map((one) => `${one.address}:${one.port}`);
}

export function changed(delta: MeshDelta): [string[], string[]] {
  return [[...delta.workloads].sort(), [...delta.services].sort()];
}
