/** HTTP: which server gets a request, and what of the request it sees. */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad } from '../lab/clients.ts';
import type { Host } from '../lab/host.ts';
import { destination, httpRoute, many, service, virtualService } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, patience, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';

const test = requireRoot(nodeTest);

const colors = ['red', 'green', 'blue'] as const;
const versionOf = { red: 'v1', green: 'v2', blue: 'v3' } as const;
const to = (version: string): string => `[{destination: {host: shop, subset: ${version}}}]`;

const matches = virtualService(
  'shop',
  `
- name: user
  match: [{headers: {x-user: {exact: jane}}}]
  route: ${to('v3')}
- name: cart
  match: [{uri: {prefix: /cart}}, {uri: {regex: '/c[0-9]+'}}]
  route: ${to('v2')}
- name: color
  match: [{queryParams: {color: {exact: green}}}]
  route: ${to('v2')}
- name: both
  match: [{uri: {exact: /both}, method: {exact: POST}, headers: {x-a: {prefix: on}}}]
  route: ${to('v3')}
- name: delete
  match: [{method: {exact: DELETE}}]
  route: ${to('v3')}
- name: without
  match: [{uri: {exact: /guest}, withoutHeaders: {cookie: {}}}]
  route: ${to('v2')}
- name: nothing
  match: [{uri: {prefix: /gone}}]
  directResponse: {status: 410, body: {string: "it is gone\\n"}}
- name: rest
  match: [{uri: {prefix: /}}]
  route: ${to('v1')}
`,
);

/** curl's arguments behind the address → who answers. */
const routed: readonly (readonly [path: string, flags: readonly string[], who: string])[] = [
  ['/', [], 'red'],
  ['/', ['-H', 'X-User: jane'], 'blue'],
  ['/', ['-H', 'X-User: Jane'], 'red'],
  ['/', ['-H', 'X-User: janet'], 'red'],
  ['/cart', ['-H', 'x-user: jane'], 'blue'],
  ['/cart', [], 'green'],
  ['/cart/items?x=1', [], 'green'],
  ['/cartoon', [], 'green'],
  ['/Cart', [], 'red'],
  ['/c42', [], 'green'],
  ['/c42?color=red', [], 'green'],
  ['/c42x', [], 'red'],
  ['/x?color=green', [], 'green'],
  ['/x?a=b&color=green&c', [], 'green'],
  ['/x?color=greenish', [], 'red'],
  ['/both', ['-d', 'x', '-H', 'x-a: once'], 'blue'],
  ['/both', ['-d', 'x', '-H', 'x-a: off'], 'red'],
  ['/both', ['-H', 'x-a: once'], 'red'],
  ['/any', ['-X', 'DELETE'], 'blue'],
  ['/guest', [], 'green'],
  ['/guest', ['-H', 'Cookie: a=b'], 'red'],
];

