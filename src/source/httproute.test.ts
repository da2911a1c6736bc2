import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpAction, HttpMatch, HttpRoute } from '../model/http.ts';
import { meshOf } from './testing.ts';

const services = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: http-b, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: home}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
`;

const toWeb = 'backendRefs: [{name: web, port: 80}]';
const parent = '{group: "", kind: Service, name: web}';

function httpRoute(
  name: string,
  rules: string,
  options: { parents?: string; namespace?: string; created?: string } = {},
) {
  const { parents = parent, namespace = 'shop', created = '' } = options;
  const time = created === '' ? '' : `, creationTimestamp: "${created}"`;
  const body = rules.trim().replaceAll(/^/gm, '  ');
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: ${namespace}${time}}
spec:
  parentRefs: [${parents}]
  rules:
${body}
`;
}

function routesOf(text: string, port = 80): readonly HttpRoute[] | undefined {
  const service = meshOf(services + text).mesh.services.get('shop/web.shop.svc.cluster.local');
  return service?.ports.find((one) => one.port === port)?.routing?.virtualHosts[0]?.routes;
}

const namesOf = (text: string, port = 80) => routesOf(text, port)?.map(({ name }) => name);
const matchOf = (match: string) => routesOf(httpRoute('r', `- matches: [${match}]\n  ${toWeb}`))?.[0]?.matches[0];
const actionOf = (rule: string) => routesOf(httpRoute('r', `- ${rule.trim().replaceAll('\n', '\n  ')}`))?.[0]?.action;

const noEdits = { set: [], add: [], remove: [] };
const web = { service: 'shop/web.shop.svc.cluster.local', port: 80, subset: '' };
const api = { service: 'home/api.home.svc.cluster.local', port: 80, subset: '' };
const fail: HttpAction = { kind: 'forward', clusters: [], headers: noEdits, connectRetries: 2, lost: 1 };

test('conditions', () => {
  const cases: [string, HttpMatch][] = [
    ['{}', {}],
    ['{path: {value: /}}', {}],
    ['{path: {value: /a}}', { path: { kind: 'segments', value: '/a' } }],
    ['{path: {type: PathPrefix, value: /a/}}', { path: { kind: 'segments', value: '/a' } }],
    ['{path: {type: Exact, value: /a/}}', { path: { kind: 'exact', value: '/a/' } }],
    ['{path: {type: RegularExpression, value: "/a.*"}}', { path: { kind: 'regex', pattern: '/a.*' } }],
    ['{method: GET}', { methods: ['GET'] }],
    [
      '{headers: [{name: X-A, value: a}, {name: b, type: RegularExpression, value: "b+"}]}',
      {
        headers: [
          { name: 'x-a', match: { kind: 'exact', value: 'a' } },
          { name: 'b', match: { kind: 'regex', pattern: 'b+' } },
        ],
      },
    ],
    ['{queryParams: [{name: A, value: a}]}', { query: [{ name: 'A', match: { kind: 'exact', value: 'a' } }] }],
  ];
  for (const [match, expected] of cases) assert.deepEqual(matchOf(match), expected, match);
});

test('the most specific match comes first, over rules and routes', () => {
  const rule = (name: string, match: string) => `- {name: ${name}, matches: [${match}], ${toWeb}}`;
  const one = [
    rule('all', '{}'),
    rule('regex', '{path: {type: RegularExpression, value: "/a.*"}}'),
    rule('short', '{path: {value: /a}}'),
    rule('query', '{path: {value: /a}, queryParams: [{name: a, value: a}]}'),
    rule('headers2', '{path: {value: /a}, headers: [{name: a, value: a}, {name: b, value: b}]}'),
    rule('headers1', '{path: {value: /a}, headers: [{name: a, value: a}]}'),
  ];
  const other = [
    rule('method', '{path: {value: /a}, method: GET}'),
    rule('long', '{path: {value: /a/b}}'),
    rule('exact', '{path: {type: Exact, value: /a}}'),
    rule('regex-long', '{path: {type: RegularExpression, value: "/a.*b"}}'),
    rule('all-get', '{method: GET}'),
  ];
  assert.deepEqual(namesOf(httpRoute('one', one.join('\n')) + httpRoute('other', other.join('\n'))), [
    'exact',
    'long',
    'method',
    'headers2',
    'headers1',
    'query',
    'short',
    'regex-long',
    'regex',
    'all-get',
    'all',
  ]);
});

