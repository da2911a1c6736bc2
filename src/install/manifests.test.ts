/** What kmeshctl installs is what the Helm chart gives for the same values. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseYaml, splitDocuments } from '../source/documents.ts';
import { type InstallOptions, type Manifest, manifests, pathOf } from './manifests.ts';

const golden = join(import.meta.dirname, '..', '..', 'deploy', 'helm', 'golden');
const asInManifest: InstallOptions = {
  namespace: 'kmesh-system',
  image: null,
  imagePullPolicy: null,
  meshController: null,
  mode: null,
  cni: true,
  cgroup2: null,
  cgroup2SubPath: null,
};

function podOf(objects: readonly Manifest[]): { readonly containers: readonly { readonly args: readonly string[] }[] } {
  const found = objects.find(({ kind }) => kind === 'DaemonSet');
  assert.ok(found !== undefined);
  return (found['spec'] as { template: { spec: { containers: { args: string[] }[] } } }).template.spec;
}

function chartGives(name: string): Manifest[] {
  return splitDocuments(readFileSync(join(golden, `${name}.yaml`), 'utf8')).flatMap(({ text }) => {
    const parsed = parseYaml(text);
    return 'value' in parsed && parsed.value !== null ? [parsed.value as Manifest] : [];
  });
}

test('the agents are those of the chart', () => {
  const istiod = manifests({
    ...asInManifest,
    meshController: 'istiod.istio-system.svc:15012',
    mode: 'kernel-native',
    image: 'registry.example/kmesh:v1',
  });
  assert.deepEqual(podOf(istiod), podOf(chartGives('istiod')));
  const plain = manifests({
    ...asInManifest,
    cni: false,
    cgroup2: '/sys/fs/cgroup/unified',
    cgroup2SubPath: 'k8s-$(NODE_NAME)',
  });
  const { containers, ...pod } = podOf(plain);
  const { containers: theirs, ...theirPod } = podOf(chartGives('no-cni'));
  // The golden file has more flags, and no class.
  assert.deepEqual(pod, { ...theirPod, priorityClassName: 'system-node-critical' });
  const args = theirs[0]?.args.filter((arg) => !/^--(access-log|locality)=/.test(arg));
  assert.deepEqual(containers, [{ ...theirs[0], args }]);
});

test('all of it moves to another namespace', () => {
  const objects = manifests({ ...asInManifest, namespace: 'mesh' });
  assert.doesNotMatch(JSON.stringify(objects), /kmesh-system/);
  assert.deepEqual(
    objects.map((object) => pathOf(object)),
    [
      '/api/v1/namespaces/mesh',
      '/api/v1/namespaces/mesh/serviceaccounts/kmesh',
      '/apis/rbac.authorization.k8s.io/v1/clusterroles/kmesh',
      '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kmesh',
      '/apis/rbac.authorization.k8s.io/v1/namespaces/mesh/roles/kmesh',
      '/apis/rbac.authorization.k8s.io/v1/namespaces/mesh/rolebindings/kmesh',
      '/api/v1/namespaces/mesh/services/kmesh-metrics',
      '/apis/apps/v1/namespaces/mesh/daemonsets/kmesh',
      '/apis/coordination.k8s.io/v1/namespaces/mesh/leases/kmesh-status',
    ],
  );
});
