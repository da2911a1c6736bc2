/**
 * `xds-plane.ts MODE VIP SERVER`: a control plane of ten thousand services of ten endpoints at 127.0.0.1:15010, and one more at
 * VIP:80 with SERVER:8080 as its endpoint. MODE is `dual-engine` or `kernel-native`. Prints `ready`; a line `SECONDS RATE` on
 * stdin changes that many endpoints a second, in ticks of 20 ms, and prints `churned N acks A nacks B` at the end.
 */
import { createInterface } from 'node:readline';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  HttpConnectionManagerSchema,
  IstioAddressSchema,
  ListenerSchema,
  RouteConfigurationSchema,
} from '../../src/source/xds/gen/messages.gen.ts';
import { anyOf, HoldingControlPlane, socket } from '../../src/source/xds/testing.ts';
import { addressType, clusterType, endpointType, listenerType, routeType } from '../../src/source/xds/type-urls.ts';

export const services = 10_000;
const endpoints = 10;
const tickMs = 20;

const [mode = '', vip = '', server = ''] = process.argv.slice(2);
const plane = await HoldingControlPlane.start('127.0.0.1', 15010);
const bytes = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));
const addressOf = (first: number, n: number): string => `10.${first + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
const hostOf = (i: number): string => `svc-${i}.scale-${i % 100}.svc.cluster.local`;
const keyOf = (i: number): string => `scale-${i % 100}/${hostOf(i)}`;
const clusterOf = (host: string): string => `outbound|80||${host}`;
/** Endpoint j of service i, in its generation. */
const endpointOf = (i: number, j: number, generation = 0): string =>
  addressOf(128 + 2 * (generation % 8), i * endpoints + j);

function service(key: string, address: string): void {
  const [namespace = '', hostname = ''] = key.split('/');
  const value = {
    name: hostname.split('.')[0] ?? '',
    namespace,
    hostname,
    addresses: [{ address: bytes(address) }],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 1 }],
  };
  plane.put(key, anyOf(IstioAddressSchema, { type: { case: 'service', value } } as never));
}

function workload(key: string, name: string, address: string): void {
  const namespace = key.split('/')[0] ?? '';
  const uid = `Kubernetes//Pod/${namespace}/${name}`;
  const value = {
    uid,
    name,
    namespace,
    addresses: [bytes(address)],
    serviceAccount: 'default',
    node: `node-${name.length % 7}`,
    canonicalName: name,
    workloadName: name.replace(/-[0-9]+$/, ''),
    clusterId: 'Kubernetes',
    services: { [key]: { ports: [{ servicePort: 80, targetPort: 8080 }] } },
  };
  plane.put(uid, anyOf(IstioAddressSchema, { type: { case: 'workload', value } } as never));
}

function assignment(host: string, addresses: readonly string[]): void {
  const lbEndpoints = addresses.map((address) => ({
    hostIdentifier: { case: 'endpoint', value: { address: socket(address, 8080) } },
    healthStatus: 1,
    loadBalancingWeight: 1,
  }));
  const clusterName = clusterOf(host);
  plane.put(clusterName, anyOf(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ lbEndpoints }] } as never));
}

function cluster(host: string): void {
  const type = { clusterDiscoveryType: { case: 'type', value: 3 }, lbPolicy: 1 };
  plane.put(clusterOf(host), anyOf(ClusterSchema, { name: clusterOf(host), edsClusterConfig: {}, ...type } as never));
}

function virtualHost(host: string, address: string): object {
  const to = { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: clusterOf(host) } } };
  const route = { match: { pathSpecifier: { case: 'prefix', value: '/' } }, action: to };
  return { name: `${host}:80`, domains: [host, address], routes: [route] };
}

const liveKey = 'scale-0/live.scale-0.svc.cluster.local';
const liveHost = liveKey.split('/')[1] ?? '';
if (mode === 'dual-engine') {
  service(liveKey, vip);
  workload(liveKey, 'live', server);
  for (let i = 0; i < services; i++) {
    service(keyOf(i), addressOf(64, i + 256));
    for (let j = 0; j < endpoints; j++) workload(keyOf(i), `svc-${i}-${j}`, endpointOf(i, j));
  }
} else {
  const virtualHosts = [virtualHost(liveHost, vip)];
  cluster(liveHost);
  assignment(liveHost, [server]);
  for (let i = 0; i < services; i++) {
    const host = hostOf(i);
    cluster(host);
    assignment(
      host,
      Array.from({ length: endpoints }, (_, j) => endpointOf(i, j)),
    );
    virtualHosts.push(virtualHost(host, addressOf(64, i + 256)));
  }
  plane.put('80', anyOf(RouteConfigurationSchema, { name: '80', virtualHosts } as never));
  const manager: Any = anyOf(HttpConnectionManagerSchema, {
    routeSpecifier: { case: 'rds', value: { routeConfigName: '80' } },
  } as never);
  const filters = [{ name: 'http', configType: { case: 'typedConfig', value: manager } }];
  const listener = { name: '0.0.0.0_80', address: socket('0.0.0.0', 80), filterChains: [{ filters }] };
  plane.put(listener.name, anyOf(ListenerSchema, listener as never));
}
plane.push(addressType, clusterType, endpointType, listenerType, routeType);
console.log('ready');

/** One endpoint of another service each time gets another address. */
function change(n: number): void {
  const i = n % services;
  const generation = 1 + Math.floor(n / services);
  if (mode === 'dual-engine') workload(keyOf(i), `svc-${i}-0`, endpointOf(i, 0, generation));
  else {
    assignment(
      hostOf(i),
      Array.from({ length: endpoints }, (_, j) => endpointOf(i, j, j === 0 ? generation : 0)),
    );
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [seconds = 0, rate = 0] = line.split(' ').map(Number);
  const from = performance.now();
  let done = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(seconds * rate, Math.floor(((performance.now() - from) / 1000) * rate));
      for (; done < due; done++) change(done);
      plane.push(mode === 'dual-engine' ? addressType : endpointType);
      if (done < seconds * rate) return;
      clearInterval(timer);
      resolve();
    }, tickMs);
  });
  const nacks = plane.answers.filter(({ nack }) => nack !== null).length;
  console.log(`churned ${done} acks ${plane.answers.length - nacks} nacks ${nacks}`);
}