test('of equal matches the older route comes first, then the name, then the place in the list', () => {
  const rules = (name: string) => `- {name: ${name}.1, ${toWeb}}\n- {name: ${name}.2, ${toWeb}}`;
  assert.deepEqual(namesOf(httpRoute('b', rules('b')) + httpRoute('a', rules('a'))), ['a.1', 'a.2', 'b.1', 'b.2']);
  const old = httpRoute('b', rules('b'), { created: '2026-01-01T00:00:00Z' });
  const young = httpRoute('a', rules('a'), { created: '2026-01-01T00:00:01Z' });
  assert.deepEqual(namesOf(young + old), ['b.1', 'b.2', 'a.1', 'a.2']);
});

test('matches of one rule that follow each other are one route', () => {
  const text = httpRoute(
    'r',
    `
- matches: [{path: {value: /long/er}}, {path: {value: /b}}, {path: {value: /a}}]
  ${toWeb}
- matches: [{path: {value: /long}}]
  ${toWeb}`,
  );
  assert.deepEqual(
    routesOf(text)?.map(({ name, matches }) => [
      name,
      matches.map(({ path }) => path?.kind === 'segments' && path.value),
    ]),
    [
      ['r.0', ['/long/er']],
      ['r.1', ['/long']],
      ['r.0', ['/b', '/a']],
    ],
  );
});

test('forwards: weights, headers, rewrites', () => {
  const action = `
filters:
- type: RequestHeaderModifier
  requestHeaderModifier: {set: [{name: x-a, value: "100%"}], add: [{name: x-b, value: b}], remove: [x-c]}
- type: URLRewrite
  urlRewrite: {hostname: other.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
matches: [{path: {value: /old}}]
backendRefs:
- {name: web, port: 80, weight: 3}
- name: web
  port: 81
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-d, value: d}]}}]
- {name: web, port: 80, weight: 0}`;
  assert.deepEqual(actionOf(action), {
    kind: 'forward',
    clusters: [
      { cluster: web, weight: 3, headers: noEdits },
      { cluster: { ...web, port: 81 }, weight: 1, headers: { ...noEdits, set: [['x-d', 'd']] } },
      { cluster: web, weight: 0, headers: noEdits },
    ],
    headers: { set: [['x-a', '100%']], add: [['x-b', 'b']], remove: ['x-c'] },
    host: 'other.example',
    path: { kind: 'segments', prefix: '/old', value: '/new' },
    connectRetries: 2,
  });
});

test('redirects', () => {
  const redirect = (text: string, match = '{}') =>
    actionOf(`matches: [${match}]\nfilters: [{type: RequestRedirect, requestRedirect: {${text}}}]`);
  const kind = { kind: 'redirect', status: 302 };
  // The request came to port 80, which need not be written.
  assert.deepEqual(redirect('hostname: a.example'), { ...kind, host: 'a.example', port: 0 });
  assert.deepEqual(redirect('scheme: https, statusCode: 301'), { ...kind, status: 301, scheme: 'https', port: 0 });
  assert.deepEqual(redirect('scheme: https, port: 443'), { ...kind, scheme: 'https', port: 0 });
  assert.deepEqual(redirect('scheme: https, port: 8443'), { ...kind, scheme: 'https', port: 8443 });
  assert.deepEqual(redirect('port: 8080'), { ...kind, port: 8080 });
  assert.deepEqual(redirect('path: {type: ReplaceFullPath, replaceFullPath: /a}'), {
    ...kind,
    port: 0,
    path: { kind: 'path', value: '/a' },
  });
  const prefix = 'path: {type: ReplacePrefixMatch, replacePrefixMatch: /a}';
  const path = (value: string) => ({ kind: 'segments', prefix: value, value: '/a' });
  assert.deepEqual(redirect(prefix, '{path: {value: /b}}'), { ...kind, port: 0, path: path('/b') });
  assert.deepEqual(redirect(prefix), { ...kind, port: 0, path: path('/') });
  const text = httpRoute('r', '- filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example}}]');
  assert.deepEqual(routesOf(text, 81)?.[0]?.action, { ...kind, host: 'a.example', port: 81 });
});

