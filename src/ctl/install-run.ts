/** What `kmeshctl install` and `kmeshctl uninstall` do. */
import { KmError } from '../base/errors.ts';
import { applyAll, find, refuseHelm, removeAgents, removeAll, waitForRollout } from '../install/cluster.ts';
import { type InstallOptions, type Manifest, manifests, pathOf } from '../install/manifests.ts';
import { defaultName } from '../install/names.ts';
import { clusterClient } from './cluster-context.ts';
import type { Context } from './context.ts';
import type { InstallFlags, UninstallFlags } from './install.ts';
import { parseDuration } from './units.ts';

export async function runInstall(flags: InstallFlags, context: Context): Promise<void> {
  const timeoutMs = parseDuration(flags.timeout);
  if (flags.name !== defaultName) throw new KmError('KM6005', 'another --name needs the Helm chart: fullnameOverride');
  const objects = manifests(optionsOf(flags));
  if (flags.dryRun) {
    const { dump } = await import('js-yaml');
    for (const one of objects) context.stdout.write(`---\n${dump(one, { noRefs: true, lineWidth: -1 })}`);
    return;
  }
  const say = (line: string): unknown => context.stdout.write(`${line}\n`);
  const client = await clusterClient(flags, context);
  try {
    await applyAll(client, objects, say);
    if (!flags.wait) return;
    const { ready } = await waitForRollout(client, daemonSetPath(objects), timeoutMs);
    say(`${ready} agent${ready === 1 ? ' is' : 's are'} ready`);
  } finally {
    client.close();
  }
}

export async function runUninstall(flags: UninstallFlags, context: Context): Promise<void> {
  const timeoutMs = parseDuration(flags.timeout);
  const say = (line: string): unknown => context.stdout.write(`${line}\n`);
  const objects = manifests(optionsOf({ ...flags, cni: true }));
  const path = `/apis/apps/v1/namespaces/${encodeURIComponent(flags.namespace)}/daemonsets/${encodeURIComponent(flags.name)}`;
  const client = await clusterClient(flags, context);
  try {
    if (!flags.agentsOnly) refuseHelm(await find(client, path), 'helm uninstall');
    const clean = await removeAgents(client, path, timeoutMs, say);
    if (!clean) {
      context.stderr.write(
        `warning: agents are still there after ${flags.timeout}; where a node does not come back, its pods must be deleted\n`,
      );
    }
    if (flags.agentsOnly) return;
    await removeAll(
      client,
      objects.filter(({ kind }) => kind !== 'DaemonSet'),
      say,
    );
    context.finish(clean ? 0 : 1);
  } finally {
    client.close();
  }
}

function optionsOf(flags: Partial<InstallFlags> & Pick<InstallFlags, 'namespace' | 'cni'>): InstallOptions {
  return {
    namespace: flags.namespace,
    image: flags.image ?? null,
    imagePullPolicy: flags.imagePullPolicy ?? null,
    meshController: flags.meshController ?? null,
    mode: flags.mode ?? null,
    cni: flags.cni,
    cgroup2: flags.cgroup2 ?? null,
    cgroup2SubPath: flags.cgroup2SubPath ?? null,
  };
}

function daemonSetPath(objects: readonly Manifest[]): string {
  const found = objects.find(({ kind }) => kind === 'DaemonSet');
  if (found === undefined) throw new KmError('KM6010', 'there is no DaemonSet');
  return pathOf(found);
}
