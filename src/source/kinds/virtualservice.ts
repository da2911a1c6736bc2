/** networking.istio.io VirtualService: how requests to a host are routed. */
import type { HttpRule, RuleAction, RuleMatch, TcpRule } from '../../model/route-objects.ts';
import { type Fields, fieldTable, shown } from '../fields.ts';
import { hostProblem } from '../names.ts';
import { completeHost, networkingVersions, warnExportTo } from './istio.ts';
import { type KindReader, readCreated, rootTable } from './kind.ts';
import { readDestinations, readForward, readRedirect, readReply, rewriteFor } from './virtualservice-action.ts';
import { matchTable, readMatch } from './virtualservice-match.ts';

const specTable = fieldTable({
  read: 'hosts gateways http tcp exportTo',
  refused: { tls: 'not supported: TLS connections are not routed by SNI' },
  closed: true,
});
const noMirror = 'not supported: requests are not mirrored';
const httpTable = fieldTable({
  read: 'name match route redirect directResponse rewrite timeout retries fault headers',
  refused: {
    delegate: 'not supported: write the routes here',
    mirror: noMirror,
    mirrors: noMirror,
    mirrorPercentage: noMirror,
    mirrorPercent: noMirror,
    corsPolicy: 'not supported: the mesh answers no preflight requests',
  },
  closed: true,
});
const tcpTable = fieldTable({ read: 'match route', closed: true });
const noSource = 'not supported: layer 4 routes hold for every client';
const tcpMatchTable = fieldTable({
  read: 'port gateways',
  refused: {
    destinationSubnets: 'not supported: a service is known by its own addresses',
    sourceSubnet: noSource,
    sourceLabels: noSource,
    sourceNamespace: noSource,
  },
  closed: true,
});

export const virtualServiceReader: KindReader = {
  kind: 'VirtualService',
  apiVersions: networkingVersions,
  read(root, meta) {
    const { namespace, name, origin } = meta;
    root.check(rootTable);
    const spec = root.requiredMap('spec', specTable);
    if (spec === null) return null;
    warnExportTo(spec, 'the routes hold');
    const gateways = spec.strings('gateways');
    const inMesh = gateways.length === 0 || gateways.includes('mesh');
    if (!inMesh) {
      spec.warn('KM1014', ['gateways'], 'without the gateway mesh it does not concern the mesh, and is passed over');
      return null;
    }
    const hosts = readHosts(spec, namespace);
    const http = spec.maps('http', httpTable).flatMap((rule, i) => readHttp(rule, i, namespace, name));
    const tcp = spec.maps('tcp', tcpTable).flatMap((rule, i) => readTcp(rule, i, namespace));
    if (!spec.has('http') && !spec.has('tcp')) spec.error('KM1010', ['http'], 'needs routes in http or tcp');
    return { kind: 'VirtualService', namespace, name, origin, created: readCreated(meta), hosts, http, tcp };
  },
};

function readHosts(spec: Fields, namespace: string): string[] {
  const written = spec.strings('hosts').map((host) => host.toLowerCase());
  if (written.length === 0 && !spec.has('hosts')) spec.error('KM1010', ['hosts'], 'is missing');
  const hosts = written.map((host) => completeHost(host, namespace));
  for (const [i, host] of written.entries()) {
    const problem = hostProblem(host);
    if (problem !== '') spec.error('KM1009', ['hosts', i], `${problem}: ${shown(host)}`);
    else if (hosts.indexOf(hosts[i] ?? '') < i) spec.error('KM1009', ['hosts', i], `${shown(host)} is there twice`);
  }
  return hosts;
}

/** One rule of the object. Where conditions have different prefixes that are rewritten, it is several here. */
function readHttp(rule: Fields, index: number, namespace: string, object: string): HttpRule[] {
  const timeout = rule.duration('timeout');
  if (timeout !== null && timeout > 0) rule.error('KM1011', ['timeout'], 'not supported: requests have no timeouts');
  const written = rule.maps('match', matchTable);
  const matches = written.map(readMatch).filter((match) => match !== null);
  const { action, uri } = readAction(rule, namespace);
  if (written.length > 0 && matches.length === 0) return [];
  const name = rule.string('name') || `${object}.${index}`;
  const all: RuleMatch[] = written.length === 0 ? [{ port: 0, match: {} }] : matches;
  if (uri === '' || action.kind !== 'forward') return [{ name, index, matches: all, action }];
  const rules: HttpRule[] = [];
  let last = '';
  for (const match of all) {
    const path = rewriteFor(uri, match.match.path);
    const key = JSON.stringify(path);
    const previous = rules.at(-1);
    if (previous !== undefined && key === last) {
      rules[rules.length - 1] = { ...previous, matches: [...previous.matches, match] };
    } else rules.push({ name, index, matches: [match], action: { ...action, path } });
    last = key;
  }
  return rules;
}

function readAction(rule: Fields, namespace: string): { readonly action: RuleAction; readonly uri: string } {
  const redirect = readRedirect(rule);
  const reply = readReply(rule);
  const { forward, uri } = readForward(rule, namespace);
  const given = ['route', 'redirect', 'directResponse'].filter((name) => rule.raw(name) !== null);
  if (given.length > 1) rule.error('KM1009', [given[1] ?? ''], `cannot stand beside ${given[0]}`);
  else if (given.length === 0 && !rule.has('delegate')) {
    rule.error('KM1010', ['route'], 'needs one of route, redirect and directResponse');
  } else if (forward.destinations.length === 0 && given[0] === 'route') {
    rule.error('KM1010', ['route'], 'needs a destination');
  }
  if (redirect === null && reply === null) return { action: forward, uri };
  for (const field of ['rewrite', 'fault', 'headers', 'retries']) {
    if (rule.has(field)) rule.error('KM1011', [field], `not supported beside ${given[0]}: nothing is forwarded`);
  }
  return { action: redirect ?? reply ?? forward, uri: '' };
}

function readTcp(rule: Fields, index: number, namespace: string): TcpRule[] {
  const written = rule.maps('match', tcpMatchTable).map((match) => ({
    port: match.integer('port', 1, 65535) ?? 0,
    gateways: match.strings('gateways'),
  }));
  const matches = written.filter(({ gateways }) => gateways.length === 0 || gateways.includes('mesh'));
  const destinations = readDestinations(rule, namespace, false);
  if (destinations.length === 0) rule.error('KM1010', ['route'], 'needs a destination');
  if (written.length > 0 && matches.length === 0) return [];
  const ports = matches.map(({ port }) => port);
  return [{ index, ports: ports.includes(0) ? [] : ports, destinations }];
}
