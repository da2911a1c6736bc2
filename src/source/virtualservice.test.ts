import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpAction, HttpMatch, HttpRoute } from '../model/http.ts';
import type { ServicePort } from '../model/types.ts';
import { meshOf } from './testing.ts';

const services = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  ports: [{name: http, port: 80}, {name: http-admin, port: 81}, {name: tcp, port: 82}, {name: any, port: 83}]
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 8080}]}
`;

function virtualService(spec: string, name = 'web'): string {
  const body = spec.trim().replaceAll(/^/gm, '  ');
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}, namespace: shop}\nspec:\n${body}\n`;
}

function portOf(text: string, port = 80, host = 'web'): ServicePort {
  const service = meshOf(`${services}---\n${text}`).mesh.services.get(`shop/${host}.shop.svc.cluster.local`);
  const found = service?.ports.find((one) => one.port === port);
  assert.ok(found);
  return found;
}

/** Routes of web's port 80 under these http rules (YAML, without its list's indentation). */
function routes(http: string, port = 80): readonly HttpRoute[] {
  const found = portOf(virtualService(`hosts: [web]\nhttp:\n${http.trim()}`), port);
  return found.routing?.virtualHosts[0]?.routes ?? [];
}

const toWeb = 'route: [{destination: {host: web}}]';

function matchOf(match: string): HttpMatch | undefined {
  const [route] = routes(`- match: [${match}]\n  ${toWeb}`);
  return route?.matches[0];
}

function actionOf(action: string): HttpAction | undefined {
  return routes(`- ${action.trim().replaceAll('\n', '\n  ')}`)[0]?.action;
}

const noEdits = { set: [], add: [], remove: [] };
const cluster = (host: string, port: number, subset = '') => ({
  service: `shop/${host}.shop.svc.cluster.local`,
  port,
  subset,
});

test('conditions', () => {
  const cases: [string, HttpMatch][] = [
    ['{}', {}],
    ['{name: a, statPrefix: b}', {}],
    ['{uri: {exact: /a}}', { path: { kind: 'exact', value: '/a' } }],
    ['{uri: {prefix: /a}}', { path: { kind: 'prefix', value: '/a' } }],
    ['{uri: {regex: "/a.*"}}', { path: { kind: 'regex', pattern: '/a.*' } }],
    ['{uri: {prefix: /A}, ignoreUriCase: true}', { path: { kind: 'prefix', value: '/A', ignoreCase: true } }],
    ['{method: {exact: GET}}', { methods: ['GET'] }],
    ['{scheme: {exact: http}}', {}],
    ['{authority: {prefix: shop.}}', { headers: [{ name: 'host', match: { kind: 'prefix', value: 'shop.' } }] }],
    ['{headers: {X-User: {exact: ann}}}', { headers: [{ name: 'x-user', match: { kind: 'exact', value: 'ann' } }] }],
    ['{headers: {x-user: {exact: ""}}}', { headers: [{ name: 'x-user', match: { kind: 'exact', value: '' } }] }],
    ['{headers: {x-user: {}}}', { headers: [{ name: 'x-user', match: { kind: 'present' } }] }],
    ['{headers: {x-user: {regex: "*"}}}', { headers: [{ name: 'x-user', match: { kind: 'present' } }] }],
    [
      '{headers: {x-user: {regex: "a|b"}}}',
      { headers: [{ name: 'x-user', match: { kind: 'regex', pattern: 'a|b' } }] },
    ],
    ['{withoutHeaders: {x-user: {}}}', { headers: [{ name: 'x-user', match: { kind: 'absent' } }] }],
    [
      '{withoutHeaders: {x-user: {prefix: a}}}',
      {
        headers: [{ name: 'x-user', match: { kind: 'prefix', value: 'a' }, invert: true, missingAsEmpty: true }],
      },
    ],
    [
      '{queryParams: {a: {exact: "1"}, b: {}, c: {regex: "[0-9]+"}}}',
      {
        query: [
          { name: 'a', match: { kind: 'exact', value: '1' } },
          { name: 'b', match: { kind: 'present' } },
          { name: 'c', match: { kind: 'regex', pattern: '[0-9]+' } },
        ],
      },
    ],
    ['{sourceLabels: {app: a}, sourceNamespace: home}', { source: { labels: { app: 'a' }, namespace: 'home' } }],
    ['{gateways: [edge, mesh], port: 80}', {}],
  ];
  for (const [match, expected] of cases) assert.deepEqual(matchOf(match), expected, match);
});

