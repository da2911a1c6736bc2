/** What the daemon can be told: flags, their defaults, and the sizes of the kernel's tables. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Format, isLevel, type Level, levels } from '../base/log.ts';
import type { ObjectKind } from '../model/objects.ts';
import { kindReaders } from '../source/kinds/index.ts';
import { dnsLabelProblem } from '../source/names.ts';
import { addXdsFlags, type XdsSettings, xdsSettings } from './xds-settings.ts';

export interface Settings {
  /** Directory of YAML and JSON objects. */
  readonly config: string | null;
  /** Null: objects are not read from an API server. */
  readonly kubernetes: KubernetesSettings | null;
  /** It is the agent of the Kubernetes node `nodeName`. */
  readonly nodeAgent: boolean;
  /** Directory of files that keep network namespaces. */
  readonly netnsPath: string;
  /** Pods start under the mesh: the CNI plugin is installed on the node, and served. */
  readonly cni: boolean;
  readonly cniEtcPath: string;
  readonly cniBinPath: string;
  /** Null: the first file. */
  readonly conflistName: string | null;
  /** Directory of the socket for the CNI plugin. */
  readonly runPath: string;
  /** Control plane to ask; null: none. */
  readonly xds: XdsSettings | null;
  readonly mode: 'kernel-native' | 'dual-engine';
  readonly bpfFsPath: string;
  /** Null: found by file-system type. */
  readonly cgroup2Path: string | null;
  readonly adminAddress: string;
  readonly metricsAddress: string;
  readonly monitoring: boolean;
  /** Observe accepted connections too, not only those that enrolled workloads open. */
  readonly inbound: boolean;
  /** How programs are attached to devices: `auto` is by tcx links where the kernel has them. */
  readonly deviceAttach: 'auto' | 'clsact';
  /** Whether packets between enrolled pods of this machine may go past its stack where nothing there has a say. */
  readonly shortCut: 'auto' | 'off';
  readonly accessLog: 'off' | Format;
  readonly kmeshMetricNames: boolean;
  readonly logLevel: Level;
  readonly logFormat: Format;
  readonly nodeName: string;
  /** Write what becomes of routes into their status, where objects are read from an API server. */
  readonly routeStatus: boolean;
  /** Namespace of the daemons themselves: their Lease is there. */
  readonly namespace: string;
  /** Where this node is: `region/zone/subzone`, or empty. */
  readonly locality: string;
  /** Entries of kernel maps by name. */
  readonly mapSizes: Readonly<Record<string, number>>;
}

/** Where a node has what concerns CNI. */
export const cniDefaults = { etc: '/etc/cni/net.d', bin: '/opt/cni/bin', run: '/run/kmesh' } as const;

export interface KubernetesSettings {
  /** Null: KUBECONFIG, a pod's service account, or ~/.kube/config. */
  readonly kubeconfig: string | null;
  /** Null: the current one. */
  readonly context: string | null;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** Empty: all. */
  readonly kinds: readonly ObjectKind[];
}

interface Size {
  readonly map: string;
  readonly flag: string;
  readonly entries: number;
  readonly what: string;
}

/** Every table that has a size, with its flag; the defaults hold 10 000 services of 10 endpoints and more. */
export const sizes: readonly Size[] = [
  { map: 'km_listener', flag: '--max-listeners', entries: 131072, what: 'addresses:ports that are served' },
  { map: 'km_cluster', flag: '--max-clusters', entries: 131072, what: 'clusters (a service port and address family)' },
  { map: 'km_endpoint', flag: '--max-endpoints', entries: 524288, what: 'endpoints of all clusters' },
  { map: 'km_slot', flag: '--max-slots', entries: 1048576, what: 'slots: endpoints, and steps of weighted sequences' },
  {
    map: 'km_source',
    flag: '--max-source-rows',
    entries: 65536,
    what: 'route tables with conditions on the source, times enrolled workloads',
  },
  { map: 'km_enrolment', flag: '--max-enrolled', entries: 16384, what: 'enrolled network namespaces' },
  {
    map: 'km_unknown',
    flag: '--max-unknown-addresses',
    entries: 4096,
    what: 'unknown addresses to ask a control plane for (oldest go)',
  },
  { map: 'km_workload_address', flag: '--max-workload-addresses', entries: 262144, what: 'addresses of workloads' },
  { map: 'km_traffic', flag: '--max-traffic', entries: 262144, what: 'pairs of workloads in the metrics' },
  { map: 'km_requests', flag: '--max-request-rows', entries: 131072, what: 'rows of the metrics of HTTP requests' },
  { map: 'km_affinity', flag: '--max-affinity', entries: 65536, what: 'clients kept on an endpoint (oldest go)' },
  { map: 'km_udp_reply', flag: '--max-udp-replies', entries: 65536, what: 'awaited datagram answers (oldest go)' },
  {
    map: 'km_sock',
    flag: '--max-http-connections',
    entries: 65536,
    what: 'open connections whose requests are routed',
  },
  { map: 'km_event', flag: '--event-buffer', entries: 1048576, what: 'bytes of the access log buffer (power of two)' },
  {
    map: 'km_request_event',
    flag: '--request-buffer',
    entries: 4194304,
    what: 'bytes of the buffer of HTTP requests (power of two)',
  },
];