test('backends that are not there, or not allowed, answer their share with 500', () => {
  const forward = (lost: number) => ({ ...fail, clusters: [{ cluster: web, weight: 3, headers: noEdits }], lost });
  assert.deepEqual(actionOf('backendRefs: [{name: web, port: 80, weight: 3}, {name: gone, port: 80}]'), forward(1));
  assert.deepEqual(
    actionOf('backendRefs: [{name: web, port: 80, weight: 3}, {name: web, port: 99, weight: 2}]'),
    forward(2),
  );
  assert.deepEqual(actionOf('backendRefs: [{name: gone, port: 80}]'), fail);
  const { lost: _, ...none } = fail;
  assert.deepEqual(actionOf('matches: [{}]'), none);
});

test('a backend of another namespace needs a ReferenceGrant there', () => {
  const route = httpRoute('r', '- backendRefs: [{name: api, namespace: home, port: 80}]');
  const grant = (from: string, to: string) => `---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: home}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: ${from}}], to: [{group: "", ${to}}]}
`;
  const kind = (text: string) => {
    const action = routesOf(route + text)?.[0]?.action;
    return action?.kind === 'forward' && action.lost === undefined
      ? action.clusters.map(({ cluster }) => cluster)
      : action;
  };
  assert.deepEqual(kind(''), fail);
  assert.deepEqual(kind(grant('shop', 'kind: Service')), [api]);
  assert.deepEqual(kind(grant('shop', 'kind: Service, name: api')), [api]);
  assert.deepEqual(kind(grant('shop', 'kind: Service, name: other')), fail);
  assert.deepEqual(kind(grant('shop', 'kind: Secret')), fail);
  assert.deepEqual(kind(grant('elsewhere', 'kind: Service')), fail);
});

test('back to the namespace of the Service that a route is for there needs to be no ReferenceGrant', () => {
  const parents = '{group: "", kind: Service, name: web, namespace: shop}';
  const options = { namespace: 'home', parents };
  const text = httpRoute('theirs', '- backendRefs: [{name: web, namespace: shop, port: 80}]', options);
  const action = routesOf(text)?.[0]?.action;
  assert.deepEqual(action?.kind === 'forward' ? action.clusters.map(({ cluster }) => cluster) : action, [web]);
});

test('parents: ports by number and by name', () => {
  const at = (more: string) => {
    const text = httpRoute('r', `- ${toWeb}`, { parents: `{group: "", kind: Service, name: web${more}}` });
    return [80, 81].filter((port) => routesOf(text, port) !== undefined);
  };
  assert.deepEqual(at(''), [80, 81]);
  assert.deepEqual(at(', port: 81'), [81]);
  assert.deepEqual(at(', sectionName: http'), [80]);
  assert.deepEqual(at(', sectionName: http, port: 81'), []);
  const both = httpRoute('r', `- ${toWeb}`, { parents: '{name: edge, group: "", kind: Gateway}' });
  assert.throws(() => routesOf(both), /a parent \/Gateway does not concern the mesh/);
});

test('a route of another namespace is for the clients there, and the service’s own routes are not', () => {
  const own = httpRoute('own', `- {name: own, matches: [{path: {value: /a}}], ${toWeb}}`);
  const theirs = httpRoute('theirs', '- {name: theirs, backendRefs: [{name: api, port: 80}]}', {
    namespace: 'home',
    parents: '{group: "", kind: Service, name: web, namespace: shop}',
  });
  const shape = (text: string) => routesOf(text)?.map(({ name, matches }) => [name, matches]);
  const source = { namespace: 'home' };
  assert.deepEqual(shape(own + theirs), [
    ['theirs', [{ source }]],
    ['theirs.none', [{ source }]],
    ['own', [{ path: { kind: 'segments', value: '/a' } }]],
  ]);
  // Without routes of the service's own, the others' clients have what they would have without this one.
  assert.deepEqual(shape(theirs), [
    ['theirs', [{ source }]],
    ['theirs.none', [{ source }]],
    ['default', [{}]],
  ]);
});

test('HTTPRoutes come before a VirtualService, port by port', () => {
  const virtualService = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{name: vs, redirect: {uri: /}}]}
`;
  const parents = '{group: "", kind: Service, name: web, port: 80}';
  const text = virtualService + httpRoute('r', `- {name: hr, ${toWeb}}`, { parents });
  assert.deepEqual([namesOf(text), namesOf(text, 81)], [['hr'], ['vs']]);
});
