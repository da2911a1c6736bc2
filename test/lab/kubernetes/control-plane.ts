/**
 * An API server in a lab's node: the real kube-apiserver with its etcd where `make test-lab` has built them, else a stand-in
 * that speaks the same for what a mesh reads.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseYaml, splitDocuments } from '../../../src/source/documents.ts';
import { type Resource, resources } from '../../../src/source/kubernetes/resources.ts';
import type { ApiObject } from '../../../src/source/kubernetes/testing.ts';
import type { Lab } from '../lab.ts';
import { patience } from '../mesh.ts';
import type { LabProcess } from '../process.ts';
import { until } from '../sockets.ts';

const cache = process.env['KMESH_LAB_CACHE'] ?? join(homedir(), '.cache', 'k8s-lab');

/** Whether the real one is there. */
export const hasRealServer = ['kube-apiserver', 'etcd'].every((name) => existsSync(join(cache, 'bin', name)));

/** What the tests' title says. */
export const serverName = hasRealServer ? 'kube-apiserver' : 'a stand-in for kube-apiserver';

const port = 6443;
const startMs = 60_000 * patience;

export class ControlPlane {
  readonly #lab: Lab;
  readonly #directory: string;
  #etcd: LabProcess | null = null;
  #server: LabProcess | null = null;
  /** Of the user `kmesh`, who may do nothing until {@link grant}. */
  readonly kubeconfig: string;
  /** Of somebody who may do everything. */
  readonly adminKubeconfig: string;
  readonly #url = `${hasRealServer ? 'https' : 'http'}://127.0.0.1:${port}`;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#directory = lab.directory;
    this.kubeconfig = join(lab.directory, 'kubeconfig');
    this.adminKubeconfig = join(lab.directory, 'admin-kubeconfig');
    if (hasRealServer) this.#certificates();
    const cluster = { server: this.#url, ...(hasRealServer ? { 'certificate-authority': 'ca.crt' } : {}) };
    const user = hasRealServer ? { 'client-certificate': 'kmesh.crt', 'client-key': 'kmesh.key' } : {};
    const config = {
      'current-context': 'lab',
      clusters: [{ name: 'lab', cluster }],
      users: [{ name: 'kmesh', user }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'kmesh' } }],
    };
    writeFileSync(this.kubeconfig, JSON.stringify(config));
    const admin = { 'client-certificate': 'admin.crt', 'client-key': 'admin.key' };
    const users = [{ name: 'kmesh', user: hasRealServer ? admin : {} }];
    writeFileSync(this.adminKubeconfig, JSON.stringify({ ...config, users }));
  }

  /** Starts it, or starts it again, and waits until it is ready. */
  async start(): Promise<void> {
    if (hasRealServer) {
      this.#etcd ??= await this.#startEtcd();
      this.#server = this.#startServer();
      await until(
        'the API server is ready',
        () => this.#isReady(),
        startMs,
        async () => this.#log(),
      );
    } else {
      const program = [process.execPath, join(import.meta.dirname, 'stand-in.ts')];
      const run = this.#lab.node.spawn([...program, String(port), this.#file('objects.json')], { cgroup: 'outside' });
      this.#server = run;
      await run.line(/^ready$/);
    }
  }

  /** As a crash does it; etcd, and what is in it, stays. */
  async kill(): Promise<void> {
    await this.#server?.kill('SIGKILL');
  }

  /** Creates or changes objects, and waits until the server has them: returns when that was, in ms since 1970. */
  async apply(...objects: readonly ApiObject[]): Promise<number> {
    return await this.#send(objects.map((object) => ({ path: pathOf(object), object })));
  }

  async remove(...objects: readonly ApiObject[]): Promise<void> {
    await this.#send(objects.map((object) => ({ path: pathOf(object) })));
  }

  /** The same for kinds that the mesh does not read. */
  async applyAt(path: string, object: ApiObject): Promise<void> {
    await this.#send([{ path, object }]);
  }

  /** Changes what is at a path by a JSON merge patch. */
  async patchAt(path: string, change: object): Promise<void> {
    const type = ['-H', 'content-type: application/merge-patch+json'];
    const answer = JSON.parse(
      await this.#curl(path, '-X', 'PATCH', ...type, '-d', JSON.stringify(change)),
    ) as ApiObject;
    if (answer.kind === 'Status') throw new Error(`${path}: ${String(answer['message'])}`);
  }

  async removeAt(path: string): Promise<void> {
    await this.#send([{ path }]);
  }

  /** Gives the user of the kubeconfig this ClusterRole. The stand-in does not ask who somebody is. */
  async grant(role: ApiObject): Promise<void> {
    if (!hasRealServer) return;
    const group = 'rbac.authorization.k8s.io';
    const binding: ApiObject = {
      apiVersion: `${group}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: role.metadata.name },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: role.metadata.name },
      subjects: [{ apiGroup: group, kind: 'User', name: 'kmesh' }],
    };
    const path = `/apis/${group}/v1`;
    const { name } = role.metadata;
    await this.#send([
      { path: `${path}/clusterroles/${name}`, object: role },
      { path: `${path}/clusterrolebindings/${name}`, object: binding },
    ]);
  }

  /** A token of a service account, for whom it is to speak to. */
  async token(namespace: string, account: string, audience: string): Promise<string> {
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience] } };
    const flags = ['-X', 'POST', '-H', 'content-type: application/json', '-d', JSON.stringify(request)];
    const text = await this.#get(`/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, flags);
    const { token } = (JSON.parse(text) as { readonly status: { readonly token?: string } }).status;
    if (token === undefined) throw new Error(`no token for ${namespace}/${account}: ${text}`);
    return token;
  }

  /** Installs the CRDs whose group has this ending. The stand-in has them. */
  async installCrds(group: string): Promise<void> {
    if (!hasRealServer) return;
    const directory = join(cache, 'crds');
    const documents = readdirSync(directory).flatMap((name) =>
      splitDocuments(readFileSync(join(directory, name), 'utf8')).map(({ text }) => parseYaml(text)),
    );
    const crds = documents.flatMap((parsed) => {
      if ('problem' in parsed) throw new Error(parsed.problem.reason);
      const crd = parsed.value as ApiObject & { readonly spec?: { readonly group?: string } };
      return crd.kind === 'CustomResourceDefinition' && crd.spec?.group?.endsWith(group) === true ? [crd] : [];
    });
    await this.#send(
      crds.map((object) => ({
        path: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${object.metadata.name}`,
        object,
      })),
    );
    for (const resource of resources.filter((one) => one.group.endsWith(group))) {
      await until(`${resource.plural} are served`, () => this.#serves(resource), startMs);
    }
  }

  /** What is at a path, as the administrator sees it; a Status when there is nothing. */
  async read<T = ApiObject>(path: string): Promise<T> {
    return JSON.parse(await this.#get(path)) as T;
  }

  async #send(lines: readonly object[]): Promise<number> {
    const program = [process.execPath, join(import.meta.dirname, 'apply.ts'), this.#url];
    const proof = hasRealServer ? ['ca.crt', 'admin.crt', 'admin.key'].map((name) => this.#file(name)) : [];
    const input = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    const options = { cgroup: 'outside', input, timeoutMs: 300_000 } as const;
    return Number(await this.#lab.node.output([...program, ...proof], options));
  }

  async #get(path: string, flags: readonly string[] = []): Promise<string> {
    return await this.#curl(path, ...flags);
  }

  async #curl(path: string, ...flags: readonly string[]): Promise<string> {
    const proof = [
      '--cacert',
      this.#file('ca.crt'),
      '--cert',
      this.#file('admin.crt'),
      '--key',
      this.#file('admin.key'),
    ];
    const command = ['curl', '-sS', '-m', '5', ...proof, ...flags, `${this.#url}${path}`];
    return (await this.#lab.node.exec(command, { cgroup: 'outside' })).stdout;
  }

  async #isReady(): Promise<boolean> {
    if (this.#server?.running === false) throw new Error(`the API server has ended: ${this.#log()}`);
    return (await this.#get('/readyz')) === 'ok';
  }

  async #serves({ apiVersions, plural }: Resource): Promise<boolean> {
    const text = await this.#get(`/apis/${apiVersions[0]}`);
    // It does not write for curl as it writes for others: with blanks.
    return new RegExp(`"name": ?"${plural}"`).test(text);
  }

  #log(): string {
    return readFileSync(this.#file('kube-apiserver.log'), 'utf8').slice(-3000);
  }

  async #startEtcd(): Promise<LabProcess> {
    const client = 'http://127.0.0.1:2379';
    const peer = 'http://127.0.0.1:2380';
    const log = this.#file('etcd.log');
    const etcd = this.#lab.node.spawn(
      [
        ...[join(cache, 'bin', 'etcd'), '--data-dir', this.#file('etcd'), '--unsafe-no-fsync'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
      ],
      { cgroup: 'outside', files: { stdout: log, stderr: log } },
    );
    return etcd;
  }

  #startServer(): LabProcess {
    const log = this.#file('kube-apiserver.log');
    const flags = {
      'etcd-servers': 'http://127.0.0.1:2379',
      'bind-address': '127.0.0.1',
      'advertise-address': this.#lab.node.ip4,
      'secure-port': String(port),
      'tls-cert-file': this.#file('server.crt'),
      'tls-private-key-file': this.#file('server.key'),
      'client-ca-file': this.#file('ca.crt'),
      'service-account-key-file': this.#file('server.crt'),
      'service-account-signing-key-file': this.#file('server.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'authorization-mode': 'RBAC',
      'service-cluster-ip-range': '10.96.0.0/12,fd00:10:96::/112',
    };
    const command = [join(cache, 'bin', 'kube-apiserver'), ...Object.entries(flags).map(([k, v]) => `--${k}=${v}`)];
    return this.#lab.node.spawn(command, { cgroup: 'outside', files: { stdout: log, stderr: log } });
  }

  #certificates(): void {
    const openssl = (...args: readonly string[]) =>
      execFileSync('openssl', [...args], { cwd: this.#directory, stdio: 'pipe' });
    const key = (name: string) => [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}.key`,
    ];
    openssl('req', '-x509', ...key('ca'), '-days', '2', '-subj', '/CN=lab-ca', '-out', 'ca.crt');
    for (const [name, subject, extension] of [
      ['server', '/CN=kube-apiserver', 'subjectAltName=IP:127.0.0.1'],
      ['admin', '/O=system:masters/CN=admin', 'extendedKeyUsage=clientAuth'],
      ['kmesh', '/CN=kmesh', 'extendedKeyUsage=clientAuth'],
    ] as const) {
      openssl('req', ...key(name), '-subj', subject, '-out', `${name}.csr`);
      writeFileSync(this.#file(`${name}.ext`), extension);
      const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
      openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-out', `${name}.crt`);
    }
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

function pathOf({ kind, apiVersion, metadata }: ApiObject): string {
  const resource = resources.find((one) => one.kind === kind);
  if (resource === undefined) throw new Error(`no kind ${kind}`);
  const within = resource.clusterScoped ? '' : `/namespaces/${metadata.namespace ?? 'default'}`;
  return `${resource.group === '' ? '/api' : '/apis'}/${apiVersion}${within}/${resource.plural}/${metadata.name}`;
}
