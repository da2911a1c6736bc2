/**
 * A Kubernetes cluster of two nodes on this machine, with everything real but the machines: etcd, API server, controllers,
 * scheduler, and on each node containerd, kubelet, kube-proxy and CNI's ptp plugin. build.sh builds what it is made of.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { chart } from '../../../tools/chart.ts';
import { ClusterNode, type Output, prefix, removeLan } from './cluster-node.ts';
import { Pki } from './pki.ts';
import { waitFor } from './wait.ts';

const cache = process.env['KMESH_CLUSTER_CACHE'] ?? join(homedir(), '.cache', 'kmesh-cluster');
const run = join(cache, 'run-kmesh');
const root = join(import.meta.dirname, '..', '..', '..');
const manifests = join(import.meta.dirname, 'manifests');

export const agentNamespace = 'kmesh-system';

/** What Helm is told here: no registry, and nodes that share one machine and its cgroups. */
export const chartValues = [
  ...['--set', 'deploy.kmesh.imagePullPolicy=Never', '--set', 'deploy.kmesh.host.cgroup2=/sys/fs/cgroup/unified'],
  ...['--set-string', `deploy.kmesh.host.cgroup2SubPath=${prefix}-$(NODE_NAME)`],
];

/** Why no istiod can be started in a cluster, or false. */
export function istiodMissing(): string | false {
  const program = join(cache, 'bin', 'pilot-discovery');
  return existsSync(program) ? clusterMissing() : `no ${program}, which make test-cluster builds: NOT RUN`;
}

/** Why the Gateway API's conformance suite cannot be run in a cluster, or false. */
export function conformanceMissing(): string | false {
  const needed = ['bin/gwconf.test', 'images/echo-basic.tar', 'images/echo-advanced.tar'];
  const missing = needed.find((path) => !existsSync(join(cache, path)));
  return missing === undefined
    ? clusterMissing()
    : `no ${missing} in ${cache}, which make test-cluster builds: NOT RUN`;
}

/** Why no cluster can be brought up here, or false. */
export function clusterMissing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root: NOT RUN';
  if (!existsSync('/sys/fs/cgroup/pids')) return 'needs cgroup v1 beside v2: NOT RUN';
  const needed = [
    'bin/hyperkube',
    'bin/helm',
    'images/pause.tar',
    'images/coredns.tar',
    'images/web.tar',
    'crds/istio.yaml',
  ];
  const missing = needed.filter((path) => !existsSync(join(cache, path)));
  if (missing.length > 0) return `no ${missing[0]} in ${cache}, which make test-cluster builds: NOT RUN`;
  const image = join(root, 'build', 'kmesh-image.tar');
  return existsSync(image) ? false : `no ${image}, which make test-cluster builds: NOT RUN`;
}

/** How kube-proxy works in the cluster: PROXY_MODE. */
export const proxyMode = process.env['PROXY_MODE'] === 'nftables' ? 'nftables' : 'iptables';

export class Cluster {
  readonly nodes: readonly [ClusterNode, ClusterNode];
  readonly #pki: Pki;
  readonly #kubeconfig: string;

  private constructor(nodes: readonly [ClusterNode, ClusterNode], pki: Pki) {
    this.nodes = nodes;
    this.#pki = pki;
    this.#kubeconfig = pki.kubeconfig('admin', '/O=system:masters/CN=admin');
  }

