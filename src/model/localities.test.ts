import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Away,
  type LocalityPolicy,
  localityMatches,
  type Place,
  parseLocality,
  priorityLoads,
  spread,
  wholeNumbers,
} from './localities.ts';
import { MeshBuilder } from './mesh.ts';
import { pod, rule, service, slice, upsert } from './testing.ts';
import type { Endpoint } from './types.ts';

const at = (locality: string, node = ''): Place => ({ locality: parseLocality(locality), node });

/** `ADDRESS LOCALITY [WEIGHT]`; the address is of the last byte alone. */
const endpoint = (text: string): Endpoint => {
  const [last = '', locality = '', weight = '1'] = text.split(' ');
  const address = last.includes(':') ? last : `10.0.0.${last}`;
  return { address, port: 80, weight: Number(weight), workload: address, ...(locality === '-' ? {} : { locality }) };
};
const gone = (locality: string): Away => ({ family: 4, locality, workload: undefined });

function weights(
  texts: readonly string[],
  policy: LocalityPolicy,
  place: Place,
  away: readonly string[] = [],
  nodeOf: (workload: string) => string = () => '',
): number[] {
  return spread(texts.map(endpoint), away.map(gone), policy, place, nodeOf).map(({ weight }) => weight);
}

const failover: LocalityPolicy = { kind: 'failover', regions: [] };

test('load of priorities is Envoy’s', () => {
  const loads = (...levels: [number, number][]) => priorityLoads(levels.map(([ready, all]) => ({ ready, all })));
  // The examples of Envoy's documentation of priority levels.
  assert.deepEqual(loads([100, 100], [100, 100]), [100, 0]);
  assert.deepEqual(loads([72, 100], [72, 100]), [100, 0]);
  assert.deepEqual(loads([71, 100], [71, 100]), [99, 1]);
  assert.deepEqual(loads([50, 100], [50, 100]), [70, 30]);
  assert.deepEqual(loads([25, 100], [100, 100]), [35, 65]);
  assert.deepEqual(loads([25, 100], [25, 100]), [50, 50]);
  assert.deepEqual(loads([0, 100], [100, 100]), [0, 100]);
  assert.deepEqual(loads([0, 10], [0, 10]), [0, 0]);
  // What rounding leaves goes to the first that has something.
  assert.deepEqual(loads([5, 100], [65, 100]), [8, 92]);
  assert.deepEqual(loads([0, 3], [1, 10], [1, 10], [1, 10]), [0, 34, 33, 33]);
});

test('fail-over: subzone, zone, region, the region that is named, the others', () => {
  const all = ['1 us/a/x', '2 us/a/y', '3 us/b/x', '4 eu/a', '5 ap/a', '6 -'];
  const here = at('us/a/x');
  assert.deepEqual(weights(all, failover, here), [1, 0, 0, 0, 0, 0]);
  assert.deepEqual(weights(all.slice(1), failover, here, ['us/a/x']), [1, 0, 0, 0, 0]);
  assert.deepEqual(weights(all.slice(2), failover, here), [1, 0, 0, 0]);
  assert.deepEqual(weights(all.slice(3), failover, here), [1, 1, 1]);
  const regions = [
    { from: 'us', to: 'ap' },
    { from: 'eu', to: 'us' },
  ];
  assert.deepEqual(weights(all.slice(3), { kind: 'failover', regions }, here), [0, 1, 0]);
  // Who does not know where it is has no preference.
  assert.deepEqual(weights(all.slice(0, 5), failover, at('')), [1, 1, 1, 1, 1]);
});

test('a level that is not ready enough shares with the next', () => {
  // Two of four ready: 70 per cent stay.
  assert.deepEqual(weights(['1 us', '2 us', '3 eu'], failover, at('us'), ['us', 'us']), [7, 7, 6]);
  assert.deepEqual(weights(['1 us 3', '2 us 1', '3 eu 5'], failover, at('us'), ['us', 'us']), [21, 7, 12]);
  // Three of four: all of it.
  assert.deepEqual(weights(['1 us', '2 us', '3 us', '4 eu'], failover, at('us'), ['us']), [1, 1, 1, 0]);
});

