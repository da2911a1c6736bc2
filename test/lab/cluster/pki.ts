/** Certificates of a cluster, and the kubeconfigs of those that talk to its API server; made by openssl for some days. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const days = '30';

export class Pki {
  readonly directory: string;
  readonly #server: string;

  /** `server`: URL of the API server; `names`: what else its certificate is for. */
  constructor(directory: string, server: string, names: readonly string[]) {
    this.directory = directory;
    this.#server = server;
    mkdirSync(directory, { recursive: true });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.file('ca.key')];
    this.#openssl('req', '-x509', ...key, '-days', days, '-subj', '/CN=cluster', '-out', this.file('ca.crt'));
    this.#openssl('genrsa', '-out', this.file('accounts.key'), '2048');
    this.#openssl('rsa', '-in', this.file('accounts.key'), '-pubout', '-out', this.file('accounts.pub'));
    this.issue('apiserver', '/CN=kube-apiserver', names);
  }

  file(name: string): string {
    return join(this.directory, name);
  }

  issue(name: string, subject: string, alternative: readonly string[] = []): void {
    const extensions = [
      'keyUsage=digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth',
      ...(alternative.length === 0 ? [] : [`subjectAltName=${alternative.join(',')}`]),
    ];
    writeFileSync(this.file(`${name}.ext`), `${extensions.join('\n')}\n`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.file(`${name}.key`)];
    this.#openssl('req', '-new', ...key, '-subj', subject, '-out', this.file(`${name}.csr`));
    const authority = ['-CA', this.file('ca.crt'), '-CAkey', this.file('ca.key'), '-CAcreateserial'];
    const files = ['-in', this.file(`${name}.csr`), '-extfile', this.file(`${name}.ext`)];
    this.#openssl('x509', '-req', ...files, ...authority, '-days', days, '-out', this.file(`${name}.crt`));
  }

  /** Path of the kubeconfig of a new certificate. */
  kubeconfig(name: string, subject: string): string {
    this.issue(name, subject);
    const data = (file: string): string => readFileSync(this.file(file)).toString('base64');
    const cluster = { server: this.#server, 'certificate-authority-data': data('ca.crt') };
    const user = { 'client-certificate-data': data(`${name}.crt`), 'client-key-data': data(`${name}.key`) };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'cluster',
      clusters: [{ name: 'cluster', cluster }],
      users: [{ name, user }],
      contexts: [{ name: 'cluster', context: { cluster: 'cluster', user: name } }],
    };
    const path = this.file(`${name}.kubeconfig`);
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}