  /** Brings everything up; takes down what an earlier run has left. */
  static async up(): Promise<Cluster> {
    await Cluster.down();
    const nodes = clusterNodes();
    const [first] = nodes;
    for (const node of nodes) await node.up(nodes);
    const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((name) => `DNS:${name}`);
    const pki = new Pki(join(run, 'pki'), `https://${first.ip}:6443`, [...names, 'IP:10.96.0.1', `IP:${first.ip}`]);
    const cluster = new Cluster(nodes, pki);
    await cluster.#startControlPlane();
    await Promise.all(nodes.map((node) => cluster.#startNode(node)));
    for (const { name } of nodes) {
      const ready = ['wait', '--for=condition=Ready', `node/${name}`, '--timeout=5s'];
      await waitFor(`node ${name}`, () => cluster.kubectl(ready), 90_000);
    }
    await cluster.apply(readFileSync(join(manifests, 'coredns.yaml'), 'utf8'));
    const crds = readdirSync(join(cache, 'crds')).filter((name) => !name.startsWith('kustomization'));
    const files = crds.flatMap((name) => ['-f', join(cache, 'crds', name)]);
    await cluster.kubectl(['apply', '--server-side', ...files]);
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    await cluster.kubectl([
      '-n',
      'kube-system',
      'wait',
      '--for=condition=Available',
      'deploy/coredns',
      '--timeout=60s',
    ]);
    return cluster;
  }

  /** Takes down a cluster, whoever brought it up. Nothing to do is no error. */
  static async down(): Promise<void> {
    for (const node of clusterNodes()) await node.down();
    removeLan();
  }

  /** Takes it down, unless KMESH_CLUSTER_KEEP asks to leave it for a look. */
  static async end(): Promise<void> {
    if (process.env['KMESH_CLUSTER_KEEP'] === undefined) await Cluster.down();
  }

  /** How a person uses kubectl here. */
  get hint(): string {
    const [first] = this.nodes;
    const enter = `nsenter -t $(cat ${join(first.directory, 'holder.pid')}) --net --mount --uts`;
    return `${enter} ${join(cache, 'bin', 'kubectl')} --kubeconfig ${this.#kubeconfig} get pods -A`;
  }

  /** kubectl as administrator, in the first node. */
  async kubectl(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<string> {
    const command = ['kubectl', '--kubeconfig', this.#kubeconfig, ...args];
    return (await this.nodes[0].exec(command, options)).stdout;
  }

  async apply(yaml: string): Promise<void> {
    await this.kubectl(['apply', '-f', '-'], { input: yaml });
  }

  /** Runs a program in a pod's container. */
  async inPod(namespace: string, pod: string, command: readonly string[]): Promise<string> {
    return await this.kubectl(['-n', namespace, 'exec', pod, '--', ...command]);
  }

  /** Values of a JSONPath of a list of objects. */
  async values(args: readonly string[], path: string): Promise<string[]> {
    const text = await this.kubectl(['get', ...args, '-o', `jsonpath={range .items[*]}{${path}}{"\\n"}{end}`]);
    return text.split('\n').filter((line) => line !== '');
  }

  node(name: string): ClusterNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`the cluster has no node ${name}`);
    return found;
  }

  /** Kmesh's image on every node. */
  async importKmesh(): Promise<void> {
    const image = join(root, 'build', 'kmesh-image.tar');
    await Promise.all(this.nodes.map((node) => importImage(node, image)));
  }

  /** One of the images that build.sh makes, on every node. */
  async importImage(name: string): Promise<void> {
    await Promise.all(this.nodes.map((node) => importImage(node, join(cache, 'images', `${name}.tar`))));
  }

  /**
   * The Gateway API's conformance suite with these flags. Returns what it printed and the report that it wrote; a test
   * that fails is no error here.
   */
  async conformance(flags: readonly string[], timeoutMs: number): Promise<{ output: string; report: string }> {
    const [first] = this.nodes;
    const path = join(first.directory, 'conformance.yaml');
    rmSync(path, { force: true });
    const command = [
      'gwconf.test',
      '-test.v',
      '-test.run',
      'TestConformance',
      `-test.timeout=${timeoutMs}ms`,
      ...flags,
    ];
    const script = 'export KUBECONFIG=$1; shift; "$@" 2>&1 || true';
    const shell = ['sh', '-c', script, 'sh', this.#kubeconfig, ...command, '-report-output', path];
    const { stdout } = await first.exec(shell, { timeoutMs: timeoutMs + 30_000 });
    return { output: stdout, report: existsSync(path) ? readFileSync(path, 'utf8') : '' };
  }

  /** A program of this machine that asks the cluster as administrator, in the first node. */
  async asAdmin(program: string, ...args: readonly string[]): Promise<string> {
    return (await this.nodes[0].exec([program, ...args, '--kubeconfig', this.#kubeconfig])).stdout;
  }

  /** Kmesh as a user gets it: by its chart, with values of his own, on every node. Resolves when the agents are ready. */
  async installKmesh(...values: readonly string[]): Promise<void> {
    await this.importKmesh();
    await this.helm('install', chart, '--create-namespace', ...chartValues, ...values);
    await this.agentsReady();
  }

  async agentsReady(): Promise<void> {
    const command = ['-n', agentNamespace, 'rollout', 'status', 'ds/kmesh', '--timeout=90s'];
    await this.kubectl(command, { timeoutMs: 95_000 });
  }

  /** A verb of Helm's for the release of Kmesh. */
  async helm(verb: string, ...args: readonly string[]): Promise<string> {
    return await this.asAdmin(join(cache, 'bin', 'helm'), verb, 'kmesh', ...args, '-n', agentNamespace);
  }

  /** The stock istiod, as a program of the first node. Returns the address of its plaintext xDS. */
  async startIstiod(): Promise<string> {
    const [first] = this.nodes;
    await this.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } }));
    const address = `${first.ip}:15010`;
    const mesh = join(first.directory, 'mesh.yaml');
    const config = { defaultConfig: { discoveryAddress: address }, rootNamespace: 'istio-system' };
    writeFileSync(mesh, JSON.stringify(config));
    const ports = ['--grpcAddr', ':15010', '--secureGRPCAddr', '', '--httpsAddr', '', '--httpAddr', '127.0.0.1:8080'];
    const command = ['pilot-discovery', 'discovery', '--kubeconfig', this.#kubeconfig, '--meshConfig', mesh, ...ports];
    first.start('istiod', [...command, '--monitoringAddr', '127.0.0.1:15014', '--ctrlz_port', '0'], {
      POD_NAME: 'istiod',
      POD_NAMESPACE: 'istio-system',
      REVISION: 'default',
      CLUSTER_ID: 'Kubernetes',
      PILOT_CERT_PROVIDER: 'istiod',
      PILOT_ENABLE_AMBIENT: 'true',
    });
    const ready = ['curl', '-sf', 'http://127.0.0.1:8080/ready'];
    await waitFor('istiod', () => first.exec(ready), 60_000);
    return address;
  }

  /** Kills the API server at once and starts it again. */
  async restartApiServer(): Promise<void> {
    await this.nodes[0].kill('kube-apiserver');
    await this.#startApiServer();
  }

  async #startControlPlane(): Promise<void> {
    const [first] = this.nodes;
    const client = 'http://127.0.0.1:2379';
    const peer = 'http://127.0.0.1:2380';
    first.start('etcd', [
      ...['etcd', '--data-dir', join(first.directory, 'etcd'), '--unsafe-no-fsync'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer],
      ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
    ]);
    this.#pki.issue('kubelet-client', '/O=system:masters/CN=apiserver-kubelet-client');
    await this.#startApiServer();
    const local = ['--leader-elect=false', '--bind-address=127.0.0.1'];
    first.start('controllers', [
      'kube-controller-manager',
      ...local,
      `--kubeconfig=${this.#pki.kubeconfig('controllers', '/CN=system:kube-controller-manager')}`,
      '--use-service-account-credentials',
      `--root-ca-file=${this.#pki.file('ca.crt')}`,
      `--service-account-private-key-file=${this.#pki.file('accounts.key')}`,
    ]);
    const scheduler = this.#pki.kubeconfig('scheduler', '/CN=system:kube-scheduler');
    first.start('scheduler', ['kube-scheduler', ...local, `--kubeconfig=${scheduler}`]);
    await waitFor('the default account', () => this.kubectl(['get', 'serviceaccount', 'default']), 30_000);
  }

  async #startApiServer(): Promise<void> {
    const [first] = this.nodes;
    const file = (name: string): string => this.#pki.file(name);
    const flags = {
      'etcd-servers': 'http://127.0.0.1:2379',
      'advertise-address': first.ip,
      'tls-cert-file': file('apiserver.crt'),
      'tls-private-key-file': file('apiserver.key'),
      'client-ca-file': file('ca.crt'),
      'kubelet-client-certificate': file('kubelet-client.crt'),
      'kubelet-client-key': file('kubelet-client.key'),
      'service-account-key-file': file('accounts.pub'),
      'service-account-signing-key-file': file('accounts.key'),
      'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
      // Names of nodes are no names of the DNS here.
      'kubelet-preferred-address-types': 'InternalIP',
      'authorization-mode': 'Node,RBAC',
      'enable-admission-plugins': 'NodeRestriction',
      'allow-privileged': 'true',
      'service-cluster-ip-range': '10.96.0.0/16',
    };
    const list = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    first.start('kube-apiserver', ['kube-apiserver', ...list]);
    try {
      await waitFor('the API server', () => this.kubectl(['get', '--raw', '/readyz']), 90_000);
    } catch (error) {
      throw new Error(`the API server is not ready:\n${first.log('kube-apiserver').slice(-4000)}`, { cause: error });
    }
  }

  async #startNode(node: ClusterNode): Promise<void> {
    const write = (name: string, text: string): string => {
      const path = join(node.directory, name);
      writeFileSync(path, text);
      return path;
    };
    node.start('containerd', ['containerd', '-c', write('containerd.toml', containerdConfig)]);
    await waitFor('containerd', () => node.exec(['ctr', 'version']), 20_000);
    for (const name of ['pause', 'coredns', 'web']) await importImage(node, join(cache, 'images', `${name}.tar`));
    const kubelet = write('kubelet.yaml', kubeletConfig(node, this.#pki.file('ca.crt')));
    const kubeconfig = this.#pki.kubeconfig(node.name, `/O=system:nodes/CN=system:node:${node.name}`);
    node.start('kubelet', [
      ...['kubelet', `--config=${kubelet}`, `--kubeconfig=${kubeconfig}`],
      ...[`--hostname-override=${node.name}`, `--node-ip=${node.ip}`],
    ]);
    const proxy = this.#pki.kubeconfig(`proxy-${node.name}`, '/CN=system:kube-proxy');
    node.start('kube-proxy', [
      'kube-proxy',
      `--config=${write('kube-proxy.json', proxyConfig(node, proxy, proxyMode))}`,
    ]);
  }
}

async function importImage(node: ClusterNode, path: string): Promise<Output> {
  return await node.exec(['ctr', '-n', 'k8s.io', 'images', 'import', path]);
}

function clusterNodes(): readonly [ClusterNode, ClusterNode] {
  mkdirSync(run, { recursive: true });
  const make = (number: number): ClusterNode => new ClusterNode(number, cache, join(run, `n${number}`));
  return [make(1), make(2)];
}

// runc cannot lower a score for the kernel's choice of whom to kill without CAP_SYS_RESOURCE, which a container may lack.
const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
`;

function kubeletConfig(node: ClusterNode, authority: string): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: authority } },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    cgroupDriver: 'cgroupfs',
    // Two kubelets of one root would end each other's pods.
    cgroupRoot: `/${node.cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    resolvConf: '',
    // Images cannot be fetched again.
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    serializeImagePulls: false,
    maxPods: 200,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
  });
}

function proxyConfig(node: ClusterNode, kubeconfig: string, mode: string): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode,
    hostnameOverride: node.name,
    clusterCIDR: '10.244.0.0/16',
    clientConnection: { kubeconfig },
    // nf_conntrack_max can be written in the machine's own network namespace only.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  });
}
