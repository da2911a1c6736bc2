/** The source against a server that speaks real HTTP and has the bad days of a real one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { route, service, setUp, shop, slice, told } from './testing-source.ts';

test('all kinds come as one batch, and then each change as it happens', async (t) => {
  const { api, model, batches, synced, until, source } = await setUp(t, (api) => {
    shop(api);
    api.put(route('web', 'web'));
  });
  await synced();
  assert.deepEqual(told(batches[0]).upserted?.sort(), [
    'EndpointSlice/shop/web-1',
    'HTTPRoute/shop/web',
    'Namespace//shop',
    'Service/shop/web',
  ]);
  assert.equal(batches.length, 1);
  const web = () => model.mesh.services.get('shop/web.shop.svc.cluster.local');
  assert.deepEqual(
    web()?.ports[0]?.endpoints.map(({ address }) => address),
    ['10.0.0.1', '10.0.0.2'],
  );
  assert.equal(web()?.origin.file, 'kubernetes Service shop/web');
  api.put(slice('web-1', '10.0.0.2', '10.0.0.3'));
  await until('the endpoint', () => web()?.ports[0]?.endpoints[1]?.address === '10.0.0.3');
  api.remove('Service', 'shop', 'web');
  await until('the service is gone', () => web() === undefined);
  assert.deepEqual(told(batches.at(-1)), { upserted: [], removed: ['Service/shop/web'] });
  const lists = api.requestsOf('Service').filter(({ query }) => query.get('watch') === null);
  assert.equal(lists.length, 1);
  assert.equal(source.status().error, null);
});

test('a list comes in pages', async (t) => {
  const { api, model, synced } = await setUp(t, (api) => {
    for (let i = 0; i < 1201; i++) api.put(service(`s${i}`, `10.96.${i >> 8}.${i & 255}`));
  });
  await synced();
  assert.equal(model.mesh.services.size, 1201);
  assert.equal(api.requestsOf('Service').filter(({ query }) => query.get('limit') === '500').length, 3);
});

test('a list whose next page is gone is asked for whole', async (t) => {
  const { api, model, synced } = await setUp(t, (api) => {
    for (let i = 0; i < 1201; i++) api.put(service(`s${i}`, `10.96.${i >> 8}.${i & 255}`));
    api.answer = ({ query }) => {
      if (query.get('continue') !== null) api.compact();
      return false;
    };
  });
  await synced();
  assert.equal(model.mesh.services.size, 1201);
  assert.deepEqual(
    api.requestsOf('Service').map(({ query }) => [query.get('limit'), query.get('continue') !== null]),
    [
      ['500', false],
      ['500', true],
      [null, false],
      [null, false],
    ],
  );
});

test('a cut watch goes on where it was, without a list', async (t) => {
  const { api, model, batches, timers, synced, until } = await setUp(t, shop);
  await synced();
  const before = api.requests.length;
  await api.stop();
  api.put(slice('web-1', '10.0.0.9'));
  api.remove('Namespace', '', 'shop');
  await until('all wait', () => timers.waits()[9] === 250);
  await api.listen();
  timers.advance(250);
  const missed = () => batches.slice(1).flatMap(({ upserted, removed }) => [...upserted, ...removed]);
  await until('what was missed', () => missed().length === 2);
  assert.deepEqual(
    model.mesh.services.get('shop/web.shop.svc.cluster.local')?.ports[0]?.endpoints.map(({ address }) => address),
    ['10.0.0.9'],
  );
  assert.deepEqual(
    api.requestsOf('EndpointSlice', before).filter(({ query }) => query.get('watch') !== 'true'),
    [],
  );
});

for (const way of ['as an event', 'as a status'] as const) {
  test(`a version that is too old, said ${way}: listed again, and only the difference is told`, async (t) => {
    const { api, batches, timers, synced, until } = await setUp(t, (api) => {
      shop(api);
      for (let i = 2; i < 700; i++) api.put(service(`s${i}`, `10.96.${i >> 8}.${i & 255}`));
    });
    await synced();
    if (way === 'as a status') {
      let once = true;
      api.answer = ({ path, query }, response) => {
        if (!once || !path.endsWith('/services') || query.get('watch') !== 'true') return false;
        once = false;
        response
          .writeHead(410)
          .end(JSON.stringify({ kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }));
        return true;
      };
    }
    // While nobody watches: one goes, one comes, one changes, and nobody remembers.
    await api.stop();
    api.remove('Service', 'shop', 's5');
    api.put(service('new', '10.96.77.1'));
    api.put(service('s6', '10.96.77.2'));
    if (way === 'as an event') api.compact();
    await api.listen();
    await until('all wait', () => timers.waits()[9] === 250);
    timers.advance(250);
    await until('the difference', () => batches.some(({ removed }) => removed.length > 0));
    const difference = batches.slice(1).map(told);
    assert.deepEqual(
      difference.flatMap(({ upserted }) => upserted ?? []),
      ['Service/shop/s6', 'Service/shop/new'],
    );
    assert.deepEqual(
      difference.flatMap(({ removed }) => removed ?? []),
      ['Service/shop/s5'],
    );
  });
}

test('a server restored from a copy, whose versions are older, is listed again', async (t) => {
  const { api, batches, timers, synced, until } = await setUp(t, shop);
  await synced();
  let restored = false;
  api.answer = ({ path, query }, response) => {
    if (restored || !path.endsWith('/services') || query.get('watch') !== 'true') return false;
    restored = true;
    const message = 'Too large resource version: 105, current: 99';
    response.writeHead(504).end(JSON.stringify({ kind: 'Status', code: 504, reason: 'Timeout', message }));
    return true;
  };
  const since = api.requests.length;
  api.cutWatches('Service');
  await until('it waits', () => timers.waits().includes(250));
  timers.advance(250);
  api.put(service('new', '10.96.0.2'));
  await until('the new service', () => batches.length > 1);
  assert.deepEqual(told(batches[1]), { upserted: ['Service/shop/new'], removed: [] });
  const asked = api.requestsOf('Service', since).map(({ query }) => query.get('watch') ?? 'list');
  assert.deepEqual(asked.slice(0, 3), ['true', 'list', 'true']);
});

test('bookmarks move the version on which a watch goes on', async (t) => {
  const { api, timers, source, synced, until } = await setUp(t, shop);
  await synced();
  const version = api.bookmark('Pod');
  await until('the bookmark', () => source.status().resources?.find(({ name }) => name === 'Pod')?.version === version);
  const since = api.requests.length;
  api.cutWatches('Pod');
  await until('it waits', () => timers.waits().includes(250));
  timers.advance(250);
  await until('the next watch', () => api.requestsOf('Pod', since).length > 0);
  assert.equal(api.requestsOf('Pod', since)[0]?.query.get('resourceVersion'), version);
});

test('versions that differ in nothing that the mesh reads are no change', async (t) => {
  const { api, batches, synced, until } = await setUp(t, shop);
  await synced();
  api.put({ ...service('web', '10.96.0.1'), status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } });
  api.put(service('other', '10.96.0.2'));
  await until('the other', () => batches.length > 1);
  assert.deepEqual(told(batches[1]), { upserted: ['Service/shop/other'], removed: [] });
});

test('a refused version is a problem that names the object, and its last good one stays in force', async (t) => {
  const { api, model, problems, source, synced, until } = await setUp(t, shop);
  await synced();
  api.put(service('web', '10.96.0.1', { internalTrafficPolicy: 'Near' }));
  await until('the problem', () => problems().length > 0);
  assert.deepEqual(problems(), [
    'KM1009 Service shop/web kubernetes spec.internalTrafficPolicy: must be Cluster or Local, not "Near"',
  ]);
  assert.equal(source.problems()[0]?.lastGoodInForce, true);
  assert.equal(model.mesh.services.size, 1);
  api.put(service('second', '10.96.0.1'));
  api.put(service('web', '10.96.0.1'));
  await until('the conflict', () => problems()[0]?.startsWith('KM2001') === true);
  assert.deepEqual(problems(), [
    'KM2001 Service shop/second kubernetes spec.ports[0].port: ' +
      '10.96.0.1:80/TCP belongs to Service shop/web (kubernetes Service shop/web): not served here',
  ]);
});

test('only the namespaces asked for are read', async (t) => {
  const { api, batches, synced } = await setUp(
    t,
    (api) => {
      shop(api);
      api.put({ ...service('hidden', '10.96.0.9'), metadata: { name: 'hidden', namespace: 'other' } });
      api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
    },
    { namespaces: ['shop', 'empty'] },
  );
  await synced();
  assert.deepEqual(told(batches[0]).upserted?.sort(), [
    'EndpointSlice/shop/web-1',
    'Namespace//shop',
    'Service/shop/web',
  ]);
  assert.deepEqual(
    [...new Set(api.requestsOf('Service').map(({ path }) => path))],
    ['/api/v1/namespaces/shop/services', '/api/v1/namespaces/empty/services'],
  );
});
