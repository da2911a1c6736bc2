/** A call of the CNI specification, read strictly: what comes from a runtime names files and pods. */
import { KmError } from '../base/errors.ts';
import { isMap } from '../source/fields.ts';
import { dnsLabelProblem, dnsNameProblem } from '../source/names.ts';
import type { RawCall } from './protocol.ts';

/** A pod as the runtime names it. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
  /** Empty: the runtime does not say it. */
  readonly uid: string;
}

/** A pod's network, made by the plugins before. */
export interface Sandbox extends PodName {
  /** The runtime's id, new for each try to start a pod. */
  readonly container: string;
  /** Path of the network namespace; DEL may leave it empty. */
  readonly netns: string;
}

export type CniCall =
  /** `sandbox` null: no pod of Kubernetes. */
  | { readonly command: 'ADD' | 'CHECK' | 'DEL'; readonly version: string; readonly sandbox: Sandbox | null }
  /** `valid`: ids of the containers that there are. */
  | { readonly command: 'GC'; readonly version: string; readonly valid: ReadonlySet<string> };

/** Reads a call. KM5020. */
export function readCall({ env, config }: RawCall): CniCall {
  const conf = parse(config);
  const version = text(conf, 'cniVersion');
  const command = env.get('CNI_COMMAND') ?? '';
  switch (command) {
    case 'GC':
      return { command, version, valid: validContainers(conf) };
    case 'ADD':
    case 'CHECK':
    case 'DEL':
      return { command, version, sandbox: sandboxOf(env, command) };
    default:
      throw new KmError('KM5020', `CNI_COMMAND ${JSON.stringify(command.slice(0, 40))} is not known`);
  }
}

/** The version of a configuration that could not be read otherwise, for the answer. */
export function versionOf(config: string): string {
  try {
    return text(parse(config), 'cniVersion');
  } catch {
    return '1.0.0';
  }
}

function sandboxOf(env: RawCall['env'], command: string): Sandbox | null {
  const container = containerId(env.get('CNI_CONTAINERID') ?? '');
  const netns = env.get('CNI_NETNS') ?? '';
  const isPath = netns.startsWith('/') && !netns.split('/').includes('..');
  if (!isPath && !(command === 'DEL' && netns === '')) {
    throw new KmError('KM5020', `CNI_NETNS ${JSON.stringify(netns.slice(0, 200))} is no path`);
  }
  const args = arguments_(env.get('CNI_ARGS') ?? '');
  const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
  const name = args.get('K8S_POD_NAME') ?? '';
  if (namespace === '' && name === '') return null;
  const problem = dnsLabelProblem(namespace) || dnsNameProblem(name);
  if (problem !== '') throw new KmError('KM5020', `the pod ${JSON.stringify(`${namespace}/${name}`)}: ${problem}`);
  const uid = args.get('K8S_POD_UID') ?? '';
  if (!/^[A-Za-z0-9-]{0,64}$/.test(uid)) throw new KmError('KM5020', 'K8S_POD_UID is no id');
  return { container, netns, namespace, name, uid };
}

function arguments_(given: string): ReadonlyMap<string, string> {
  const pairs = given.split(';').filter((part) => part !== '');
  return new Map(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 0) throw new KmError('KM5020', 'CNI_ARGS is no list of NAME=VALUE');
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

/** Syntax of the specification. */
function containerId(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,255}$/.test(id)) return id;
  throw new KmError('KM5020', `CNI_CONTAINERID ${JSON.stringify(id.slice(0, 80))} is no id of a container`);
}

function validContainers(conf: Readonly<Record<string, unknown>>): ReadonlySet<string> {
  const list = conf['cni.dev/valid-attachments'];
  // Without the list nobody says that anything is gone.
  if (!Array.isArray(list)) throw new KmError('KM5020', 'GC has no cni.dev/valid-attachments');
  return new Set(list.map((one: unknown) => containerId(isMap(one) ? String(one['containerID']) : '')));
}

function parse(config: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(config);
  } catch {
    throw new KmError('KM5020', 'the configuration is no JSON');
  }
  if (!isMap(value)) throw new KmError('KM5020', 'the configuration is no JSON object');
  return value;
}

function text(conf: Readonly<Record<string, unknown>>, name: string): string {
  const value = conf[name];
  if (typeof value !== 'string') throw new KmError('KM5020', `the configuration has no ${name}`);
  return value;
}
