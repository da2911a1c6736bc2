/** What `kmeshctl check --cluster` looks at: the API server, its CRDs, our rights there, and each node's agent. */
import type { CheckResult } from '../api/types.ts';
import { isMap } from '../source/fields.ts';
import { type ApiClient, ApiError } from '../source/kubernetes/client.ts';
import { rolloutOf } from './cluster.ts';

/** Kubernetes 1.27: what the chart asks for. */
const oldestMinor = 27;
const requestMs = 10_000;

export interface ClusterCheckOptions {
  readonly namespace: string;
  readonly name: string;
  /** Before the installation: the rights for it in the place of the agents. */
  readonly pre: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const ok = (category: string, description: string): CheckResult => ({
  ...{ category, description, result: 'success', hint: null, error: null },
});
const bad = (
  result: 'warning' | 'error',
  category: string,
  description: string,
  error: string,
  hint: string,
): CheckResult => ({ category, description, result, hint, error });

/** Asks everything; an API server that is not reached is the only answer then. */
export async function clusterChecks(client: ApiClient, options: ClusterCheckOptions): Promise<CheckResult[]> {
  const api = 'kubernetes-api';
  let version: Json;
  try {
    version = await get(client, '/version');
  } catch (error) {
    const hint = '--kubeconfig FILE and --context NAME say which cluster';
    return [bad('error', api, `the API server answers at ${client.server}`, text(error), hint)];
  }
  const minor = Number.parseInt(String(version['minor'] ?? '0'), 10);
  const describe = `the cluster is Kubernetes 1.${oldestMinor} or newer`;
  const found = String(version['gitVersion'] ?? 'unknown');
  return [
    ok(api, `the API server answers at ${client.server}`),
    minor >= oldestMinor
      ? ok(api, `${describe}: ${found}`)
      : bad('error', api, describe, `it is ${found}`, 'update it'),
    ...(await crdChecks(client)),
    ...(options.pre ? await rightChecks(client, options) : await agentChecks(client, options)),
  ];
}

async function crdChecks(client: ApiClient): Promise<CheckResult[]> {
  const kinds = [
    [
      'gateway.networking.k8s.io',
      'v1',
      'httproutes',
      'Gateway API: HTTPRoute',
      'kubectl apply the CRDs of the Gateway API',
    ],
    [
      'networking.istio.io',
      'v1',
      'virtualservices',
      'Istio: VirtualService',
      'only needed for routes written for Istio',
    ],
  ] as const;
  return await Promise.all(
    kinds.map(async ([group, version, plural, description, hint]) => {
      const category = 'kubernetes-crds';
      try {
        const { resources } = await get(client, `/apis/${group}/${version}`);
        const names = Array.isArray(resources)
          ? resources.map((one: unknown) => (isMap(one) ? one['name'] : null))
          : [];
        if (names.includes(plural)) return ok(category, description);
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 404))
          return bad('warning', category, description, text(error), hint);
      }
      return bad('warning', category, description, `the cluster has no ${plural}.${group}`, hint);
    }),
  );
}

