/** What an API server does on bad days: nothing of it may take away what is in force. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { route, service, setUp, shop, slice, told } from './testing-source.ts';

test('a kind that is forbidden is a problem, leaves the others alone, and comes when it is allowed', async (t) => {
  const { api, batches, problems, source, stateOf, synced, timers, until } = await setUp(t, (api) => {
    shop(api);
    api.put(route('web', 'web'));
    api.forbidden.add('httproutes');
  });
  // Asked again, now that the server has said that it is ready.
  await until('it waits', () => timers.waits().includes(250));
  timers.advance(250);
  await synced();
  assert.deepEqual(told(batches[0]).upserted?.sort(), [
    'EndpointSlice/shop/web-1',
    'Namespace//shop',
    'Service/shop/web',
  ]);
  assert.deepEqual(problems(), [
    'KM1023 Kind HTTPRoute kubernetes: httproutes.gateway.networking.k8s.io is forbidden: User "kmesh" cannot list resource "httproutes"',
  ]);
  assert.equal(source.problems()[0]?.lastGoodInForce, false);
  assert.equal(source.status().error, null);
  assert.equal(stateOf('HTTPRoute'), 'forbidden');
  api.forbidden.clear();
  timers.advance(10_000);
  await until('the route', () => batches.length > 1);
  assert.deepEqual(told(batches[1]), { upserted: ['HTTPRoute/shop/web'], removed: [] });
  await until('no problem', () => problems().length === 0);
});

test('a kind that is forbidden later stays as it was', async (t) => {
  const { api, problems, source, synced, timers, until, model } = await setUp(t, shop);
  await synced();
  api.forbidden.add('services');
  api.cutWatches('Service');
  for (const wait of [250, 500]) {
    await until('it waits', () => timers.waits().includes(wait));
    timers.advance(wait);
  }
  await until('the problem', () => problems().length > 0);
  assert.equal(source.problems()[0]?.lastGoodInForce, true);
  assert.equal(model.mesh.services.size, 1);
});

test('what a server forbids just before it is ready is not believed', async (t) => {
  const { api, timers, until, synced, problems, batches } = await setUp(t, (api) => {
    shop(api);
    api.forbidden.add('services');
  });
  await until('it waits', () => timers.waits().includes(250));
  api.forbidden.clear();
  timers.advance(250);
  await synced();
  assert.deepEqual(problems(), []);
  assert.equal(batches[0]?.upserted.length, 3);
});

test('while the server is not ready, forbidden and absent mean nothing yet', async (t) => {
  const { api, batches, source, stateOf, synced, timers, until } = await setUp(t, (api) => {
    shop(api);
    api.put(route('web', 'web'));
    api.ready = false;
    api.forbidden.add('services');
    api.absent.add('gateway.networking.k8s.io');
  });
  await until('all of groups wait, and Service', () => timers.waits().filter((wait) => wait === 250).length === 8);
  assert.deepEqual([stateOf('Service'), stateOf('HTTPRoute')], ['retrying', 'retrying']);
  assert.equal(source.synced, false);
  assert.match(source.status().error ?? '', /^KM1024 .*HTTP 500|^KM1024 .*forbidden/);
  api.ready = true;
  api.forbidden.clear();
  api.absent.clear();
  timers.advance(250);
  await synced();
  assert.ok(told(batches[0]).upserted?.includes('HTTPRoute/shop/web'));
});

test('a kind without a CRD comes when it is installed, and goes when it is removed', async (t) => {
  const { api, batches, log, stateOf, synced, timers, until } = await setUp(t, (api) => {
    shop(api);
    api.put(route('web', 'web'));
    api.absent.add('gateway.networking.k8s.io');
  });
  await synced();
  assert.equal(stateOf('HTTPRoute'), 'absent');
  assert.ok(log.some((line) => line.includes('does not have this kind kind=HTTPRoute')));
  api.absent.clear();
  timers.advance(10_000);
  await until('the route', () => batches.length > 1);
  assert.deepEqual(told(batches[1]), { upserted: ['HTTPRoute/shop/web'], removed: [] });
  await until('it is watched', () => stateOf('HTTPRoute') === 'watching');

  // A server that is just starting does not know its CRDs, and takes nothing away by that.
  api.absent.add('gateway.networking.k8s.io');
  api.ready = false;
  api.cutWatches('HTTPRoute');
  for (const wait of [250, 500, 1000]) {
    await until('it waits', () => timers.waits().includes(wait));
    timers.advance(wait);
  }
  await until('it is tried again', () => stateOf('HTTPRoute') === 'retrying');
  assert.equal(batches.length, 2);
  api.ready = true;
  timers.advance(10_000);
  await until('the route is gone', () => batches.length > 2);
  assert.deepEqual(told(batches[2]), { upserted: [], removed: ['HTTPRoute/shop/web'] });
});

test('a server that is not there at the start: nothing is told until it is, and it is asked later and later', async (t) => {
  const { api, batches, source, timers, until, synced, log } = await setUp(t, shop, { listening: false });
  for (const wait of [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    await until(`all wait ${wait}`, () => timers.waits().filter((one) => one === wait).length === 10);
    timers.advance(wait);
  }
  assert.equal(source.synced, false);
  assert.match(source.status().error ?? '', /^KM1022 connect ECONNREFUSED/);
  assert.deepEqual(batches, []);
  await until('all wait', () => timers.waits().filter((one) => one === 30_000).length === 10);
  await api.listen();
  timers.advance(30_000);
  await synced();
  assert.equal(batches.length, 1);
  assert.deepEqual(
    log.map((line) => line.replace(/^.*kubernetes: /, '').replace(/ server=.*/, '')),
    ['API server not reached', 'API server reached again'],
  );
});

