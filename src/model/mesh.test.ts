import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLocality } from './localities.ts';
import { MeshBuilder } from './mesh.ts';
import type { KubeObject } from './objects.ts';
import {
  addresses,
  changed,
  entry,
  get,
  grant,
  httpRoute,
  keyOf,
  lines,
  namespace,
  pod,
  remove,
  rule,
  service,
  slice,
  uid,
  upsert,
  virtualService,
  vm,
} from './testing.ts';
import type { MeshDelta } from './types.ts';

test('a service takes the ready pods that it selects', () => {
  const builder = new MeshBuilder();
  upsert(
    builder,
    pod('b', ['10.0.0.2']),
    pod('a', ['10.0.0.1', 'fd00::1']),
    pod('other', ['10.0.0.3'], { labels: { app: 'other' } }),
    pod('elsewhere', ['10.0.0.4'], { namespace: 'home' }),
    pod('starting', ['10.0.0.5'], { ready: false }),
    pod('ended', ['10.0.0.6'], { ready: false, finished: true }),
    service('web', ['10.96.0.1']),
  );
  assert.deepEqual(get(builder, 'web')?.ports[0]?.endpoints, [
    { address: '10.0.0.1', port: 8080, weight: 1, workload: uid('a') },
    { address: '10.0.0.2', port: 8080, weight: 1, workload: uid('b') },
  ]);
  assert.equal(get(builder, 'web')?.ports[0]?.unready, 1);
  assert.equal(get(builder, 'web')?.ports[0]?.appProtocol, 'http');
  // Both families, when the service has both, and when it has no address at all.
  upsert(builder, service('web', ['10.96.0.1', 'fd00:96::1']));
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:8080', 'fd00::1:8080', '10.0.0.2:8080']);
  upsert(builder, service('web', [], { publishNotReady: true }));
  assert.equal(addresses(get(builder, 'web')).length, 4);
});

test('named target ports are looked up in each pod', () => {
  const builder = new MeshBuilder();
  const ports = [{ name: 'http', port: 80, protocol: 'TCP', appProtocol: '', targetPort: 'web' }] as const;
  const named = (port: number) => [{ name: 'web', port, protocol: 'TCP' }] as const;
  const web = service('web', ['10.96.0.1'], { ports });
  upsert(
    builder,
    web,
    pod('a', ['10.0.0.1'], { ports: named(81) }),
    pod('b', ['10.0.0.2'], { ports: named(82) }),
    pod('c', ['10.0.0.3']),
  );
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:81', '10.0.0.2:82']);
  assert.deepEqual(lines(builder), []);
  remove(builder, pod('a', []), pod('b', []));
  assert.deepEqual(lines(builder), [
    `KM2002 Service shop/web a.yaml:${web.origin.line} spec.ports[0].targetPort: none of the selected pods has a container port named "web"`,
  ]);
  remove(builder, pod('c', []));
  assert.deepEqual(lines(builder), []);
});

test('slices are used alone as soon as there is one', () => {
  const builder = new MeshBuilder();
  upsert(builder, service('web', ['10.96.0.1']), pod('a', ['10.0.0.1']));
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:8080']);
  upsert(builder, slice('web', []));
  assert.deepEqual(addresses(get(builder, 'web')), []);
  upsert(builder, slice('web', [['10.0.0.7'], ['10.0.0.8', 'unready'], ['10.0.0.9', 'draining']]));
  upsert(builder, slice('web', [['10.0.0.7'], ['10.0.0.6']], { name: 'web-2' }));
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.7:8080', '10.0.0.6:8080']);
  assert.equal(get(builder, 'web')?.ports[0]?.unready, 2);
  const other = [{ name: 'grpc', port: 9090, protocol: 'TCP' }] as const;
  upsert(builder, slice('web', [['10.0.0.7']], { ports: other }));
  remove(builder, slice('web', [], { name: 'web-2' }));
  assert.deepEqual(addresses(get(builder, 'web')), [], 'port names differ');
  remove(builder, slice('web', []));
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:8080']);
});

test('endpoints that drain are used when none is ready', () => {
  const builder = new MeshBuilder();
  upsert(
    builder,
    service('web', ['10.96.0.1']),
    slice('web', [
      ['10.0.0.1', 'draining'],
      ['10.0.0.2', 'unready'],
    ]),
  );
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:8080']);
  assert.equal(get(builder, 'web')?.ports[0]?.unready, 1);
});

