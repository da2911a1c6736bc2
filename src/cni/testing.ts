/** What the tests of this folder share: the built kmesh-cni, run as a container runtime runs it. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Log } from '../base/log.ts';

export const pluginProgram = join(import.meta.dirname, '../../build/cni/kmesh-cni');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Call {
  readonly command: string;
  readonly config: string;
  /** Default: a pod of namespace shop. */
  readonly args?: string;
}

const environment = ({ command, args }: Call): Record<string, string> => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/var/run/netns/cni-1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: args ?? 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=6b0d-1',
  CNI_PATH: '/opt/cni/bin',
});

/** Runs it while this process waits: only for what needs no daemon. */
export function runPluginAlone(call: Call): Ran {
  const ran: SpawnSyncReturns<string> = spawnSync(pluginProgram, [], {
    env: environment(call),
    input: call.config,
    encoding: 'utf8',
  });
  return { code: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}

export function runPlugin(call: Call): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(pluginProgram, [], { env: environment(call) });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (part) => (stdout += String(part)));
    child.stderr.on('data', (part) => (stderr += String(part)));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(call.config);
  });
}

export interface Directory extends Disposable {
  readonly path: string;
}

/** A directory that is gone at the end of the block. */
export function testDirectory(): Directory {
  const path = mkdtempSync(join(tmpdir(), 'kmesh-cni-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function testLog(lines: string[] = []) {
  return new Log({ format: 'text', level: 'debug', write: (line) => lines.push(line) }).logger('cni');
}
