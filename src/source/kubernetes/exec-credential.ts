/**
 * Credentials from a program, as `client.authentication.k8s.io` has it: what EKS, GKE, AKS and OIDC log-ins use. Its answer
 * is kept until it expires or the server refuses it.
 */
import { execFile } from 'node:child_process';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { KmError } from '../../base/errors.ts';
import { isMap } from '../fields.ts';
import type { Timers } from '../timers.ts';
import { type Credentials, noCredentials } from './access.ts';

export interface ExecProgram {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Of the kubeconfig: what a command with a slash is relative to. */
  readonly directory: string;
  readonly installHint: string;
  /** spec.cluster of the question; null: the program does not ask for it. */
  readonly cluster: Readonly<Record<string, unknown>> | null;
}

/** A new answer is asked for this long before the old one expires. */
const earlyMs = 30_000;
const programTimeoutMs = 60_000;

export class ExecCredential {
  readonly #program: ExecProgram;
  readonly #timers: Timers;
  #known: { readonly credentials: Credentials; readonly until: number } | null = null;
  #running: Promise<Credentials> | null = null;

  constructor(program: ExecProgram, timers: Timers) {
    this.#program = program;
    this.#timers = timers;
  }

  async get(): Promise<Credentials> {
    if (this.#known !== null && this.#timers.date().getTime() < this.#known.until) return this.#known.credentials;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return await this.#running;
  }

  forget(): void {
    this.#known = null;
  }

  async #run(): Promise<Credentials> {
    const { command, args, env, directory, apiVersion, cluster, installHint } = this.#program;
    const path = command.includes('/') && !isAbsolute(command) ? join(directory, command) : command;
    const spec = { interactive: false, ...(cluster === null ? {} : { cluster }) };
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec });
    let stdout: string;
    try {
      const options = { env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: info }, timeout: programTimeoutMs };
      stdout = (await promisify(execFile)(path, [...args], options)).stdout;
    } catch (error) {
      const hint = installHint === '' ? '' : ` (${installHint})`;
      const text = error instanceof Error ? error.message.trim() : String(error);
      throw new KmError('KM1021', `credentials program ${command}: ${text}${hint}`, { cause: error });
    }
    const { credentials, expires } = readAnswer(stdout, command);
    const until = expires === null ? Number.POSITIVE_INFINITY : expires - earlyMs;
    this.#known = { credentials, until };
    return credentials;
  }
}

function readAnswer(text: string, command: string): { credentials: Credentials; expires: number | null } {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null;
  }
  const status = isMap(answer) ? answer['status'] : null;
  if (!isMap(status))
    throw new KmError('KM1021', `credentials program ${command} gave no ExecCredential with a status`);
  const field = (name: string): string | null => {
    const value = status[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const credentials = {
    ...noCredentials,
    token: field('token'),
    certificate: field('clientCertificateData'),
    key: field('clientKeyData'),
  };
  if (credentials.token === null && (credentials.certificate === null || credentials.key === null)) {
    throw new KmError('KM1021', `credentials program ${command} gave neither a token nor a certificate with its key`);
  }
  const expires = Date.parse(field('expirationTimestamp') ?? '');
  return { credentials, expires: Number.isNaN(expires) ? null : expires };
}
