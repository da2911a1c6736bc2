/** gateway.networking.k8s.io HTTPRoute with Services as parents (GAMMA): how requests to a Service are routed. */
import { serviceHost } from '../../model/hostnames.ts';
import {
  type Destination,
  defaultConnectRetries,
  type HttpRule,
  noEdits,
  type RouteParent,
  type RuleAction,
} from '../../model/route-objects.ts';
import { type Fields, fieldTable } from '../fields.ts';
import { gatewayGroup, readName } from './gateway.ts';
import { type Filters, readFilters, rewriteFor } from './httproute-filters.ts';
import { matchTable, type RouteMatch, readMatch } from './httproute-match.ts';
import { type KindReader, readCreated, rootTable } from './kind.ts';

const specTable = fieldTable({
  read: 'parentRefs hostnames rules',
  harmless: 'useDefaultGateways',
  closed: true,
});
const parentTable = fieldTable({ read: 'group kind namespace name sectionName port', closed: true });
const noRetry = 'not supported: only a failed connect is tried again, at another endpoint';
const ruleTable = fieldTable({
  read: 'name matches filters backendRefs',
  refused: {
    timeouts: 'not supported: requests have no timeouts',
    retry: noRetry,
    sessionPersistence: 'not supported: the mesh sets no cookie; see consistentHash of a DestinationRule',
  },
  closed: true,
});
const backendTable = fieldTable({ read: 'group kind namespace name port weight filters', closed: true });

export const httpRouteReader: KindReader = {
  kind: 'HTTPRoute',
  apiVersions: [`${gatewayGroup}/v1`, `${gatewayGroup}/v1beta1`],
  read(root, meta) {
    const { namespace, name, origin } = meta;
    root.check(rootTable);
    const spec = root.requiredMap('spec', specTable);
    if (spec === null) return null;
    const parents = readParents(spec, namespace);
    if (parents.length === 0) return null;
    if (spec.has('hostnames')) {
      spec.warn('KM1014', ['hostnames'], 'has no effect: a Service is known by its address (so says the API)');
    }
    const rules = spec.maps('rules', ruleTable).flatMap((rule, i) => readRule(rule, i, namespace, name));
    return {
      kind: 'HTTPRoute',
      namespace,
      name,
      origin,
      created: readCreated(meta),
      parents,
      rules: spec.has('rules') ? rules : [emptyRule(name)],
    };
  },
};

function readParents(spec: Fields, namespace: string): RouteParent[] {
  const parents: RouteParent[] = [];
  const refs = spec.maps('parentRefs', parentTable);
  if (refs.length === 0 && !spec.has('parentRefs')) {
    spec.warn('KM1014', ['parentRefs'], 'without a parent it has no effect');
  }
  for (const [index, ref] of refs.entries()) {
    const group = ref.raw('group') === null ? gatewayGroup : ref.string('group');
    const kind = ref.string('kind') || 'Gateway';
    if (kind === 'Gateway' && group === gatewayGroup) {
      ref.warn('KM1014', [], 'a Gateway does not concern the mesh: passed over');
    } else if (kind !== 'Service' || group !== '') {
      ref.warn(
        'KM1014',
        ['kind'],
        `a parent ${group}/${kind} does not concern the mesh, only a Service (group "") does: passed over`,
      );
    } else {
      const port = ref.integer('port', 1, 65535) ?? 0;
      const section = ref.string('sectionName');
      const name = readName(ref, 'name');
      const where = ref.has('namespace') ? readName(ref, 'namespace') : namespace;
      parents.push({ index, namespace: where, name, port, section });
    }
  }
  return parents;
}

/** The default of `rules`: it takes every request and has nowhere to send it. */
function emptyRule(object: string): HttpRule {
  const filters = { headers: noEdits, responseHeaders: null, redirect: null, host: '', path: null };
  return { name: `${object}.0`, index: 0, matches: [{ port: 0, match: {} }], action: actionOf(filters, [], '') };
}

/** A rule for each of its matches, since the API orders matches and not rules. Those with the same action share it. */
function readRule(rule: Fields, index: number, namespace: string, object: string): HttpRule[] {
  const filters = readFilters(rule, [
    'RequestHeaderModifier',
    'ResponseHeaderModifier',
    'RequestRedirect',
    'URLRewrite',
  ]);
  const destinations = readBackends(rule, namespace);
  if (filters.redirect !== null && destinations.length > 0) {
    rule.error('KM1009', ['backendRefs'], 'cannot stand beside RequestRedirect');
  }
  const written = rule.maps('matches', matchTable);
  const matches: RouteMatch[] = written.length === 0 ? [{ match: {}, prefix: '/' }] : written.map(readMatch);
  if (filters.path?.kind === 'segments' && matches.some(({ prefix }) => prefix === null)) {
    rule.error('KM1009', ['filters'], 'ReplacePrefixMatch needs PathPrefix in every match');
  }
  const name = rule.string('name') || `${object}.${index}`;
  const actions = new Map<string, RuleAction>();
  return matches.map(({ match, prefix }) => {
    const key = filters.path?.kind === 'segments' ? (prefix ?? '') : '';
    const action = actions.get(key) ?? actionOf(filters, destinations, key);
    actions.set(key, action);
    return { name, index, matches: [{ port: 0, match }], action };
  });
}

function actionOf(
  { headers, responseHeaders, redirect, host, path }: Filters,
  destinations: readonly Destination[],
  prefix: string,
): RuleAction {
  const rewrite = path === null ? {} : { path: rewriteFor(path, prefix) };
  if (redirect !== null) return { ...redirect, ...rewrite };
  return {
    kind: 'forward',
    destinations,
    headers,
    ...(responseHeaders === null ? {} : { responseHeaders }),
    ...(host === '' ? {} : { host }),
    ...rewrite,
    connectRetries: defaultConnectRetries,
  };
}

function readBackends(rule: Fields, namespace: string): Destination[] {
  return rule.maps('backendRefs', backendTable).map((ref) => {
    const group = ref.string('group');
    const kind = ref.string('kind') || 'Service';
    const known = kind === 'Service' && group === '';
    const what = group === '' ? kind : `${group}/${kind}`;
    if (!known) {
      const fate = 'its requests are answered with 500';
      ref.warn('KM1014', ['kind'], `a backend ${what} is not supported, only a Service: ${fate}`);
    }
    const name = readName(ref, 'name');
    const where = ref.has('namespace') ? readName(ref, 'namespace') : namespace;
    const { headers, responseHeaders } = readFilters(ref, ['RequestHeaderModifier', 'ResponseHeaderModifier']);
    const weight = ref.integer('weight', 0, 1_000_000) ?? 1;
    const port = known ? ref.port('port') : (ref.integer('port', 1, 65535) ?? 0);
    const answer = responseHeaders === null ? {} : { responseHeaders };
    const common = { host: serviceHost(name, where), port, subset: '', weight, headers, ...answer };
    return known ? common : { ...common, unknownKind: what };
  });
}
