/** The flags that say which API server is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addFlags, type KubernetesSettings, settingsOf } from './settings.ts';

function kubernetes(...flags: readonly string[]): KubernetesSettings | null {
  const command = addFlags(new Command('run'), 'node')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  command.parse(['node', 'kmesh-daemon', ...flags]);
  return settingsOf(command.opts()).kubernetes;
}

const all = { kubeconfig: null, context: null, namespaces: [], kinds: [] };
const cases: readonly (readonly [flags: readonly string[], KubernetesSettings | null])[] = [
  [[], null],
  [['--config', '/etc/kmesh'], null],
  [['--kubernetes'], all],
  [['--kubeconfig', '/k'], { ...all, kubeconfig: '/k' }],
  [['--kubernetes-context', 'prod'], { ...all, context: 'prod' }],
  [['--node-agent'], all],
  [['--kubernetes-kinds', 'Pod, Namespace'], { ...all, kinds: ['Namespace', 'Pod'] }],
  [['--kubernetes-namespaces', 'shop, pay,shop'], { ...all, namespaces: ['shop', 'pay'] }],
];
for (const [flags, wanted] of cases) {
  test(`kmesh-daemon ${flags.join(' ')}`, () => {
    assert.deepEqual(kubernetes(...flags), wanted);
  });
}

test('names that no namespace can have are refused', () => {
  assert.throws(() => kubernetes('--kubernetes-namespaces', 'shop,,Pay'), /names of namespaces are expected/);
});

test('kinds that nobody reads are refused', () => {
  assert.throws(
    () => kubernetes('--kubernetes-kinds', 'Pod,Deployment'),
    /some of Namespace, Node, Pod, .* are expected/,
  );
});
