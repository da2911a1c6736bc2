/**
 * HTTPRoutes of the Gateway API for Services: each feature that the specification's conformance tests ask a mesh for, with
 * objects of our own.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test as nodeTest } from 'node:test';
import { httpLoad } from '../lab/clients.ts';
import { ask, type MeshAnswer, meshService, parent, seenHeaders, seenPath } from '../lab/gateway-mesh.ts';
import type { Host } from '../lab/host.ts';
import { many, meshRoute } from '../lab/http-mesh.ts';
import { Lab } from '../lab/lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';
import { startWeb } from '../lab/servers.ts';

const test = requireRoot(nodeTest);

const echo = '10.96.0.10';
const echoV1 = '10.96.0.11';
const echoV2 = '10.96.0.12';
const to = (name: string, more = ''): string => `backendRefs: [{name: ${name}, port: 8080${more}}]`;

/** Path and further arguments of curl → who answers, 404 for nobody. */
type Cases = readonly (readonly [path: string, flags: readonly string[], who: string])[];

describe('Gateway API for the mesh', { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined }, () => {
  let lab: Lab;
  let mesh: TestMesh;
  /** In the Services' namespace. */
  let producer: Host;
  /** In another one. */
  let consumer: Host;
  let v1: Host;

  const use = async (...documents: readonly string[]): Promise<void> => {
    mesh.write('routes.yaml', documents.length === 0 ? '' : file(...documents));
    await mesh.settled();
  };
  const route = (rules: string, more = ', port: 80') => meshRoute('home', 'route', parent('echo', more), rules);
  const get = (path: string, ...flags: readonly string[]): Promise<MeshAnswer> =>
    ask(producer, `http://${echo}${path}`, '-H', 'Host: echo', ...flags);
  const check = async (cases: Cases): Promise<void> => {
    for (const [path, flags, who] of cases) {
      const { status, who: found } = await get(path, ...flags);
      const wanted = who === '404' ? [404, ''] : [200, who];
      assert.deepEqual([status, found], wanted, `${path} ${flags.join(' ')}`);
    }
  };

  before(async () => {
    lab = await Lab.create();
    producer = await lab.pod('producer');
    consumer = await lab.pod('consumer');
    v1 = await lab.pod('echo-v1');
    const v2 = await lab.pod('echo-v2');
    await Promise.all([v1, v2].map((server) => startWeb(server, { port: 8080 })));
    mesh = meshOf(lab);
    const service = (name: string, clusterIP: string, selector: Readonly<Record<string, string>>) =>
      meshService({ namespace: 'home', name, clusterIP, selector });
    mesh.write(
      'mesh.yaml',
      file(
        namespace('home', true),
        namespace('away', true),
        pod(producer, {}, 'home'),
        pod(consumer, {}, 'away'),
        pod(v1, { app: 'echo', version: 'v1' }, 'home'),
        pod(v2, { app: 'echo', version: 'v2' }, 'home'),
        service('echo', echo, { app: 'echo' }),
        service('echo-v1', echoV1, { app: 'echo', version: 'v1' }),
        service('echo-v2', echoV2, { app: 'echo', version: 'v2' }),
      ),
    );
    await mesh.start();
    await mesh.settled();
  });
  after(() => lab?.close());

  test('a Service by each of its names, with its port and without, from both namespaces', async () => {
    await use();
    for (const name of ['echo', 'echo.home', 'echo.home.svc', 'echo.home.svc.cluster.local', 'anything.example']) {
      for (const host of [name, `${name}:80`]) {
        for (const client of [producer, consumer]) {
          const { status, who } = await ask(client, `http://${echo}/`, '-H', `Host: ${host}`);
          assert.deepEqual([status, who.startsWith('echo-v')], [200, true], host);
        }
      }
    }
  });

  test('the name as it is dialled says which Service is meant, not the Host header', async () => {
    await use(meshRoute('home', 'v2', parent('echo-v2'), `- ${to('echo-v1')}`));
    const who = async (address: string, host: string) =>
      (await ask(producer, `http://${address}/`, '-H', `Host: ${host}`)).who;
    assert.equal(await who(echoV2, 'echo-v1'), 'echo-v1', 'the route of echo-v2');
    assert.equal(await who(echoV1, 'echo-v2'), 'echo-v1', 'no route');
    await use(
      meshRoute(
        'home',
        'v2',
        parent('echo-v2'),
        '- filters: [{type: RequestRedirect, requestRedirect: {statusCode: 308}}]',
      ),
    );
    assert.equal((await ask(producer, `http://${echoV2}/`)).status, 308);
    assert.equal((await ask(producer, `http://${v1.ip4}:8080/`)).who, 'echo-v1', 'a pod’s own address is no Service');
    assert.equal((await ask(producer, `http://${echo}/`)).status, 200, 'another Service of the same pods');
  });

  test('all to one backend; paths to one each', async () => {
    await use(route(`- ${to('echo-v1')}`));
    const cases = [{ from: ['echo-v1'], path: '/', fields: ['host: echo'] }];
    const load = await httpLoad(producer, echo, 80, cases, ['--requests', '200', '--connections', '4']);
    assert.deepEqual([load.failed, load.misrouted], [0, 0]);
    await use(
      route(
        `
- matches: [{path: {type: Exact, value: /v1}}]
  ${to('echo-v1')}
- matches: [{path: {type: Exact, value: /v2}}]
  ${to('echo-v2')}`,
        '',
      ),
    );
    await check([
      ['/v1', [], 'echo-v1'],
      ['/v2', [], 'echo-v2'],
      ['/v2/', [], '404'],
      ['/', [], '404'],
    ]);
  });

  test('a port of the parent: the others are left alone', async () => {
    const gone = '- filters: [{type: RequestRedirect, requestRedirect: {statusCode: 308}}]';
    await use(
      meshRoute('home', 'one', parent('echo-v1', ', port: 80'), gone),
      meshRoute('home', 'all', parent('echo-v2'), gone),
      meshRoute('home', 'named', parent('echo', ', sectionName: http-alt'), gone),
    );
    const status = async (address: string, port: number) => (await ask(producer, `http://${address}:${port}/`)).status;
    assert.deepEqual([await status(echoV1, 80), await status(echoV1, 8080)], [308, 200]);
    assert.deepEqual([await status(echoV2, 80), await status(echoV2, 8080)], [308, 308]);
    assert.deepEqual([await status(echo, 80), await status(echo, 8080)], [200, 308]);
    assert.equal((await ask(producer, `http://${echoV2}:9090/`)).who, 'echo-v2', 'a port that is not for HTTP');
  });

  test('paths and headers', async () => {
    await use(
      route(`
- matches: [{path: {type: PathPrefix, value: /}}, {headers: [{name: version, value: one}]}]
  ${to('echo-v1')}
- matches: [{path: {type: PathPrefix, value: /v2}}, {headers: [{name: version, value: two}]}]
  ${to('echo-v2')}`),
    );
    await check([
      ['/', [], 'echo-v1'],
      ['/example', [], 'echo-v1'],
      ['/', ['-H', 'Version: one'], 'echo-v1'],
      ['/v2', [], 'echo-v2'],
      ['/v2/example', [], 'echo-v2'],
      ['/v2/', [], 'echo-v2'],
      ['/', ['-H', 'Version: two'], 'echo-v2'],
      ['/v2example', [], 'echo-v1'],
      ['/foo/v2/example', [], 'echo-v1'],
    ]);
  });

  test('query parameters, alone and with paths and headers, and their order', async () => {
    await use(
      route(`
- matches: [{queryParams: [{name: animal, value: whale}]}]
  ${to('echo-v1')}
- matches: [{queryParams: [{name: animal, value: dolphin}]}]
  ${to('echo-v2')}
- matches: [{path: {value: /path1}, queryParams: [{name: animal, value: whale}]}]
  ${to('echo-v1')}
- matches: [{headers: [{name: version, value: one}], queryParams: [{name: animal, value: whale}]}]
  ${to('echo-v2')}
- matches:
  - {path: {value: /path3}, queryParams: [{name: animal, value: shark}]}
  - {path: {value: /path4}, headers: [{name: version, value: three}], queryParams: [{name: animal, value: kraken}]}
  ${to('echo-v1')}
- matches: [{path: {value: /path5}}]
  ${to('echo-v1')}
- matches: [{queryParams: [{name: animal, value: hydra}]}]
  ${to('echo-v2')}`),
    );
    await check([
      ['/?animal=whale', [], 'echo-v1'],
      ['/?animal=dolphin', [], 'echo-v2'],
      ['/?animal=whale&otherparam=irrelevant', [], 'echo-v1'],
      ['/?animal=dolphin&color=yellow', [], 'echo-v2'],
      ['/?color=blue', [], '404'],
      ['/?animal=dog', [], '404'],
      ['/?animal=whaledolphin', [], '404'],
      ['/', [], '404'],
      ['/path1?animal=whale', [], 'echo-v1'],
      ['/?animal=whale', ['-H', 'version: one'], 'echo-v2'],
      ['/path3?animal=shark', [], 'echo-v1'],
      ['/path4?animal=kraken', ['-H', 'version: three'], 'echo-v1'],
      ['/?animal=shark', [], '404'],
      ['/path4?animal=kraken', [], '404'],
      ['/path5?animal=hydra', [], 'echo-v1'],
    ]);
  });

  test('methods, and regular expressions', async () => {
    await use(
      route(`
- matches: [{method: POST, path: {type: RegularExpression, value: '/item/[0-9]+'}}]
  ${to('echo-v2')}
- matches: [{headers: [{name: x-user, type: RegularExpression, value: 'ann|jo.*'}]}]
  ${to('echo-v2')}
- matches: [{queryParams: [{name: q, type: RegularExpression, value: 'a+'}]}]
  ${to('echo-v2')}
- ${to('echo-v1')}`),
    );
    await check([
      ['/item/42', ['-X', 'POST'], 'echo-v2'],
      ['/item/42', [], 'echo-v1'],
      ['/item/x', ['-X', 'POST'], 'echo-v1'],
      ['/', ['-H', 'x-user: john'], 'echo-v2'],
      ['/', ['-H', 'x-user: anna'], 'echo-v1'],
      ['/?q=aaa', [], 'echo-v2'],
      ['/?q=aab', [], 'echo-v1'],
    ]);
  });

  test('weights', async () => {
    await use(
      route('- backendRefs: [{name: echo-v1, port: 8080, weight: 70}, {name: echo-v2, port: 8080, weight: 30}]'),
    );
    const count = many(4000, 20_000);
    const cases = [{ from: ['echo-v1', 'echo-v2'], path: '/', fields: ['host: echo'] }];
    const load = await httpLoad(producer, echo, 80, cases, ['--requests', String(count), '--connections', '4']);
    assert.equal(load.failed, 0);
    const share = (load.answers['echo-v1'] ?? 0) / count;
    assert.ok(Math.abs(share - 0.7) < 0.05, `${share} to echo-v1`);
  });

  test('named rules', async () => {
    await use(
      route(`
- name: named-rule
  matches: [{path: {value: /named}}]
  ${to('echo-v1')}
- matches: [{path: {value: /unnamed}}]
  ${to('echo-v2')}`),
    );
    await check([
      ['/named', [], 'echo-v1'],
      ['/unnamed', [], 'echo-v2'],
    ]);
    const routes = await mesh.get<{ readonly name: string }>('routes');
    assert.ok(
      routes.some(({ name }) => name === 'named-rule'),
      JSON.stringify(routes),
    );
  });

  for (const where of ['rule', 'backend'] as const) {
    test(`request headers set, added and removed by a ${where}`, async () => {
      const rule = (path: string, edits: string) => {
        const filters = `filters: [{type: RequestHeaderModifier, requestHeaderModifier: {${edits}}}]`;
        const rest = where === 'rule' ? `${filters}\n  ${to('echo-v1')}` : to('echo-v1', `, ${filters}`);
        return `- matches: [{path: {value: /echo/${path}}}]\n  ${rest}`;
      };
      await use(
        route(
          [
            rule('set', 'set: [{name: X-Header-Set, value: set-overwrites-values}]'),
            rule('add', 'add: [{name: X-Header-Add, value: add-appends-values}]'),
            rule('remove', 'remove: [X-Header-Remove]'),
            rule(
              'multiple',
              `set: [{name: X-Set-1, value: s1}, {name: X-Set-2, value: s2}], remove: [X-Remove-1, X-Remove-2],
                add: [{name: X-Add-1, value: a1}, {name: X-Add-2, value: a2}, {name: X-Add-3, value: a3}]`,
            ),
          ].join('\n'),
        ),
      );
      const seen = async (path: string, ...fields: readonly string[]) =>
        seenHeaders(await get(`/echo/${path}`, ...fields.flatMap((field) => ['-H', field])));
      const kept = { other: 'val' };
      const shows = (found: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string | undefined>>) => {
        for (const [name, value] of Object.entries(wanted)) assert.equal(found[name], value, name);
      };
      shows(await seen('set', 'Other: val'), { ...kept, 'x-header-set': 'set-overwrites-values' });
      shows(await seen('set', 'Other: val', 'x-header-set: old'), { 'x-header-set': 'set-overwrites-values' });
      shows(await seen('add', 'Other: val'), { ...kept, 'x-header-add': 'add-appends-values' });
      shows(await seen('add', 'X-Header-Add: old'), { 'x-header-add': 'old,add-appends-values' });
      shows(await seen('remove', 'x-header-REMOVE: val'), { 'x-header-remove': undefined });
      shows(await seen('multiple', 'X-Set-2: old', 'X-Add-2: old', 'X-Remove-2: old', 'Other: val'), {
        ...kept,
        ...{ 'x-set-1': 's1', 'x-set-2': 's2', 'x-add-1': 'a1', 'x-add-2': 'old,a2', 'x-add-3': 'a3' },
        ...{ 'x-remove-1': undefined, 'x-remove-2': undefined },
      });
    });
  }

  test('redirects: host, status, path, port, scheme', async () => {
    const full = 'path: {type: ReplaceFullPath, replaceFullPath: /new}';
    const prefix = 'path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}';
    const cases: readonly (readonly [redirect: string, path: string, status: number, location: string])[] = [
      ['hostname: example.org', '/x', 302, 'http://example.org/x'],
      ['hostname: example.org, statusCode: 301', '/x?a=b', 301, 'http://example.org/x?a=b'],
      ['statusCode: 303', '', 303, 'http://echo'],
      ['statusCode: 307', '', 307, 'http://echo'],
      ['statusCode: 308', '', 308, 'http://echo'],
      [prefix, '/lemon', 302, 'http://echo/new/lemon'],
      [full, '/path/original', 302, 'http://echo/new'],
      [`hostname: example.org, ${prefix}`, '', 302, 'http://example.org/new'],
      [`statusCode: 301, ${full}`, '', 301, 'http://echo/new'],
      ['port: 8083', '', 302, 'http://echo:8083'],
      ['port: 8083, hostname: example.org, statusCode: 301', '', 301, 'http://example.org:8083'],
      ['scheme: https', '', 302, 'https://echo'],
      ['scheme: https, hostname: example.org, statusCode: 301', '', 301, 'https://example.org'],
    ];
    const rules = cases.map(
      ([redirect], i) =>
        `- matches: [{path: {value: /case${i}}}]\n  filters: [{type: RequestRedirect, requestRedirect: {${redirect}}}]`,
    );
    await use(route(rules.join('\n')));
    for (const [i, [redirect, rest, status, wanted]] of cases.entries()) {
      const { location, ...answer } = await get(`/case${i}${rest}`);
      const [, origin = '', more = ''] = /^([a-z]+:\/\/[^/]+)(.*)$/.exec(wanted) ?? [];
      const path = redirect.includes('path:') ? more : `/case${i}${more}`;
      assert.deepEqual([answer.status, location, answer.who], [status, `${origin}${path}`, ''], redirect);
    }
  });

  test('paths rewritten by prefix and as a whole, with headers and a host', async () => {
    const rewrite = (path: string, more = '') => `filters: [{type: URLRewrite, urlRewrite: {${path}}}${more}]`;
    const full = (value: string) => `path: {type: ReplaceFullPath, replaceFullPath: ${value}}`;
    const prefix = (value: string) => `path: {type: ReplacePrefixMatch, replacePrefixMatch: ${value}}`;
    const edits = `, {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: new}],
        add: [{name: X-Add, value: more}], remove: [X-Remove]}}`;
    const rule = (path: string, filters: string) =>
      `- matches: [{path: {value: ${path}}}]\n  ${filters}\n  ${to('echo-v1')}`;
    await use(
      route(
        [
          rule('/prefix/one', rewrite(prefix('/one'))),
          rule('/strip', rewrite(prefix('/'))),
          rule('/full/one', rewrite(full('/one'))),
          rule('/full/headers', rewrite(full('/echo'), edits)),
          rule('/prefix/headers', rewrite(prefix('/echo'), edits)),
          rule('/host', rewrite(`hostname: other.example, ${prefix('/echo')}`)),
        ].join('\n'),
      ),
    );
    for (const [path, wanted] of [
      ['/prefix/one/two', '/one/two'],
      ['/strip/three', '/three'],
      ['/strip', '/'],
      ['/full/one/two', '/one'],
    ] as const) {
      const answer = await get(path);
      assert.deepEqual([answer.who, seenPath(answer)], ['echo-v1', wanted], path);
    }
    const flags = ['-H', 'X-Set: old', '-H', 'X-Add: old', '-H', 'X-Remove: old'];
    for (const [path, wanted] of [
      ['/full/headers/test', '/echo'],
      ['/prefix/headers/one', '/echo/one'],
    ] as const) {
      const answer = await get(path, ...flags);
      const seen = seenHeaders(answer);
      assert.equal(seenPath(answer), wanted);
      assert.deepEqual([seen['x-set'], seen['x-add'], seen['x-remove']], ['new', 'old,more', undefined]);
    }
    assert.equal(seenHeaders(await get('/host'))['host'], 'other.example');
  });

  test('a consumer’s route is for the clients of its namespace, and there in place of the producer’s', async () => {
    const there = ', namespace: home';
    const back = (name: string) => to(name, there);
    const theirs = meshRoute(
      ...(['away', 'theirs', parent('echo', there)] as const),
      `- matches: [{path: {value: /v2}}]\n  ${back('echo-v2')}`,
    );
    const own = route(`- ${to('echo-v1')}`);
    const who = async (client: Host, path: string) => {
      const answer = await ask(client, `http://${echo}${path}`, '-H', 'Host: echo.home');
      return answer.who || String(answer.status);
    };
    await use(theirs, own);
    assert.deepEqual([await who(consumer, '/v2'), await who(consumer, '/')], ['echo-v2', '404'], 'no ReferenceGrant');
    assert.deepEqual([await who(producer, '/v2'), await who(producer, '/')], ['echo-v1', 'echo-v1']);
    await use(own);
    assert.deepEqual([await who(consumer, '/v2'), await who(producer, '/v2')], ['echo-v1', 'echo-v1']);
  });

  test('a backend of a third namespace needs a ReferenceGrant there', async () => {
    const grant = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant, namespace: home}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: away}]
  to: [{group: "", kind: Service, name: echo-v1}]
`;
    const local = meshService({ namespace: 'away', name: 'local', clusterIP: '10.96.0.20', selector: { app: 'none' } });
    const toHome = '- backendRefs: [{name: echo-v1, namespace: home, port: 8080}]';
    const away = meshRoute('away', 'route', parent('local'), toHome);
    const status = async () => (await ask(consumer, 'http://10.96.0.20/')).status;
    await use(local, away);
    assert.equal(await status(), 500);
    await use(local, away, grant);
    assert.equal(await status(), 200);
    await use(local, away);
    assert.equal(await status(), 500);
  });

  test('what leads nowhere gets 500: no backend, one that is not there, one of another kind', async () => {
    await use(
      route(`
- matches: [{path: {value: /none}}]
- matches: [{path: {value: /gone}}]
  ${to('gone')}
- matches: [{path: {value: /kind}}]
  backendRefs: [{group: example.com, kind: Bucket, name: echo-v1}]
- matches: [{path: {value: /zero}}]
  ${to('echo-v1', ', weight: 0')}
- ${to('echo-v1')}`),
    );
    for (const path of ['/none', '/gone', '/kind', '/zero']) assert.equal((await get(path)).status, 500, path);
    assert.equal((await get('/')).who, 'echo-v1');
  });

  test('headers of answers: of the Service and port that a route is for, and of no other', async () => {
    const set = (value: string, more = '') =>
      `- filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Header-Set, value: ${value}}]}}]\n  ${more}`;
    const header = async (client: Host, url: string, host: string) => {
      const { status, headers } = await ask(client, `http://${url}/`, '-H', `Host: ${host}`);
      assert.equal(status, 200);
      return headers.get('x-header-set');
    };
    await use(
      meshRoute('home', 'one', parent('echo-v1', ', port: 80'), set('v1', to('echo-v1'))),
      meshRoute('home', 'two', parent('echo-v2'), set('v2', to('echo-v2'))),
    );
    assert.equal(await header(producer, echoV1, 'echo-v1'), 'v1');
    assert.equal(await header(producer, `${echoV1}:8080`, 'echo-v1'), undefined, 'another port');
    assert.deepEqual(
      [await header(producer, echoV2, 'echo-v2'), await header(producer, `${echoV2}:8080`, 'x')],
      ['v2', 'v2'],
    );
    assert.equal(await header(producer, echoV2, 'echo-v1'), 'v2', 'the address says which Service is meant');
    assert.equal(await header(producer, `${v1.ip4}:8080`, 'echo-v1'), undefined, 'a pod’s own address');
    const there = ', namespace: home';
    await use(meshRoute('away', 'theirs', parent('echo-v1', there), set('theirs', to('echo-v1', there))));
    assert.equal(await header(consumer, echoV1, 'echo-v1.home'), 'theirs');
    assert.equal(await header(producer, echoV1, 'echo-v1.home'), undefined);
  });

  test('the older of two routes comes first where both take a request', async () => {
    const dated = (name: string, created: string, backend: string) =>
      meshRoute('home', name, parent('echo'), `- ${to(backend)}`).replace(
        'namespace: home}',
        `namespace: home, creationTimestamp: ${created}}`,
      );
    await use(dated('a', '2026-01-02T00:00:00Z', 'echo-v1'), dated('b', '2026-01-01T00:00:00Z', 'echo-v2'));
    assert.equal((await get('/')).who, 'echo-v2');
    await use(dated('a', '2026-01-01T00:00:00Z', 'echo-v1'), dated('b', '2026-01-01T00:00:00Z', 'echo-v2'));
    assert.equal((await get('/')).who, 'echo-v1');
  });
});
