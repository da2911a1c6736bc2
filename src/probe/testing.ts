/** A small mesh and its names, for the tests of this folder. */
import { addressToWords } from '../base/address.ts';
import { clusterId, workloadId } from '../compile/service.ts';
import { type KmEvent, kmDirection, kmReason } from '../kernel/gen/layout.gen.ts';
import type { Service, ServicePort, Workload } from '../model/types.ts';
import { Names } from './names.ts';

const origin = { source: 'files', file: 'shop.yaml', line: 1 };

export const workload = (name: string, address: string, labels: Readonly<Record<string, string>> = {}): Workload => ({
  uid: `Kubernetes//Pod/shop/${name}`,
  kind: 'Pod',
  namespace: 'shop',
  name,
  serviceAccount: name,
  labels,
  owner: name.replace(/-[0-9]+$/, ''),
  addresses: [address],
  ready: true,
  enrolled: true,
  hostNetwork: false,
  origin,
});

export const frontend = workload('frontend-1', '10.0.0.1', { app: 'frontend', version: 'v1' });
export const reviews = workload('reviews-1', '10.0.0.2', { 'service.istio.io/canonical-name': 'reviews-canonical' });

const port: ServicePort = {
  name: 'http',
  port: 80,
  protocol: 'TCP',
  endpoints: [],
  unready: 0,
  policy: { balance: 'random', perConnection: false, connectTimeoutMs: 0 },
  mode: 'tcp',
  subsets: [],
};

export const service: Service = {
  key: 'shop/reviews.shop.svc.cluster.local',
  kind: 'Service',
  namespace: 'shop',
  name: 'reviews',
  hostname: 'reviews.shop.svc.cluster.local',
  addresses: ['10.96.0.1'],
  ports: [port],
  affinitySeconds: 0,
  origin,
};

export const cluster = clusterId(service, port, 4);

/** Names of the small mesh; time is what `clock` says. */
export function namesOf(clock: { now: number }): Names {
  const names = new Names(() => clock.now);
  const workloads = new Map([frontend, reviews].map((w) => [w.uid, w]));
  const services = new Map([[service.key, service]]);
  names.update({ workloads, services }, { workloads: new Set(workloads.keys()), services: new Set(services.keys()) });
  return names;
}

/** A connection of the frontend to reviews by its service address. */
export const event = (change: Partial<KmEvent> = {}): KmEvent => ({
  timeNs: 3_500_000_000n,
  startNs: 1_000_000_000n,
  source: workloadId(frontend.uid),
  destination: workloadId(reviews.uid),
  cluster,
  sentBytes: 74n,
  receivedBytes: 134n,
  localAddr: addressToWords('10.0.0.1'),
  askedAddr: addressToWords('10.96.0.1'),
  realAddr: addressToWords('10.0.0.2'),
  localPort: 40000,
  askedPort: 80,
  realPort: 8080,
  direction: kmDirection.OUTBOUND,
  reason: kmReason.NONE,
  retransmits: 1,
  srttUs: 250,
  state: 1,
  ...change,
});
