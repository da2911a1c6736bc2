/** networking.istio.io DestinationRule: how the endpoints of a host share requests, and which of them are a subset. */
import { hashNameMax } from '../../model/http.ts';
import type { PolicyFields, RuleSubset, TrafficPolicy } from '../../model/objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsNameProblem, labelValueProblem } from '../names.ts';
import { checkHeaderName } from './http.ts';
import { completeHost, networkingVersions, warnExportTo } from './istio.ts';
import { type KindReader, readBalancePer, readLabels, rootTable } from './kind.ts';
import { readLocalitySetting } from './locality.ts';

const specTable = fieldTable({
  read: 'host trafficPolicy subsets exportTo',
  refused: { workloadSelector: 'not supported: a rule holds for every client' },
  closed: true,
});
const subsetTable = fieldTable({ read: 'name labels trafficPolicy', closed: true });
const noEjection = 'endpoints are not ejected; what the objects say of their health counts';
const refusedPolicy = {
  tls: 'not supported: the mesh does not encrypt',
};
const policyTable = fieldTable({
  read: 'loadBalancer connectionPool portLevelSettings outlierDetection',
  refused: {
    ...refusedPolicy,
    tunnel: 'not supported: connections are not tunnelled',
    proxyProtocol: 'not supported: connections carry no PROXY header',
    retryBudget: 'not supported: retries have no budget',
  },
  closed: true,
});
const portPolicyTable = fieldTable({
  read: 'port loadBalancer connectionPool outlierDetection',
  refused: refusedPolicy,
  closed: true,
});
const portTable = fieldTable({ read: 'number', closed: true });
const poolTable = fieldTable({
  read: 'tcp',
  refused: { http: 'not supported: HTTP requests and connections are not limited' },
  closed: true,
});
const tcpPoolTable = fieldTable({
  read: 'connectTimeout',
  refused: {
    maxConnections: 'not supported: connections are not limited',
    maxConnectionDuration: 'not supported: connections last as long as the application wants',
    idleTimeout: 'not supported: connections last as long as the application wants',
    tcpKeepalive: 'not supported: the application sets its own',
  },
  closed: true,
});
const loadBalancerTable = fieldTable({
  read: 'simple consistentHash localityLbSetting',
  refused: {
    warmupDurationSecs: 'not supported: a new endpoint gets its share at once',
    warmup: 'not supported: a new endpoint gets its share at once',
  },
  closed: true,
});
const onlyMaglev = 'not supported: the hash is Maglev, leave it out';
const hashTable = fieldTable({
  read: 'httpHeaderName httpCookie useSourceIp maglev',
  refused: {
    httpQueryParameterName: 'not supported: hash a header, a cookie or the source address',
    ringHash: onlyMaglev,
    minimumRingSize: onlyMaglev,
  },
  closed: true,
});
const noCookie = 'not supported: the mesh sets no cookie, it only reads one';
const cookieTable = fieldTable({
  read: 'name',
  refused: { ttl: noCookie, path: noCookie, attributes: noCookie },
  closed: true,
});
const maglevTable = fieldTable({ read: 'tableSize', closed: true });
export const destinationRuleReader: KindReader = {
  kind: 'DestinationRule',
  apiVersions: networkingVersions,
  read(root, meta) {
    root.check(rootTable);
    const spec = root.requiredMap('spec', specTable);
    if (spec === null) return null;
    warnExportTo(spec, 'the rule holds');
    const { namespace, name, origin } = meta;
    return {
      kind: 'DestinationRule',
      namespace,
      name,
      origin,
      host: readHost(spec, namespace),
      policy: readPolicy(spec),
      subsets: readSubsets(spec),
      balancePer: readBalancePer(meta),
    };
  },
};

function readHost(spec: Fields, namespace: string): string {
  const host = spec.required('host').toLowerCase();
  if (host === '') return '';
  if (host.includes('*')) {
    spec.error('KM1011', ['host'], `a wildcard is not supported: ${shown(host)}`);
    return '';
  }
  const problem = dnsNameProblem(host);
  if (problem !== '') spec.error('KM1009', ['host'], `${problem}: ${shown(host)}`);
  return completeHost(host, namespace);
}

function readSubsets(spec: Fields): RuleSubset[] {
  const names = new Set<string>();
  return spec.maps('subsets', subsetTable).map((fields) => {
    const name = fields.required('name');
    const problem = labelValueProblem(name);
    if (problem !== '') fields.error('KM1009', ['name'], `${problem}: ${shown(name)}`);
    else if (names.has(name)) fields.error('KM1009', ['name'], `${shown(name)} is there twice`);
    names.add(name);
    return { name, labels: readLabels(fields, 'labels'), policy: readPolicy(fields) };
  });
}