test('conditions of other ports and other gateways are left out, and a rule that has no other', () => {
  const http = `
- name: first
  match: [{port: 81, uri: {prefix: /a}}, {gateways: [edge]}, {uri: {prefix: /b}}]
  ${toWeb}
- match: [{port: 81}]
  ${toWeb}
- match: [{gateways: [edge]}]
  ${toWeb}
- ${toWeb}
`;
  const shape = (port: number) => routes(http, port).map(({ name, matches }) => [name, matches.length]);
  assert.deepEqual(shape(80), [
    ['first', 1],
    ['web.3', 1],
  ]);
  assert.deepEqual(shape(81), [
    ['first', 2],
    ['web.1', 1],
    ['web.3', 1],
  ]);
});

test('forwards: ports, subsets, weights, headers, faults, retries', () => {
  assert.deepEqual(
    actionOf(
      `
route:
- destination: {host: web, subset: v1}
  weight: 9
  headers: {request: {set: {x-a: "1"}, add: {X-B: "50%%"}, remove: [x-c]}}
- destination: {host: api}
  weight: 1
- destination: {host: api.shop.svc.cluster.local, port: {number: 99}}
headers: {request: {set: {x-all: "yes"}}}
fault: {abort: {httpStatus: 503, percentage: {value: 0.5}}}
retries: {attempts: 4, retryOn: "connect-failure,refused-stream"}`,
    ),
    {
      kind: 'forward',
      clusters: [
        {
          cluster: cluster('web', 80, 'v1'),
          weight: 9,
          headers: { set: [['x-a', '1']], add: [['X-B', '50%']], remove: ['x-c'] },
        },
        // The only port of api.
        { cluster: cluster('api', 8080), weight: 1, headers: noEdits },
        { cluster: cluster('api', 99), weight: 0, headers: noEdits },
      ],
      headers: { set: [['x-all', 'yes']], add: [], remove: [] },
      abort: { status: 503, share: 5000 },
      connectRetries: 4,
    },
  );
  const retries = (text: string) => {
    const action = actionOf(`${toWeb}\n${text}`);
    return action?.kind === 'forward' ? action.connectRetries : null;
  };
  assert.equal(retries('timeout: 0s'), 2);
  assert.equal(retries('retries: {attempts: 0}'), 0);
  assert.equal(retries('retries: {attempts: 3, retryOn: refused-stream}'), 0);
});

test('rewrites follow the condition that was met', () => {
  const made = routes(`
- name: r
  match: [{uri: {prefix: /a}}, {method: {exact: GET}, uri: {prefix: /a}}, {uri: {exact: /b}}, {uri: {regex: /c.}}, {}]
  rewrite: {uri: /new, authority: other.example:81}
  ${toWeb}`);
  const shape = made.map(({ name, matches, action }) => [
    name,
    matches.length,
    action.kind === 'forward' ? action.path : null,
    action.kind === 'forward' ? action.host : null,
  ]);
  const host = 'other.example:81';
  assert.deepEqual(shape, [
    ['r', 2, { kind: 'prefix', prefix: '/a', value: '/new' }, host],
    ['r', 2, { kind: 'path', value: '/new' }, host],
    ['r', 1, { kind: 'prefix', prefix: '/', value: '/new' }, host],
  ]);
});

test('redirects and replies', () => {
  const cases: [string, HttpAction][] = [
    ['redirect: {uri: /new}', { kind: 'redirect', status: 301, path: { kind: 'path', value: '/new' } }],
    [
      'redirect: {uri: "/new?a=b", redirectCode: 308}',
      { kind: 'redirect', status: 308, path: { kind: 'path', value: '/new?a=b' }, stripQuery: true },
    ],
    [
      'redirect: {authority: a.example, scheme: https}',
      { kind: 'redirect', status: 301, scheme: 'https', host: 'a.example', port: 0 },
    ],
    ['redirect: {authority: "a.example:8443"}', { kind: 'redirect', status: 301, host: 'a.example', port: 8443 }],
    ['redirect: {authority: a.example, port: 81}', { kind: 'redirect', status: 301, host: 'a.example', port: 81 }],
    ['redirect: {scheme: https}', { kind: 'redirect', status: 301, scheme: 'https' }],
    ['redirect: {derivePort: FROM_PROTOCOL_DEFAULT}', { kind: 'redirect', status: 301, port: 0 }],
    [
      'redirect: {scheme: https, derivePort: FROM_REQUEST_PORT}',
      { kind: 'redirect', status: 301, scheme: 'https', port: 80 },
    ],
    ['directResponse: {status: 418}', { kind: 'reply', status: 418, body: '', contentType: 'text/plain' }],
    [
      'directResponse: {status: 200, body: {string: hello}}',
      { kind: 'reply', status: 200, body: 'hello', contentType: 'text/plain' },
    ],
  ];
  for (const [action, expected] of cases) assert.deepEqual(actionOf(action), expected, action);
});

