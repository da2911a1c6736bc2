/**
 * Which control plane to ask by xDS, in the words of Kmesh and ztunnel: a flag or two, and their environment variables. An
 * empty address is none, as ztunnel's `XDS_ADDRESS=""`.
 */
import { existsSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import type { Command } from 'commander';
import { KmError } from '../base/errors.ts';
import type { Identity } from '../source/xds/node.ts';
import { versionInfo } from './version.ts';

export interface XdsSettings {
  /** Address of the control plane, or null when there is only a file. */
  readonly server: {
    readonly address: string;
    readonly rootCa: string | null;
    readonly serverName: string | null;
    readonly tokenFile: string | null;
    readonly headers: readonly (readonly [name: string, value: string])[];
  } | null;
  /** ztunnel's LocalConfig: a file, or its text. */
  readonly local: { readonly path: string } | { readonly text: string } | null;
  readonly onDemand: boolean;
  readonly identity: Identity;
}

type Env = Readonly<Record<string, string | undefined>>;

const usualRoot = '/var/run/secrets/istio/root-cert.pem';
const usualToken = '/var/run/secrets/tokens/istio-token';
/** istiod's port without TLS. */
const plaintextPort = 15010;

export function addXdsFlags(command: Command): void {
  command
    .option('--mesh-controller <host:port>', 'control plane to ask by xDS ($MESH_CONTROLLER, $XDS_ADDRESS)')
    .option('--local-xds <file>', 'workloads and services in ztunnel’s LocalConfig format ($LOCAL_XDS_PATH)');
}

/** Throws KM5014 for an address that is none, KM5015 for variables that are wrong. */
export function xdsSettings(options: Readonly<Record<string, unknown>>, env: Env): XdsSettings | null {
  const given = (name: string): string => String(options[name] ?? '');
  const address = given('meshController') || env['MESH_CONTROLLER'] || env['XDS_ADDRESS'] || '';
  const path = given('localXds') || env['LOCAL_XDS_PATH'] || '';
  const text = env['LOCAL_XDS'] ?? '';
  if (address === '' && path === '' && text === '') return null;
  return {
    server: address === '' ? null : serverOf(address, env),
    local: path !== '' ? { path } : text !== '' ? { text } : null,
    onDemand: env['XDS_ON_DEMAND'] === 'true',
    identity: identityOf(given('nodeName'), env),
  };
}

function serverOf(text: string, env: Env): NonNullable<XdsSettings['server']> {
  const found = /^(?:(https?):\/\/)?(\[[^\]]+\]|[^:/\s]+):([0-9]{1,5})\/?$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port < 1 || port > 65535) {
    throw new KmError('KM5014', `the control plane's address ${JSON.stringify(text)} is not HOST:PORT`);
  }
  const plaintext = found[1] === 'http' || (found[1] === undefined && port === plaintextPort);
  const rootCa = env['XDS_ROOT_CA'] || (existsSync(usualRoot) ? usualRoot : 'SYSTEM');
  const tokenFile = env['AUTH_TOKEN'] || (existsSync(usualToken) ? usualToken : null);
  return {
    address: `${found[2]}:${port}`,
    rootCa: plaintext ? null : rootCa,
    serverName: env['ALT_XDS_HOSTNAME'] || null,
    // A token is a secret: it does not go over the wire unencrypted.
    tokenFile: plaintext ? null : tokenFile,
    headers: Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('XDS_HEADER_') && value !== undefined
        ? [[name.slice('XDS_HEADER_'.length).toLowerCase(), value] as const]
        : [],
    ),
  };
}

function identityOf(nodeName: string, env: Env): Identity {
  const first = (...names: string[]): string => names.map((name) => env[name] ?? '').find((text) => text !== '') ?? '';
  return {
    podName: first('POD_NAME') || `kmesh-${hostname()}`,
    podNamespace: first('POD_NAMESPACE') || 'kmesh-system',
    instanceIp: first('INSTANCE_IP') || ownAddresses(),
    nodeName,
    serviceAccount: first('SERVICE_ACCOUNT'),
    clusterId: first('CLUSTER_ID', 'ISTIO_META_CLUSTER_ID') || 'Kubernetes',
    network: first('NETWORK', 'ISTIO_META_NETWORK'),
    meshId: first('MESH_ID', 'ISTIO_META_MESH_ID'),
    version: versionInfo().version,
    metadata: Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) => {
        if (!name.startsWith('ISTIO_METAJSON_') || value === undefined) return [];
        return [[name.slice('ISTIO_METAJSON_'.length), jsonOf(name, value)] as const];
      }),
    ),
  };
}

function jsonOf(name: string, text: string) {
  try {
    return JSON.parse(text);
  } catch {
    throw new KmError('KM5015', `${name} is not JSON: ${text}`);
  }
}

/** istiod wants an address of the node, one of each family that it has; ztunnel's fallback is 1.1.1.1. */
function ownAddresses(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = all.filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address));
  const first = (['IPv4', 'IPv6'] as const).flatMap(
    (wanted) => own.find(({ family }) => family === wanted)?.address ?? [],
  );
  return first.length === 0 ? '1.1.1.1' : first.join();
}