describe('HTTP routing', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  let client: Host;
  const shop = ['10.96.0.10', 'fd00:10:96::10'] as const;
  const address = (family: 4 | 6): string => (family === 4 ? shop[0] : `[${shop[1]}]`);

  const curl = async (family: 4 | 6, path: string, ...flags: readonly string[]): Promise<string> =>
    await client.output([
      'curl',
      '-sS',
      '-m',
      String(5 * patience),
      '-H',
      'Host: shop',
      ...flags,
      `http://${address(family)}${path}`,
    ]);

  interface Echo {
    readonly name: string;
    readonly method: string;
    readonly path: string;
    readonly headers: readonly (readonly [string, string])[];
  }
  const echo = async (path: string, ...flags: readonly string[]): Promise<Echo> =>
    JSON.parse(await curl(4, path, ...flags)) as Echo;
  const field = (seen: Echo, name: string): readonly string[] =>
    seen.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  /** Status, the Location and the body of an answer. */
  const answer = async (path: string, ...flags: readonly string[]): Promise<string> =>
    await curl(4, path, '-w', '\n%{http_code} %header{location}', ...flags);

  const use = async (...documents: readonly string[]): Promise<void> => {
    mesh.write('routes.yaml', file(...documents));
    await mesh.settled();
  };

  before(async () => {
    lab = await Lab.create();
    client = await lab.pod('client');
    const servers = await Promise.all(colors.map((name) => lab.pod(name)));
    await Promise.all(servers.map((s) => startWeb(s, { port: 8080 })));
    mesh = meshOf(lab);
    const pods = servers.map((s, i) => {
      const color = colors[i] ?? 'red';
      return pod(s, { app: 'shop', version: versionOf[color] });
    });
    mesh.write('pods.yaml', file(namespace('shop', true), pod(client), ...pods));
    mesh.write('shop.yaml', file(service('shop', { addresses: shop, selector: { app: 'shop' } })));
    mesh.write('subsets.yaml', destination('shop', ['v1', 'v2', 'v3']));
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  for (const family of [4, 6] as const) {
    test(`without a route each request of a connection goes to any server, IPv${family}`, async () => {
      await use();
      const cases = [{ from: colors, path: '/', fields: ['host: shop'] }];
      const load = await httpLoad(client, shop[family === 4 ? 0 : 1], 80, cases, ['--requests', '300']);
      assert.deepEqual([load.failed, load.misrouted, load.crossed, load.connections], [0, 0, 0, 1]);
      assert.deepEqual(Object.keys(load.answers).sort(), [...colors].sort());
    });

    test(`path, header, query and method decide, IPv${family}`, async () => {
      await use(matches);
      for (const [path, flags, who] of routed) {
        const said = await curl(family, path, ...flags);
        assert.equal(said.split(' ')[0], who, `${path} ${flags.join(' ')}`);
      }
    });

    test(`the same on one connection, IPv${family}`, async () => {
      const urls = routed
        .filter(([, flags]) => flags.length === 0)
        .map(([path, , who]) => ({ url: `http://${address(family)}${path}`, who }));
      const lines = await client.output([
        ...[
          'curl',
          '-sS',
          '-m',
          String(5 * patience),
          '-H',
          'Host: shop',
          '-w',
          '%{num_connects}\n',
          ...urls.map(({ url }) => url),
        ],
      ]);
      const pairs = lines.trimEnd().split('\n');
      const who = pairs.filter((_, i) => i % 2 === 0).map((line) => line.split(' ')[0]);
      const opened = pairs.filter((_, i) => i % 2 === 1).map(Number);
      assert.deepEqual(
        who,
        urls.map((url) => url.who),
      );
      assert.deepEqual(
        opened,
        urls.map((_, i) => (i === 0 ? 1 : 0)),
      );
    });
  }

  test('a host in any of its forms is the same service, another host is not', async () => {
    await use(matches);
    for (const host of ['shop', 'SHOP', 'shop:80', 'shop.shop', 'shop.shop.svc.cluster.local', shop[0]]) {
      const said = await curl(4, '/cart', '-H', `Host: ${host}`);
      assert.equal(said.split(' ')[0], 'green', host);
    }
  });

  test('a direct response comes without any server', async () => {
    await use(matches);
    assert.equal(await answer('/gone/away'), 'it is gone\n\n410 ');
  });

  test('a request that no route takes is answered with 404', async () => {
    await use(virtualService('shop', `- match: [{uri: {exact: /only}}]\n  route: ${to('v1')}`));
    assert.equal((await curl(4, '/only')).split(' ')[0], 'red');
    assert.match(await answer('/other'), /\n404 $/);
  });

  test('nine of ten requests go to one version, one to another: by request, not by connection', async () => {
    const split = `
- route:
  - {destination: {host: shop, subset: v1}, weight: 90}
  - {destination: {host: shop, subset: v2}, weight: 10}`;
    await use(virtualService('shop', split));
    const count = many(5000, 100_000);
    const cases = [{ from: ['red', 'green'], path: '/', fields: ['host: shop'] }];
    const load = await httpLoad(client, shop[0], 80, cases, ['--requests', String(count)]);
    assert.deepEqual([load.failed, load.misrouted, load.connections], [0, 0, 1]);
    const share = (load.answers['green'] ?? 0) / count;
    // 5 000 requests: a standard deviation of 0.42 %, 500 of 1.3 %.
    assert.ok(Math.abs(share - 0.1) < (count < 5000 ? 0.06 : 0.02), String(share));
  });

  test('redirects name the place to go to', async () => {
    await use(
      virtualService(
        'shop',
        `
- match: [{uri: {prefix: /old}}]
  redirect: {uri: /new, redirectCode: 302}
- match: [{uri: {prefix: /away}}]
  redirect: {authority: other.example}
- match: [{uri: {prefix: /safe}}]
  redirect: {scheme: https, redirectCode: 308}
- route: ${to('v1')}
`,
      ),
    );
    assert.equal(await answer('/old/x?y=z'), '\n302 http://shop/new?y=z');
    assert.equal(await answer('/away/x?y=z'), '\n301 http://other.example/away/x?y=z');
    assert.equal(await answer('/safe', '-d', 'body'), '\n308 https://shop/safe');
    assert.match(await answer('/else'), /^red /);
  });

  test('paths, hosts and headers are changed on the way', async () => {
    await use(
      virtualService(
        'shop',
        `
- match: [{uri: {prefix: /old/}}]
  rewrite: {uri: /echo/new/, authority: inner.example}
  headers:
    request:
      set: {x-set: one, x-user: nobody}
      add: {x-add: two}
      remove: [x-gone, cookie]
  route: ${to('v2')}
- route: ${to('v1')}
`,
      ),
    );
    const flags = [
      '-H',
      'x-user: jane',
      '-H',
      'x-add: mine',
      '-H',
      'X-Gone: 1',
      '-H',
      'Cookie: a=b',
      '-H',
      'x-left: 3',
    ];
    for (const body of [[], ['-d', 'some body'], ['-H', 'Transfer-Encoding: chunked', '-d', 'more']]) {
      const seen = await echo('/old/a/b?c=d', ...flags, ...body);
      assert.deepEqual([seen.name, seen.path], ['green', '/echo/new/a/b?c=d']);
      assert.deepEqual(field(seen, 'host'), ['inner.example']);
      assert.deepEqual(field(seen, 'x-set'), ['one']);
      assert.deepEqual(field(seen, 'x-user'), ['nobody']);
      assert.deepEqual(field(seen, 'x-add'), ['mine', 'two']);
      assert.deepEqual([field(seen, 'x-gone'), field(seen, 'cookie')], [[], []]);
      assert.deepEqual(field(seen, 'x-left'), ['3']);
    }
    const untouched = await echo('/echo', ...flags);
    assert.deepEqual(
      [untouched.name, field(untouched, 'x-user'), field(untouched, 'x-gone')],
      ['red', ['jane'], ['1']],
    );
  });

  test('a fault aborts the share of requests that it says', async () => {
    const fault = (percent: number) => `
- fault: {abort: {percentage: {value: ${percent}}, httpStatus: 418}}
  route: ${to('v1')}`;
    await use(virtualService('shop', fault(100)));
    assert.match(await answer('/'), /\n418 $/);
    await use(virtualService('shop', fault(30)));
    const cases = [{ from: ['red', '418'], path: '/', fields: ['host: shop'] }];
    const load = await httpLoad(client, shop[0], 80, cases, ['--requests', '3000']);
    assert.deepEqual([load.failed, load.misrouted], [0, 0]);
    const share = (load.answers['418'] ?? 0) / 3000;
    // A standard deviation of 0.84 %.
    assert.ok(Math.abs(share - 0.3) < 0.04, String(share));
    await use(virtualService('shop', fault(0)));
    assert.match(await answer('/'), /^red /);
  });

  test('an HTTPRoute of the Gateway API says the same in its own words', async () => {
    await use(
      service('red', { addresses: ['10.96.0.11', 'fd00:10:96::11'], selector: { version: 'v1' } }),
      service('green', { addresses: ['10.96.0.12', 'fd00:10:96::12'], selector: { version: 'v2' } }),
      httpRoute(
        'shop',
        `
- matches: [{path: {type: PathPrefix, value: /old}}]
  filters:
  - type: URLRewrite
    urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /echo}}
  - type: RequestHeaderModifier
    requestHeaderModifier:
      set: [{name: x-set, value: one}]
      add: [{name: x-add, value: two}]
      remove: [x-gone]
  backendRefs: [{name: green, port: 80}]
- matches: [{headers: [{name: x-user, value: jane}], method: GET}, {queryParams: [{name: color, value: green}]}]
  backendRefs: [{name: green, port: 80}]
- matches: [{path: {type: Exact, value: /away}}]
  filters:
  - {type: RequestRedirect, requestRedirect: {scheme: https, hostname: other.example, statusCode: 301}}
- backendRefs: [{name: red, port: 80, weight: 1}, {name: green, port: 80, weight: 0}]
`,
      ),
    );
    const seen = await echo('/old/a?b=c', '-H', 'x-gone: 1', '-H', 'x-add: mine');
    assert.deepEqual([seen.name, seen.path], ['green', '/echo/a?b=c']);
    assert.deepEqual(
      [field(seen, 'x-set'), field(seen, 'x-add'), field(seen, 'x-gone')],
      [['one'], ['mine', 'two'], []],
    );
    const who = async (...args: readonly [string, ...string[]]) => (await curl(4, ...args)).split(' ')[0];
    assert.equal(await who('/older'), 'red');
    assert.equal(await who('/', '-H', 'x-user: jane'), 'green');
    assert.equal(await who('/', '-H', 'x-user: jane', '-d', 'x'), 'red');
    assert.equal(await who('/?color=green'), 'green');
    assert.equal(await who('/'), 'red');
    assert.equal(await answer('/away?x=y'), '\n301 https://other.example/away?x=y');
    // The share of what is not there gets 500, and says why.
    const lost = '- backendRefs: [{name: red, port: 80, weight: 3}, {name: gone, port: 80, weight: 1}]';
    await use(
      service('red', { addresses: ['10.96.0.11', 'fd00:10:96::11'], selector: { version: 'v1' } }),
      httpRoute('shop', lost),
    );
    const cases = [{ from: ['red', '500'], path: '/', fields: ['host: shop'] }];
    const load = await httpLoad(client, shop[0], 80, cases, ['--requests', '2000']);
    assert.deepEqual([load.failed, load.misrouted], [0, 0]);
    const share = (load.answers['500'] ?? 0) / 2000;
    // A standard deviation of 0.97 %.
    assert.ok(Math.abs(share - 0.25) < 0.05, String(share));
    const counted = (await mesh.metric('istio_requests_total')).find((line) => line.includes('response_code="500"'));
    assert.match(counted ?? '', /response_flags="NC"/);
    mesh.write('routes.yaml', null);
    await mesh.settled();
  });

  test('a service whose port is named tcp is balanced by connection, whatever it carries', async () => {
    const addresses = ['10.96.0.13', 'fd00:10:96::13'] as const;
    mesh.write('plain.yaml', service('plain', { addresses, selector: { app: 'shop' }, portName: 'tcp' }));
    await mesh.settled();
    const load = await httpLoad(client, addresses[0], 80, [{ from: colors, path: '/' }], ['--requests', '100']);
    assert.deepEqual([load.failed, Object.keys(load.answers).length], [0, 1]);
    mesh.write('plain.yaml', null);
  });
});