test('the workload of an endpoint: by targetRef, else by address, and as pods come and go', () => {
  const builder = new MeshBuilder();
  const endpointWorkloads = () => get(builder, 'web')?.ports[0]?.endpoints.map((one) => one.workload);
  upsert(
    builder,
    service('web', ['10.96.0.1']),
    slice('web', [['10.0.0.1', 'ready', 'a'], ['10.0.0.2'], ['10.0.0.3']]),
  );
  assert.deepEqual(endpointWorkloads(), [undefined, undefined, undefined]);
  upsert(builder, pod('a', []), pod('b', ['10.0.0.2']), pod('node', ['10.0.0.3'], { hostNetwork: true }));
  assert.deepEqual(endpointWorkloads(), [uid('a'), uid('b'), uid('node')]);
  upsert(builder, pod('own', ['10.0.0.3']));
  assert.deepEqual(endpointWorkloads(), [uid('a'), uid('b'), uid('own')]);
  const delta = remove(builder, pod('b', []));
  assert.deepEqual(changed(delta), [[uid('b')], [keyOf('web')]]);
  assert.deepEqual(endpointWorkloads(), [uid('a'), undefined, uid('own')]);
});

test('a change concerns only what it touches, and what is the same stays the same object', () => {
  const builder = new MeshBuilder();
  const web = service('web', ['10.96.0.1']);
  const api = service('api', ['10.96.0.2'], { selector: { app: 'api' } });
  upsert(
    builder,
    web,
    api,
    pod('a', ['10.0.0.1']),
    pod('c', ['10.0.0.9'], { labels: { app: 'api' } }),
    slice('api', [['10.0.0.9']]),
  );
  const before = { web: get(builder, 'web'), api: get(builder, 'api'), a: builder.mesh.workloads.get(uid('a')) };
  assert.deepEqual(changed(upsert(builder, web)), [[], []], 'the same again');
  assert.equal(get(builder, 'web'), before.web);
  assert.deepEqual(changed(upsert(builder, pod('b', ['10.0.0.2']))), [[uid('b')], [keyOf('web')]]);
  assert.equal(get(builder, 'api'), before.api);
  assert.equal(builder.mesh.workloads.get(uid('a')), before.a);
  // Ready is nothing to a service that has slices.
  const unready = pod('c', ['10.0.0.9'], { labels: { app: 'api' }, ready: false });
  assert.deepEqual(changed(upsert(builder, unready)), [[uid('c')], []]);
  // New labels leave one service and join another.
  assert.deepEqual(changed(upsert(builder, pod('b', ['10.0.0.2'], { labels: { app: 'none' } }))), [
    [uid('b')],
    [keyOf('web')],
  ]);
  assert.deepEqual(changed(upsert(builder, namespace('shop', 'kmesh'))), [[uid('a'), uid('b'), uid('c')], []]);
  assert.deepEqual(changed(upsert(builder, rule('r', 'web.shop.svc.cluster.local', 'round-robin'))), [
    [],
    [keyOf('web')],
  ]);
  assert.equal(get(builder, 'web')?.ports[0]?.policy.balance, 'round-robin');
});

test('enrolment: namespace, pod, opt-out, host network', () => {
  const builder = new MeshBuilder();
  const state = () => Object.fromEntries([...builder.mesh.workloads.values()].map((one) => [one.name, one.enrolled]));
  upsert(
    builder,
    pod('plain', []),
    pod('own', [], { dataplaneMode: 'kmesh' }),
    pod('out', [], { dataplaneMode: 'none' }),
    pod('host', [], { hostNetwork: true, dataplaneMode: 'kmesh' }),
    vm('vm', '10.0.0.9'),
  );
  assert.deepEqual(state(), { plain: false, own: true, out: false, host: false, vm: false });
  upsert(builder, namespace('shop', 'kmesh'));
  assert.deepEqual(state(), { plain: true, own: true, out: false, host: false, vm: false });
  remove(builder, namespace('shop', ''));
  assert.deepEqual(state(), { plain: false, own: true, out: false, host: false, vm: false });
});

