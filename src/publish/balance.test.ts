/** The balancer of bpf/include/km_balance.h on clusters that the publisher wrote, by test runs of a sched_cls program. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { clusterId } from '../compile/service.ts';
import { kmCounter } from '../kernel/gen/layout.gen.ts';
import { testObject } from '../kernel/testing.ts';
import { testRun } from '../kernel/testrun.ts';
import type { ClusterPolicy } from '../model/http.ts';
import { Publisher } from './publisher.ts';
import { compiled, realTables, service, type TestTables } from './testing.ts';

const ethernet = 14;
const requestBytes = 32 + 8 + 4 * 4 + 8 * 128;

describe('balancing on real kernel maps', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let kernel: TestTables;
  let publisher: Publisher;
  let cluster: bigint;
  /** Last parts of the endpoints' addresses by id. */
  let names: ReadonlyMap<bigint, string>;

  before(() => {
    kernel = realTables(10_000, [testObject('balance')]);
  });
  after(() => kernel.close());
  beforeEach(() => {
    publisher = new Publisher(kernel.tables, { now: () => 0, graceMs: 0 });
    publisher.adopt();
    publisher.publishAll(new Map());
    publisher.reap();
  });

  const policy = (balance: ClusterPolicy['balance'], hash?: ClusterPolicy['hash']): ClusterPolicy => ({
    balance,
    perConnection: false,
    connectTimeoutMs: 0,
    ...(hash && { hash }),
  });

  /** Publishes a service of one endpoint for each weight: 10.0.0.1, 10.0.0.2 … */
  function publish(weights: readonly number[], how: ClusterPolicy, affinitySeconds = 0): void {
    const made = service('a', {
      endpoints: weights.map((weight, i) => ({ address: `10.0.0.${i + 1}`, weight })),
      affinitySeconds,
      port: { policy: how },
    });
    const all = compiled(made);
    publisher.publishAll(all);
    const [port] = made.ports;
    assert.ok(port);
    cluster = clusterId(made, port, 4);
    const endpoints = [...all.values()].flatMap((s) => s.clusters.flatMap((c) => c.endpoints));
    names = new Map(endpoints.map(({ id, address }) => [id, address.slice('10.0.0.'.length)]));
  }

  const idOf = (name: string): bigint => [...names].find(([, one]) => one === name)?.[0] ?? 0n;

  /** Name of the endpoint that is picked; empty for none. */
  function pick({ hash = 0, netns = 0n, avoid = '' } = {}): string {
    const packet = new Uint8Array(ethernet + 40);
    const view = new DataView(packet.buffer, ethernet);
    view.setBigUint64(0, cluster, true);
    view.setBigUint64(8, netns, true);
    view.setBigUint64(16, avoid === '' ? 0n : idOf(avoid), true);
    view.setUint32(32, hash, true);
    const program = kernel.programs.get('km_test_pick');
    assert.ok(program);
    const { packet: answer } = testRun(program, packet);
    const id = new DataView(answer.buffer, answer.byteOffset + ethernet).getBigUint64(24, true);
    return id === 0n ? '' : (names.get(id) ?? `unknown ${id}`);
  }

  function shares(count: number, one: (i: number) => string): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const name = one(i);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return new Map([...counts].map(([name, times]) => [name, times / count]));
  }

  const setActive = (name: string, active: number): void => {
    const stats = kernel.tables.endpointStats.get(idOf(name));
    assert.ok(stats);
    kernel.tables.endpointStats.write([[idOf(name), { ...stats, active }]], 'any');
  };
  const setUsable = (name: string, usable: number): void => {
    const endpoint = kernel.tables.endpoint.get(idOf(name));
    assert.ok(endpoint);
    kernel.tables.endpoint.write([[idOf(name), { ...endpoint, usable }]], 'in-place');
  };
  /** Five standard deviations of a share: a sound balancer fails once in a million runs. */
  const near = (got: number | undefined, share: number, count: number, what: string): void =>
    assert.ok(
      Math.abs((got ?? 0) - share) < 5 * Math.sqrt((share * (1 - share)) / count),
      `${what}: ${got} instead of ${share}`,
    );

  test('random: by weight', () => {
    publish([8, 1, 1], policy('random'));
    const got = shares(4000, () => pick());
    [0.8, 0.1, 0.1].forEach((share, i) => {
      near(got.get(`${i + 1}`), share, 4000, `endpoint ${i + 1}`);
    });
  });

  test('round robin: in turn, and past one that cannot be used', () => {
    publish([1, 1, 1], policy('round-robin'));
    const order = Array.from({ length: 6 }, () => pick()).join('');
    assert.match(order, /^(123123|231231|312312)$/);
    setUsable('2', 0);
    assert.deepEqual([...shares(6, () => pick()).keys()].sort(), ['1', '3']);
  });

  test('least request: of two the less busy one, by weight where they are equal', () => {
    publish([1, 1], policy('least-request'));
    setActive('1', 3);
    assert.deepEqual([...shares(200, () => pick()).keys()], ['2']);
    publish([1, 1, 1], policy('least-request'));
    ['1', '2', '3'].forEach((name, i) => {
      setActive(name, i === 0 ? 0 : 9);
    });
    const got = shares(4000, () => pick());
    // Two of the three pairs have the idle one in it.
    near(got.get('1'), 2 / 3, 4000, 'the idle one');
    near(got.get('2'), 1 / 6, 4000, 'a busy one');
    publish([3, 1], policy('least-request'));
    for (const name of ['1', '2']) setActive(name, 0);
    near(shares(4000, () => pick()).get('1'), 0.75, 4000, 'the heavier one');
  });

  test('maglev: a hash keeps its endpoint, shares are those of the weights, few move when one goes', () => {
    publish([1, 1, 1, 1, 2], policy('maglev', { kind: 'header', name: 'x' }));
    const hashes = Array.from({ length: 3000 }, (_, i) => (i * 2654435761 + 1) >>> 0);
    const first = hashes.map((hash) => pick({ hash }));
    assert.deepEqual(
      hashes.map((hash) => pick({ hash })),
      first,
    );
    const got = shares(first.length, (i) => first[i] ?? '');
    // Of 509 slots; the rest is how evenly the hashes fall.
    for (const name of ['1', '2', '3', '4']) near(got.get(name), 1 / 6, 3000, name);
    near(got.get('5'), 1 / 3, 3000, '5');
    publish([1, 1, 1, 1], policy('maglev', { kind: 'header', name: 'x' }));
    const moved = hashes.filter((hash, i) => first[i] !== '5' && pick({ hash }) !== first[i]).length;
    assert.ok(moved < 0.15 * hashes.length, `${moved} of ${hashes.length} moved without need`);
  });

  test('maglev: without a hash at random; the next slot where the endpoint cannot be used', () => {
    publish([1, 1, 1], policy('maglev', { kind: 'header', name: 'x' }));
    assert.equal(shares(200, () => pick()).size, 3);
    const hash = 4711;
    const first = pick({ hash });
    setUsable(first, 0);
    const second = pick({ hash });
    assert.ok(second !== first && second !== '');
    assert.equal(pick({ hash }), second);
  });

  test('maglev by source: in connect() by the network namespace', () => {
    publish([1, 1, 1, 1], policy('maglev', { kind: 'source' }));
    const all = Array.from({ length: 20 }, (_, i) => BigInt(i + 5));
    const first = all.map((netns) => pick({ netns }));
    assert.deepEqual(
      all.map((netns) => pick({ netns })),
      first,
    );
    assert.ok(new Set(first).size > 1);
  });

  for (const balance of ['random', 'round-robin', 'least-request', 'maglev'] as const) {
    test(`${balance}: the endpoint to avoid is taken only where there is no other`, () => {
      publish([20, 1, 1], policy(balance));
      for (let i = 0; i < 300; i++) assert.match(pick({ avoid: '1', hash: i % 2 }), /^[23]$/);
      for (const name of ['2', '3']) setUsable(name, 0);
      assert.equal(pick({ avoid: '1', hash: 3 }), '1');
      setUsable('1', 0);
      assert.equal(pick({ avoid: '1', hash: 3 }), '');
    });
  }

  test('a cluster without a usable endpoint gives none, and counts it', () => {
    publish([], policy('random'));
    const counter = Uint8Array.of(kmCounter.REFUSED_NO_ENDPOINT, 0, 0, 0);
    const counts = () => [
      kernel.tables.clusterStats.get(cluster)?.refused ?? 0n,
      ...(kernel.maps.get('km_counters')?.getPerCpu(counter) ?? []).map((value) =>
        Buffer.from(value).readBigUInt64LE(0),
      ),
    ];
    const total = () => counts().reduce((sum, one) => sum + one);
    const before = total();
    assert.equal(pick(), '');
    assert.equal(total(), before + 2n);
    cluster = 12345n;
    assert.equal(pick(), '', 'no such cluster');
  });

  test('session affinity keeps a namespace on its endpoint until that is to be avoided', () => {
    publish([1, 1, 1, 1], policy('random'), 60);
    const first = pick({ netns: 77n });
    for (let i = 0; i < 20; i++) assert.equal(pick({ netns: 77n }), first);
    const second = pick({ netns: 77n, avoid: first });
    assert.notEqual(second, first);
    assert.equal(pick({ netns: 77n }), second);
  });

  describe('what of a request is hashed', () => {
    type Headers = readonly (readonly [name: string, value: string])[];

    function hash(headers: Headers, source = 0): number {
      const texts = headers.flat();
      const head = Buffer.from(texts.join(''));
      const packet = new Uint8Array(ethernet + 16 + requestBytes + head.length);
      const view = new DataView(packet.buffer, ethernet);
      view.setBigUint64(0, cluster, true);
      view.setUint32(8, source, true);
      view.setUint32(16 + 36, headers.length, true);
      let offset = 0;
      texts.forEach((text, i) => {
        const bytes = Buffer.byteLength(text);
        view.setUint16(16 + 56 + i * 4, offset, true);
        view.setUint16(16 + 58 + i * 4, bytes, true);
        offset += bytes;
      });
      packet.set(head, ethernet + 16 + requestBytes);
      const program = kernel.programs.get('km_test_hash');
      assert.ok(program);
      return testRun(program, packet).returnValue;
    }
    const user = (...values: string[]): Headers => values.map((value) => ['x-user', value] as const);

    test('a header, by its name in any case; several of it are one text', () => {
      publish([1, 1], policy('maglev', { kind: 'header', name: 'X-User' }));
      const alice = hash([['X-User', 'alice']]);
      assert.notEqual(alice, 0);
      assert.equal(hash([['a', 'b'], ...user('alice'), ['x-user2', 'bob']]), alice);
      assert.notEqual(hash(user('bob')), alice);
      assert.equal(
        hash([
          ['x-user2', 'alice'],
          ['x-use', 'alice'],
        ]),
        0,
      );
      assert.equal(hash(user('a', 'b')), hash(user('a,b')));
      const long = 'x'.repeat(2000);
      assert.notEqual(hash(user(`${long}a`)), hash(user(`${long}b`)));
      assert.notEqual(hash(user('')), 0);
      assert.equal(hash([]), 0);
    });

    test('a cookie, wherever it stands', () => {
      publish([1, 1], policy('maglev', { kind: 'cookie', name: 'SID' }));
      const cookies = (...values: string[]): Headers => values.map((value) => ['Cookie', value] as const);
      const one = hash(cookies('SID=1'));
      assert.notEqual(one, 0);
      assert.notEqual(hash(cookies('SID=2')), one);
      const same = [
        'SID=1; b=2',
        'a=SID; SID=1',
        'xSID=9; SIDx=8; SID=1;c=3',
        'sid=7; \tSID=1',
        ';;SID=1',
        'SID; SID=1',
      ];
      for (const value of same) assert.equal(hash(cookies(value)), one, value);
      assert.equal(hash(cookies(`${'pad=0123456789; '.repeat(100)}SID=1`)), one);
      assert.equal(hash([...cookies('a=b'), ['x', 'SID=5'], ['COOKIE', 'SID=1']]), one);
      assert.equal(hash(cookies('SID=1', 'SID=2')), one, 'the first counts');
      for (const value of ['', 'sid=1', 'SID', 'a=SID=1', 'SIDE=1', 'SI=1']) {
        assert.equal(hash(cookies(value)), 0, value);
      }
      for (const name of ['x-cook', 'cookiE2', 'cookix']) assert.equal(hash([[name, 'SID=1']]), 0, name);
    });

    test('the source; nothing for a cluster that hashes nothing', () => {
      publish([1, 1], policy('maglev', { kind: 'source' }));
      assert.equal(hash([], 4711), 4711);
      publish([1, 1], policy('random'));
      assert.equal(hash(user('alice'), 4711), 0);
    });
  });
});
