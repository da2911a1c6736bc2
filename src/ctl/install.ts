import { type Command, Option } from 'commander';
import { addClusterFlags, type ClusterOptions } from './cluster-context.ts';
import type { Context } from './context.ts';

export interface InstallFlags extends ClusterOptions {
  readonly image?: string;
  readonly imagePullPolicy?: string;
  readonly meshController?: string;
  readonly mode?: string;
  readonly cni: boolean;
  readonly cgroup2?: string;
  readonly cgroup2SubPath?: string;
  readonly dryRun?: true;
  readonly wait: boolean;
  readonly timeout: string;
}

export interface UninstallFlags extends ClusterOptions {
  readonly agentsOnly?: true;
  readonly timeout: string;
}

/** Adds `kmeshctl install`. */
export function addInstall(program: Command, context: Context): void {
  const command = program.command('install');
  addClusterFlags(command)
    .summary('install Kmesh in a Kubernetes cluster, or update it')
    .description(
      'Install Kmesh in a Kubernetes cluster, or update it: an agent on each node, and the rights that it needs. These are the ' +
        "objects of deploy/kmesh.yaml; the Helm chart has more settings. Needs an administrator's kubeconfig.",
    )
    .option('--image <image>', 'image of the agents')
    .addOption(
      new Option('--image-pull-policy <policy>', 'when it is pulled').choices(['Always', 'IfNotPresent', 'Never']),
    )
    .option('--mesh-controller <host:port>', 'control plane to ask by xDS, such as istiod.istio-system.svc:15012')
    .addOption(new Option('--mode <mode>', 'which of Kmesh’s two modes').choices(['dual-engine', 'kernel-native']))
    .option('--no-cni', 'without the CNI plugin: a pod’s first packets may be sent before it is under the mesh')
    .option('--cgroup2 <dir>', 'cgroup v2 of the nodes: beside cgroup v1 /sys/fs/cgroup/unified')
    .option('--cgroup2-sub-path <dir>', 'directory below it with all of a node’s pods')
    .option('--dry-run', 'print the objects, and change nothing')
    .option('--no-wait', 'do not wait until the agents are ready')
    .option('--timeout <duration>', 'how long to wait', '2m')
    .addHelpText(
      'after',
      `
Examples:
  # Agents that read the Kubernetes API alone, where kmeshctl check --cluster --pre has no objection
  kmeshctl install --image registry.example/kmesh:v1

  # What would be applied, for a repository or another tool
  kmeshctl install --dry-run`,
    )
    .action(async (flags: InstallFlags) => {
      const { runInstall } = await import('./install-run.ts');
      await runInstall(flags, context);
    });
}

/** Adds `kmeshctl uninstall`. */
export function addUninstall(program: Command, context: Context): void {
  const command = program.command('uninstall');
  addClusterFlags(command)
    .summary('take Kmesh out of a Kubernetes cluster')
    .description(
      'Take Kmesh out of a Kubernetes cluster. The agents clean their nodes first: programs, tables, CNI configuration, annotations. ' +
        'Connections of layer 4 go on; HTTP connections that were routed end.',
    )
    .option('--agents-only', 'only the agents: as the Helm chart does it before it is deleted')
    .option('--timeout <duration>', 'how long to wait for the agents', '2m')
    .addHelpText(
      'after',
      `
Examples:
  # Programs, tables and CNI configuration of each node, then the objects
  kmeshctl uninstall`,
    )
    .action(async (flags: UninstallFlags) => {
      const { runUninstall } = await import('./install-run.ts');
      await runUninstall(flags, context);
    });
}
