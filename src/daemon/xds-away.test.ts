/** A control plane that is away for ten minutes and comes back with a changed world: what the kernel is written then. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Any } from '@bufbuild/protobuf/wkt';
import { addressFromWords } from '../base/address.ts';
import { compileService } from '../compile/service.ts';
import { rootOnly } from '../kernel/testing.ts';
import { Publisher } from '../publish/publisher.ts';
import type { Table, Tables } from '../publish/tables.ts';
import { realTables } from '../publish/testing.ts';
import { differences } from '../publish/verify.ts';
import { EnvoyWorld } from '../source/xds/envoy/world.ts';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  HttpConnectionManagerSchema,
  ListenerSchema,
  RouteConfigurationSchema,
} from '../source/xds/gen/messages.gen.ts';
import { noDns, origin, type Started, startSource } from '../source/xds/source-testing.ts';
import { anyOf, HoldingControlPlane, socket } from '../source/xds/testing.ts';
import { service, workload } from '../source/xds/testing-hostile.ts';

const skip = rootOnly();
const services = 40;

/** Last bytes of the addresses of endpoints, by the number of the service. */
type Mesh = ReadonlyMap<number, readonly number[]>;
const first: Mesh = new Map(Array.from({ length: services }, (_, i) => [i, [1, 2, 3]]));
/** One endpoint is another one, one service is gone, one is new; the others are as they were. */
const changed: Mesh = new Map(
  [...first, [7, [1, 2, 9]] as const, [services, [1, 2, 3]] as const].filter(([i]) => i !== 11),
);

const vip = (i: number): string => `10.96.1.${i}`;
const endpoint = (i: number, last: number): string => `10.1.${i}.${last}`;
const host = (i: number): string => `s${i}.shop.svc.cluster.local`;
const bytes = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

function workloadApi(mesh: Mesh): [name: string, Any][] {
  return [...mesh].flatMap(([i, lasts]) => {
    const key = `shop/${host(i)}`;
    return [
      [key, service(vip(i), { name: `s${i}`, hostname: host(i) })] as [string, Any],
      ...lasts.map((last): [string, Any] => {
        const uid = `Kubernetes//Pod/shop/s${i}-${last}`;
        const memberships = { [key]: { ports: [{ servicePort: 80, targetPort: 8080 }] } };
        return [uid, workload({ uid, name: uid, addresses: [bytes(endpoint(i, last))], services: memberships })];
      }),
    ];
  });
}

function envoy(mesh: Mesh): [name: string, Any][] {
  const cluster = (i: number): string => `outbound|80||${host(i)}`;
  const manager = anyOf(HttpConnectionManagerSchema, {
    routeSpecifier: { case: 'rds', value: { routeConfigName: '80' } },
  } as never);
  const filters = [{ name: 'http', configType: { case: 'typedConfig', value: manager } }];
  const listener = { name: '0.0.0.0_80', address: socket('0.0.0.0', 80), filterChains: [{ filters }] };
  const virtualHosts = [...mesh.keys()].map((i) => {
    const action = { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: cluster(i) } } };
    const routes = [{ match: { pathSpecifier: { case: 'prefix', value: '/' } }, action }];
    return { name: `${host(i)}:80`, domains: [host(i), vip(i)], routes };
  });
  return [
    [listener.name, anyOf(ListenerSchema, listener as never)],
    ['80', anyOf(RouteConfigurationSchema, { name: '80', virtualHosts } as never)],
    ...[...mesh].flatMap(([i, lasts]): [string, Any][] => {
      const lbEndpoints = lasts.map((last) => ({
        hostIdentifier: { case: 'endpoint', value: { address: socket(endpoint(i, last), 8080) } },
      }));
      const eds = { clusterDiscoveryType: { case: 'type', value: 3 }, edsClusterConfig: {} };
      const assignment = { clusterName: cluster(i), endpoints: [{ lbEndpoints }] };
      return [
        [cluster(i), anyOf(ClusterSchema, { name: cluster(i), ...eds } as never)],
        [cluster(i), anyOf(ClusterLoadAssignmentSchema, assignment as never)],
      ];
    }),
  ];
}

const text = (value: unknown): string => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v));

/** A table whose writes are noted. */
function noting<K, V>(table: Table<K, V>, written: Set<string>): Table<K, V> {
  return {
    name: table.name,
    maxEntries: table.maxEntries,
    get: (key) => table.get(key),
    entries: () => table.entries(),
    write: (entries, mode) => {
      for (const [key] of entries) written.add(`${table.name} ${text(key)}`);
      table.write(entries, mode);
    },
    remove: (keys) => table.remove(keys),
  };
}