function readPolicy(parent: Fields): TrafficPolicy {
  const policy = parent.map('trafficPolicy', policyTable);
  const ports = new Map<number, PolicyFields>();
  if (policy === null) return { ports };
  for (const fields of policy.maps('portLevelSettings', portPolicyTable)) {
    const port = fields.requiredMap('port', portTable)?.port('number') ?? 0;
    if (ports.has(port)) fields.error('KM1009', ['port', 'number'], `${port} is there twice`);
    ports.set(port, readFields(fields));
  }
  return { ...readFields(policy), ports };
}

function readFields(policy: Fields): PolicyFields {
  const balancer = policy.map('loadBalancer', loadBalancerTable);
  const pool = policy.map('connectionPool', poolTable)?.map('tcp', tcpPoolTable) ?? null;
  const timeout = pool?.duration('connectTimeout') ?? null;
  if (timeout !== null && (timeout < 1 || timeout > 3_600_000)) {
    pool?.error('KM1009', ['connectTimeout'], 'must be from 1ms to 1h');
  }
  const locality = balancer === null ? 'service' : readLocalitySetting(balancer);
  if (policy.has('outlierDetection')) {
    // Istio asks for it beside fail-over, which here goes by what the objects say anyway.
    if (locality !== null && locality !== 'service')
      policy.warn('KM1014', ['outlierDetection'], `has no effect: ${noEjection}`);
    else policy.error('KM1011', ['outlierDetection'], `not supported: ${noEjection}`);
  }
  return {
    ...(balancer === null ? {} : { balance: readBalance(balancer), locality }),
    ...(timeout === null ? {} : { connectTimeoutMs: Math.round(timeout) }),
  };
}

const simple: Readonly<Record<string, 'random' | 'round-robin' | 'least-request'>> = {
  UNSPECIFIED: 'random',
  RANDOM: 'random',
  ROUND_ROBIN: 'round-robin',
  LEAST_REQUEST: 'least-request',
  LEAST_CONN: 'least-request',
};

function readBalance(balancer: Fields): NonNullable<PolicyFields['balance']> {
  const name = balancer.oneOf('simple', [...Object.keys(simple), 'PASSTHROUGH']);
  if (name === 'PASSTHROUGH') {
    balancer.error('KM1011', ['simple'], 'PASSTHROUGH is not supported: a service always has its endpoints');
  }
  const hash = balancer.map('consistentHash', hashTable);
  if (hash === null) return { balance: simple[name] ?? 'random' };
  if (name !== '') balancer.error('KM1009', ['consistentHash'], 'cannot stand beside simple');
  if (hash.map('maglev', maglevTable)?.has('tableSize') === true) {
    hash.warn('KM1014', ['maglev', 'tableSize'], 'has no effect: the table is as large as the endpoints need');
  }
  return { balance: 'maglev', hash: readHash(hash) };
}

function readHash(hash: Fields): { readonly kind: 'source' } | { readonly kind: 'header' | 'cookie'; name: string } {
  const header = hash.string('httpHeaderName');
  const cookie = hash.map('httpCookie', cookieTable);
  const source = hash.boolean('useSourceIp') === true;
  const given = Number(header !== '') + Number(cookie !== null) + Number(source);
  if (given === 0) hash.error('KM1010', [], 'needs one of httpHeaderName, httpCookie and useSourceIp');
  if (given > 1) hash.error('KM1009', [], 'takes only one of httpHeaderName, httpCookie and useSourceIp');
  if (cookie !== null) {
    const name = cookie.required('name');
    checkHashName(cookie, 'name', name);
    return { kind: 'cookie', name };
  }
  if (header === '') return { kind: 'source' };
  checkHashName(hash, 'httpHeaderName', header);
  return { kind: 'header', name: header.toLowerCase() };
}

/** Names of headers and cookies have one syntax (RFC 6265 4.1.1). */
function checkHashName(fields: Fields, at: string, name: string): void {
  if (name === '') return;
  checkHeaderName(fields, [at], name);
  const bytes = Buffer.byteLength(name);
  if (bytes > hashNameMax) fields.error('KM1011', [at], `too long: at most ${hashNameMax} bytes, not ${bytes}`);
}
