import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { EnvoyWorld } from './envoy/world.ts';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  RouteConfigurationSchema,
} from './gen/messages.gen.ts';
import { nodeOf } from './node.ts';
import { SotwDialect } from './sotw.ts';
import { identity, Lines, ManualClock, origin, type Started, startSource } from './source-testing.ts';
import { recorded } from './testdata.ts';
import { anyOf, FakeControlPlane, type FakeStream, HoldingControlPlane, socket } from './testing.ts';
import { bytesOf, sotwPushes } from './testing-hostile.ts';
import { clusterType, endpointType, listenerType, routeType } from './type-urls.ts';

const reviews = 'shop/reviews.shop.svc.cluster.local';
const all = (file: Parameters<typeof recorded>[0]) => recorded(file).map(({ resource }) => resource);

class Session {
  plane: FakeControlPlane;
  it: Started;
  stream: FakeStream;

  constructor(plane: FakeControlPlane, it: Started, stream: FakeStream) {
    this.plane = plane;
    this.it = it;
    this.stream = stream;
  }

  static async open(t: TestContext): Promise<Session> {
    const plane = await FakeControlPlane.start();
    const resolve = () => Promise.reject(new Error('no DNS here'));
    const world = new EnvoyWorld({ origin, clock: new ManualClock(), resolve, changed: () => undefined });
    const it = startSource(plane.address, { world, dialect: 'sotw' });
    const session = new Session(plane, it, await plane.stream());
    t.after(() => session.close());
    return session;
  }

  /** Answers in the order of the requests until everything is there. */
  async sync(): Promise<void> {
    const clusters = await this.stream.nextSotw();
    assert.equal(clusters.typeUrl, clusterType);
    this.stream.sendSotw({ typeUrl: clusterType, versionInfo: 'c1', nonce: 'nc1', resources: all('clusters') });
    await this.expect(clusterType, 'c1', 'nc1');
    const endpoints = await this.stream.nextSotw();
    assert.equal(endpoints.typeUrl, endpointType);
    assert.deepEqual(
      endpoints.resourceNames,
      recorded('endpoints')
        .map(({ name }) => name)
        .sort(),
    );
    this.stream.sendSotw({ typeUrl: endpointType, versionInfo: 'e1', nonce: 'ne1', resources: all('endpoints') });
    await this.expect(endpointType, 'e1', 'ne1');
    assert.equal((await this.stream.nextSotw()).typeUrl, listenerType);
    this.stream.sendSotw({ typeUrl: listenerType, versionInfo: 'l1', nonce: 'nl1', resources: all('listeners') });
    await this.expect(listenerType, 'l1', 'nl1');
    const routes = await this.stream.nextSotw();
    assert.deepEqual([routes.typeUrl, routes.resourceNames], [routeType, ['80']]);
    assert.equal(this.it.source.synced, false);
    this.stream.sendSotw({ typeUrl: routeType, versionInfo: 'r1', nonce: 'nr1', resources: all('routes') });
    await this.expect(routeType, 'r1', 'nr1');
    await this.it.until(() => this.it.source.synced, 'sync');
  }

  async expect(typeUrl: string, version: string, nonce: string): Promise<void> {
    const ack = await this.stream.nextSotw();
    assert.deepEqual(
      [ack.typeUrl, ack.versionInfo, ack.responseNonce, ack.errorDetail],
      [typeUrl, version, nonce, undefined],
    );
  }

  close(): void {
    this.it.source.close();
    this.plane.close();
  }
}

test('asks for clusters, endpoints, listeners and routes in this order, and acknowledges each', async (t) => {
  const session = await Session.open(t);
  await session.sync();
  assert.equal(session.it.source.mesh.services.get(reviews)?.ports[0]?.routing?.virtualHosts[0]?.routes.length, 2);
  assert.deepEqual(
    session.it.source.status().xds?.types.map(({ type, version, acks, nacks }) => [type, version, acks, nacks]),
    [
      ['CDS', 'c1', 1, 0],
      ['EDS', 'e1', 1, 0],
      ['LDS', 'l1', 1, 0],
      ['RDS', 'r1', 1, 0],
    ],
  );
});