test('addresses from a network namespace, asked again on demand', () => {
  const found = new Map<string, string[]>();
  const asked: string[] = [];
  const builder = new MeshBuilder({
    resolveNetns(path) {
      asked.push(path);
      const list = found.get(path);
      return list === undefined ? null : { path, addresses: list };
    },
  });
  const a = pod('a', [], { netns: 'pod-a' });
  upsert(builder, service('web', ['10.96.0.1']), a, pod('b', ['10.0.0.2'], { netns: '/proc/7/ns/net' }));
  const kubelet = { uid: 'u', runtimeUid: 'u', redirection: false };
  const c = pod('c', [], { netns: '/run/netns/of-another', kubelet });
  upsert(builder, c);
  remove(builder, c);
  assert.deepEqual(asked, ['/run/netns/pod-a'], 'a status that tells the address is believed, and a kubelet is');
  assert.equal(builder.mesh.workloads.get(uid('b'))?.netns, '/proc/7/ns/net');
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.2:8080']);
  assert.equal(get(builder, 'web')?.ports[0]?.unready, 1);
  assert.match(lines(builder).join(), /^KM2007 Pod shop\/a .*no addresses in network namespace \/run\/netns\/pod-a/);
  found.set('/run/netns/pod-a', ['10.0.0.1', 'FD00::1']);
  assert.deepEqual(changed(builder.reevaluateNetns()), [[uid('a')], [keyOf('web')]]);
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:8080', '10.0.0.2:8080']);
  assert.deepEqual(builder.mesh.workloads.get(uid('a'))?.addresses, ['10.0.0.1', 'fd00::1']);
  assert.deepEqual(lines(builder), []);
  assert.deepEqual(changed(builder.reevaluateNetns()), [[], []]);
});

test('ServiceEntry: hosts, wildcard listeners, weights, ports by name', () => {
  const builder = new MeshBuilder();
  const endpoints = [
    { address: '10.0.0.1', ports: { tcp: 15432 }, weight: 8, labels: {}, locality: '' },
    { address: '10.0.0.2', ports: {}, weight: 1, labels: {}, locality: '' },
    { address: '10.0.0.3', ports: {}, weight: 0, labels: {}, locality: '' },
    { address: 'fd00::4', ports: {}, weight: 1, labels: {}, locality: '' },
  ];
  upsert(builder, entry('db', { endpoints, hosts: ['db.example', 'db2.example'] }), vm('vm', '10.0.0.2'));
  const db = builder.mesh.services.get('shop/db.example');
  assert.deepEqual(db?.addresses, ['240.0.0.1']);
  assert.deepEqual(db?.ports[0]?.endpoints, [
    { address: '10.0.0.1', port: 15432, weight: 8 },
    { address: '10.0.0.2', port: 5432, weight: 1, workload: 'Kubernetes//WorkloadEntry/shop/vm' },
  ]);
  assert.equal(db?.ports[0]?.unready, 1);
  assert.deepEqual(builder.mesh.services.get('shop/db2.example')?.addresses, []);
  upsert(builder, entry('db', { endpoints, addresses: [] }));
  assert.deepEqual(builder.mesh.services.get('shop/db.example')?.addresses, ['0.0.0.0', '::']);
  assert.equal(builder.mesh.services.get('shop/db.example')?.ports[0]?.endpoints.length, 3);
  assert.equal(builder.mesh.services.has('shop/db2.example'), false);
});

test('ServiceEntry by workloadSelector takes WorkloadEntries and pods', () => {
  const builder = new MeshBuilder();
  upsert(builder, entry('db', { selector: { app: 'db' } }), vm('vm', '10.0.0.1', { weight: 3, ports: { tcp: 7 } }));
  upsert(
    builder,
    pod('p', ['10.0.0.2'], { labels: { app: 'db', extra: 'x' } }),
    vm('no', '10.0.0.3', { labels: {}, locality: '' }),
  );
  assert.deepEqual(builder.mesh.services.get('shop/db.example')?.ports[0]?.endpoints, [
    { address: '10.0.0.2', port: 5432, weight: 1, workload: uid('p') },
    { address: '10.0.0.1', port: 7, weight: 3, workload: 'Kubernetes//WorkloadEntry/shop/vm' },
  ]);
  remove(builder, vm('vm', ''));
  assert.deepEqual(addresses(builder.mesh.services.get('shop/db.example')), ['10.0.0.2:5432']);
});

test('one address and port: the first keeps it, the second is told and takes over', () => {
  const builder = new MeshBuilder();
  const first = service('first', ['10.96.0.1']);
  const ports = [80, 81].map(
    (port) => ({ name: `p${port}`, port, protocol: 'TCP', appProtocol: '', targetPort: port }) as const,
  );
  const second = service('second', ['10.96.0.1', 'fd00::1'], { ports });
  upsert(builder, first, second);
  const served = () => get(builder, 'second')?.ports.map(({ port }) => port);
  assert.deepEqual(served(), [81]);
  assert.deepEqual(lines(builder), [
    `KM2001 Service shop/second a.yaml:${second.origin.line} spec.ports[0].port: ` +
      `10.96.0.1:80/TCP belongs to Service shop/first (a.yaml:${first.origin.line}): not served here`,
  ]);
  upsert(builder, service('third', ['fd00::1']));
  assert.deepEqual(get(builder, 'third')?.ports.length, 1, 'what waits holds nothing');
  upsert(builder, { ...first, affinitySeconds: 5 });
  assert.deepEqual(served(), [81], 'a change of the first does not lose it');
  const delta = remove(builder, first, service('third', []));
  assert.deepEqual(served(), [80, 81]);
  assert.deepEqual([...delta.services].sort(), [keyOf('first'), keyOf('second'), keyOf('third')]);
  assert.deepEqual(lines(builder), []);
  // UDP on the same number is another listener.
  const udp = [{ name: 'dns', port: 80, protocol: 'UDP', appProtocol: '', targetPort: 53 }] as const;
  upsert(builder, service('udp', ['10.96.0.1'], { ports: udp }));
  assert.deepEqual(lines(builder), []);
});

