/** What of Envoy's resources is refused, and how the refusal reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HTTPFaultSchema } from '../gen/messages.gen.ts';
import { socket } from '../testing.ts';
import {
  any,
  base,
  endpoint,
  httpFilter,
  type Plane,
  plainWeb,
  prefix,
  route,
  routes80,
  tcpFilter,
  toCluster,
  vhost,
  web,
} from './testing-plane.ts';

/** What is refused, and how the refusal reads. */
const refused: readonly (readonly [string, (plane: Plane) => string | null, RegExp])[] = [
  ['a cluster without a name', (p) => p.cluster(''), /^name: missing/],
  [
    'an unknown cluster type',
    (p) => p.cluster('c', { clusterDiscoveryType: { case: 'type', value: 9 } }),
    /^type: unknown value 9/,
  ],
  [
    'a custom cluster',
    (p) => p.cluster('c', { clusterDiscoveryType: { case: 'clusterType', value: new Uint8Array() } }),
    /^cluster_type: not supported/,
  ],
  ['an unknown policy', (p) => p.cluster('c', { lbPolicy: 77 }), /^lb_policy: unknown value 77/],
  [
    'a policy of another kind',
    (p) => p.cluster('c', { loadBalancingPolicy: {} }),
    /^load_balancing_policy: not supported/,
  ],
  [
    'TLS to a cluster',
    (p) => p.cluster('c', { transportSocket: { name: 'envoy.transport_sockets.tls' } }),
    /^transport_socket.name: .*tls/,
  ],
  [
    'an endpoint without an address',
    (p) => p.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [{}] }] }),
    /^endpoints\[0\].lb_endpoints\[0\]/,
  ],
  ['an endpoint of a name', (p) => p.endpoints(base, 'web.example.com'), /address: "web.example.com" is no IP address/],
  [
    'an endpoint without a port',
    (p) =>
      p.assignment({
        clusterName: base,
        endpoints: [
          { lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: socket('10.0.0.1', 0) } } }] },
        ],
      }),
    /port_value: 0 is no port/,
  ],
  [
    'an unknown health',
    (p) => p.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [endpoint('10.0.0.1', { health: 42 })] }] }),
    /health_status: unknown value 42/,
  ],
  [
    'a weight of nothing',
    (p) => p.assignment({ clusterName: base, endpoints: [{ lbEndpoints: [endpoint('10.0.0.1', { weight: 0 })] }] }),
    /load_balancing_weight: 0/,
  ],
  [
    'dropped overload',
    (p) => p.assignment({ clusterName: base, policy: { dropOverloads: [new Uint8Array()] } }),
    /^policy.drop_overloads: not supported/,
  ],
  ['a listener without an address', (p) => p.listener({ name: 'l' }), /^address: missing/],
  [
    'a listener at a pipe',
    (p) => p.listener({ name: 'l', address: { address: { case: 'pipe', value: new Uint8Array() } } }),
    /^address.pipe/,
  ],
  [
    'a UDP listener',
    (p) =>
      p.listener({
        name: 'l',
        address: { address: { case: 'socketAddress', value: { address: '1.1.1.1', protocol: 1 } } },
      }),
    /UDP is not supported/,
  ],
  [
    'a listener without chains',
    (p) => p.listener({ name: 'l', address: socket('10.96.0.1', 80) }),
    /^filter_chains: empty/,
  ],
  [
    'a filter that nobody knows',
    (p) => p.listener({ name: 'l', address: socket('10.96.0.1', 80), filterChains: [{ filters: [{ name: 'lua' }] }] }),
    /filters\[0\]: filter lua/,
  ],
  [
    'a chain by source',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [{ filterChainMatch: { sourcePorts: [1] }, filters: [tcpFilter(toCluster(base))] }],
      }),
    /filter_chain_match.source_ports: not supported/,
  ],
  [
    'an HTTP filter that decides',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [
          {
            filters: [
              httpFilter({
                routeSpecifier: { case: 'rds', value: { routeConfigName: 'r' } },
                httpFilters: [{ name: 'envoy.filters.http.rbac' }],
              }),
            ],
          },
        ],
      }),
    /http_filters\[0\]: envoy.filters.http.rbac/,
  ],
  [
    'scoped routes',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [
          { filters: [httpFilter({ routeSpecifier: { case: 'scopedRoutes', value: new Uint8Array() } })] },
        ],
      }),
    /scoped_routes: not supported/,
  ],
  [
    'a listener that ends TLS',
    (p) =>
      p.listener({
        name: 'l',
        address: socket('10.96.0.1', 80),
        filterChains: [
          { transportSocket: { name: 'envoy.transport_sockets.tls' }, filters: [tcpFilter(toCluster(base))] },
        ],
      }),
    /transport_socket: .*TLS/,
  ],
  [
    'a route without a match',
    (p) => routes80(p, vhost([{ action: { case: 'route', value: toCluster(base) } }])),
    /routes\[0\].match: missing/,
  ],
  ['a route without an action', (p) => routes80(p, vhost([{ match: prefix('/') }])), /routes\[0\]: action is missing/],
  [
    'a cluster by header',
    (p) => routes80(p, vhost([route({ clusterSpecifier: { case: 'clusterHeader', value: 'x' } })])),
    /cluster_header: not supported/,
  ],
  [
    'a regular expression in a rewrite',
    (p) => routes80(p, vhost([route({ ...toCluster(base), regexRewrite: {} })])),
    /route.regex_rewrite: not supported/,
  ],
  ['CORS', (p) => routes80(p, vhost([route({ ...toCluster(base), cors: {} })])), /route.cors: not supported/],
  [
    'a changed answer',
    (p) => routes80(p, vhost([{ ...route(toCluster(base)), responseHeadersToRemove: ['x'] }])),
    /response_headers_to_remove: not supported/,
  ],
  [
    'a header that frames the message',
    (p) =>
      routes80(
        p,
        vhost([
          { ...route(toCluster(base)), requestHeadersToAdd: [{ header: { key: 'Content-Length', value: '1' } }] },
        ]),
      ),
    /Content-Length cannot be changed/,
  ],
  [
    'a line end in a header',
    (p) =>
      routes80(
        p,
        vhost([{ ...route(toCluster(base)), requestHeadersToAdd: [{ header: { key: 'x', value: 'a\r\nb: c' } }] }]),
      ),
    /line ends/,
  ],
  [
    'an operator in a header',
    (p) =>
      routes80(
        p,
        vhost([{ ...route(toCluster(base)), requestHeadersToAdd: [{ header: { key: 'x', value: '%REQ(a)%' } }] }]),
      ),
    /operators are not supported/,
  ],
  [
    'a body for 204',
    (p) =>
      routes80(
        p,
        vhost([
          {
            match: prefix('/'),
            action: {
              case: 'directResponse',
              value: { status: 204, body: { specifier: { case: 'inlineString', value: 'x' } } },
            },
          },
        ]),
      ),
    /status 204 has none/,
  ],
  [
    'an unknown redirect code',
    (p) => routes80(p, vhost([{ match: prefix('/'), action: { case: 'redirect', value: { responseCode: 9 } } }])),
    /response_code: unknown value 9/,
  ],
  ['no domains', (p) => routes80(p, vhost([], { domains: [] })), /virtual_hosts\[0\].domains: empty/],
  [
    'a domain twice',
    (p) => routes80(p, vhost([route(toCluster(base))]), { name: 'b', domains: ['10.96.0.1'], routes: [] }),
    /10.96.0.1 belongs to web/,
  ],
  ['a path with a line end', (p) => routes80(p, vhost([route(toCluster(base), prefix('/a\nb'))])), /match.prefix: /],
  [
    'a delay',
    (p) =>
      routes80(
        p,
        vhost([
          {
            ...route(toCluster(base)),
            typedPerFilterConfig: { 'envoy.filters.http.fault': any(HTTPFaultSchema as never, { delay: {} }) },
          },
        ]),
      ),
    /delay: not supported/,
  ],
  [
    'settings of a filter that decides',
    (p) =>
      routes80(
        p,
        vhost([
          {
            ...route(toCluster(base)),
            typedPerFilterConfig: { 'envoy.filters.http.rbac': any(HTTPFaultSchema as never, {}) },
          },
        ]),
      ),
    /envoy.filters.http.rbac\]: not supported/,
  ],
];
for (const [what, act, reason] of refused) {
  test(`refused with the field, the last good version stays: ${what}`, () => {
    const plane = web();
    plane.world.update();
    assert.match(act(plane) ?? '', reason);
    assert.deepEqual(
      plane.lines.filter((line) => line.startsWith('shop/')),
      [plainWeb],
    );
  });
}
