/** Objects of the cluster's tests: pods that serve, pods that ask, on chosen nodes. */

export interface WebPod {
  readonly name: string;
  readonly namespace: string;
  readonly node?: string;
  readonly version?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly hostNetwork?: boolean;
  readonly port?: number;
}

interface KubeObject {
  readonly kind: string;
}

/** As `kubectl apply -f -` takes it. */
export const list = (...items: readonly KubeObject[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  ...{ apiVersion: 'v1', kind: 'Namespace' },
  metadata: { name, labels },
});

function webContainer(version: string, port: number, args: readonly string[] = []) {
  return {
    name: 'web',
    image: 'localhost/web:1',
    imagePullPolicy: 'Never',
    args,
    env: [
      { name: 'VERSION', value: version },
      { name: 'PORT', value: String(port) },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    ],
    ports: [{ name: 'http', containerPort: port }],
    readinessProbe: { httpGet: { path: '/', port }, periodSeconds: 1 },
  };
}

/** A pod that serves. */
export function webPod({ name, namespace: ns, node, version = name, labels = {}, hostNetwork, port = 8080 }: WebPod) {
  const app = labels['app'] ?? name;
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name, namespace: ns, labels: { app, version, ...labels } },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      ...(hostNetwork === true ? { hostNetwork } : {}),
      terminationGracePeriodSeconds: 15,
      containers: [webContainer(version, port)],
    },
  };
}

/** A pod that asks all the time: `keep=URL`, `new=URL`. */
export function loadPod(name: string, ns: string, node: string, targets: readonly string[], rate = 50) {
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name, namespace: ns, labels: { app: name } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          ...{ name: 'load', image: 'localhost/web:1', imagePullPolicy: 'Never', args: ['load', ...targets] },
          env: [{ name: 'RATE', value: String(rate) }],
        },
      ],
    },
  };
}

/** Several pods of one version, spread over the nodes. */
export function deployment(name: string, ns: string, version: string, replicas: number) {
  const labels = { app: 'web', version };
  const spread = { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' };
  return {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment' },
    metadata: { name, namespace: ns },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 2 } },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 15,
          topologySpreadConstraints: [{ ...spread, labelSelector: { matchLabels: labels } }],
          containers: [webContainer(version, 8080)],
        },
      },
    },
  };
}

export const service = (name: string, ns: string, selector: Readonly<Record<string, string>>) => ({
  ...{ apiVersion: 'v1', kind: 'Service' },
  metadata: { name, namespace: ns },
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

/** Reviews of versions by subsets, and routes of a VirtualService. */
export const destinationRule = (ns: string, host: string, versions: readonly string[]) => ({
  ...{ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule' },
  metadata: { name: host, namespace: ns },
  spec: { host, subsets: versions.map((version) => ({ name: version, labels: { version } })) },
});

/** Who says `x-user: jane` gets v2; of the others so many of a hundred. */
export const virtualService = (ns: string, host: string, weights: readonly [v1: number, v2: number]) => ({
  ...{ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService' },
  metadata: { name: host, namespace: ns },
  spec: {
    hosts: [host],
    http: [
      {
        match: [{ headers: { 'x-user': { exact: 'jane' } } }],
        route: [{ destination: { host, subset: 'v2' } }],
      },
      {
        route: ['v1', 'v2'].map((subset, i) => ({ destination: { host, subset }, weight: weights[i] })),
      },
    ],
  },
});

/** The same of the Gateway API, with a service for each version. */
export const httpRoute = (ns: string, parent: string, weights: readonly [v1: number, v2: number]) => ({
  ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' },
  metadata: { name: parent, namespace: ns },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: parent, port: 80 }],
    rules: [
      {
        matches: [{ headers: [{ name: 'x-user', value: 'jane' }] }],
        backendRefs: [{ name: `${parent}-v2`, port: 80 }],
      },
      {
        backendRefs: ['v1', 'v2'].map((version, i) => ({ name: `${parent}-${version}`, port: 80, weight: weights[i] })),
      },
    ],
  },
});
