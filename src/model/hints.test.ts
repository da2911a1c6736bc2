/** Which endpoints the clients of a node use by the cluster's own word: hints, internalTrafficPolicy, the node's place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Place, parseLocality } from './localities.ts';
import { MeshBuilder } from './mesh.ts';
import type { EndpointState, NodeObject, ServiceObject, SliceEndpoint } from './objects.ts';
import { get, lines, origin, pod, remove, rule, service, slice, upsert } from './testing.ts';

const at = (locality: string, node = 'n1'): Place => ({ locality: parseLocality(locality), node });
const node = (name: string, locality: string): NodeObject => ({
  ...{ kind: 'Node', namespace: '', name, origin: origin(), locality },
});

/** `ADDRESS ZONES NODES NODE STATE`, with commas in the lists and - for what is not said. */
function endpoint(text: string): SliceEndpoint {
  const [address = '', zones = '-', nodes = '-', on = '-', state = 'ready'] = text.split(' ');
  const list = (one: string) => (one === '-' ? [] : one.split(','));
  return {
    ...{ address, state: state as EndpointState, pod: '', zone: '' },
    ...(on === '-' ? {} : { node: on }),
    ...(zones === '-' && nodes === '-' ? {} : { hints: { zones: list(zones), nodes: list(nodes) } }),
  };
}

/** Addresses of the endpoints that clients at a place use, without those of weight 0. */
function used(texts: readonly string[], place: Place, of: Partial<ServiceObject> = {}): string {
  const builder = new MeshBuilder({ place });
  upsert(builder, service('web', ['10.96.0.1', 'fd00:96::1'], of), {
    ...slice('web', []),
    endpoints: texts.map(endpoint),
  });
  assert.deepEqual(lines(builder), []);
  const endpoints = get(builder, 'web')?.ports[0]?.endpoints ?? [];
  return endpoints.flatMap(({ address, weight }) => (weight === 0 ? [] : [address])).join(' ');
}

test('hints: the own zone, the own node before it, and nothing where not all ready endpoints have one', () => {
  const zones = ['10.0.0.1 a', '10.0.0.2 b', '10.0.0.3 a,b'];
  assert.equal(used(zones, at('r/a')), '10.0.0.1 10.0.0.3');
  assert.equal(used(zones, at('r/b')), '10.0.0.2 10.0.0.3');
  assert.equal(used(zones, at('r/c')), '10.0.0.1 10.0.0.2 10.0.0.3', 'none is meant for this zone');
  assert.equal(used(zones, at('')), '10.0.0.1 10.0.0.2 10.0.0.3', 'nobody knows the zone');
  assert.equal(used([...zones, '10.0.0.4'], at('r/a')), '10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4');
  assert.equal(used([...zones, '10.0.0.4 - - - unready'], at('r/a')), '10.0.0.1 10.0.0.3');
  const nodes = ['10.0.0.1 a n1', '10.0.0.2 a n2', '10.0.0.3 b n3'];
  assert.equal(used(nodes, at('r/a', 'n2')), '10.0.0.2');
  assert.equal(used(nodes, at('r/a', 'n9')), '10.0.0.1 10.0.0.2');
  assert.equal(used(nodes, at('', 'n3')), '10.0.0.3');
  assert.equal(used(['10.0.0.1 a', '10.0.0.2 b', 'fd00::1 b', 'fd00::2'], at('r/a')), '10.0.0.1 fd00::1 fd00::2');
});

test('hints decide alone where a Service wants near endpoints, and a DestinationRule comes before them', () => {
  const locality = { kind: 'priority', keys: ['region', 'zone'] } as const;
  const texts = ['10.0.0.1 a', '10.0.0.2 a', '10.0.0.3 b'];
  assert.equal(used(texts, at('r/a'), { locality }), '10.0.0.1 10.0.0.2');
  const builder = new MeshBuilder({ place: at('r/a') });
  const made = rule('r', 'web.shop.svc.cluster.local', 'random');
  upsert(builder, { ...made, policy: { ...made.policy, locality: null } });
  upsert(builder, service('web', ['10.96.0.1']), { ...slice('web', []), endpoints: texts.map(endpoint) });
  assert.equal(get(builder, 'web')?.ports[0]?.endpoints.length, 3);
});

test('endpoints that end are used when none is ready, whatever the hints say', () => {
  assert.equal(used(['10.0.0.1 a - n1 draining', '10.0.0.2 b - n2 draining'], at('r/a')), '10.0.0.1 10.0.0.2');
  assert.equal(used(['10.0.0.1 a - n1 draining', '10.0.0.2 a - n2'], at('r/a')), '10.0.0.2');
});

test('internalTrafficPolicy Local: endpoints of the node only, hints or not; those that end when no other is here', () => {
  const local = { localOnly: true } as const;
  assert.equal(used(['10.0.0.1 b - n1', '10.0.0.2 a - n2', '10.0.0.3'], at('r/a'), local), '10.0.0.1');
  assert.equal(used(['10.0.0.2 - - n2'], at(''), local), '');
  assert.equal(used(['10.0.0.1 - - n1 draining', '10.0.0.2 - - n2'], at(''), local), '10.0.0.1');
  const builder = new MeshBuilder({ place: at('') });
  const pods = [pod('here', ['10.0.0.1'], { node: 'n1' }), pod('there', ['10.0.0.2'], { node: 'n2' })];
  upsert(builder, service('web', ['10.96.0.1'], local), ...pods, pod('mine', ['10.0.0.3'], { netns: 'mine' }));
  const addresses = get(builder, 'web')?.ports[0]?.endpoints.map(({ address }) => address);
  assert.deepEqual(addresses, ['10.0.0.1', '10.0.0.3'], 'a pod that names its network namespace is on this machine');
});

test('the place is that of the node’s own object, unless the options say it', () => {
  const texts = ['10.0.0.1 a', '10.0.0.2 b'];
  const built = (place: Place) => {
    const builder = new MeshBuilder({ place });
    upsert(builder, service('web', ['10.96.0.1']), { ...slice('web', []), endpoints: texts.map(endpoint) });
    return builder;
  };
  const now = (builder: MeshBuilder) =>
    get(builder, 'web')
      ?.ports[0]?.endpoints.map(({ address }) => address)
      .join(' ');
  const builder = built(at(''));
  assert.equal(now(builder), '10.0.0.1 10.0.0.2');
  assert.deepEqual([...upsert(builder, node('n1', 'r/b/')).services].length, 1);
  assert.equal(now(builder), '10.0.0.2');
  upsert(builder, node('n2', 'r/a/'));
  assert.equal(now(builder), '10.0.0.2', 'another node');
  remove(builder, { kind: 'Node', namespace: '', name: 'n1' });
  assert.equal(now(builder), '10.0.0.1 10.0.0.2');
  const told = built(at('r/a'));
  upsert(told, node('n1', 'r/b/'));
  assert.equal(now(told), '10.0.0.1');
});
