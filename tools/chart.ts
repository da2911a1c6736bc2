/**
 * Renders the Helm chart: deploy/kmesh.yaml, which kmeshctl installs too, and golden files of it with other values. Needs helm
 * ($HELM, in PATH, or of the cluster lab). `--check` fails when a file differs from what the chart gives.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
export const chart = join(root, 'deploy', 'helm', 'kmesh');
const namespace = 'kmesh-system';
/** Helm refuses charts for newer clusters than it believes to render for. */
const kubeVersion = 'v1.35.0';

/** Path of helm; null: there is none. */
export function findHelm(env: Readonly<Record<string, string | undefined>> = process.env): string | null {
  const places = [
    ...(env['HELM'] === undefined ? [] : [env['HELM']]),
    ...(env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, 'helm')),
    join(env['KMESH_CLUSTER_CACHE'] ?? join(homedir(), '.cache', 'kmesh-cluster'), 'bin', 'helm'),
  ];
  return places.find((path) => existsSync(path)) ?? null;
}

/** Values by golden file. */
const goldens: Readonly<Record<string, readonly string[]>> = {
  'defaults-with-hooks': [],
  istiod: [
    'deploy.kmesh.env.xdsAddress=istiod.istio-system.svc:15012',
    'deploy.kmesh.mode=kernel-native',
    'deploy.kmesh.image.repository=registry.example/kmesh',
    'deploy.kmesh.image.tag=v1',
    'imagePullSecrets[0].name=registry',
  ],
  'no-cni': [
    'cni.enabled=false',
    'metrics.service=false',
    'metrics.prometheusAnnotations=false',
    'uninstall.hook=false',
    'deploy.kmesh.host.cgroup2=/sys/fs/cgroup/unified',
    'deploy.kmesh.host.cgroup2SubPath=k8s-$(NODE_NAME)',
    'deploy.kmesh.containers.kmeshDaemonArgs=--access-log=json --locality=r/z',
    'deploy.kmesh.priorityClassName=',
  ],
};

export function helm(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export function render(program: string, values: readonly string[], flags: readonly string[] = []): string {
  const set = values.flatMap((value) => ['--set', value]);
  const where = ['--namespace', namespace, '--kube-version', kubeVersion];
  return helm(program, 'template', 'kmesh', chart, ...where, ...set, ...flags);
}

/** Content of each file that is made of the chart, by path. */
export function renderAll(program: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const head = '# Made of deploy/helm/kmesh by `make chart`. Do not edit.\n';
  const first = `---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${namespace}\n  labels:\n    app.kubernetes.io/part-of: kmesh\n`;
  // Without helm there are no releases, and nobody runs hooks.
  const plain = render(program, [], ['--no-hooks'])
    .split('\n')
    .filter((line) => !/^ +(app\.kubernetes\.io\/(managed-by|instance)|helm\.sh\/chart): /.test(line))
    .join('\n');
  files.set(join(root, 'deploy', 'kmesh.yaml'), `${head}${first}${plain}`);
  for (const [name, values] of Object.entries(goldens)) {
    files.set(join(root, 'deploy', 'helm', 'golden', `${name}.yaml`), `${head}${render(program, values)}`);
  }
  return files;
}

function main(check: boolean): void {
  const program = findHelm();
  if (program === null) {
    process.stderr.write('no helm in PATH, $HELM or the cluster lab: the chart cannot be rendered\n');
    process.exitCode = 1;
    return;
  }
  helm(program, 'lint', '--strict', chart);
  for (const [path, text] of renderAll(program)) {
    if (!check) writeFileSync(path, text);
    else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
      process.stderr.write(`${path} is not what the chart gives: make chart\n`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.main) main(process.argv.includes('--check'));