test('addresses swapped in one change', () => {
  const builder = new MeshBuilder();
  const a = service('a', ['10.96.0.1']);
  const b = service('b', ['10.96.0.2']);
  upsert(builder, a, b);
  upsert(builder, { ...a, addresses: ['10.96.0.2'] }, { ...b, addresses: ['10.96.0.1'] });
  assert.deepEqual([get(builder, 'a')?.addresses, get(builder, 'b')?.addresses], [['10.96.0.2'], ['10.96.0.1']]);
  assert.deepEqual([get(builder, 'a')?.ports.length, get(builder, 'b')?.ports.length], [1, 1]);
  assert.deepEqual(lines(builder), []);
});

test('one host in one namespace: the first keeps it, the second takes over', () => {
  const builder = new MeshBuilder();
  const one = entry('one', { hosts: ['x.example'] });
  const two = entry('two', { hosts: ['x.example', 'y.example'], addresses: ['240.0.0.2'] });
  upsert(builder, one, two);
  assert.equal(builder.mesh.services.get('shop/x.example')?.name, 'one');
  assert.deepEqual(builder.mesh.services.get('shop/y.example')?.addresses, ['240.0.0.2']);
  assert.equal(
    builder
      .problems()
      .map(({ code, field }) => `${code} ${field}`)
      .join(),
    'KM2003 spec.hosts[0]',
  );
  const delta = remove(builder, one);
  assert.equal(builder.mesh.services.get('shop/x.example')?.name, 'two');
  assert.deepEqual(builder.mesh.services.get('shop/x.example')?.addresses, ['240.0.0.2']);
  assert.deepEqual([...delta.services].sort(), ['shop/x.example', 'shop/y.example']);
  assert.deepEqual(lines(builder), []);
});

test('rules: the first for a host counts; without a service of the namespace they do nothing', () => {
  const builder = new MeshBuilder();
  const host = 'web.shop.svc.cluster.local';
  upsert(builder, service('web', ['10.96.0.1']), rule('a', host, 'round-robin'), rule('b', host, 'random'));
  assert.equal(get(builder, 'web')?.ports[0]?.policy.balance, 'round-robin');
  assert.match(lines(builder).join(), /^KM2004 DestinationRule shop\/b /);
  remove(builder, rule('a', host, null));
  assert.equal(get(builder, 'web')?.ports[0]?.policy.balance, 'random');
  upsert(builder, rule('b', 'gone.shop.svc.cluster.local', 'random'), rule('c', host, 'round-robin', 'home'));
  assert.deepEqual(
    builder.problems().map(({ code, severity, name }) => `${code} ${severity} ${name}`),
    ['KM2005 warning b', 'KM2005 error c'],
  );
  assert.equal(get(builder, 'web')?.ports[0]?.policy.balance, 'random');
});

test('slices of a service that does not exist are told, and wait for it', () => {
  const builder = new MeshBuilder();
  upsert(builder, slice('web', [['10.0.0.1']]));
  assert.match(lines(builder).join(), /^KM2006 EndpointSlice shop\/web-1 .*there is no Service shop\/web$/);
  upsert(builder, service('web', ['10.96.0.1']));
  assert.deepEqual(addresses(get(builder, 'web')), ['10.0.0.1:8080']);
  assert.deepEqual(lines(builder), []);
});