test('who reaches the server again wakes the others', async (t) => {
  const { api, timers, stateOf, synced, until, source } = await setUp(t, shop);
  await synced();
  await api.stop();
  for (const wait of [250, 500, 1000, 2000, 4000, 8000]) {
    await until(`all wait ${wait}`, () => timers.waits().filter((one) => one === wait).length === 10);
    timers.advance(wait);
  }
  await until('all wait', () => timers.waits().filter((one) => one === 16_000).length === 10);
  await api.listen();
  // Only one of them has waited long enough.
  timers.advanceOne(16_000);
  await until('all watch', () => (source.status().resources ?? []).every(({ state }) => state === 'watching'));
  assert.equal(stateOf('Pod'), 'watching');
});

test('lines that are no JSON end the watch; the same again at the same place lists again', async (t) => {
  const { api, batches, timers, synced, until, source } = await setUp(t, shop);
  await synced();
  const since = api.requests.length;
  api.say('Service', '{"type":"MODIFIED","object":{"metadata"\n');
  await until('it waits', () => timers.waits().includes(250));
  assert.match(source.status().error ?? '', /^KM1024 Service: not JSON/);
  timers.advance(250);
  await until('a watch', () => api.requestsOf('Service', since).length === 1);
  await until('watching', () => source.status().error === null);
  api.say('Service', 'garbage\n');
  await until('it waits', () => timers.waits().includes(500));
  timers.advance(500);
  await until('a list and a watch', () => api.requestsOf('Service', since).length === 3);
  assert.deepEqual(
    api.requestsOf('Service', since).map(({ query }) => query.get('watch') ?? 'list'),
    ['true', 'list', 'true'],
  );
  assert.equal(batches.length, 1);
});

test('a line may come in pieces, and several lines in one', async (t) => {
  const { api, batches, synced, until } = await setUp(t, shop);
  await synced();
  const event = (name: string, address: string, version: number) => {
    const object = {
      ...service(name, address),
      metadata: { name, namespace: 'shop', resourceVersion: String(version) },
    };
    return `${JSON.stringify({ type: 'ADDED', object })}\n`;
  };
  const text = event('ä', '10.96.1.1', 900).replace('"ä"', '"a"') + event('b', '10.96.1.2', 901);
  const bytes = Buffer.from(text);
  api.say('Service', bytes.subarray(0, 30).toString());
  await until('nothing', () => true);
  api.say('Service', bytes.subarray(30).toString());
  await until('both', () => batches.length > 1);
  assert.deepEqual(told(batches[1]).upserted, ['Service/shop/a', 'Service/shop/b']);
});

test('a server that takes a request and says nothing is given up after a while', async (t) => {
  const { api, source, timers, until, synced } = await setUp(t, (api) => {
    shop(api);
    api.silent.add('services');
  });
  await until('asked', () => api.requestsOf('Service').length === 1);
  await until(
    'the others watch',
    () => source.status().resources?.filter(({ state }) => state === 'watching').length === 9,
  );
  timers.advance(30_000);
  await until('given up', () => source.status().error !== null);
  assert.match(source.status().error ?? '', /^KM1022 Service: no answer within 30 s/);
  assert.equal(source.synced, false);
  api.silent.clear();
  timers.advance(250);
  await synced();
});