test('priorities by labels stop at the first that differs', () => {
  const policy: LocalityPolicy = { kind: 'priority', keys: ['region', 'zone', 'node'] };
  const nodeOf = (workload: string) => (workload === '10.0.0.1' ? 'n1' : 'n2');
  const all = ['1 us/a', '2 us/a', '3 us/b', '4 eu/a'];
  const here = at('us/a', 'n1');
  assert.deepEqual(weights(all, policy, here, [], nodeOf), [1, 0, 0, 0]);
  assert.deepEqual(weights(all.slice(1), policy, here, [], nodeOf), [1, 0, 0]);
  assert.deepEqual(weights(all.slice(2), policy, here, [], nodeOf), [1, 0]);
  assert.deepEqual(weights(['1 /a', '2 /b'], policy, here), [1, 0], 'an EndpointSlice says the zone alone');
});

test('distribution by weights of places, and none for other places', () => {
  const rules = [
    { from: 'eu/*', to: [['*', 100]] },
    {
      from: 'us/a/*',
      to: [
        ['us/a/*', 80],
        ['us/b', 20],
      ],
    },
  ] as const;
  const policy: LocalityPolicy = { kind: 'distribute', rules };
  const all = ['1 us/a/x', '2 us/a/y', '3 us/b', '4 us/c'];
  assert.deepEqual(weights(all, policy, at('us/a')), [2, 2, 1, 0]);
  // Half of b's endpoints are away: it gets 20 × 0.7.
  assert.deepEqual(weights(['1 us/a', '3 us/b'], policy, at('us/a'), ['us/b']), [40, 7]);
  assert.deepEqual(weights(['1 us 2', '2 ap 3'], policy, at('us/b')), [2, 3], 'no rule is for this place');
  assert.deepEqual(weights(['1 us/c'], policy, at('us/a')), [0]);
});

test('each address family for itself', () => {
  assert.deepEqual(weights(['1 us', 'fd00::1 eu', 'fd00::2 us'], failover, at('eu')), [1, 1, 0]);
});

test('patterns and proportions', () => {
  const place = parseLocality('us/a/x');
  assert.deepEqual(
    ['*', 'us', 'us/*', 'us/a', 'us/a/*', 'us/a/x', 'us/b', 'eu/*', 'us/a/y'].filter((one) =>
      localityMatches(one, place),
    ),
    ['*', 'us', 'us/*', 'us/a', 'us/a/*', 'us/a/x'],
  );
  assert.deepEqual(wholeNumbers([0.5, 0.25, 0.25]), [2, 1, 1]);
});

test('a rule that goes by places is told when the node has none', () => {
  const local = (locality: 'service' | typeof failover) => {
    const made = rule('r', 'web.shop.svc.cluster.local', 'random');
    return { ...made, policy: { ...made.policy, locality } };
  };
  const problems = (place: Place, policy: 'service' | typeof failover) => {
    const builder = new MeshBuilder({ place });
    upsert(builder, service('web', ['10.96.0.1']), local(policy));
    return builder.problems().map(({ code, severity, field }) => `${code} ${severity} ${field}`);
  };
  assert.deepEqual(problems(at(''), failover), ['KM2011 warning spec']);
  assert.deepEqual([problems(at('us'), failover), problems(at(''), 'service')], [[], []]);
});

test('readiness of pods moves the load, and back', () => {
  const builder = new MeshBuilder({ place: at('us/a', 'n1') });
  const near = (ready: boolean) => pod('near', ['10.0.0.1'], { locality: 'us/a', ready });
  upsert(builder, service('web', ['10.96.0.1'], { locality: failover }));
  upsert(builder, near(true), pod('far', ['10.0.0.2'], { locality: 'us/b' }));
  const now = () => {
    const [port] = builder.mesh.services.get('shop/web.shop.svc.cluster.local')?.ports ?? [];
    return port?.endpoints.map(({ address, weight }) => `${address}*${weight}`);
  };
  assert.deepEqual(now(), ['10.0.0.2*0', '10.0.0.1*1']);
  upsert(builder, near(false));
  assert.deepEqual(now(), ['10.0.0.2*1']);
  upsert(builder, near(true));
  assert.deepEqual(now(), ['10.0.0.2*0', '10.0.0.1*1']);
  upsert(builder, pod('far', ['10.0.0.2'], { locality: 'us/a' }));
  assert.deepEqual(now(), ['10.0.0.2*1', '10.0.0.1*1'], 'a pod’s place has changed');
  const zones = slice('web', [['10.0.0.8'], ['10.0.0.9']]);
  const endpoints = zones.endpoints.map((one, i) => ({ ...one, zone: i === 0 ? 'b' : 'a' }));
  upsert(builder, { ...zones, endpoints });
  assert.deepEqual(now(), ['10.0.0.8*0', '10.0.0.9*1']);
});
