/** Commands that ask a cluster's API server: their flags, and the client. */
import type { Command } from 'commander';
import { defaultName, defaultNamespace } from '../install/names.ts';
import type { ApiClient } from '../source/kubernetes/client.ts';
import type { Context } from './context.ts';

export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace: string;
  readonly name: string;
}

export function addClusterFlags(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'how to reach the cluster (default: KUBECONFIG, the pod’s account, ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option('-n, --namespace <name>', 'namespace of the agents', defaultNamespace)
    .option('--name <name>', 'name of the DaemonSet', defaultName);
}

/** KM1021. Close it. What it needs is loaded only then: most commands ask no cluster. */
export async function clusterClient({ kubeconfig, context }: ClusterOptions, { env }: Context): Promise<ApiClient> {
  const [{ ApiClient: Client }, { findAccess }, { systemTimers: timers }] = await Promise.all([
    import('../source/kubernetes/client.ts'),
    import('../source/kubernetes/kubeconfig.ts'),
    import('../source/timers.ts'),
  ]);
  return new Client(findAccess({ kubeconfig: kubeconfig ?? null, context: context ?? null, env, timers }), timers);
}