test('any order of changes ends in the mesh that a fresh builder makes of what is left', () => {
  // A seeded generator (LCG): a failure names its seed and can be repeated.
  for (let seed = 1; seed <= 60; seed++) {
    let state = seed;
    const pick = (n: number) => {
      state = (state * 1664525 + 1013904223) >>> 0;
      return (state >>> 8) % n;
    };
    const make: readonly (() => KubeObject)[] = [
      () =>
        pod(`p${pick(6)}`, [`10.0.0.${pick(4)}`], {
          labels: { app: `s${pick(3)}`, v: `${pick(2)}` },
          ready: pick(3) > 0,
          locality: pick(2) === 0 ? '' : `us/${pick(2)}`,
        }),
      () => pod(`h${pick(2)}`, [`10.0.0.${pick(4)}`], { hostNetwork: true, labels: { app: 'db' } }),
      () => {
        const n = pick(3);
        const selector = pick(4) === 0 ? null : { app: `s${n}`, ...(pick(3) === 0 ? { v: '1' } : {}) };
        const locality = pick(2) === 0 ? null : ({ kind: 'failover', regions: [] } as const);
        return service(`s${n}`, pick(4) === 0 ? [] : [`10.96.0.${n}`], { selector, locality });
      },
      () =>
        slice(
          `s${pick(3)}`,
          [
            [`10.0.0.${pick(4)}`, 'ready', `p${pick(6)}`],
            [`10.0.0.${pick(4)}`, pick(2) ? 'draining' : 'unready'],
          ],
          { name: `e${pick(4)}` },
        ),
      () => namespace('shop', pick(2) === 0 ? 'kmesh' : ''),
      () => vm(`v${pick(2)}`, `10.0.0.${pick(4)}`, { weight: pick(3) }),
      () => {
        const n = pick(2);
        return entry(`x${n}`, {
          addresses: [`240.0.0.${n}`],
          selector: pick(2) === 0 ? { app: 'db' } : null,
          endpoints: [{ address: `10.0.0.${pick(4)}`, ports: {}, weight: 1, labels: {}, locality: '' }],
        });
      },
      () => {
        const made = rule(`r${pick(1)}`, `s${pick(3)}.shop.svc.cluster.local`, pick(2) === 0 ? 'round-robin' : null);
        const subsets = [{ name: 'v', labels: { v: `${pick(2)}` }, policy: { ports: new Map() } }];
        return pick(2) === 0 ? made : { ...made, subsets };
      },
      () => {
        const host = (n: number) =>
          n < 3 ? `s${n}.shop.svc.cluster.local` : `${n < 5 ? 'x' : 'y'}${n - (n < 5 ? 3 : 5)}.example`;
        const hosts = pick(4) === 0 ? ['*.cluster.local', '*.example'] : [host(pick(8))];
        const to = [host(pick(5)), `${host(pick(5))} v`];
        return virtualService(`w${pick(3)}`, hosts, pick(2) === 0 ? { http: to } : { tcp: to });
      },
      () => httpRoute(`t${pick(2)}`, `s${pick(3)}`, [`s${pick(3)}.shop.svc.cluster.local`], pick(3) ? 'shop' : 'home'),
      () => {
        const n = pick(3);
        const ports = [{ name: 'http', port: 80, protocol: 'TCP', appProtocol: 'http', targetPort: 80 }] as const;
        const hosts = [...(pick(2) === 0 ? [] : [`z${n}.example`]), `y${n}.example`];
        return entry(`y${n}`, { addresses: [], ports, hosts });
      },
      () => grant('g', pick(2) === 0 ? ['home'] : []),
    ];
    const place = { locality: parseLocality('us/1'), node: '' };
    const builder = new MeshBuilder({ place });
    const left = new Map<string, KubeObject>();
    for (let step = 0; step < 80; step++) {
      const object = (make[pick(make.length)] ?? (() => namespace('x', '')))();
      const id = `${object.kind}/${object.namespace}/${object.name}`;
      const before = new Map<string, unknown>([...builder.mesh.services, ...builder.mesh.workloads]);
      let delta: MeshDelta;
      if (pick(4) === 0) {
        left.delete(id);
        delta = remove(builder, object);
      } else {
        left.set(id, object);
        delta = upsert(builder, object);
      }
      const after = new Map<string, unknown>([...builder.mesh.services, ...builder.mesh.workloads]);
      const differs = [...new Set([...before.keys(), ...after.keys()])].filter(
        (key) => before.get(key) !== after.get(key),
      );
      assert.deepEqual(
        [...delta.services, ...delta.workloads].sort(),
        differs.sort(),
        `delta, seed ${seed} step ${step}`,
      );
    }
    const fresh = new MeshBuilder({ place });
    upsert(fresh, ...left.values());
    const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(sorted(builder.mesh.services), sorted(fresh.mesh.services), `seed ${seed}`);
    assert.deepEqual(sorted(builder.mesh.workloads), sorted(fresh.mesh.workloads), `seed ${seed}`);
  }
});
