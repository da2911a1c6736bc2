/**
 * ztunnel's LocalConfig (`LOCAL_XDS_PATH`): workloads, services and policies in YAML, as the messages of the workload API.
 * What is wrong is refused alone, with its field.
 */
import { create, type Message, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { parseYaml } from '../../documents.ts';
import {
  AuthorizationSchema,
  AuthzAction,
  AuthzScope,
  IstioAddressSchema,
  IstioApplicationTunnelProtocol,
  IstioIPFamilies,
  IstioLoadBalancingHealthPolicy,
  IstioLoadBalancingMode,
  IstioLoadBalancingScope,
  IstioNetworkMode,
  IstioServiceVisibility,
  IstioTunnelProtocol,
  IstioWorkloadStatus,
  IstioWorkloadType,
} from '../gen/messages.gen.ts';
import { FieldError, refusalOf, refuse } from '../refusal.ts';
import { addressBytes, networkAddress, prefixBytes, Reader } from './fields.ts';

export interface LocalResource {
  readonly kind: 'address' | 'authorization';
  /** As the workload API names it. */
  readonly name: string;
  readonly body: Uint8Array;
}

export interface LocalRefusal {
  /** `workloads[3]` */
  readonly item: string;
  readonly name: string;
  /** `FIELD: reason` */
  readonly reason: string;
}

export interface LocalConfig {
  readonly resources: readonly LocalResource[];
  readonly refused: readonly LocalRefusal[];
}

/** Throws FieldError when nothing of it can be read. */
export function readLocalConfig(text: string): LocalConfig {
  const parsed = parseYaml(text);
  if ('problem' in parsed) refuse(`line ${parsed.problem.line}`, parsed.problem.reason);
  const root = new Reader(parsed.value ?? {}, '');
  const resources: LocalResource[] = [];
  const refused: LocalRefusal[] = [];
  const readers = [
    ['workloads', workload],
    ['services', service],
    ['policies', policy],
  ] as const;
  for (const [list, read] of readers) {
    for (const [i, item] of root.list(list).entries()) {
      const path = `${list}[${i}]`;
      try {
        resources.push(read(new Reader(item, path)));
      } catch (error) {
        if (!(error instanceof FieldError)) throw error;
        refused.push({ item: path, name: nameIn(item), reason: refusalOf(error) });
      }
    }
  }
  root.end();
  return { resources, refused };
}

function nameIn(item: unknown): string {
  const name = typeof item === 'object' && item !== null && 'name' in item ? item.name : undefined;
  return typeof name === 'string' ? name : '?';
}

/** The messages are written field by field from what was checked; `create` takes them as plain objects. */
function bytesOf<T extends Message>(schema: GenMessage<T>, init: object): Uint8Array {
  return toBinary(schema, create(schema, init as never));
}

function workload(item: Reader): LocalResource {
  const uid = item.text('uid') || refuse(item.path('uid'), 'missing');
  const services = item.map('services');
  const value = {
    uid,
    name: item.text('name'),
    namespace: item.text('namespace'),
    trustDomain: item.text('trustDomain'),
    serviceAccount: item.text('serviceAccount'),
    addresses: item.texts('workloadIps').map((text, i) => addressBytes(text, `${item.path('workloadIps')}[${i}]`)),
    // TCP is how ztunnel calls no tunnel here.
    tunnelProtocol: item.choice('protocol', { ...IstioTunnelProtocol, TCP: 0 }, 0),
    networkMode: item.choice('networkMode', IstioNetworkMode, 0),
    network: item.text('network'),
    node: item.text('node'),
    hostname: item.text('hostname'),
    clusterId: item.text('clusterId'),
    status: item.choice('status', IstioWorkloadStatus, 0),
    capacity: item.number('capacity', 1),
    workloadName: item.text('workloadName'),
    workloadType: item.choice('workloadType', IstioWorkloadType, 0),
    canonicalName: item.text('canonicalName'),
    canonicalRevision: item.text('canonicalRevision'),
    ...gateway(item, 'waypoint'),
    ...gateway(item, 'networkGateway'),
    nativeTunnel: item.flag('nativeTunnel'),
    ...tunnel(item.map('applicationTunnel')),
    ...locality(item.map('locality')),
    authorizationPolicies: item.texts('authorizationPolicies'),
    services: Object.fromEntries((services?.names() ?? []).map((key) => [key, { ports: services?.ports(key) ?? [] }])),
  };
  item.end();
  return { kind: 'address', name: uid, body: bytesOf(IstioAddressSchema, { type: { case: 'workload', value } }) };
}

function service(item: Reader): LocalResource {
  const namespace = item.text('namespace');
  const hostname = item.text('hostname') || refuse(item.path('hostname'), 'missing');
  const families = { DUAL: IstioIPFamilies.DUAL, IPV4: IstioIPFamilies.IPV4_ONLY, IPV6: IstioIPFamilies.IPV6_ONLY };
  const value = {
    name: item.text('name'),
    namespace,
    hostname,
    addresses: item.texts('vips').map((text, i) => networkAddress(text, `${item.path('vips')}[${i}]`)),
    ports: item.ports('ports'),
    subjectAltNames: item.texts('subjectAltNames'),
    ...gateway(item, 'waypoint'),
    ...balancing(item.map('loadBalancer')),
    ipFamilies: item.choice('ipFamilies', families, IstioIPFamilies.AUTOMATIC),
    canonical: item.flag('canonical'),
    visibility: item.choice('visibility', IstioServiceVisibility, 0),
  };
  item.end();
  const body = bytesOf(IstioAddressSchema, { type: { case: 'service', value } });
  return { kind: 'address', name: `${namespace}/${hostname}`, body };
}

function gateway(item: Reader, name: 'waypoint' | 'networkGateway'): object {
  const map = item.map(name);
  if (map === null) return {};
  const text = map.text('destination') || refuse(map.path('destination'), 'missing');
  const port = map.number('hboneMtlsPort', 15008);
  map.end();
  const slash = text.indexOf('/');
  const isAddress = /^[0-9.]+$|:/.test(text.slice(slash + 1));
  const destination = isAddress
    ? { case: 'address', value: networkAddress(text, map.path('destination')) }
    : { case: 'hostname', value: { namespace: text.slice(0, Math.max(0, slash)), hostname: text.slice(slash + 1) } };
  return { [name]: { destination, hboneMtlsPort: port } };
}

function tunnel(map: Reader | null): object {
  if (map === null) return {};
  const applicationTunnel = {
    protocol: map.choice('protocol', IstioApplicationTunnelProtocol, 0),
    port: map.number('port', 0),
  };
  map.end();
  return { applicationTunnel };
}

function locality(map: Reader | null): object {
  if (map === null) return {};
  const value = { region: map.text('region'), zone: map.text('zone'), subzone: map.text('subzone') };
  map.end();
  return { locality: value };
}

function balancing(map: Reader | null): object {
  if (map === null) return {};
  const scopes: Readonly<Record<string, number>> = IstioLoadBalancingScope;
  const routingPreference = map.texts('routingPreferences').map((text, i) => {
    return scopes[text.toUpperCase()] ?? refuse(`${map.path('routingPreferences')}[${i}]`, `unknown scope ${text}`);
  });
  const mode = map.choice('mode', { ...IstioLoadBalancingMode, STANDARD: IstioLoadBalancingMode.UNSPECIFIED_MODE }, 0);
  const healthPolicy = map.choice('healthPolicy', IstioLoadBalancingHealthPolicy, 0);
  map.end();
  return { loadBalancing: { routingPreference, mode, healthPolicy } };
}

/** Policies are kept to be warned about: nothing enforces them yet. */
function policy(item: Reader): LocalResource {
  const namespace = item.text('namespace');
  const name = item.text('name') || refuse(item.path('name'), 'missing');
  const groups = item.list('rules').map((rule, i) => {
    const path = `${item.path('rules')}[${i}]`;
    if (!Array.isArray(rule)) return refuse(path, 'must be a list of lists of matches');
    const rules = rule.map((clause: unknown, j) => {
      if (!Array.isArray(clause)) return refuse(`${path}[${j}]`, 'must be a list of matches');
      return { matches: clause.map((match: unknown, k) => matchOf(new Reader(match, `${path}[${j}][${k}]`))) };
    });
    return { rules };
  });
  const value = {
    namespace,
    name,
    scope: item.choice('scope', AuthzScope, 0),
    action: item.choice('action', AuthzAction, 0),
    dryRun: item.flag('dryRun'),
    groups,
  };
  item.end();
  return { kind: 'authorization', name: `${namespace}/${name}`, body: bytesOf(AuthorizationSchema, value) };
}

const textFields = ['namespaces', 'notNamespaces', 'principals', 'notPrincipals'] as const;
const addressFields = ['sourceIps', 'notSourceIps', 'destinationIps', 'notDestinationIps'] as const;
const accountFields = ['serviceAccounts', 'notServiceAccounts'] as const;
const portFields = ['destinationPorts', 'notDestinationPorts'] as const;

function matchOf(item: Reader): object {
  const match: Record<string, unknown> = {};
  for (const name of textFields) {
    match[name] = item.list(name).map((value, i) => {
      const one = new Reader(value, `${item.path(name)}[${i}]`);
      const [kind = '', ...more] = one.names();
      const known = { Exact: 'exact', Prefix: 'prefix', Suffix: 'suffix', Presence: 'presence' }[kind];
      if (known === undefined || more.length > 0) refuse(one.path(kind), 'must be one of Exact, Prefix and Suffix');
      return { matchType: { case: known, value: known === 'presence' ? {} : one.text(kind) } };
    });
  }
  for (const name of addressFields) {
    match[name] = item.texts(name).map((text, i) => prefixBytes(text, `${item.path(name)}[${i}]`));
  }
  for (const name of accountFields) {
    match[name] = item.texts(name).map((text) => {
      const slash = text.indexOf('/');
      return { namespace: text.slice(0, Math.max(0, slash)), serviceAccount: text.slice(slash + 1) };
    });
  }
  for (const name of portFields) match[name] = item.list(name).map(Number);
  item.end();
  return match;
}