test('an exact host comes before a wildcard, the longer wildcard before the shorter', () => {
  const text = [
    virtualService('hosts: ["*.cluster.local"]\nhttp: [{name: short, redirect: {uri: /}}]', 'a'),
    virtualService('hosts: ["*.shop.svc.cluster.local"]\nhttp: [{name: long, redirect: {uri: /}}]', 'b'),
    virtualService('hosts: [api]\nhttp: [{name: exact, redirect: {uri: /}}]', 'c'),
  ].join('---\n');
  const name = (port: ServicePort) => port.routing?.virtualHosts[0]?.routes.map((route) => route.name);
  assert.deepEqual(name(portOf(text)), ['long']);
  assert.deepEqual(name(portOf(text, 8080, 'api')), ['exact']);
});

test('of two for one host the older is in force, else the first by name', () => {
  const rule = (name: string) => virtualService(`hosts: [web, api]\nhttp: [{name: ${name}, redirect: {uri: /}}]`, name);
  const aged = (name: string, time: string) => rule(name).replace('{name', `{creationTimestamp: "${time}", name`);
  const first = (text: string) => portOf(text).routing?.virtualHosts[0]?.routes[0]?.name;
  assert.equal(first(`${rule('b')}---\n${rule('a')}`), 'a');
  assert.equal(first(`${rule('a')}---\n${aged('b', '2026-01-01T00:00:00Z')}`), 'b');
  assert.equal(first(`${aged('a', '2026-01-02T00:00:00Z')}---\n${aged('b', '2026-01-01T00:00:00Z')}`), 'b');
  const { problems } = meshOf(`${services}---\n${rule('b')}---\n${rule('a')}`);
  assert.deepEqual(
    problems().map((line) => line.replace(/a\.yaml:\d+/g, 'a.yaml')),
    ['web', 'api'].map(
      (host, i) =>
        `KM2008 VirtualService shop/b a.yaml spec.hosts[${i}]: VirtualService shop/a (a.yaml) is for ${host}.shop.svc.cluster.local too, and is in force for it`,
    ),
  );
});

test('HTTP routes are for HTTP ports and ports of no known protocol', () => {
  const text = virtualService(`hosts: [web]\nhttp: [{${toWeb}}]`);
  const ports = [80, 81, 82, 83].map((port) => portOf(text, port));
  assert.deepEqual(
    ports.map(({ mode, routing }) => [mode, routing !== undefined]),
    [
      ['http', true],
      ['http', true],
      ['tcp', false],
      ['detect', true],
    ],
  );
  const host = portOf(text).routing?.virtualHosts[0];
  assert.deepEqual([host?.name, host?.domains], ['web.shop.svc.cluster.local:80', ['*']]);
});

test('hosts of one ServiceEntry share its listener, by Host', () => {
  const entry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: shop}
spec:
  hosts: [a.example, b.example, "*.c.example"]
  addresses: [240.0.0.1]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
---
`;
  const { mesh } = meshOf(entry + virtualService('hosts: [b.example]\nhttp: [{name: r, redirect: {uri: /}}]'));
  const [port] = mesh.services.get('shop/a.example')?.ports ?? [];
  assert.deepEqual(
    port?.routing?.virtualHosts.map(({ domains, routes: list }) => [domains, list.map(({ name }) => name)]),
    [
      [['*'], ['default']],
      [['b.example'], ['r']],
      [['*.c.example'], ['default']],
    ],
  );
  assert.deepEqual(port?.routing?.virtualHosts[2]?.routes[0]?.action, {
    kind: 'forward',
    clusters: [{ cluster: { service: 'shop/*.c.example', port: 80, subset: '' }, weight: 1, headers: noEdits }],
    headers: noEdits,
    connectRetries: 2,
  });
  assert.equal(mesh.services.get('shop/b.example')?.ports[0]?.routing, undefined);
});
