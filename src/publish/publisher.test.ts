import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { CompiledService } from '../compile/service.ts';
import type { Service } from '../model/types.ts';
import { Publisher } from './publisher.ts';
import { compiled, realTables, service, type TestTables } from './testing.ts';
import { differences } from './verify.ts';

describe('publisher on real kernel maps', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let kernel: TestTables;
  let clock: number;
  const adopted = (): Publisher => {
    const publisher = new Publisher(kernel.tables, { now: () => clock });
    publisher.adopt();
    return publisher;
  };
  const holds = (services: ReadonlyMap<string, CompiledService>): void =>
    assert.deepEqual(differences(kernel.tables, services.values()), []);
  const one = (name: string, change: CompiledService | null) =>
    new Map([[`shop/${name}.shop.svc.cluster.local`, change]]);
  const compiledOne = (s: Service): CompiledService | null => compiled(s).get(s.key) ?? null;

  beforeEach(() => {
    kernel = realTables();
    clock = 0;
  });
  afterEach(() => kernel.close());

  test('the kernel holds what was published, both families', () => {
    const all = compiled(
      service('a', {
        addresses: ['10.96.0.1', 'fd00::1'],
        endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2', weight: 3 }, { address: 'fd00::a' }],
      }),
      service('b', { addresses: ['10.96.0.2'], endpoints: [], policy: 'round-robin', affinitySeconds: 60 }),
    );
    adopted().publishAll(all);
    holds(all);
    assert.equal([...kernel.tables.listener.entries()].length, 3);
  });

  test('a second publish of the same writes nothing', () => {
    const publisher = adopted();
    const all = compiled(service('a', { endpoints: [{ address: '10.0.0.1' }] }));
    assert.ok(publisher.publishAll(all).written > 0);
    assert.deepEqual(publisher.publish(all), { written: 0, removed: 0, refused: new Map() });
  });

  test('one endpoint more costs its record, the slots and the cluster, no listener', () => {
    const publisher = adopted();
    publisher.publishAll(compiled(service('a', { endpoints: [{ address: '10.0.0.1' }] })));
    const more = service('a', { endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2' }] });
    assert.equal(publisher.publish(one('a', compiledOne(more))).written, 4);
    holds(compiled(more));
  });

  test('a removed endpoint is marked dead at once and deleted after the grace period', () => {
    const publisher = adopted();
    publisher.publishAll(compiled(service('a', { endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2' }] })));
    const less = service('a', { endpoints: [{ address: '10.0.0.2' }] });
    publisher.publish(one('a', compiledOne(less)));
    holds(compiled(less));
    assert.deepEqual([...kernel.tables.endpoint.entries()].map(([, e]) => e.usable).sort(), [0, 1]);
    clock = 500;
    assert.equal(publisher.reap().waiting, true);
    assert.equal([...kernel.tables.endpoint.entries()].length, 2);
    clock = 1000;
    assert.deepEqual(publisher.reap(), { deleted: 2, waiting: false });
    assert.equal([...kernel.tables.endpoint.entries()].length, 1);
    assert.equal([...kernel.tables.endpointStats.entries()].length, 1);
  });

  test('a removed service leaves empty tables', () => {
    const publisher = adopted();
    publisher.publishAll(compiled(service('a', { endpoints: [{ address: '10.0.0.1' }] })));
    publisher.publish(one('a', null));
    holds(new Map());
    clock = 1000;
    publisher.reap();
    for (const table of [kernel.tables.listener, kernel.tables.cluster, kernel.tables.clusterStats]) {
      assert.equal([...table.entries()].length, 0, table.name);
    }
    assert.deepEqual(publisher.counts, { listeners: 0, clusters: 0, endpoints: 0, slots: 0, routeTables: 0 });
  });

  test('what comes back within the grace period is not deleted by it', () => {
    const publisher = adopted();
    const all = compiled(service('a', { endpoints: [{ address: '10.0.0.1' }] }));
    publisher.publishAll(all);
    publisher.publish(one('a', null));
    clock = 900;
    publisher.publish(all);
    clock = 5000;
    publisher.reap();
    holds(all);
  });

  test('an address that moves from one service to another in one publish is never lost', () => {
    const publisher = adopted();
    publisher.publishAll(compiled(service('a', { endpoints: [{ address: '10.0.0.1' }] })));
    const b = compiled(service('b', { endpoints: [{ address: '10.0.0.9' }] }));
    publisher.publish(new Map([...b, ...one('a', null)]));
    holds(b);
    clock = 1000;
    publisher.reap();
    holds(b);
  });

  test('a daemon that starts anew adopts and writes only the difference', () => {
    const before = [
      service('a', { endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2', weight: 5 }] }),
      service('b', { addresses: ['10.96.0.2'], endpoints: [{ address: '10.0.0.3' }] }),
      service('gone', { addresses: ['10.96.0.3'], endpoints: [{ address: '10.0.0.4' }] }),
    ];
    adopted().publishAll(compiled(...before));
    const next = adopted();
    const after = compiled(...before.slice(0, 2));
    const result = next.publishAll(after);
    assert.equal(result.written, 0);
    assert.ok(result.removed > 0);
    holds(after);
    clock = 1000;
    next.reap();
    assert.equal([...kernel.tables.endpoint.entries()].length, 3);
  });

  test('while an object cannot be read, what an earlier daemon left stays until the whole is published again', () => {
    const a = service('a', { endpoints: [{ address: '10.0.0.1' }] });
    const b = service('b', { addresses: ['10.96.0.2'], endpoints: [{ address: '10.0.0.2' }] });
    adopted().publishAll(compiled(a, b));
    const next = adopted();
    assert.deepEqual(next.publishAll(compiled(a), true), { written: 0, removed: 0, refused: new Map() });
    holds(compiled(a, b));
    next.publishAll(compiled(a));
    holds(compiled(a));
  });

  test('a service that does not fit is refused with its setting; the others stay and it comes in when there is room', () => {
    kernel.close();
    kernel = realTables(4);
    const publisher = adopted();
    const small = service('small', { endpoints: [{ address: '10.0.0.1' }, { address: '10.0.0.2' }] });
    const large = service('large', {
      addresses: ['10.96.0.9'],
      endpoints: ['1', '2', '3'].map((n) => ({ address: `10.1.0.${n}` })),
    });
    const result = publisher.publishAll(compiled(small, large));
    assert.deepEqual(
      [...result.refused],
      [[large.key, 'KM3001 km_endpoint is full (2/4, 3 more needed): raise --max-endpoints']],
    );
    holds(compiled(small));
    publisher.publish(one('small', null));
    clock = 1000;
    publisher.reap();
    assert.equal(publisher.publish(one('large', compiledOne(large))).refused.size, 0);
    holds(compiled(large));
  });

  test('slots that are free but not in a row refuse one service only', () => {
    kernel.close();
    kernel = realTables(12);
    const publisher = adopted();
    const sized = (name: string, n: number, size: number): Service =>
      service(name, {
        addresses: [`10.96.0.${n}`],
        endpoints: Array.from({ length: size }, (_, i) => ({ address: `10.${n}.0.${i}` })),
      });
    const four = ['a', 'b', 'c', 'd'].map((name, i) => sized(name, i, 3));
    publisher.publishAll(compiled(...four));
    for (const name of ['a', 'c']) publisher.publish(one(name, null));
    clock = 1000;
    publisher.reap();
    const both = compiled(sized('long', 8, 4), sized('short', 9, 2));
    const { refused } = publisher.publish(both);
    assert.deepEqual([...refused.values()], ['KM3002 km_slot has no 4 free slots in a row: raise --max-slots']);
    holds(compiled(...four.filter((s) => s.name === 'b' || s.name === 'd'), sized('short', 9, 2)));
  });

  test('500 random changes, restarts in between: the kernel always holds exactly the sources', () => {
    let seed = 7;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % n;
    };
    const state = new Map<string, Service>();
    let publisher = adopted();
    publisher.publishAll(new Map());
    for (let step = 0; step < 500; step++) {
      clock += random(800);
      const name = `s${random(8)}`;
      const s = service(name, {
        addresses: [`10.96.0.${name.slice(1)}`, `fd00::1${name.slice(1)}`].slice(0, 1 + random(2)),
        endpoints: Array.from({ length: random(6) }, () => ({
          address: random(3) === 0 ? `fd00::a:${random(9)}` : `10.0.0.${random(9)}`,
          weight: 1 + random(3),
        })),
        policy: random(2) === 0 ? 'random' : 'round-robin',
      });
      const gone = random(4) === 0;
      if (gone) state.delete(s.key);
      else state.set(s.key, s);
      if (random(20) === 0) {
        publisher = adopted();
        publisher.publishAll(compiled(...state.values()));
      } else publisher.publish(one(name, gone ? null : compiledOne(s)));
      publisher.reap();
      holds(compiled(...state.values()));
    }
    publisher.publishAll(new Map());
    clock += 5000;
    publisher.reap();
    for (const table of [kernel.tables.listener, kernel.tables.cluster, kernel.tables.endpoint]) {
      assert.equal([...table.entries()].length, 0, table.name);
    }
    assert.equal(publisher.counts.slots, 0);
  });
});
