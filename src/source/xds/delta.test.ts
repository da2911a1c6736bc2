import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { problemLine } from '../../model/types.ts';
import { type Started, startSource } from './source-testing.ts';
import { FakeControlPlane, type FakeStream, HoldingControlPlane } from './testing.ts';
import { bytesOf, deltaPushes, web as key, service as serviceAt } from './testing-hostile.ts';
import { addressType, authorizationType } from './type-urls.ts';

function service(last = 1, key_ = key) {
  const [namespace = '', hostname = ''] = key_.split('/');
  return serviceAt(`10.96.0.${last}`, { namespace, hostname });
}

const bad = serviceAt('10.96.0.1', { ports: [{ servicePort: 0 }] });

describe('delta ADS over gRPC', () => {
  let plane: FakeControlPlane;
  let it: Started;
  let stream: FakeStream;

  const begin = async (rest = {}): Promise<void> => {
    plane = await FakeControlPlane.start();
    it = startSource(plane.address, rest);
    stream = await plane.stream();
  };
  const finish = (): void => {
    it.source.close();
    plane.close();
  };
  /** Both first requests read, both answered: the source is in sync. */
  const sync = async (): Promise<void> => {
    await stream.nextDelta();
    await stream.nextDelta();
    stream.sendDelta({
      typeUrl: addressType,
      nonce: 'a1',
      resources: [{ name: key, version: 'v1', resource: service() }],
    });
    stream.sendDelta({ typeUrl: authorizationType, nonce: 'p1' });
    await stream.nextDelta();
    await stream.nextDelta();
    await it.until(() => it.source.synced, 'sync');
  };
  const address = (): string | undefined => it.source.mesh.services.get(key)?.addresses[0];

  test('subscribes to both types, with the node once, and acknowledges', async () => {
    await begin();
    const first = await stream.nextDelta();
    assert.equal(first.typeUrl, addressType);
    assert.equal(first.node?.id, 'ztunnel~10.0.0.1~kmesh-1.kmesh-system~kmesh-system.svc.cluster.local');
    assert.equal(first.node.metadata?.['INSTANCE_IPS'], '10.0.0.1');
    assert.deepEqual(first.resourceNamesSubscribe, []);
    const second = await stream.nextDelta();
    assert.equal(second.typeUrl, authorizationType);
    assert.equal(second.node, undefined);
    assert.deepEqual(stream.metadata.get('clusterid'), ['Kubernetes']);
    stream.sendDelta({
      typeUrl: addressType,
      nonce: 'a1',
      resources: [{ name: key, version: 'v1', resource: service() }],
    });
    const ack = await stream.nextDelta();
    assert.deepEqual([ack.typeUrl, ack.responseNonce, ack.errorDetail], [addressType, 'a1', undefined]);
    assert.equal(it.source.synced, false, 'policies have not been answered');
    stream.sendDelta({ typeUrl: authorizationType, nonce: 'p1' });
    await it.until(() => it.source.synced, 'sync');
    assert.equal(address(), '10.96.0.1');
    assert.deepEqual(
      it.source.status().xds?.types.map(({ type, acks, resources }) => [type, acks, resources]),
      [
        ['WDS', 1, 1],
        ['WADS', 1, 0],
      ],
    );
    finish();
  });

  test('names what it refuses, takes over what is good, and does not claim the refused on reconnect', async () => {
    await begin();
    await sync();
    const other = 'shop/other.shop.svc.cluster.local';
    stream.sendDelta({
      typeUrl: addressType,
      nonce: 'a2',
      resources: [
        { name: key, version: 'v2', resource: bad },
        { name: other, version: 'v2', resource: service(2, other) },
      ],
    });
    const nack = await stream.nextDelta();
    assert.equal(nack.responseNonce, 'a2');
    assert.equal(nack.errorDetail?.message, `${key}: service.ports[0].service_port: 0 is no port`);
    it.clock.advance(5);
    await it.until(() => it.source.mesh.services.has(other), 'the good one');
    assert.equal(address(), '10.96.0.1', 'the last good version stays');
    const [problem] = it.source.problems();
    assert.equal(problem && problemLine(problem), `WDS ${key} xds://test service.ports[0].service_port: 0 is no port`);
    assert.equal(problem?.lastGoodInForce, true);
    stream.end();
    stream = await plane.stream();
    const again = await stream.nextDelta();
    assert.deepEqual(again.initialResourceVersions, { [key]: 'v1', [other]: 'v2' });
    assert.notEqual(again.node, undefined);
    assert.equal(again.responseNonce, '');
    finish();
  });

  test('a stream that fails is opened again with back-off; what it said stays', async () => {
    await begin();
    await sync();
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      stream.fail(14, 'try later');
      await it.until(() => it.clock.waits.length === 1, 'a wait');
      waits.push(it.clock.waits[0] ?? -1);
      it.clock.advance(20_000);
      stream = await plane.stream();
    }
    assert.deepEqual(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 15_000]);
    assert.equal(address(), '10.96.0.1');
    assert.match(it.source.status().error ?? '', /UNAVAILABLE: try later/);
    finish();
  });

  test('ten minutes without the control plane: exactly the difference is taken over', async () => {
    await begin();
    await sync();
    const gone = 'shop/gone.shop.svc.cluster.local';
    stream.sendDelta({
      typeUrl: addressType,
      nonce: 'a2',
      resources: [{ name: gone, version: 'v1', resource: service(3, gone) }],
    });
    await stream.nextDelta();
    it.clock.advance(5);
    await it.until(() => it.source.mesh.services.has(gone), 'the second service');
    const port = Number(plane.address.split(':')[1]);
    plane.close();
    await it.until(() => it.clock.waits.length === 1, 'a wait');
    for (let minutes = 0; minutes < 10; minutes++) {
      it.clock.advance(60_000);
      await it.until(() => it.clock.waits.length === 1, 'a wait');
    }
    assert.equal(it.source.mesh.services.size, 2);
    plane = await FakeControlPlane.start('127.0.0.1', port);
    it.clock.advance(60_000);
    stream = await plane.stream();
    const first = await stream.nextDelta();
    assert.deepEqual(first.initialResourceVersions, { [key]: 'v1', [gone]: 'v1' });
    it.deltas.length = 0;
    const fresh = 'shop/fresh.shop.svc.cluster.local';
    stream.sendDelta({
      typeUrl: addressType,
      nonce: 'b1',
      resources: [{ name: fresh, version: 'v1', resource: service(4, fresh) }],
      removedResources: [gone],
    });
    await it.until(() => it.deltas.length === 1, 'a change');
    assert.deepEqual([...(it.deltas[0]?.services ?? [])].sort(), [fresh, gone]);
    assert.deepEqual([...it.source.mesh.services.keys()].sort(), [fresh, key]);
    finish();
  });

  for (const point of [
    'at once',
    'after the first request',
    'after services',
    'after policies',
    'in a large message',
  ]) {
    test(`the stream is cut ${point}: the next one begins where it was`, async () => {
      await begin();
      if (point !== 'at once') await stream.nextDelta();
      const resources = [{ name: key, version: '1', resource: service() }];
      const held = ['after services', 'after policies'].includes(point);
      if (held) {
        stream.sendDelta({ typeUrl: addressType, nonce: 'a1', resources });
        await it.until(() => (it.source.status().xds?.types[0]?.acks ?? 0) > 0, 'the answer');
      }
      if (point === 'after policies') stream.sendDelta({ typeUrl: authorizationType, nonce: 'p1' });
      if (point === 'in a large message') stream.sendRaw(Buffer.alloc(64 * 1024 * 1024));
      const port = Number(plane.address.split(':')[1]);
      plane.close();
      await it.until(() => it.log.has(/the stream ended/), 'the log line');
      const holding = await HoldingControlPlane.start('127.0.0.1', port);
      const other = 'shop/other.shop.svc.cluster.local';
      // The one that was sent before the cut has its version already.
      holding.put(key, service());
      holding.put(other, service(2, other));
      await it.until(() => {
        it.clock.advance(1000);
        return it.source.mesh.services.size === 2;
      }, 'both services');
      assert.deepEqual([it.source.synced, address()], [true, '10.96.0.1']);
      assert.deepEqual(it.source.problems(), []);
      it.source.close();
      holding.close();
    });
  }

  test('on demand: nothing unasked, then single names', async () => {
    await begin({ onDemand: true });
    const first = await stream.nextDelta();
    assert.deepEqual([first.resourceNamesSubscribe, first.resourceNamesUnsubscribe], [['*'], ['*']]);
    finish();
  });

  describe('hostile pushes: an answer or a log line, and traffic keeps its last good state', () => {
    before(begin);
    before(sync);
    after(finish);

    // Those that are told in the log are among real traffic in test/scenarios/xds-hostile.test.ts.
    for (const { what, steps, nack } of deltaPushes('10.96.0.1')) {
      if (nack === undefined) continue;
      test(what, async () => {
        for (const step of steps) stream.sendRaw(bytesOf(step) ?? Buffer.alloc(0));
        let answer = await stream.nextDelta();
        while (answer.responseNonce !== nack.nonce) answer = await stream.nextDelta();
        assert.match(answer.errorDetail?.message ?? 'ACK', nack.text);
        assert.ok((answer.errorDetail?.message ?? '').length < 5000);
        it.clock.advance(5);
        assert.equal(address(), '10.96.0.1');
        assert.equal(it.source.status().xds?.connected, true);
      });
    }
    test('a removal of what was never there is nothing', async () => {
      stream.sendDelta({ typeUrl: addressType, nonce: 'none', removedResources: ['shop/never'] });
      let answer = await stream.nextDelta();
      while (answer.responseNonce !== 'none') answer = await stream.nextDelta();
      assert.equal(answer.errorDetail, undefined);
      assert.equal(address(), '10.96.0.1');
    });
    test('a response that is no protobuf ends the stream, and another is opened', async () => {
      stream.sendRaw(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
      await it.until(() => it.log.has(/a response cannot be read/), 'the log line');
      it.clock.advance(20_000);
      stream = await plane.stream();
      assert.equal((await stream.nextDelta()).initialResourceVersions[key], 'x');
      assert.equal(address(), '10.96.0.1');
    });
    test('a response of 250 MB ends the stream, and another is opened', {
      skip: process.env['KMESH_LONG'] === undefined,
    }, async () => {
      stream.sendRaw(Buffer.alloc(250 * 1024 * 1024));
      await it.until(() => it.log.has(/RESOURCE_EXHAUSTED/), 'the log line');
      assert.equal(address(), '10.96.0.1');
    });
  });
});
