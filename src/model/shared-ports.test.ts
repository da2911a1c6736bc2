import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileService } from '../compile/service.ts';
import { MeshBuilder } from './mesh.ts';
import { changed, entry, lines, remove, upsert, virtualService } from './testing.ts';

const http = (port: number) =>
  ({ name: 'http', port, protocol: 'TCP', appProtocol: 'http', targetPort: port }) as const;
const everywhere = (name: string, ports: readonly number[], rest = {}) =>
  entry(name, {
    addresses: [],
    ports: ports.map((port) => ({ ...http(port), name: `http-${port}` })),
    endpoints: [{ address: `10.0.0.${name.charCodeAt(0)}`, ports: {}, weight: 1, labels: {}, locality: '' }],
    ...rest,
  });

/** `SERVICE PORT: DOMAIN → ROUTE, …` of every route table. */
function tables(builder: MeshBuilder): string[] {
  return [...builder.mesh.services.values()].flatMap(({ key, ports }) =>
    ports.flatMap(({ port, routing }) => {
      if (routing === undefined) return [];
      const hosts = routing.virtualHosts.map(({ domains, routes }) => `${domains.join()} → ${routes[0]?.name}`);
      return [`${key} ${port}: ${hosts.join(', ')}`];
    }),
  );
}

const listeners = (builder: MeshBuilder): string[] =>
  [...builder.mesh.services.values()].flatMap((service) => compileService(service).listeners.map(({ name }) => name));

test('entries without addresses share their HTTP ports by host', () => {
  const builder = new MeshBuilder();
  upsert(builder, everywhere('a', [80, 81]));
  assert.deepEqual(tables(builder), [
    'shop/a.example 80: a.example → default',
    'shop/a.example 81: a.example → default',
  ]);
  const b = everywhere('b', [80], { namespace: 'home', hosts: ['b.example', '*.b.example', 'a.example'] });
  assert.deepEqual(changed(upsert(builder, b))[1].length, 4);
  const both = 'shop/a.example 80: a.example → default, b.example → default, *.b.example → default';
  assert.deepEqual(tables(builder), [both, 'shop/a.example 81: a.example → default']);
  assert.deepEqual(listeners(builder), ['TCP 0.0.0.0:80', 'TCP [::]:80', 'TCP 0.0.0.0:81', 'TCP [::]:81']);
  const [reason] = lines(builder);
  assert.match(reason ?? '', /^KM2003 .*home\/b .*hosts\[2\]: port 80 of every address leads a\.example to shop\/a/);
  // A change of a host's routes is one of the first object's table.
  upsert(builder, virtualService('r', ['b.example'], { http: ['a.example'] }));
  assert.equal(tables(builder)[0], both.replace('b.example → default', 'b.example → r'));
  // Clusters are there for all, and the port says where it is served.
  const other = builder.mesh.services.get('home/b.example');
  assert.ok(other);
  assert.equal(other.ports[0]?.listener, 'shop/a.example');
  assert.equal(compileService(other).clusters.length, 2);
});

test('the first one goes: the next gives the listener', () => {
  const builder = new MeshBuilder();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => everywhere(name, [80]));
  assert.ok(a && b && c);
  upsert(builder, a, b, c);
  remove(builder, a);
  assert.deepEqual(tables(builder), ['shop/b.example 80: b.example → default, c.example → default']);
  assert.deepEqual(
    ['b', 'c'].map((name) => builder.mesh.services.get(`shop/${name}.example`)?.ports[0]?.listener),
    [undefined, 'shop/b.example'],
  );
  upsert(builder, a);
  assert.deepEqual(tables(builder), [
    'shop/b.example 80: b.example → default, c.example → default, a.example → default',
  ]);
  // With an address it has a listener of its own, for whatever host.
  upsert(builder, { ...b, addresses: ['240.0.0.1'] });
  assert.deepEqual(tables(builder), ['shop/c.example 80: c.example → default, a.example → default']);
  upsert(builder, { ...c, hosts: ['d.example'] });
  assert.equal(builder.mesh.services.get('shop/a.example')?.ports[0]?.listener, 'shop/d.example');
});

test('what is not HTTP shares nothing, and whoever came first keeps the port', () => {
  const builder = new MeshBuilder();
  const tcp = entry('t', { addresses: [], ports: [{ ...http(80), name: 'tcp', appProtocol: 'tcp' }] });
  upsert(builder, tcp);
  upsert(builder, everywhere('a', [80]), everywhere('b', [80, 81]));
  assert.deepEqual(tables(builder), ['shop/b.example 81: b.example → default']);
  assert.equal(lines(builder).length, 2);
  assert.match(lines(builder)[0] ?? '', /^KM2001 .* 0\.0\.0\.0:80\/TCP belongs to ServiceEntry shop\/t /);
  remove(builder, tcp);
  assert.equal(lines(builder).length, 0);
  assert.equal(tables(builder).length, 2);
  upsert(builder, tcp);
  assert.match(lines(builder).join(), /^KM2001 ServiceEntry shop\/t .* belongs to ServiceEntry shop\/a /);
});