test('a NACK keeps the accepted version, names resource and field, and the good ones are taken over', async (t) => {
  const session = await Session.open(t);
  await session.sync();
  const { stream, it } = session;
  const clusters = recorded('clusters').filter(({ name }) => !name.includes('front'));
  const bad = anyOf(ClusterSchema, { name: 'outbound|80||web.shop.svc.cluster.local', lbPolicy: 77 } as never);
  const resources = clusters.map(({ name, resource }) => (name.includes('web') ? bad : resource));
  stream.sendSotw({ typeUrl: clusterType, versionInfo: 'c2', nonce: 'nc2', resources });
  const nack = await stream.nextSotw();
  assert.deepEqual([nack.versionInfo, nack.responseNonce], ['c1', 'nc2']);
  assert.equal(nack.errorDetail?.message, 'outbound|80||web.shop.svc.cluster.local: lb_policy: unknown value 77');
  // `front` is gone, but routes still lead to it: its endpoints are still asked for, so there is no other request.
  it.clock.advance(5);
  assert.ok(it.source.mesh.services.has('shop/web.shop.svc.cluster.local'), 'the last good version stays');
  assert.ok(it.source.mesh.services.has('shop/front.shop.svc.cluster.local'));
  assert.equal(stream.unread, 0);
});

test('an endpoint push of one cluster says nothing of the others', async (t) => {
  const session = await Session.open(t);
  await session.sync();
  const clusterName = 'outbound|80|v2|reviews.shop.svc.cluster.local';
  const address = socket('10.9.9.9', 1);
  const one = anyOf(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address } } }] }],
  } as never);
  session.stream.sendSotw({ typeUrl: endpointType, versionInfo: 'e2', nonce: 'ne2', resources: [one] });
  await session.expect(endpointType, 'e2', 'ne2');
  session.it.clock.advance(5);
  const port = session.it.source.mesh.services.get(reviews)?.ports[0];
  assert.deepEqual(
    port?.subsets.map(({ endpoints }) => endpoints[0]?.address),
    ['10.1.0.11', '10.9.9.9'],
  );
  assert.deepEqual(session.it.deltas.at(-1)?.services, new Set([reviews]));
});

test('after a reconnect it asks for all anew, and the same answers change nothing', async (t) => {
  const session = await Session.open(t);
  await session.sync();
  session.it.deltas.length = 0;
  session.stream.end();
  session.stream = await session.plane.stream();
  const first = await session.stream.nextSotw();
  assert.deepEqual([first.typeUrl, first.versionInfo, first.responseNonce], [clusterType, 'c1', '']);
  assert.notEqual(first.node, undefined);
  session.stream.sendSotw({ typeUrl: clusterType, versionInfo: 'c9', nonce: 'n', resources: all('clusters') });
  await session.expect(clusterType, 'c9', 'n');
  session.it.clock.advance(5);
  await session.it.until(() => session.it.deltas.length > 0, 'a change');
  assert.equal(session.it.deltas[0]?.services.size, 0);
});

const [front] = recorded('endpoints');
const hostile = sotwPushes({
  ...{ clusters: all('clusters'), listeners: all('listeners'), cluster: front?.name ?? '' },
  routes: fromBinary(RouteConfigurationSchema, all('routes')[0]?.value ?? new Uint8Array()),
});
for (const { what, steps, nack } of hostile) {
  // Those that are told in the log are among real traffic in test/scenarios/xds-hostile.test.ts.
  if (nack === undefined) continue;
  test(`hostile: ${what}; what was in force stays`, async (t) => {
    const session = await Session.open(t);
    await session.sync();
    for (const step of steps) session.stream.sendRaw(bytesOf(step) ?? Buffer.alloc(0));
    let answer = await session.stream.nextSotw();
    while (answer.responseNonce !== nack.nonce) answer = await session.stream.nextSotw();
    assert.match(answer.errorDetail?.message ?? 'ACK', nack.text);
    assert.match(answer.versionInfo, /^[celr]1$/, 'the version that was accepted');
    session.it.clock.advance(5);
    assert.equal(session.it.source.mesh.services.get(reviews)?.ports[0]?.endpoints.length, 2);
  });
}

