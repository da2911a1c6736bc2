/** The sources of objects that the settings ask for, in the order in which they come before each other. */
import type { Log } from '../base/log.ts';
import type { OpenSource } from '../source/combined.ts';
import { FilesSource } from '../source/files.ts';
import type { ApiAccess } from '../source/kubernetes/access.ts';
import { ApiClient } from '../source/kubernetes/client.ts';
import { findAccess } from '../source/kubernetes/kubeconfig.ts';
import { KubernetesSource } from '../source/kubernetes/kubernetes.ts';
import { systemTimers } from '../source/timers.ts';
import type { KubernetesSettings, Settings } from './settings.ts';

/** How the API server is reached. KM1021. */
export function accessOf({ kubeconfig, context }: Pick<KubernetesSettings, 'kubeconfig' | 'context'>): ApiAccess {
  return findAccess({ kubeconfig, context, env: process.env, timers: systemTimers });
}

/** For who asks the API server for more than the sources read; without settings of its own as {@link accessOf} finds it. KM1021. */
export function clientOf(kubernetes: KubernetesSettings | null): ApiClient {
  return new ApiClient(accessOf(kubernetes ?? { kubeconfig: null, context: null }), systemTimers);
}

/** A machine's own directory comes before the cluster: who writes there means this machine. KM1021. */
export function sourcesOf({ config, kubernetes, nodeName, locality }: Settings, log: Log): readonly OpenSource[] {
  const sources: OpenSource[] = [];
  if (config !== null) sources.push((onChange) => new FilesSource({ directory: config, onChange }));
  if (kubernetes !== null) {
    const { namespaces, kinds } = kubernetes;
    const access = accessOf(kubernetes);
    // Who says where the node is need not ask.
    const node = locality === '' ? { node: nodeName } : {};
    const options = { access, namespaces, kinds, ...node, timers: systemTimers, log: log.logger('kubernetes') };
    sources.push((onChange) => new KubernetesSource({ ...options, onChange }));
  }
  return sources;
}
