/** What is wrong with routes in view of the rest of the mesh: hosts that nobody serves, destinations that are not there. */
import type { FieldPath } from './fieldpath.ts';
import type { Issue } from './modelproblems.ts';
import type {
  Destination,
  HttpRouteObject,
  HttpRule,
  RouteParent,
  RuleAction,
  VirtualServiceObject,
} from './route-objects.ts';
import { backendVerdict, parentVerdict } from './route-verdict.ts';
import { type RouteSources, resolve } from './routing.ts';
import { tcpRuleFor } from './tcp-routes.ts';
import { originText, type Service } from './types.ts';

export function routeIssues(sources: RouteSources, services: ReadonlyMap<string, Service>): Issue[] {
  const issues: Issue[] = [];
  for (const object of sources.virtualServices.objects()) {
    for (const [i, host] of object.hosts.entries()) issues.push(...hostIssues(sources, object, host, i));
    const port = firstPort(sources, object);
    for (const { index, action } of object.http) {
      issues.push(...lostIssues(sources, object, destinationsOf(action), ['spec', 'http', index], port, 503));
    }
    for (const { index, destinations } of object.tcp) {
      issues.push(...lostIssues(sources, object, destinations, ['spec', 'tcp', index], port, 0));
    }
  }
  for (const object of sources.httpRoutes.objects()) {
    for (const parent of object.parents) issues.push(...parentIssues(services, object, parent));
    for (const rule of object.rules) issues.push(...backendIssues(sources, object, rule));
  }
  return once(issues);
}

/** Rules that were one rule of the object give the same issue. */
function once(issues: readonly Issue[]): Issue[] {
  const seen = new Set<string>();
  return issues.filter(({ object, path, reason }) => {
    const key = JSON.stringify([object.kind, object.namespace, object.name, path, reason()]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function destinationsOf(action: RuleAction): readonly Destination[] {
  return action.kind === 'forward' ? action.destinations : [];
}

/** A port that requests come to, for destinations that name none. */
function firstPort(sources: RouteSources, { hosts }: VirtualServiceObject): number {
  for (const host of hosts) {
    for (const { ports } of sources.hostnames.covered(host)) if (ports[0] !== undefined) return ports[0].port;
  }
  return 0;
}

function hostIssues(sources: RouteSources, object: VirtualServiceObject, host: string, i: number): Issue[] {
  const path = ['spec', 'hosts', i];
  const first = sources.virtualServices.first(host);
  if (first !== null && first !== object) {
    const { kind, namespace, name, origin } = first;
    const reason = () =>
      `${kind} ${namespace}/${name} (${originText(origin)}) is for ${host} too, and is in force for it`;
    return [{ severity: 'error', code: 'KM2008', object, path, reason }];
  }
  const covered = [...sources.hostnames.covered(host)].filter(
    ({ hostname }) => sources.virtualServices.of(hostname) === object,
  );
  const warn = (where: FieldPath, text: string): Issue => ({
    severity: 'warning',
    code: 'KM2009',
    object,
    path: where,
    reason: () => text,
  });
  if (covered.length === 0) return [warn(path, `there is no service ${host}`)];
  const issues: Issue[] = [];
  const ports = covered.flatMap((service) => service.ports.map((port) => ({ service, port })));
  if (object.http.length > 0) {
    const usable = ports.filter(({ port }) => port.mode !== 'tcp');
    if (usable.length === 0) issues.push(warn(['spec', 'http'], `no port of ${host} is for HTTP`));
    for (const { service, port } of usable) {
      const winner = sources.httpRoutes.of(service.key, port).find((one) => one.namespace === service.namespace);
      if (winner === undefined) continue;
      const text = `HTTPRoute ${winner.namespace}/${winner.name} comes first at ${service.hostname}:${port.port}`;
      issues.push(warn(['spec', 'http'], text));
    }
  }
  for (const rule of object.tcp) {
    const used = ports.some(
      ({ port }) => port.mode === 'tcp' && port.protocol === 'TCP' && tcpRuleFor(object, port.port) === rule,
    );
    if (!used) issues.push(warn(['spec', 'tcp', rule.index], `no TCP port of ${host} is left for it`));
  }
  return issues;
}

function parentIssues(services: ReadonlyMap<string, Service>, object: HttpRouteObject, parent: RouteParent): Issue[] {
  const { text } = parentVerdict(services, parent);
  if (text === '') return [];
  const path = ['spec', 'parentRefs', parent.index];
  return [{ severity: 'warning', code: 'KM2009', object, path, reason: () => text }];
}

function backendIssues(sources: RouteSources, object: HttpRouteObject, { index, action }: HttpRule): Issue[] {
  return destinationsOf(action).flatMap((destination, i): Issue[] => {
    const { text, reason, field } = backendVerdict(sources, object, object.parents, destination);
    // Of a kind that is none, the reader has said it.
    if (text === '' || reason === 'InvalidKind') return [];
    const path = ['spec', 'rules', index, 'backendRefs', i, ...field];
    const whole = `${text}: its requests are answered with 500`;
    return [{ severity: 'warning', code: 'KM2010', object, path, reason: () => whole }];
  });
}

/** `status`: what requests get, 0 for connections. */
function lostIssues(
  sources: RouteSources,
  object: VirtualServiceObject,
  destinations: readonly Destination[],
  rule: FieldPath,
  port: number,
  status: number,
): Issue[] {
  const fate = status === 0 ? 'it gets no connections' : `its requests are answered with ${status}`;
  return destinations.flatMap((destination, i): Issue[] => {
    const warn = (field: string, text: string): Issue[] => {
      const path = [...rule, 'route', i, 'destination', field];
      return [{ severity: 'warning', code: 'KM2010', object, path, reason: () => `${text}: ${fate}` }];
    };
    const { host, subset } = destination;
    const { missing, cluster } = resolve(sources.hostnames, destination, object.namespace, port);
    if (missing === 'service') return warn('host', `there is no service ${host}`);
    if (missing === 'port') return warn('port', `${host} has no TCP port ${cluster.port}`);
    if (missing === 'subset') {
      return warn('subset', `no DestinationRule gives ${host} a subset ${JSON.stringify(subset)}`);
    }
    return [];
  });
}
