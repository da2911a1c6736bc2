/** networking.istio.io DestinationRule: here, how a user picks the load-balancing policy of a host. */
import { type Fields, fieldTable, shown } from '../fields.ts';
import { dnsNameProblem } from '../names.ts';
import { networkingVersions } from './istio.ts';
import { type KindReader, rootTable } from './kind.ts';

const onlySimple = 'not supported: only trafficPolicy.loadBalancer.simple is';

const specTable = fieldTable({
  read: 'host trafficPolicy exportTo',
  refused: { subsets: onlySimple, workloadSelector: 'not supported: a rule holds for every client' },
});
const policyTable = fieldTable({
  read: 'loadBalancer',
  refused: {
    connectionPool: onlySimple,
    outlierDetection: onlySimple,
    tls: onlySimple,
    portLevelSettings: onlySimple,
    tunnel: onlySimple,
    proxyProtocol: onlySimple,
    retryBudget: onlySimple,
  },
});
const loadBalancerTable = fieldTable({
  read: 'simple',
  refused: {
    consistentHash: onlySimple,
    localityLbSetting: onlySimple,
    warmupDurationSecs: onlySimple,
    warmup: onlySimple,
  },
});

export const destinationRuleReader: KindReader = {
  kind: 'DestinationRule',
  apiVersions: networkingVersions,
  read(root, { namespace, name, origin }) {
    root.check(rootTable);
    const spec = root.requiredMap('spec', specTable);
    if (spec === null) return null;
    if (spec.strings('exportTo').some((target) => target !== '*')) {
      spec.warn('KM1014', ['exportTo'], 'has no effect: the rule holds for every client');
    }
    const host = readHost(spec, namespace);
    const balancer = spec.map('trafficPolicy', policyTable)?.map('loadBalancer', loadBalancerTable) ?? null;
    return { kind: 'DestinationRule', namespace, name, origin, host, policy: readPolicy(balancer) };
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
  return host.includes('.') ? host : `${host}.${namespace}.svc.cluster.local`;
}

function readPolicy(balancer: Fields | null): 'random' | 'round-robin' | null {
  if (balancer === null) return null;
  const known = ['UNSPECIFIED', 'ROUND_ROBIN', 'RANDOM', 'LEAST_REQUEST', 'LEAST_CONN', 'PASSTHROUGH'];
  const simple = balancer.oneOf('simple', known);
  if (simple === 'RANDOM') return 'random';
  if (simple === 'ROUND_ROBIN') return 'round-robin';
  if (simple !== '' && simple !== 'UNSPECIFIED') {
    balancer.error('KM1011', ['simple'], `${simple} is not supported: use RANDOM or ROUND_ROBIN`);
  }
  return null;
}
