/**
 * Calls CNI plugins as libcni does it for a container runtime: the plugins of the first configuration by name, each with the
 * result of the one before; for DEL in the other direction, with the last result of ADD.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CniPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Path of its network namespace. */
  readonly netns: string;
  readonly container: string;
}

export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address: string }[];
}

/** What a plugin says when it does not do what it is asked. */
export class CniError extends Error {
  readonly code: number;

  constructor(plugin: string, code: number, message: string) {
    super(`${plugin}: ${message}`);
    this.code = code;
  }
}

interface PluginConfig {
  readonly type: string;
}

interface ConfigList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly PluginConfig[];
}

export interface RuntimeOptions {
  /** The network namespace of the node. */
  readonly netns: string;
  readonly confDirectory: string;
  readonly binDirectories: readonly string[];
}

export class CniRuntime {
  readonly #options: RuntimeOptions;
  /** Results of ADD by container. */
  readonly #results = new Map<string, CniResult>();
  /** Milliseconds of each run of a plugin's ADD. */
  readonly times = new Map<string, number[]>();

  constructor(options: RuntimeOptions) {
    this.#options = options;
  }

  async add(pod: CniPod): Promise<CniResult> {
    const list = this.#config();
    let result: CniResult | null = null;
    for (const plugin of list.plugins) {
      const started = performance.now();
      const text = await this.#run('ADD', list, plugin, pod, result);
      this.times.set(plugin.type, [...(this.times.get(plugin.type) ?? []), performance.now() - started]);
      result = JSON.parse(text) as CniResult;
    }
    if (result === null) throw new Error('the list has no plugins');
    this.#results.set(pod.container, result);
    return result;
  }

  async check(pod: CniPod): Promise<void> {
    const list = this.#config();
    for (const plugin of list.plugins) await this.#run('CHECK', list, plugin, pod, this.#resultOf(pod));
  }

  async delete(pod: CniPod): Promise<void> {
    const list = this.#config();
    for (const plugin of list.plugins.toReversed()) await this.#run('DEL', list, plugin, pod, this.#resultOf(pod));
    this.#results.delete(pod.container);
  }

  #resultOf({ container }: CniPod): CniResult | null {
    return this.#results.get(container) ?? null;
  }

  #config(): ConfigList {
    const { confDirectory } = this.#options;
    const names = readdirSync(confDirectory).filter((name) => /\.(conf|conflist|json)$/.test(name));
    const [first] = names.sort();
    if (first === undefined) throw new Error(`no configuration in ${confDirectory}`);
    const value = JSON.parse(readFileSync(join(confDirectory, first), 'utf8')) as ConfigList & PluginConfig;
    return first.endsWith('.conflist') ? value : { ...value, plugins: [value] };
  }

  async #run(
    command: string,
    { cniVersion, name }: ConfigList,
    plugin: PluginConfig,
    pod: CniPod,
    prevResult: CniResult | null,
  ): Promise<string> {
    const { binDirectories, netns } = this.#options;
    const program = binDirectories.map((directory) => join(directory, plugin.type)).find((path) => existsSync(path));
    if (program === undefined) throw new Error(`failed to find plugin ${plugin.type} in ${binDirectories.join(':')}`);
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: pod.container,
      CNI_NETNS: pod.netns.replace(/^\/run\//, '/var/run/'),
      CNI_IFNAME: 'eth0',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.container};K8S_POD_UID=${pod.uid}`,
      CNI_PATH: binDirectories.join(':'),
      PATH: process.env['PATH'] ?? '',
    };
    const config = { ...plugin, cniVersion, name, ...(prevResult === null ? {} : { prevResult }) };
    const { code, stdout, stderr } = await run(
      ['nsenter', `--net=${netns}`, '--', program],
      env,
      JSON.stringify(config),
    );
    if (code === 0) return stdout;
    const error = stdout === '' ? { code: -1, msg: stderr } : (JSON.parse(stdout) as { code: number; msg: string });
    throw new CniError(plugin.type, error.code, error.msg);
  }
}

function run(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env });
    const text = { stdout: '', stderr: '' };
    child.stdout.on('data', (part) => (text.stdout += String(part)));
    child.stderr.on('data', (part) => (text.stderr += String(part)));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...text }));
    child.stdin.end(input);
  });
}