const watched = ['listener', 'cluster', 'endpoint', 'slot'] as const;

function dump(tables: Tables): Map<string, string> {
  return new Map(
    watched.flatMap((one) => {
      const table: Table<unknown, unknown> = tables[one] as Table<unknown, unknown>;
      return [...table.entries()].map(([key, value]) => [`${table.name} ${text(key)}`, text(value)] as const);
    }),
  );
}

async function away(
  t: TestContext,
  dialect: 'delta' | 'sotw',
  resources: (mesh: Mesh) => [string, Any][],
): Promise<void> {
  const kernel = realTables(10_000);
  t.after(() => kernel.close());
  const written = new Set<string>();
  const { listener, cluster, endpoint: endpoints, slot } = kernel.tables;
  const tables: Tables = {
    ...kernel.tables,
    ...{ listener: noting(listener, written), cluster: noting(cluster, written) },
    ...{ endpoint: noting(endpoints, written), slot: noting(slot, written) },
  };
  const publisher = new Publisher(tables, { now: () => 0 });
  publisher.adopt();
  let plane = await HoldingControlPlane.start();
  t.after(() => plane.close());
  for (const [name, any] of resources(first)) plane.put(name, any);
  const world = dialect === 'sotw' ? { world: new EnvoyWorld({ origin, ...noDns }) } : {};
  const it: Started = startSource(plane.address, { dialect, ...world });
  t.after(() => it.source.close());
  let taken = 0;
  let records = 0;
  const publish = (): void => {
    for (const { services: keys } of it.deltas.slice(taken)) {
      const { mesh } = it.source;
      const compiled = [...keys].map((key) => {
        const one = mesh.services.get(key);
        return [key, one === undefined ? null : compileService(one)] as const;
      });
      const result = publisher.publish(new Map(compiled));
      assert.equal(result.refused.size, 0);
      records += result.written + result.removed;
    }
    taken = it.deltas.length;
  };
  await it.until(() => it.source.synced, 'sync');
  publish();
  const all = () => [...it.source.mesh.services.values()].map((one) => compileService(one));
  assert.equal(it.source.mesh.services.size, services);
  assert.deepEqual(differences(tables, all()), []);

  const port = Number(plane.address.split(':')[1]);
  const before = dump(tables);
  written.clear();
  records = 0;
  plane.close();
  for (let seconds = 0; seconds < 600; seconds += 15) {
    await it.until(() => it.clock.waits.length > 0, 'a wait');
    it.clock.advance(15_000);
  }
  publish();
  assert.deepEqual([records, it.source.mesh.services.size], [0, services], 'nothing is written while it is away');
  assert.ok((it.source.status().xds?.streams ?? 0) > 30, 'it was tried again and again');

  // A control plane that begins anew knows no version that was told before: it sends everything.
  plane = await HoldingControlPlane.start('127.0.0.1', port);
  for (const [name, any] of resources(changed)) plane.put(name, any);
  await it.until(() => {
    it.clock.advance(1000);
    publish();
    return it.source.mesh.services.has(`shop/${host(services)}`) && !it.source.mesh.services.has(`shop/${host(11)}`);
  }, 'the changed world');
  await it.until(() => {
    it.clock.advance(1000);
    publish();
    return (
      differences(tables, all()).length === 0 &&
      [...(it.source.mesh.services.get(`shop/${host(7)}`)?.ports[0]?.endpoints ?? [])].some(
        ({ address }) => address === endpoint(7, 9),
      )
    );
  }, 'the changed endpoint');

  const now = dump(tables);
  const differs = [...new Set([...before.keys(), ...now.keys()])].filter((key) => before.get(key) !== now.get(key));
  assert.deepEqual([...written].sort(), differs.sort(), 'what is written is what differs');
  const touched = [...tables.endpoint.entries()]
    .filter(([key]) => differs.includes(`${tables.endpoint.name} ${text(key)}`))
    .map(([, { addr, usable }]) => `${addressFromWords(addr)} ${usable}`);
  assert.deepEqual(touched.sort(), [
    ...[1, 2, 3].map((last) => `${endpoint(11, last)} 0`),
    ...[1, 2, 3].map((last) => `${endpoint(services, last)} 1`),
    `${endpoint(7, 3)} 0`,
    `${endpoint(7, 9)} 1`,
  ]);
  t.diagnostic(`${before.size} records held, ${differs.length} written`);
}

test('the workload API, ten minutes away: exactly the difference is written', { skip }, (t) =>
  away(t, 'delta', workloadApi),
);

test('Envoy’s resources, ten minutes away: exactly the difference is written', { skip }, (t) => away(t, 'sotw', envoy));
