/**
 * What a broken or hostile control plane may push, in both dialects, beside a service `shop/web` that carries traffic. Each is
 * to be answered by a NACK, or told in the log, with the name of the resource and the field.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import {
  AuthorizationSchema,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  IstioAddressSchema,
  ListenerSchema,
  RouteConfigurationSchema,
} from './gen/messages.gen.ts';
import { anyOf, socket } from './testing.ts';
import * as types from './type-urls.ts';

/** Something that a control plane does on its stream: bytes in base64, also with many zeros in their middle. */
export type Step =
  | { readonly send: string }
  | { readonly before: string; readonly zeros: number; readonly after: string }
  | { readonly end: true }
  | { readonly fail: number };

/** What a step sends; null: it ends the stream. */
export function bytesOf(step: Step): Buffer | null {
  if ('send' in step) return Buffer.from(step.send, 'base64');
  if (!('before' in step)) return null;
  const { before, zeros, after } = step;
  return Buffer.concat([Buffer.from(before, 'base64'), Buffer.alloc(zeros), Buffer.from(after, 'base64')]);
}

export interface Hostile {
  readonly what: string;
  readonly steps: readonly Step[];
  /** Answered with this nonce by a NACK that fits. */
  readonly nack?: { readonly nonce: string; readonly text: RegExp };
  /** Or in the daemon's log. */
  readonly log?: RegExp;
  /** The stream is over with it. */
  readonly ends?: true;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
interface Sent {
  readonly bytes: Uint8Array;
  readonly step: Step;
  readonly nonce: string;
}

const sent = (bytes: Uint8Array, nonce: string): Sent => ({
  ...{ bytes, nonce },
  get step() {
    return { send: base64(bytes) };
  },
});
const raw = (...bytes: readonly number[]): Step => ({ send: base64(Uint8Array.from(bytes)) });
const garbage = (typeUrl: string): Any => create(AnySchema, { typeUrl, value: Uint8Array.of(0xff, 0xff, 0xff) });

export const web = 'shop/web.shop.svc.cluster.local';

/** A service of the workload API, `shop/web` unless it says otherwise. */
export const service = (vip: string, init: object = {}): Any =>
  anyOf(IstioAddressSchema, {
    type: {
      case: 'service',
      value: {
        ...{ name: 'web', namespace: 'shop', hostname: 'web.shop.svc.cluster.local' },
        addresses: [{ address: Uint8Array.from(vip.split('.').map(Number)) }],
        ports: [{ servicePort: 80, targetPort: 8080 }],
        ...init,
      } as never,
    },
  });

/** A workload of the workload API. */
export const workload = (init: object): Any =>
  anyOf(IstioAddressSchema, {
    type: { case: 'workload', value: { name: 'bad', namespace: 'shop', ...init } as never },
  });

/** By the workload API. */
export function deltaPushes(vip: string): readonly Hostile[] {
  const good = service(vip);
  let nonces = 0;
  const send = (fields: object): Sent => {
    nonces += 1;
    const nonce = `h${nonces}`;
    const response = create(DeltaDiscoveryResponseSchema, { typeUrl: types.addressType, nonce, ...fields } as never);
    return sent(toBinary(DeltaDiscoveryResponseSchema, response), nonce);
  };
  const nacked = (what: string, fields: object, text: RegExp): Hostile => {
    const { step, nonce } = send(fields);
    return { what, steps: [step], nack: { nonce, text } };
  };
  const logged = (what: string, fields: object, log: RegExp): Hostile => ({ what, steps: [send(fields).step], log });
  const named = (name: string, resource: Any | undefined) => ({
    resources: [{ name, version: 'x', ...(resource === undefined ? {} : { resource }) }],
  });
  const one = (resource: Any | undefined) => named(web, resource);
  const bad = (what: string, init: object, text: RegExp): Hostile => nacked(what, one(service(vip, init)), text);
  const uid = 'Kubernetes//Pod/shop/bad';
  const badWorkload = (what: string, init: object, text: RegExp): Hostile =>
    nacked(what, named(uid, workload({ uid, ...init })), text);
  const policy = (what: string, resource: Any, text: RegExp): Hostile =>
    nacked(what, { typeUrl: types.authorizationType, ...named('shop/bad', resource) }, text);
  const twice = send({ ...one(good), nonce: 'same' }).step;
  const ports = (...list: readonly object[]) => ({ ports: list });
  const itself = { destination: { case: 'hostname', value: { namespace: 'shop', hostname: web.slice(5) } } };
  return [
    logged('a type that nobody asked for', { ...one(good), typeUrl: types.clusterType }, /nobody asked for.*Cluster/),
    logged('a response without a type', { ...one(good), typeUrl: '' }, /nobody asked for/),
    nacked(
      'a resource of another type',
      one(anyOf(AuthorizationSchema, {})),
      /web.*resource.type_url: .*Authorization/,
    ),
    nacked('bytes that are no message', one(garbage(types.addressType)), /web.*cannot be read/),
    nacked(
      'a cut message',
      one(create(AnySchema, { ...good, value: good.value.subarray(0, 20) })),
      /web.*cannot be read/,
    ),
    nacked('no resource', one(undefined), /web.*resource: missing/),
    nacked('an empty resource', one(create(AnySchema, { typeUrl: types.addressType })), /web.*type: neither/),
    nacked('another name than its own', named('shop/other', good), /shop\/other: service: its name is/),
    nacked('no name', named('', good), /service: its name is/),
    nacked('sent and removed at once', { ...one(good), removedResources: [web] }, /web.*both sent and removed/),
    nacked(
      'one name twice',
      { resources: [...one(good).resources, ...one(service('10.96.9.9')).resources] },
      /web.*named twice/,
    ),
    logged('no nonce', { ...one(good), nonce: '' }, /no nonce of its own type=WDS nonce=(""|$)/),
    { what: 'the same nonce twice', steps: [twice, twice], log: /no nonce of its own.*nonce=same/ },
    bad('port 0', ports({ servicePort: 0 }), /web.*ports\[0\].service_port: 0 is no port/),
    bad('port 99999', ports({ servicePort: 99_999 }), /web.*ports\[0\].service_port: 99999 is no port/),
    bad(
      'a port twice',
      ports({ servicePort: 80 }, { servicePort: 80, targetPort: 1 }),
      /web.*ports\[1\].service_port: 80 is there/,
    ),
    bad('an unknown protocol', ports({ servicePort: 80, appProtocol: 99 }), /web.*app_protocol: unknown value 99/),
    bad('an unknown balancing', { loadBalancing: { mode: 9 } }, /web.*load_balancing.mode: unknown value 9/),
    bad(
      'an unknown scope',
      { loadBalancing: { mode: 1, routingPreference: [42] } },
      /web.*routing_preference\[0\]: unknown value 42/,
    ),
    bad('an address of 5 bytes', { addresses: [{ address: new Uint8Array(5) }] }, /web.*addresses\[0\].*not 5/),
    logged(
      'a service that is to be reached through itself',
      one(service(vip, { waypoint: { ...itself, hboneMtlsPort: 15_008 } })),
      /KM1042 Service shop\/web .*service.waypoint: .*passed by/,
    ),
    badWorkload('an unknown state', { status: 9 }, /bad.*status: unknown value 9/),
    badWorkload('a workload of another uid', { uid: 'other' }, /bad.*workload.uid: it is other/),
    badWorkload('a workload of no service', { services: { web: { ports: [] } } }, /bad.*services\[web\]/),
    badWorkload('an address of 3 bytes', { addresses: [new Uint8Array(3)] }, /bad.*addresses\[0\].*not 3/),
    policy(
      'a policy with a field that nobody knows',
      create(AnySchema, {
        typeUrl: types.authorizationType,
        value: Uint8Array.from([
          ...toBinary(AuthorizationSchema, create(AuthorizationSchema, { namespace: 'shop', name: 'bad' })),
          ...[0xf8, 0x07, 0x01],
        ]),
      }),
      /shop\/bad: field 127: not known/,
    ),
    policy('a policy under another name', anyOf(AuthorizationSchema, { name: 'x' }), /shop\/bad: name: it is/),
    nacked(
      '5 000 bad ones',
      { resources: Array.from({ length: 5000 }, (_, i) => named(`shop/h${i}`, good).resources[0]) },
      /and \d+ more/,
    ),
    large('100 MB in one resource', (zeros) => send(one(withZeros(good, zeros))), /web.*cannot be read/),
    {
      what: 'bytes that are no response',
      steps: [raw(0xff, 0xff, 0xff, 0xff)],
      log: /a response cannot be read/,
      ends: true,
    },
    { what: 'the end of the stream', steps: [{ end: true }], log: /the stream ended.*ended the stream/, ends: true },
    {
      what: 'a stream that fails',
      steps: [{ fail: 13 }],
      log: /the stream ended.*INTERNAL: the script says so/,
      ends: true,
    },
  ];
}

/** What a state-of-the-world control plane holds; hostile pushes of whole types come with it. */
export interface Good {
  readonly clusters: readonly Any[];
  readonly listeners: readonly Any[];
  /** Name of a cluster, and one of a route configuration with the routes that it has. */
  readonly cluster: string;
  readonly routes: { readonly name: string; readonly virtualHosts: readonly object[] };
}

/** By Envoy's resources. */
export function sotwPushes(good: Good): readonly Hostile[] {
  let nonces = 0;
  const send = (typeUrl: string, resources: readonly Any[], fields: object = {}) => {
    nonces += 1;
    const nonce = `h${nonces}`;
    const response = { typeUrl, versionInfo: nonce, nonce, resources, ...fields };
    const bytes = toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, response as never));
    return sent(bytes, nonce);
  };
  const nacked = (what: string, { step, nonce }: Sent, text: RegExp): Hostile => ({
    ...{ what, steps: [step], nack: { nonce, text } },
  });
  const { clusters, listeners } = good;
  const cluster = (what: string, init: object, text: RegExp): Hostile => {
    const bad = anyOf(ClusterSchema, {
      name: 'bad',
      clusterDiscoveryType: { case: 'type', value: 3 },
      edsClusterConfig: {},
      ...init,
    } as never);
    return nacked(what, send(types.clusterType, [...clusters, bad]), text);
  };
  const address = (port: number) => socket('10.9.9.9', port);
  const endpoint = (what: string, rest: object, text: RegExp, at: object = { address: address(80) }): Hostile => {
    const lbEndpoints = [{ hostIdentifier: { case: 'endpoint', value: at }, ...rest }];
    const bad = { clusterName: good.cluster, endpoints: [{ lbEndpoints }] };
    return nacked(what, send(types.endpointType, [anyOf(ClusterLoadAssignmentSchema, bad as never)]), text);
  };
  const listener = (what: string, init: object, text: RegExp): Hostile => {
    const bad = anyOf(ListenerSchema, { name: 'bad', address: address(81), ...init } as never);
    return nacked(what, send(types.listenerType, [...listeners, bad]), text);
  };
  const routes = (host: object) => {
    const virtualHosts = [...good.routes.virtualHosts, { name: 'bad', domains: ['bad.example'], ...host }];
    return send(types.routeType, [anyOf(RouteConfigurationSchema, { name: good.routes.name, virtualHosts } as never)]);
  };
  const route = (what: string, init: object, text: RegExp): Hostile => nacked(what, routes({ routes: [init] }), text);
  const match = { pathSpecifier: { case: 'prefix', value: '/' } };
  const to = (name: string) => ({ case: 'route', value: { clusterSpecifier: { case: 'cluster', value: name } } });
  const twice = send(types.clusterType, clusters, { nonce: 'same' }).step;
  const header = (value: string) => ({ requestHeadersToAdd: [{ header: { key: 'x', value } }] });
  const tls = { transportSocket: { name: 'envoy.transport_sockets.tls' } };
  return [
    {
      what: 'a type that nobody asked for',
      steps: [send('type.googleapis.com/envoy.config.route.v3.X', []).step],
      log: /nobody asked for.*route.v3.X/,
    },
    nacked('clusters among the endpoints', send(types.endpointType, clusters), /resources\[0\]: type_url: .*Cluster/),
    nacked(
      'bytes that are no cluster',
      send(types.clusterType, [...clusters, garbage(types.clusterType)]),
      /resources\[\d+\]: cannot be read/,
    ),
    nacked('a cluster twice', send(types.clusterType, [...clusters, ...clusters.slice(0, 1)]), /named twice/),
    {
      what: 'no nonce',
      steps: [send(types.clusterType, clusters, { nonce: '' }).step],
      log: /no nonce of its own type=CDS nonce=(""|$)/,
    },
    { what: 'the same nonce twice', steps: [twice, twice], log: /no nonce of its own.*nonce=same/ },
    cluster('an unknown policy', { lbPolicy: 77 }, /bad: lb_policy: unknown value 77/),
    cluster('an unknown type', { clusterDiscoveryType: { case: 'type', value: 9 } }, /bad: type: unknown value 9/),
    cluster(
      'a cluster that is made of itself',
      { clusterDiscoveryType: { case: 'clusterType', value: new Uint8Array() } },
      /bad: cluster_type: not supported/,
    ),
    cluster('TLS to a cluster', tls, /bad: transport_socket.name/),
    nacked(
      'a cluster without a name',
      send(types.clusterType, [...clusters, anyOf(ClusterSchema, {})]),
      /name: missing/,
    ),
    endpoint('an unknown health', { healthStatus: 42 }, /health_status: unknown value 42/),
    endpoint('a weight of nothing', { loadBalancingWeight: 0 }, /load_balancing_weight: 0/),
    endpoint('an endpoint without a port', {}, /port_value: 0 is no port/, { address: address(0) }),
    endpoint('an endpoint that is a pipe', {}, /pipe: not supported/, {
      address: { address: { case: 'pipe', value: new Uint8Array() } },
    }),
    listener('a listener without chains', {}, /bad: filter_chains: empty/),
    listener(
      'an unknown filter',
      { filterChains: [{ filters: [{ name: 'lua' }] }] },
      /bad: .*filters\[0\]: filter lua/,
    ),
    listener('a listener that ends TLS', { filterChains: [{ ...tls, filters: [] }] }, /bad: filter_chains\[0\]/),
    listener('a listener without an address', { address: undefined }, /bad: address: missing/),
    route('a route without a match', { action: to(good.cluster) }, /routes\[0\].match: missing/),
    route('a route without an action', { match }, /routes\[0\]: action is missing/),
    {
      what: 'a regular expression that is none',
      steps: [
        routes({
          domains: ['10.9.9.2'],
          routes: [
            { match: { pathSpecifier: { case: 'safeRegex', value: { regex: '(' } } }, action: to(good.cluster) },
          ],
        }).step,
      ],
      log: /KM3010 .*route bad\.0: regular expression "\("/,
    },
    route(
      'an unknown redirect',
      { match, action: { case: 'redirect', value: { responseCode: 9 } } },
      /response_code: unknown value 9/,
    ),
    route('a line end in a header', { match, action: to(good.cluster), ...header('a\r\nb: c') }, /line ends/),
    nacked('a host without domains', routes({ domains: [], routes: [] }), /domains: empty/),
    {
      what: 'a route to a cluster that is not there',
      steps: [routes({ domains: ['10.9.9.1'], routes: [{ match, action: to('outbound|80||nowhere.shop') }] }).step],
      log: /KM1042 CDS outbound\|80\|\|nowhere.shop .*it is not there/,
    },
    large(
      '100 MB in one cluster',
      (zeros) => send(types.clusterType, [...clusters, withZeros(garbage(types.clusterType), zeros)]),
      /resources\[\d+\]: cannot be read/,
    ),
    { what: 'half a response', steps: [raw(0x12, 0x7f, 0x01)], log: /a response cannot be read/, ends: true },
    { what: 'the end of the stream', steps: [{ end: true }], log: /the stream ended.*ended the stream/, ends: true },
    {
      what: 'a stream that fails',
      steps: [{ fail: 13 }],
      log: /the stream ended.*INTERNAL: the script says so/,
      ends: true,
    },
  ];
}

const hundred = 100 * 1024 * 1024;
const marker = Buffer.from('the zeros go here');

/** A resource of so many zeros, with a mark at their beginning. */
function withZeros({ typeUrl }: Any, zeros: number): Any {
  const value = Buffer.alloc(zeros);
  marker.copy(value);
  return create(AnySchema, { typeUrl, value });
}

/** The zeros are made where they are sent. */
function large(what: string, make: (zeros: number) => Sent, text: RegExp): Hostile {
  const { bytes, nonce } = make(hundred);
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(marker);
  const [before, after] = [base64(bytes.subarray(0, at)), base64(bytes.subarray(at + hundred))];
  return { what, steps: [{ before, zeros: hundred, after }], nack: { nonce, text } };
}
