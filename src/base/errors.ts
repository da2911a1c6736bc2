/**
 * Every error that a user can meet has a stable code. This table is the one list of them: `docs/errors.md` is made
 * from it, and a test fails when a code is thrown that is not here or listed here and never thrown.
 *
 * KM1xxx source (files and their objects) · KM2xxx model (objects against each other) · KM3xxx compile and publish ·
 * KM4xxx kernel (loading, maps, hooks) · KM5xxx daemon (flags, addresses) · KM6xxx kmeshctl.
 */
export const errorTable = {
  // KM1xxx: source
  KM1001: {
    title: 'configuration directory not readable',
    fix: 'give --config an existing directory that root can read',
  },
  KM1002: { title: 'file not readable', fix: 'check its permissions, and that a symbolic link leads somewhere' },
  KM1003: { title: 'file is not UTF-8 text', fix: 'save the file as UTF-8' },
  KM1004: { title: 'YAML or JSON syntax error', fix: 'correct the line; what the file said before stays in force' },
  KM1005: { title: 'not a Kubernetes object', fix: 'every document is a map with apiVersion, kind and metadata.name' },
  KM1006: { title: 'wrong apiVersion', fix: 'use the apiVersion that the message names' },
  KM1007: {
    title: 'kind not supported yet',
    fix: 'remove the object: it would change traffic, and the mesh would not do it',
  },
  KM1008: { title: 'not a mesh object', fix: 'nothing to do; the object is ignored' },
  KM1009: { title: 'bad value', fix: 'correct the field; the last good version of the object stays in force' },
  KM1010: { title: 'required field missing', fix: 'add the field; the last good version of the object stays in force' },
  KM1011: {
    title: 'field not supported',
    fix: 'remove the field: it would change traffic, and the mesh would not do it',
  },
  KM1012: { title: 'unknown field', fix: 'check its spelling; it is ignored' },
  KM1013: { title: 'two objects with one name', fix: 'remove or rename one of them; the first stays in force' },
  KM1014: { title: 'part of the object has no effect', fix: 'nothing to do, or remove what the message names' },
  KM1015: { title: 'document too large', fix: 'split the file, or write out what its aliases stand for' },
  KM1016: {
    title: 'configuration directory cannot be watched',
    fix: 'raise the sysctls fs.inotify.max_user_instances and fs.inotify.max_user_watches',
  },
  KM1020: {
    title: 'an object is in two sources',
    fix: 'remove one of them; that of the source that comes first is in force',
  },
  KM1021: {
    title: 'access to the API server not understood',
    fix: 'correct the kubeconfig, or name another with --kubeconfig',
  },
  KM1022: {
    title: 'API server not reachable',
    fix: 'see the message; what was read stays in force, and it is tried again',
  },
  KM1023: {
    title: 'API server refuses to show a kind',
    fix: 'allow list and watch of it (docs/sources.md has the role); what was read stays in force',
  },
  KM1024: {
    title: 'API server answers with an error',
    fix: 'see the message; what was read stays in force, and it is asked again',
  },
  KM1040: {
    title: 'resource of the control plane refused',
    fix: 'correct what the message names at the control plane; the last good version of the resource stays in force',
  },
  KM1041: {
    title: 'authorization policy not enforced',
    fix: 'do not rely on it: the mesh does not enforce authorization yet, connections are let through',
  },
  KM1042: { title: 'part of a resource has no effect', fix: 'nothing to do, or change it at the control plane' },
  // KM2xxx: model
  KM2001: {
    title: 'two services claim one address and port',
    fix: 'give one of them another address or port; the first stays in force',
  },
  KM2002: { title: 'named target port not found', fix: 'name the port in the containers of the pods, or use a number' },
  KM2003: { title: 'two services with one host name', fix: 'rename one of them; the first stays in force' },
  KM2004: { title: 'two rules for one host', fix: 'merge the two DestinationRules; the first stays in force' },
  KM2005: { title: 'rule without effect', fix: 'check the host of the DestinationRule and its namespace' },
  KM2006: { title: 'endpoints of a service that does not exist', fix: 'check the label kubernetes.io/service-name' },
  KM2007: {
    title: 'network namespace of a pod not found',
    fix: 'create the namespace, or correct the annotation kmesh.net/netns',
  },
  KM2008: {
    title: 'two VirtualServices for one host',
    fix: 'merge them, or remove the host from one; the first is in force',
  },
  KM2009: { title: 'routes without effect', fix: 'check the hosts or parentRefs, and the protocol of the port' },
  KM2010: {
    title: 'route to something that is not there',
    fix: 'check host, port and subset of the destination, and the ReferenceGrants of its namespace',
  },
  KM2011: {
    title: 'a rule goes by places, and the node’s is not known',
    fix: 'label the Node, or start the daemon with --locality REGION/ZONE; until then no endpoint is nearer than another',
  },
  KM2020: {
    title: 'two sources give one service',
    fix: 'remove it from one of them; the order of the sources says which is in force',
  },
  // KM3xxx: compile and publish
  KM3001: { title: 'a kernel table is full', fix: 'raise the named setting and restart the daemon' },
  KM3002: { title: 'no run of free slots is long enough', fix: 'raise --max-slots and restart the daemon' },
  KM3010: {
    title: 'regular expression not supported',
    fix: 'write it in RE2 syntax without what the message names; the last good version stays in force',
  },
  KM3011: {
    title: 'route conditions too complex',
    fix: 'anchor the regular expressions, or use fewer of them that start with .*; the last good version stays in force',
  },
  KM3012: {
    title: 'route table too large',
    fix: 'split the table or raise the named limit; the last good version stays in force',
  },
  KM3013: {
    title: 'route table contradicts itself',
    fix: 'correct what the message names; the last good version stays',
  },
  KM3014: {
    title: 'a head of a request or answer cannot hold this',
    fix: 'correct what the message names; the last good version stays in force',
  },
  KM3015: {
    title: 'a load-balancing policy is not possible',
    fix: 'correct what the message names; until then requests are spread at random',
  },
  // KM4xxx: kernel
  KM4001: { title: 'libbpf is missing', fix: 'install libbpf 1.x, on Debian: apt-get install libbpf1' },
  KM4002: { title: 'An eBPF object file cannot be read', fix: 'run make build, or install Kmesh again' },
  KM4003: {
    title: 'The kernel refused an eBPF program',
    fix: 'see kmeshctl check for what this kernel lacks; report the message with the kernel version',
  },
  KM4004: {
    title: 'An eBPF object cannot be loaded',
    fix: 'run as root; see kmeshctl check for what this kernel lacks',
  },
  KM4005: {
    title: 'Daemon and eBPF objects do not fit together',
    fix: 'run make build, so that both are of one version',
  },
  KM4006: { title: 'A kernel table is full', fix: 'raise the flag that the message names and start the daemon again' },
  KM4007: {
    title: 'A kernel table cannot be read or written',
    fix: 'see the errno in the message; the daemon needs root',
  },
  KM4008: {
    title: 'The BPF file system cannot be used',
    fix: 'mount it (mount -t bpf bpf /sys/fs/bpf) and make --bpf-fs-path writable for root',
  },
  KM4009: {
    title: 'No cgroup v2 hierarchy',
    fix: 'mount one (mount -t cgroup2 none DIR) or name it with --cgroup2-path',
  },
  KM4010: {
    title: 'An eBPF program cannot be attached',
    fix: 'see kmeshctl check for what this kernel lacks; run as root',
  },
  KM4011: {
    title: 'A network namespace cannot be entered',
    fix: 'check that its path exists and that the daemon is root',
  },
  KM4012: {
    title: 'A kernel ring buffer or iterator cannot be read',
    fix: 'see kmeshctl check for what this kernel lacks',
  },
  KM4013: {
    title: 'The network devices of a namespace cannot be listed',
    fix: 'see the errno in the message; the daemon needs root',
  },
  // KM5xxx: daemon
  KM5001: { title: 'No such path in the admin API', fix: 'GET / lists the paths' },
  KM5002: { title: 'The admin API does not allow this method here', fix: 'the Allow header names the methods' },
  KM5003: {
    title: 'A parameter or the body of an admin request is wrong',
    fix: 'see the message for what is expected',
  },
  KM5004: { title: 'The daemon runs in another mode', fix: 'ask for the mode that `kmeshctl status` shows' },
  KM5005: {
    title: 'The admin API refused the Host or Origin of a request',
    fix: 'use localhost, an IP address, or the name given with --admin-address',
  },
  KM5006: { title: 'No logger of this name', fix: '`kmeshctl log` lists the loggers' },
  KM5007: { title: 'The body of an admin request is too large', fix: 'send at most 64 KiB' },
  KM5008: { title: 'The daemon failed to answer an admin request', fix: 'the daemon logs the cause; please report it' },
  KM5009: {
    title: 'The admin API cannot listen on its address',
    fix: 'stop what holds the port or choose another with --admin-address',
  },
  KM5010: { title: 'kmesh-daemon must run as root', fix: 'run it as root (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN)' },
  KM5011: {
    title: 'kmesh-daemon has nothing to read',
    fix: 'name a directory of objects with --config, an API server with --kubernetes, or a control plane with --mesh-controller',
  },
  KM5012: {
    title: 'Another kmesh-daemon uses the same pins',
    fix: 'stop it first, or give this one another --bpf-fs-path',
  },
  KM5013: {
    title: 'The metrics cannot be served on their address',
    fix: 'stop what holds the port or choose another with --metrics-address',
  },
  KM5014: { title: 'An address is not HOST:PORT', fix: 'write it as localhost:15200, [::1]:15200 or :15020' },
  KM5015: {
    title: 'A setting of the control plane is wrong',
    fix: 'correct the flag or environment variable that the message names',
  },
  KM5020: { title: 'A call of the CNI plugin is not understood', fix: 'check the CNI configuration of the node' },
  KM5021: {
    title: 'A pod cannot be put under the mesh yet',
    fix: 'nothing to do, the kubelet tries again; if it lasts, see the message',
  },
  KM5022: { title: 'A pod is not under the mesh as it should be', fix: 'delete the pod, so that it is made anew' },
  KM5023: {
    title: 'The socket of the CNI plugin cannot be made',
    fix: 'make the directory of --run-path writable for root',
  },
  KM5024: {
    title: 'The CNI configuration of the node cannot be read or changed',
    fix: 'correct the file that the message names, or name another with --conflist-name',
  },
  // KM6xxx: kmeshctl
  KM6001: {
    title: 'kmesh-daemon cannot be reached',
    fix: 'is kmesh-daemon running in this network namespace? --admin-address or KMESH_ADMIN_ADDRESS names another',
  },
  KM6002: { title: 'kmesh-daemon did not answer in time', fix: 'try again, or look at the daemon log' },
  KM6003: {
    title: 'The answer is not what kmeshctl understands',
    fix: 'is it kmesh-daemon that listens there, and of the same version? `kmeshctl version` shows both',
  },
  KM6004: { title: 'No object of this name', fix: '-A looks in all namespaces, -n NAMESPACE in another' },
  KM6005: { title: 'Wrong usage of kmeshctl', fix: 'add --help for the flags and examples' },
  KM6006: { title: 'The wait ran out of time', fix: 'raise --timeout, or see `kmeshctl status` for what is missing' },
  KM6007: {
    title: 'The checks of this machine could not be run',
    fix: '`make build` makes bin/kmesh-daemon; it must be beside kmeshctl or in PATH',
  },
  KM6010: { title: 'The manifests of Kmesh are not as expected', fix: 'install kmeshctl again' },
  KM6011: {
    title: 'The API server of the cluster did not do what it was asked',
    fix: 'see the message; `kmeshctl check --cluster --pre` tells of rights that are missing',
  },
  KM6012: { title: 'Kmesh was installed by Helm', fix: 'use the command that the message names' },
} as const satisfies Record<`KM${number}`, { readonly title: string; readonly fix: string }>;

export type ErrorCode = keyof typeof errorTable;

/** An error with a code of {@link errorTable}. The message says what happened, with names and numbers. */
export class KmError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'KmError';
    this.code = code;
  }

  /** One line for a log or a terminal: code, message, and the way out. */
  line(): string {
    return `${this.code} ${this.message} (${errorTable[this.code].fix})`;
  }
}
