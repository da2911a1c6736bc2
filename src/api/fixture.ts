/** A small shop in memory behind the admin API, for the tests of the server and of kmeshctl. Nothing in it is random. */
import { KmError } from '../base/errors.ts';
import type { AdminBackend, Mode } from './backend.ts';
import { fixtureClusters, fixtureExplain, fixtureObserve, fixtureRoutes } from './fixture-http.ts';
import type {
  CheckResult,
  ConnectionItem,
  EndpointItem,
  ListenerItem,
  LoggerItem,
  MapItem,
  ServiceItem,
  SourceStatus,
  StatusReport,
  VersionInfo,
  WorkloadItem,
} from './types.ts';

/** The present of the fixture: ages in its tables count from here. */
export const fixtureNow = Date.parse('2026-08-03T12:00:00Z');

const version: VersionInfo = {
  version: '0.1.0',
  gitCommit: '1a2b3c4d5e6f',
  nodeVersion: '26.1.0',
  kernel: '6.18.0-1-amd64',
  schema: '9f86d081',
};

const services: readonly ServiceItem[] = [
  {
    namespace: 'shop',
    name: 'reviews',
    kind: 'Service',
    hostname: 'reviews.shop.svc.cluster.local',
    addresses: ['10.96.0.20', 'fd00:96::20'],
    ports: [
      port('http', 9080, 'TCP', 'reviews.shop.svc.cluster.local', 3, 0),
      port('admin', 9081, 'TCP', 'reviews.shop.svc.cluster.local', 2, 1),
    ],
    policy: 'round-robin',
    affinitySeconds: 0,
    origin: 'shop/reviews.yaml:1',
  },
  {
    namespace: 'shop',
    name: 'dns-echo',
    kind: 'Service',
    hostname: 'dns-echo.shop.svc.cluster.local',
    addresses: ['10.96.0.30'],
    ports: [port('dns', 53, 'UDP', 'dns-echo.shop.svc.cluster.local', 1, 0)],
    policy: 'random',
    affinitySeconds: 10_800,
    origin: 'shop/dns.yaml:1',
  },
  {
    namespace: 'shop',
    name: 'ratings-headless',
    kind: 'Service',
    hostname: 'ratings-headless.shop.svc.cluster.local',
    addresses: [],
    ports: [],
    policy: 'random',
    affinitySeconds: 0,
    origin: 'shop/ratings.yaml:20',
  },
  {
    namespace: 'default',
    name: 'payments',
    kind: 'ServiceEntry',
    hostname: 'pay.example.com',
    addresses: ['198.51.100.7', '198.51.100.8', '198.51.100.9', '198.51.100.10'],
    ports: [port('tls', 443, 'TCP', 'pay.example.com', 0, 2)],
    policy: 'random',
    affinitySeconds: 0,
    origin: 'payments.yaml:3',
  },
];

function port(name: string, number: number, protocol: string, hostname: string, endpoints: number, unready: number) {
  return { name, port: number, protocol, cluster: `outbound|${number}||${hostname}`, endpoints, unready };
}

const workloads: readonly WorkloadItem[] = [
  workload('shop', 'reviews-v1', ['10.244.1.11', 'fd00:244::11'], 'enrolled', { app: 'reviews', version: 'v1' }),
  workload('shop', 'reviews-v2', ['10.244.1.12'], 'pending: no network namespace reviews-v2', {
    app: 'reviews',
    version: 'v2',
    canary: '',
  }),
  workload('shop', 'frontend', ['10.244.1.10'], 'enrolled', { app: 'frontend', tier: 'web' }),
  {
    ...workload('default', 'db-vm', ['192.0.2.40'], 'not enrolled', {}),
    kind: 'WorkloadEntry',
    ready: false,
    node: null,
    netns: null,
  },
];

function workload(
  namespace: string,
  name: string,
  addresses: readonly string[],
  mesh: string,
  labels: Readonly<Record<string, string>>,
): WorkloadItem {
  return {
    namespace,
    name,
    kind: 'Pod',
    addresses,
    serviceAccount: 'default',
    node: 'node-1',
    ready: true,
    mesh,
    devices: mesh === 'enrolled' ? [`veth-${name}`] : [],
    netns: `/run/netns/${name}`,
    labels,
    origin: `${namespace}/${name}.yaml:1`,
  };
}

