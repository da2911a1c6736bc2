import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Layers } from './layers.ts';
import { type Mesh, type MeshDelta, problemLine, type Service, type Workload } from './types.ts';

const policy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 } as const;

class Layer implements Mesh {
  readonly name: string;
  readonly workloads = new Map<string, Workload>();
  readonly services = new Map<string, Service>();

  constructor(name: string) {
    this.name = name;
  }

  service(key: string, addresses: readonly string[], ports: readonly number[] = [80]): MeshDelta {
    const [namespace = '', hostname = ''] = key.split('/');
    const origin = { source: this.name, file: this.name, line: 0 };
    const list = ports.map((port) => {
      return { name: '', port, protocol: 'TCP', endpoints: [], unready: 0, policy, mode: 'tcp', subsets: [] } as const;
    });
    const fixed = { kind: 'Service', affinitySeconds: 0 } as const;
    this.services.set(key, { ...fixed, key, namespace, name: hostname, hostname, addresses, ports: list, origin });
    return changed(key);
  }

  remove(key: string): MeshDelta {
    this.services.delete(key);
    return changed(key);
  }
}

const changed = (...services: string[]): MeshDelta => ({ workloads: new Set(), services: new Set(services) });
const served = (layers: Layers): string[] =>
  [...layers.mesh.services.values()]
    .map((s) => `${s.key} ${s.origin.file} ${s.ports.map(({ port }) => port).join()}`)
    .sort();

test('a service of one name is the first layer’s, and the other’s again when that one is gone', () => {
  const [near, far] = [new Layer('near'), new Layer('far')];
  const layers = new Layers([near, far]);
  layers.update(far.service('a/web', ['10.0.0.1']));
  assert.deepEqual(served(layers), ['a/web far 80']);
  assert.deepEqual(layers.update(near.service('a/web', ['10.0.0.2'])).services, new Set(['a/web']));
  assert.deepEqual(served(layers), ['a/web near 80']);
  assert.deepEqual(layers.problems().map(problemLine), [
    'Service a/web far: a/web is also in near, which comes first: this one is not in force',
  ]);
  assert.deepEqual(layers.update(far.service('a/web', ['10.0.0.3'])).services, new Set(), 'it is not in force');
  layers.update(near.remove('a/web'));
  assert.deepEqual(served(layers), ['a/web far 80']);
  assert.deepEqual(layers.problems(), []);
  layers.update(far.remove('a/web'));
  assert.deepEqual(served(layers), []);
});

test('an address and port is the first layer’s; the other service keeps its other ports', () => {
  const [near, far] = [new Layer('near'), new Layer('far')];
  const layers = new Layers([near, far]);
  layers.update(far.service('b/two', ['10.0.0.1'], [80, 81]));
  assert.deepEqual(layers.update(near.service('a/one', ['10.0.0.1'])).services, new Set(['a/one', 'b/two']));
  assert.deepEqual(served(layers), ['a/one near 80', 'b/two far 81']);
  assert.deepEqual(layers.problems().map(problemLine), [
    'Service b/two far: 10.0.0.1:80/TCP belongs to a/one (near): not served here',
  ]);
  layers.update(near.service('a/one', ['10.0.0.9']));
  assert.deepEqual(served(layers), ['a/one near 80', 'b/two far 80,81']);
  assert.deepEqual(layers.problems(), []);
});

test('two services of one layer: the first by name', () => {
  const far = new Layer('far');
  const layers = new Layers([new Layer('near'), far]);
  layers.update(far.service('b/two', ['10.0.0.1']));
  layers.update(far.service('b/one', ['10.0.0.1']));
  assert.deepEqual(served(layers), ['b/one far 80', 'b/two far ']);
  layers.update(far.remove('b/one'));
  assert.deepEqual(served(layers), ['b/two far 80']);
});

test('a workload of one uid has each field from the first layer that says it', () => {
  const [near, far] = [new Layer('near'), new Layer('far')];
  const layers = new Layers([near, far]);
  const base = {
    uid: 'u',
    kind: 'Pod',
    namespace: 'a',
    name: 'p',
    serviceAccount: 's',
    labels: {},
    owner: 'p',
  } as const;
  const rest = { addresses: ['10.0.0.1'], ready: true, hostNetwork: false, origin: { source: '', file: '', line: 0 } };
  near.workloads.set('u', { ...base, ...rest, enrolled: true, netns: '/run/netns/p' });
  far.workloads.set('u', { ...base, ...rest, enrolled: false, network: 'n', node: 'node' });
  layers.update({ workloads: new Set(['u']), services: new Set() });
  const { enrolled, netns, network, node } = layers.mesh.workloads.get('u') ?? {};
  assert.deepEqual(
    { enrolled, netns, network, node },
    { enrolled: true, netns: '/run/netns/p', network: 'n', node: 'node' },
  );
});

test('many conflicts are told in few lines', () => {
  const [near, far] = [new Layer('near'), new Layer('far')];
  const layers = new Layers([near, far]);
  for (let i = 0; i < 100; i++) {
    layers.update(near.service(`a/s${i}`, []));
    layers.update(far.service(`a/s${i}`, []));
  }
  assert.equal(layers.problems().length, 21);
  assert.match(layers.problems().at(-1)?.reason ?? '', /80 more/);
});

test('a port whose requests arrive at another service’s listener claims nothing', () => {
  const layer = new Layer('near');
  const layers = new Layers([layer]);
  layers.update(layer.service('a/first', ['0.0.0.0']));
  layer.service('a/second', ['0.0.0.0']);
  const second = layer.services.get('a/second');
  assert.ok(second);
  layer.services.set('a/second', { ...second, ports: second.ports.map((port) => ({ ...port, listener: 'a/first' })) });
  layers.update(changed('a/second'));
  assert.deepEqual(served(layers), ['a/first near 80', 'a/second near 80']);
  assert.deepEqual(layers.problems(), []);
});