const types = [clusterType, endpointType, listenerType, routeType] as const;
for (const [answered, point] of [
  'at once',
  'after clusters',
  'after endpoints',
  'after listeners',
  'at the end',
].entries()) {
  test(`the stream is cut ${point}: the next one completes it`, async (t) => {
    const session = await Session.open(t);
    const { it } = session;
    for (const [i, typeUrl] of types.slice(0, answered).entries()) {
      let request = await session.stream.nextSotw();
      while (request.typeUrl !== typeUrl) request = await session.stream.nextSotw();
      const resources = all((['clusters', 'endpoints', 'listeners', 'routes'] as const)[i] ?? 'routes');
      session.stream.sendSotw({ typeUrl, versionInfo: 'v', nonce: `n${i}`, resources });
    }
    if (answered === types.length) await it.until(() => it.source.synced, 'sync');
    const port = Number(session.plane.address.split(':')[1]);
    session.plane.close();
    await it.until(() => it.log.has(/the stream ended/), 'the log line');
    const holding = await HoldingControlPlane.start('127.0.0.1', port);
    t.after(() => holding.close());
    for (const file of ['clusters', 'endpoints', 'listeners', 'routes'] as const) {
      for (const { name, resource } of recorded(file)) holding.put(name, resource);
    }
    await it.until(() => {
      it.clock.advance(1000);
      return holding.answers.some(({ typeUrl }) => typeUrl === routeType) && it.source.synced;
    }, 'sync');
    assert.equal(it.source.mesh.services.get(reviews)?.ports[0]?.routing?.virtualHosts[0]?.routes.length, 2);
    assert.deepEqual(
      holding.answers.filter(({ nack }) => nack !== null),
      [],
    );
  });
}

test('a control plane that does not read gets one answer for all that waited', () => {
  const sent: DiscoveryRequest[] = [];
  const world = new EnvoyWorld({
    origin,
    clock: new ManualClock(),
    resolve: () => Promise.reject(new Error('no DNS here')),
    changed: () => undefined,
  });
  const node = nodeOf('sidecar', identity);
  const context = { clock: new ManualClock(), log: new Lines(), onResponse: () => undefined };
  const dialect = new SotwDialect({ ...context, node, sinks: world.sinks });
  let idle = true;
  dialect.open({
    send: (bytes) => {
      sent.push(fromBinary(DiscoveryRequestSchema, bytes));
      idle = false;
    },
    get idle() {
      return idle;
    },
  });
  assert.equal(sent.length, 1);
  const push = (versionInfo: string, resources: Any[]): void => {
    const response = create(DiscoveryResponseSchema, {
      typeUrl: clusterType,
      versionInfo,
      nonce: versionInfo,
      resources,
    });
    assert.equal(dialect.receive(toBinary(DiscoveryResponseSchema, response)), null);
  };
  push('1', all('clusters'));
  push('2', [...all('clusters'), anyOf(ClusterSchema, { name: 'bad', lbPolicy: 77 } as never)]);
  push('3', all('clusters'));
  assert.equal(sent.length, 1, 'nothing is sent while the first request is not on the wire');
  idle = true;
  dialect.drained();
  assert.deepEqual([sent[1]?.typeUrl, sent[1]?.versionInfo, sent[1]?.responseNonce], [clusterType, '3', '3']);
  assert.match(sent[1]?.errorDetail?.message ?? '', /^bad: lb_policy: unknown value 77$/);
  assert.equal(sent.length, 2);
  idle = true;
  dialect.drained();
  assert.equal(sent[2]?.typeUrl, endpointType, 'what else was to be asked for comes then');
});