test('a server that asks for patience gets it', async (t) => {
  let refused = 0;
  const { timers, until, synced } = await setUp(t, (api) => {
    shop(api);
    api.answer = ({ path }, response) => {
      if (!path.endsWith('/pods') || refused > 0) return false;
      refused++;
      response.writeHead(429, { 'retry-after': '7' }).end('{"message":"too many requests"}');
      return true;
    };
  });
  await until('it waits', () => timers.waits().includes(7000));
  timers.advance(7000);
  await synced();
});

test('away for ten minutes, back with a changed world: exactly the difference', async (t) => {
  const { api, batches, timers, until, synced } = await setUp(t, (api) => {
    shop(api);
    for (let i = 2; i < 50; i++) api.put(service(`s${i}`, `10.96.0.${i}`));
  });
  await synced();
  await api.stop();
  for (let passed = 0; passed < 600_000; ) {
    const retries = () => timers.waits().filter((wait) => wait >= 250 && wait <= 30_000);
    await until('all wait', () => retries().length >= 10);
    const longest = Math.max(...retries());
    timers.advance(longest);
    passed += longest;
  }
  api.remove('EndpointSlice', 'shop', 'web-1');
  api.put(slice('web-2', '10.0.0.7'));
  api.remove('Service', 'shop', 's9');
  api.put(service('s10', '10.96.9.9'));
  api.compact();
  await until('all wait', () => timers.waits().filter((wait) => wait === 30_000).length === 10);
  await api.listen();
  timers.advance(30_000);
  const all = () => batches.slice(1).flatMap((batch) => [...batch.upserted, ...batch.removed]);
  await until('the difference', () => all().length >= 4);
  await until('all watch', () => api.watches === 10);
  const upserted = batches.slice(1).flatMap((batch) => told(batch).upserted ?? []);
  const removed = batches.slice(1).flatMap((batch) => told(batch).removed ?? []);
  assert.deepEqual(upserted.sort(), ['EndpointSlice/shop/web-2', 'Service/shop/s10']);
  assert.deepEqual(removed.sort(), ['EndpointSlice/shop/web-1', 'Service/shop/s9']);
});

test('a policy in the cluster that is not enforced is an error, as it is in a file', async (t) => {
  let policies = 12;
  let allowed = true;
  const { problems, synced, timers, until, batches } = await setUp(t, (api) => {
    shop(api);
    api.answer = ({ path, query }, response) => {
      if (!path.endsWith('/authorizationpolicies')) return false;
      const names = Array.from({ length: Math.min(policies, Number(query.get('limit'))) }, (_, i) => `p${i}`);
      const items = names.map((name) => ({ metadata: { name, namespace: 'shop', resourceVersion: '7' } }));
      const metadata = { resourceVersion: '9', ...(policies > 10 ? { remainingItemCount: policies - 10 } : {}) };
      if (allowed) response.end(JSON.stringify({ metadata, items }));
      else
        response
          .writeHead(403)
          .end(JSON.stringify({ reason: 'Forbidden', message: 'authorizationpolicies are secret' }));
      return true;
    };
  });
  await synced();
  await until('the policies', () => problems().length === 10);
  assert.equal(problems()[0], 'KM1007 AuthorizationPolicy shop/p0 kubernetes kind: not supported yet');
  assert.equal(problems()[9], 'KM1007 AuthorizationPolicy shop/p9 kubernetes kind: not supported yet (and 2 more)');
  policies = 0;
  timers.advance(60_000);
  await until('none', () => problems().length === 0);
  allowed = false;
  timers.advance(60_000);
  await until('nobody knows', () => problems().length === 1);
  assert.deepEqual(problems(), [
    'KM1023 Kind AuthorizationPolicy kubernetes: authorizationpolicies are secret: none of them would be enforced',
  ]);
  // Each is told at once, and changes nothing else.
  await until('told', () => batches.at(-1)?.problems.length === 1);
  assert.deepEqual(
    batches.slice(1).flatMap(({ upserted, removed }) => [...upserted, ...removed]),
    [],
  );
});