const endpoints: readonly EndpointItem[] = [
  endpoint('reviews-v2', '10.244.1.12', 1, 10_000, 3, 9_437_184, 1_234),
  endpoint('reviews-v1', '10.244.1.11', 8, 80_123, 12, 5_497_558_138_880, 84),
  { ...endpoint(null, 'fd00:244::99', 1, 0, 0, 0, null), connectionsFailed: 4 },
  {
    ...endpoint(null, '203.0.113.5', 1, 1, 0, 700, 23_456),
    namespace: 'default',
    service: 'payments',
    cluster: 'outbound|443||pay.example.com',
    port: 443,
  },
];

function endpoint(
  name: string | null,
  address: string,
  weight: number,
  opened: number,
  active: number,
  sent: number,
  srttUs: number | null,
): EndpointItem {
  return {
    namespace: 'shop',
    service: 'reviews',
    cluster: 'outbound|9080||reviews.shop.svc.cluster.local',
    address,
    port: 9080,
    protocol: 'TCP',
    weight,
    locality: name === null ? null : 'eu-west/a',
    workload: name === null ? null : `Kubernetes//Pod/shop/${name}`,
    connectionsOpened: opened,
    connectionsActive: active,
    connectionsFailed: 0,
    requests: active * 100,
    datagrams: 0,
    sentBytes: sent,
    receivedBytes: Math.floor(sent / 2),
    retransmits: opened % 7,
    srttUs,
  };
}

const listeners: readonly ListenerItem[] = [
  listener('shop', 'reviews', '10.96.0.20', 9080, 'reviews.shop.svc.cluster.local', 'round-robin', 3, 0),
  listener('shop', 'reviews', 'fd00:96::20', 9080, 'reviews.shop.svc.cluster.local', 'round-robin', 3, 0),
  listener('default', 'payments', '198.51.100.7', 443, 'pay.example.com', 'random', 0, 17),
];

function listener(
  namespace: string,
  service: string,
  address: string,
  number: number,
  hostname: string,
  policy: string,
  count: number,
  refused: number,
): ListenerItem {
  const cluster = `outbound|${number}||${hostname}`;
  return { namespace, service, address, port: number, protocol: 'TCP', cluster, policy, endpoints: count, refused };
}

const connections: readonly ConnectionItem[] = [
  {
    direction: 'outbound',
    namespace: 'shop',
    workload: 'frontend',
    local: '10.244.1.10:41978',
    destination: '10.96.0.20:9080',
    remote: '10.244.1.11:9080',
    service: 'shop/reviews',
    remoteWorkload: 'shop/reviews-v1',
    state: 'ESTABLISHED',
    sentBytes: 1_536,
    receivedBytes: 2_097_152,
    retransmits: 2,
    srttUs: 412,
    ageSeconds: 3_725,
  },
  {
    direction: 'inbound',
    namespace: 'shop',
    workload: 'reviews-v1',
    local: '10.244.1.11:9080',
    destination: '10.244.1.11:9080',
    remote: '10.244.1.10:41978',
    service: null,
    remoteWorkload: null,
    state: 'CLOSE_WAIT',
    sentBytes: 0,
    receivedBytes: 90,
    retransmits: 0,
    srttUs: 1_050,
    ageSeconds: 5,
  },
];

const maps: readonly MapItem[] = [
  map('km_endpoint', 'array', 96_000, 100_000, '--max-endpoints', 6_400_000),
  map('km_listener', 'hash', 3, 65_536, '--max-listeners', 4_194_304),
  map('km_stats', 'percpu_array', 1, 1, null, 512),
];

function map(name: string, type: string, entries: number, max: number, setting: string | null, bytes: number): MapItem {
  return { name, type, entries, maxEntries: max, setting, memoryBytes: bytes };
}

const checks: readonly CheckResult[] = [
  check('kernel', 'bpf(2) can load programs', 'success'),
  check('kernel', 'links for sk_msg programs (Linux 6.12)', 'warning', 'not in Linux 6.1', 'only layer 7 needs them'),
  check('cgroup', 'cgroup v2 is mounted', 'error', 'no mount of type cgroup2', 'mount -t cgroup2 none /sys/fs/cgroup'),
];

function check(
  category: string,
  description: string,
  result: CheckResult['result'],
  error: string | null = null,
  hint: string | null = null,
): CheckResult {
  return { category, description, result, error, hint };
}

const filesSource: SourceStatus = {
  name: 'files',
  location: '/etc/kmesh/config',
  synced: true,
  objects: 42,
  lastChange: '2026-08-03T11:55:30Z',
  error: null,
};

