/** The Helm chart, and the manifests that are made of it. What renders it needs helm; the rest does not. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseYaml, splitDocuments } from '../src/source/documents.ts';
import { isMap } from '../src/source/fields.ts';
import { resources } from '../src/source/kubernetes/resources.ts';
import { chart, findHelm, helm, render, renderAll } from './chart.ts';

const program = findHelm();
const skip = program === null ? 'no helm: NOT RUN' : false;
const withHelm = program ?? '';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
}

function objectsOf(text: string): Rendered[] {
  return splitDocuments(text).flatMap((document) => {
    const parsed = parseYaml(document.text);
    if ('problem' in parsed) assert.fail(parsed.problem.reason);
    return isMap(parsed.value) ? [parsed.value as unknown as Rendered] : [];
  });
}

const manifest = readFileSync(join(chart, '..', '..', 'kmesh.yaml'), 'utf8');

test('the chart passes helm lint, and its files are those that it gives', { skip }, () => {
  helm(withHelm, 'lint', '--strict', chart);
  for (const [path, text] of renderAll(withHelm)) {
    assert.equal(readFileSync(path, 'utf8'), text, `${path}: make chart writes it anew`);
  }
});

test('values that are misspelt or of the wrong type are refused', { skip }, () => {
  for (const bad of [
    'cni.enable=true',
    'metrics.port=none',
    'deploy.kmesh.mode=ambient',
    'deploy.kmesh.env.xdsAddress=istiod',
    'deploy.kmesh.updateStrategy.maxUnavailable=0',
    'kubernetesClusterDomain=example.org',
  ]) {
    assert.throws(() => render(withHelm, [bad]), /values don't meet the specifications of the schema/, bad);
  }
});

test('every value has a comment, and the schema knows it', () => {
  const values = readFileSync(join(chart, 'values.yaml'), 'utf8').split('\n');
  for (const [i, line] of values.entries()) {
    // Maps and lists that a user replaces as a whole, and the steps to values, say it above or speak for themselves.
    if (!/^ *[A-Za-z0-9]+: \S/.test(line) || /\{\}$|kubernetes\.io|cpu:|memory:|operator:/.test(line)) continue;
    assert.match(values[i - 1] ?? '', /^ *# -- /, line);
  }
});

test('the agent may do what it does, and no more', () => {
  const objects = objectsOf(manifest);
  const rules = objects.flatMap((object) => (object.kind === 'ClusterRole' ? (object.rules ?? []) : []));
  for (const { group, plural } of resources) {
    const rule = rules.find((one) => one.apiGroups.includes(group) && one.resources.includes(plural));
    for (const verb of ['list', 'watch']) assert.ok(rule?.verbs.includes(verb), `${verb} ${plural}`);
  }
  const writes = rules.filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)));
  assert.deepEqual(
    writes.flatMap((rule) => rule.resources.map((resource) => `${rule.verbs.join()} ${resource}`)).sort(),
    ['patch grpcroutes/status', 'patch httproutes/status', 'patch pods/status'],
  );
  for (const { apiGroups, resources: named, verbs } of rules)
    assert.ok(![...apiGroups, ...named, ...verbs].includes('*'));
  const privileged = /privileged: true|add: \[ALL\]/;
  assert.doesNotMatch(manifest, privileged);
});

test('the manifest is whole: a namespace first, and nothing of helm', () => {
  const [first, ...rest] = objectsOf(manifest);
  assert.deepEqual([first?.kind, first?.metadata.name], ['Namespace', 'kmesh-system']);
  const kinds = rest.map(({ kind }) => kind).sort();
  const roles = ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
  assert.deepEqual(kinds, [
    ...roles.slice(0, 2),
    'DaemonSet',
    'Lease',
    ...roles.slice(2),
    ...['Service', 'ServiceAccount'],
  ]);
  assert.doesNotMatch(manifest, /helm\.sh|managed-by/);
});