async function rightChecks(client: ApiClient, { namespace }: ClusterCheckOptions): Promise<CheckResult[]> {
  const wanted = [
    { group: '', resource: 'namespaces', verb: 'create' },
    { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', verb: 'create' },
    { group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings', verb: 'create' },
    { group: 'apps', resource: 'daemonsets', verb: 'create', namespace },
    { group: '', resource: 'serviceaccounts', verb: 'create', namespace },
    { group: 'coordination.k8s.io', resource: 'leases', verb: 'create', namespace },
  ];
  return await Promise.all(
    wanted.map(async (resourceAttributes) => {
      const { verb, resource } = resourceAttributes;
      const category = 'kubernetes-rights';
      const description = `you may ${verb} ${resource}`;
      const hint = 'ask an administrator of the cluster';
      try {
        const answer = await client.send(
          '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
          AbortSignal.timeout(requestMs),
          {
            method: 'POST',
            body: {
              apiVersion: 'authorization.k8s.io/v1',
              kind: 'SelfSubjectAccessReview',
              spec: { resourceAttributes },
            },
          },
        );
        const status = isMap(answer) && isMap(answer['status']) ? answer['status'] : {};
        if (status['allowed'] === true) return ok(category, description);
        return bad('error', category, description, String(status['reason'] || 'no rule allows it'), hint);
      } catch (error) {
        return bad('error', category, description, text(error), hint);
      }
    }),
  );
}

async function agentChecks(client: ApiClient, { namespace, name }: ClusterCheckOptions): Promise<CheckResult[]> {
  const category = 'kmesh-agents';
  const installed = `DaemonSet ${namespace}/${name} is installed`;
  const agents: CheckResult[] = [];
  let pods: readonly Json[];
  try {
    const rollout = rolloutOf(await get(client, `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`));
    const { wanted, updated, ready, done } = rollout;
    agents.push(ok(category, installed));
    const all = 'every node has a ready agent of this version';
    const how = `${ready} of ${wanted} are ready, ${updated} are of this version`;
    agents.push(
      done ? ok(category, all) : bad('error', category, all, how, `kubectl -n ${namespace} get pods -o wide`),
    );
    const list = await get(
      client,
      `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(`app=${name}`)}`,
    );
    pods = Array.isArray(list['items']) ? list['items'].filter(isMap) : [];
  } catch (error) {
    const missing = error instanceof ApiError && error.status === 404;
    const hint = missing ? 'kmeshctl install, or helm install' : 'see the message';
    return [...agents, bad('error', category, installed, missing ? 'it is not there' : text(error), hint)];
  }
  const perNode = await Promise.all(pods.map((pod) => nodeChecks(client, namespace, pod)));
  return [...agents, ...perNode.flat()];
}

/** Of one agent: what it says in its metrics, which the API server fetches for us. */
async function nodeChecks(client: ApiClient, namespace: string, pod: Json): Promise<CheckResult[]> {
  const meta = isMap(pod['metadata']) ? pod['metadata'] : {};
  const spec = isMap(pod['spec']) ? pod['spec'] : {};
  const category = `node ${String(spec['nodeName'] ?? 'unknown')}`;
  const description = 'the agent is ready';
  const why = notReady(pod);
  if (why !== null) {
    return [bad('error', category, description, why, `kubectl -n ${namespace} logs ${String(meta['name'])}`)];
  }
  let metrics: string;
  try {
    const path = `/api/v1/namespaces/${namespace}/pods/${String(meta['name'])}:${metricsPort(spec)}/proxy/metrics`;
    metrics = (await client.read(path, AbortSignal.timeout(requestMs))).toString('utf8');
  } catch (error) {
    const hint = 'the API server must reach the port of the metrics on the node, and you must be allowed pods/proxy';
    return [ok(category, description), bad('warning', category, 'what the agent says of its node', text(error), hint)];
  }
  return [ok(category, description), ...agentSays(category, metrics)];
}

/** `kmesh_node_check{description="…",required="…"} 1` and what else is of interest in the metrics. */
export function agentSays(category: string, metrics: string): CheckResult[] {
  const lines = metrics.split('\n');
  const missing = lines.flatMap((line) => {
    const [, description = '', required = ''] =
      /^kmesh_node_check\{description="((?:[^"\\]|\\.)*)",required="(true|false)"\} 0$/.exec(line) ?? [];
    return required === '' ? [] : [{ description, required: required === 'true' }];
  });
  const known = lines.some((line) => line.startsWith('kmesh_node_check{'));
  const chained = /^kmesh_cni_chained (\d)$/m.exec(metrics)?.[1];
  const kernel = 'the kernel has what Kmesh needs';
  const found = missing.map(({ description, required }) =>
    bad(
      required ? 'error' : 'warning',
      category,
      description,
      'this kernel or the agent’s rights lack it',
      'docs/daemon.md#kernels',
    ),
  );
  return [
    ...(known ? (missing.some(({ required }) => required) ? [] : [ok(category, kernel)]) : []),
    ...found,
    chainedSays(category, chained),
  ];
}

/** `chained`: the metric, when there is one. */
function chainedSays(category: string, chained: string | undefined): CheckResult {
  const description = 'pods start under the mesh (CNI plugin chained)';
  if (chained === '1') return ok(category, description);
  if (chained === '0') {
    return bad('error', category, description, 'it is not in the CNI configuration', 'see the agent’s log');
  }
  return bad('warning', category, description, 'it is off', 'cni.enabled=true turns it on');
}

function notReady(pod: Json): string | null {
  const status = isMap(pod['status']) ? pod['status'] : {};
  const conditions = Array.isArray(status['conditions']) ? status['conditions'].filter(isMap) : [];
  if (conditions.some((one) => one['type'] === 'Ready' && one['status'] === 'True')) return null;
  const containers = Array.isArray(status['containerStatuses']) ? status['containerStatuses'].filter(isMap) : [];
  const reasons = containers.flatMap(({ state }) => {
    const waiting = isMap(state) && isMap(state['waiting']) ? state['waiting'] : null;
    return waiting === null ? [] : [`${String(waiting['reason'])} ${String(waiting['message'] ?? '')}`.trim()];
  });
  return reasons[0] ?? `phase ${String(status['phase'] ?? 'unknown')}, not ready`;
}

function metricsPort(spec: Json): number {
  const containers = Array.isArray(spec['containers']) ? spec['containers'].filter(isMap) : [];
  const ports = containers.flatMap((one) => (Array.isArray(one['ports']) ? one['ports'].filter(isMap) : []));
  return Number(ports.find((port) => port['name'] === 'http-monitoring')?.['containerPort'] ?? 15020);
}

async function get(client: ApiClient, path: string): Promise<Json> {
  const value = await client.get(path, AbortSignal.timeout(requestMs));
  return isMap(value) ? value : {};
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));
