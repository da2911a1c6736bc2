/** Questions to the agents of a cluster. */
import { join } from 'node:path';
import type { StatusReport, WorkloadItem } from '../../../src/api/types.ts';
import { agentNamespace, type Cluster } from './cluster.ts';
import { waitFor } from './wait.ts';

/** Name of the agent's pod on a node. */
export async function agentOf(cluster: Cluster, node: string): Promise<string> {
  const where = ['--field-selector', `spec.nodeName=${node},status.phase=Running`, '-l', 'app=kmesh'];
  const names = await cluster.values(['-n', agentNamespace, 'pods', ...where], '.metadata.name');
  const [name] = names;
  if (name === undefined) throw new Error(`no agent runs on ${node}`);
  return name;
}

export async function kmeshctl(cluster: Cluster, node: string, ...args: string[]): Promise<string> {
  return await cluster.inPod(agentNamespace, await agentOf(cluster, node), ['kmeshctl', ...args]);
}

export async function status(cluster: Cluster, node: string): Promise<StatusReport> {
  return JSON.parse(await kmeshctl(cluster, node, 'status', '-o', 'json')) as StatusReport;
}

/** What an agent says of each pod, by `NAMESPACE/NAME`. */
export async function workloads(cluster: Cluster, node: string): Promise<ReadonlyMap<string, WorkloadItem>> {
  const text = await kmeshctl(cluster, node, 'get', 'workloads', '-A', '-o', 'json');
  const { items } = JSON.parse(text) as { readonly items: readonly WorkloadItem[] };
  return new Map(items.map((item) => [`${item.namespace}/${item.name}`, item]));
}

/** Waits until the agents of all nodes say so of their own pods of a namespace. */
export async function enrolled(cluster: Cluster, namespace: string, state = /^enrolled$/): Promise<void> {
  for (const { name } of cluster.nodes) {
    await waitFor(
      `the pods of ${namespace} on ${name} are ${state}`,
      async () => {
        const own = [...(await workloads(cluster, name)).values()].filter(
          (one) => one.namespace === namespace && one.node === name && one.mesh !== 'host network: not enrolled',
        );
        const other = own.find((one) => !state.test(one.mesh));
        if (other !== undefined) throw new Error(`${other.name} is ${other.mesh}`);
        return own.length > 0;
      },
      20_000,
    );
  }
}

/** Devices of a node that have programs, with how many. */
export async function devicesWithPrograms(cluster: Cluster, node: string): Promise<Readonly<Record<string, number>>> {
  const script = join(import.meta.dirname, 'attached.ts');
  const { stdout } = await cluster.node(node).exec([process.execPath, script]);
  return JSON.parse(stdout) as Record<string, number>;
}

/** The node's end of a pod's cable. */
export async function deviceOf(cluster: Cluster, node: string, podIp: string): Promise<string> {
  const { stdout } = await cluster.node(node).exec(['ip', '-o', 'route', 'get', podIp]);
  return / dev (\S+)/.exec(stdout)?.[1] ?? '';
}