/** What a test can change; everything else stays the shop. */
export interface FixtureState {
  readonly mode: Mode;
  readonly pending: readonly string[];
  readonly services: readonly ServiceItem[];
  readonly workloads: readonly WorkloadItem[];
  readonly endpoints: readonly EndpointItem[];
  readonly connections: readonly ConnectionItem[];
  readonly maps: readonly MapItem[];
  readonly checks: readonly CheckResult[];
  readonly problems: StatusReport['problems'];
  readonly differences: readonly string[];
  readonly source: SourceStatus;
  readonly loggers: readonly LoggerItem[];
  readonly configDump: unknown;
  readonly kernelDump: unknown;
  /** Thrown by every method that lists or reports. */
  readonly fail: Error | null;
}

const initial: FixtureState = {
  mode: 'kernel-native',
  pending: [],
  services,
  workloads,
  endpoints,
  connections,
  maps: maps.slice(1),
  checks: checks.slice(0, 1),
  problems: [],
  differences: [],
  source: filesSource,
  loggers: [
    { name: 'default', level: 'info' },
    { name: 'bpf', level: 'info' },
  ],
  configDump: { services: [{ name: 'reviews', on: 'yes' }], workloads: [] },
  kernelDump: { km_listener: [{ address: '10.96.0.20', port: 9080 }] },
  fail: null,
};

/** Things that are wrong, for the tables that show them. */
export const fixtureTrouble = {
  maps,
  checks,
  problems: [
    {
      severity: 'error',
      code: 'KM1004',
      kind: 'Service',
      namespace: 'shop',
      name: 'reviews',
      file: '/etc/kmesh/config/reviews.yaml',
      line: 12,
      field: 'spec.ports[0].port',
      reason: '"http" is not a number from 1 to 65535',
      lastGoodInForce: true,
    },
    {
      severity: 'warning',
      code: 'KM1002',
      kind: 'Pod',
      namespace: 'shop',
      name: 'frontend',
      file: '/etc/kmesh/config/frontend.yaml',
      line: 3,
      field: 'spec.colour',
      reason: 'unknown field',
      lastGoodInForce: false,
    },
  ],
  differences: ['km_endpoint[17]: want 10.244.1.11:9080, have 10.244.1.9:9080'],
} as const satisfies Partial<FixtureState>;

export interface FixtureBackend extends AdminBackend {
  /** Settings that were changed, one line each, in order. */
  readonly calls: readonly string[];
  set(change: Partial<FixtureState>): void;
  reset(): void;
}

/** A backend over {@link FixtureState}; its methods need no `this`. */
export function fixtureBackend(): FixtureBackend {
  let state = initial;
  const calls: string[] = [];
  const read =
    <T>(pick: () => T) =>
    async (): Promise<T> => {
      if (state.fail !== null) throw state.fail;
      return pick();
    };
  const ready = () => ({ ready: state.pending.length === 0, pending: state.pending });
  return {
    get mode() {
      return state.mode;
    },
    calls,
    set: (change) => {
      state = { ...state, ...change };
    },
    reset: () => {
      state = initial;
      calls.length = 0;
    },
    version: read(() => version),
    ready: read(ready),
    status: read(() => ({
      version,
      uptimeSeconds: 11_532,
      mode: state.mode,
      ...ready(),
      sources: [state.source],
      problems: state.problems,
      counts: { services: 4, workloads: 4, enrolled: 2, endpoints: 4, listeners: 3 },
      kernel: {
        inSync: state.differences.length === 0,
        differences: state.differences,
        hooks: ['cgroup/connect4', 'cgroup/connect6', 'sockops'],
        devices: 2,
        throughStack: 'nftables',
      },
      maps: state.maps,
    })),
    checks: read(() => state.checks),
    services: read(() => state.services),
    workloads: read(() => state.workloads),
    endpoints: read(() => state.endpoints),
    listeners: read(() => listeners),
    routes: read(() => fixtureRoutes),
    clusters: read(() => fixtureClusters),
    explain: async (query) => {
      calls.push(`explain ${JSON.stringify(query)}`);
      return fixtureExplain(query);
    },
    observe: fixtureObserve,
    connections: read(() => state.connections),
    maps: read(() => state.maps),
    sources: read(() => [state.source]),
    configDump: read(() => state.configDump),
    ztunnelDump: read(() => state.configDump),
    kernelDump: read(() => state.kernelDump),
    loggers: read(() => state.loggers),
    setLogger: async (name, level) => {
      if (!['error', 'warn', 'info', 'debug'].includes(level)) throw new KmError('KM5003', `no level "${level}"`);
      calls.push(`logger ${name} ${level}`);
      state = { ...state, loggers: state.loggers.map((item) => (item.name === name ? { name, level } : item)) };
    },
    setAccessLog: async (enable, format) => {
      calls.push(`accesslog ${enable} ${format}`);
    },
    setMonitoring: async (enable) => {
      calls.push(`monitoring ${enable}`);
    },
  };
}