/** Tables that are as large as another one. */
const sameSize: Readonly<Record<string, string>> = {
  km_cluster_stats: 'km_cluster',
  km_endpoint_stats: 'km_endpoint',
  km_flow: 'km_sock',
};

/** Map name → flag, for messages. */
export const sizeFlags: Readonly<Record<string, string>> = Object.fromEntries([
  ...sizes.map((s) => [s.map, s.flag]),
  ...Object.entries(sameSize).map(([map, as]) => [map, sizes.find((s) => s.map === as)?.flag ?? '']),
]);

function positiveInteger(text: string): number {
  const n = Number(text);
  if (!/^[0-9]+$/.test(text) || n < 1 || n > 2 ** 31)
    throw new InvalidArgumentError('a whole number from 1 is expected');
  return n;
}

/** A power of two of at least a page, as the kernel wants its ring buffers. */
function bufferSize(text: string): number {
  const n = positiveInteger(text);
  if (n < 4096 || (n & (n - 1)) !== 0) throw new InvalidArgumentError('a power of two from 4096 is expected');
  return n;
}

function boolean(text: string): boolean {
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw new InvalidArgumentError('true or false is expected');
}

function level(text: string): Level {
  if (!isLevel(text)) throw new InvalidArgumentError(`one of ${levels.join(', ')} is expected`);
  return text;
}

function locality(text: string): string {
  if (text.split('/').length > 3 || text.includes('*'))
    throw new InvalidArgumentError('REGION/ZONE/SUBZONE is expected');
  return text;
}

const camel = (flag: string): string => flag.slice(2).replace(/-([a-z])/g, (_, c: string) => c.toUpperCase());

/** Adds the flags of running the daemon to a command. */
export function addFlags(command: Command, hostname: string): Command {
  command
    .option('--config <dir>', 'directory of YAML and JSON objects, watched')
    .option('--kubernetes', 'read objects from a Kubernetes API server as well')
    .option('--kubeconfig <file>', 'how to reach it (default: KUBECONFIG, the pod’s account, ~/.kube/config)')
    .option('--kubernetes-context <name>', 'context of the kubeconfig (default: its current one)')
    .option(
      '--kubernetes-namespaces <list>',
      'read these namespaces only, with commas between (default: all)',
      names,
      [],
    )
    .option(
      '--kubernetes-kinds <list>',
      'read these kinds only, such as Namespace,Pod beside a control plane (default: all)',
      kinds,
      [],
    )
    .option('--node-agent', 'serve the pods of this Kubernetes node: find them, annotate them (asks for --kubernetes)')
    .option('--netns-path <dir>', 'where the container runtime keeps network namespaces', '/run/netns')
    .option('--cni', 'install the CNI plugin on this node and serve it (asks for --node-agent)')
    .option('--cni-etc-path <dir>', 'CNI configuration of the node', cniDefaults.etc)
    .option('--cni-bin-path <dir>', 'CNI plugins of the node', cniDefaults.bin)
    .option('--conflist-name <file>', 'file of --cni-etc-path to use (default: the first by name)')
    .option('--run-path <dir>', 'directory of the socket for the CNI plugin', cniDefaults.run)
    .addOption(
      new Option('--mode <mode>', 'which of Kmesh’s two modes')
        .choices(['dual-engine', 'kernel-native'])
        .default('dual-engine'),
    )
    .option('--bpf-fs-path <dir>', 'where programs and maps are pinned (BPF file system)', '/sys/fs/bpf/kmesh')
    .option('--cgroup2-path <dir>', 'cgroup v2 under which sockets are steered (default: its root)')
    .option('--admin-address <host:port>', 'admin API', 'localhost:15200')
    .option('--metrics-address <host:port>', 'Prometheus metrics', '[::]:15020')
    .option('--monitoring <bool>', 'count connections and bytes in the kernel', boolean, true)
    .option('--inbound <bool>', 'observe accepted connections too (reporter="destination")', boolean, false)
    .addOption(
      new Option('--device-attach <how>', 'programs at devices: by tcx where the kernel has it, or by clsact')
        .choices(['auto', 'clsact'])
        .default('auto'),
    )
    .addOption(
      new Option('--short-cut <how>', 'packets between pods of this machine go past its stack where it has no say')
        .choices(['auto', 'off'])
        .default('auto'),
    )
    .addOption(
      new Option('--access-log <format>', 'one line a connection or HTTP request on stdout')
        .choices(['off', 'text', 'json'])
        .default('off'),
    )
    .option('--kmesh-metric-names <bool>', 'Kmesh’s metric names beside Istio’s', boolean, true)
    .option('--log-level <level>', levels.join(', '), level, 'info')
    .addOption(new Option('--log-format <format>', 'log on stderr').choices(['text', 'json']).default('text'))
    .option(
      '--route-status <bool>',
      'write the status of routes of the API server (one daemon of all does)',
      boolean,
      true,
    )
    .option(
      '--namespace <name>',
      'namespace of the daemons themselves, in which their Lease is',
      process.env['POD_NAMESPACE'] ?? 'kmesh-system',
    )
    .option(
      '--node-name <name>',
      'this node: label of metrics, and who its pods and neighbours are',
      process.env['NODE_NAME'] ?? hostname,
    )
    .option(
      '--locality <place>',
      'where this node is: REGION/ZONE/SUBZONE, or less of it',
      locality,
      process.env['KMESH_LOCALITY'] ?? '',
    );
  addXdsFlags(command);
  for (const s of sizes) {
    const parse = s.map.endsWith('_event') ? bufferSize : positiveInteger;
    command.option(`${s.flag} <n>`, s.what, parse, s.entries);
  }
  return command;
}

/** The settings that a parsed command holds. */
export function settingsOf(options: Readonly<Record<string, unknown>>): Settings {
  const text = (name: string): string => String(options[name]);
  const entries = new Map(sizes.map((s) => [s.map, Number(options[camel(s.flag)])]));
  for (const [map, as] of Object.entries(sameSize)) entries.set(map, entries.get(as) ?? 1);
  return {
    config: options['config'] === undefined ? null : text('config'),
    kubernetes: kubernetesOf(options),
    nodeAgent: options['nodeAgent'] === true || options['cni'] === true,
    netnsPath: text('netnsPath'),
    cni: options['cni'] === true,
    cniEtcPath: text('cniEtcPath'),
    cniBinPath: text('cniBinPath'),
    conflistName: options['conflistName'] === undefined ? null : text('conflistName'),
    runPath: text('runPath'),
    xds: xdsSettings(options, process.env),
    mode: text('mode') === 'kernel-native' ? 'kernel-native' : 'dual-engine',
    bpfFsPath: text('bpfFsPath'),
    cgroup2Path: options['cgroup2Path'] === undefined ? null : text('cgroup2Path'),
    adminAddress: text('adminAddress'),
    metricsAddress: text('metricsAddress'),
    monitoring: options['monitoring'] === true,
    inbound: options['inbound'] === true,
    deviceAttach: text('deviceAttach') === 'clsact' ? 'clsact' : 'auto',
    shortCut: text('shortCut') === 'off' ? 'off' : 'auto',
    accessLog: accessLogOf(text('accessLog')),
    kmeshMetricNames: options['kmeshMetricNames'] === true,
    logLevel: level(text('logLevel')),
    logFormat: text('logFormat') === 'json' ? 'json' : 'text',
    nodeName: text('nodeName'),
    routeStatus: options['routeStatus'] === true,
    namespace: text('namespace'),
    locality: text('locality'),
    mapSizes: Object.fromEntries(entries),
  };
}

/** A flag that says where the API server is asks for it, too. */
function kubernetesOf(options: Readonly<Record<string, unknown>>): KubernetesSettings | null {
  const text = (name: string): string | null => (typeof options[name] === 'string' ? options[name] : null);
  const kubeconfig = text('kubeconfig');
  const context = text('kubernetesContext');
  const given = options['kubernetesNamespaces'];
  const namespaces = Array.isArray(given) ? given.map(String) : [];
  const list = options['kubernetesKinds'];
  const kinds = knownKinds.filter((kind) => Array.isArray(list) && list.includes(kind));
  const asked = ['kubernetes', 'nodeAgent', 'cni'].some((name) => options[name] === true);
  const said = kubeconfig !== null || context !== null || namespaces.length > 0 || kinds.length > 0;
  return asked || said ? { kubeconfig, context, namespaces, kinds } : null;
}

const knownKinds: readonly ObjectKind[] = [...kindReaders.values()].map(({ kind }) => kind);

function kinds(text: string): readonly string[] {
  const list = text.split(',').map((name) => name.trim());
  if (list.some((name) => !knownKinds.some((kind) => kind === name))) {
    throw new InvalidArgumentError(`some of ${knownKinds.join(', ')} are expected, with commas between.`);
  }
  return list;
}

function names(text: string): readonly string[] {
  const list = text.split(',').map((name) => name.trim());
  if (list.some((name) => dnsLabelProblem(name) !== '')) {
    throw new InvalidArgumentError('names of namespaces are expected, with commas between.');
  }
  return [...new Set(list)];
}

function accessLogOf(value: string): 'off' | Format {
  return value === 'json' || value === 'text' ? value : 'off';
}
