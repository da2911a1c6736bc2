/** What is to be said of a route of the API server, from the object as it is there and the mesh as it is now. */

import { fieldText } from '../model/fieldpath.ts';
import type { HttpRouteObject } from '../model/route-objects.ts';
import type { RouteVerdict } from '../model/route-verdict.ts';
import type { Problem } from '../model/types.ts';
import { type Finding, isMap } from '../source/fields.ts';
import { incompatibleFilters } from '../source/kinds/httproute-filters.ts';
import { sourceName } from '../source/kubernetes/store.ts';
import { readObject } from '../source/object.ts';
import type { Condition, ParentStatus } from './parents.ts';

/** What the mesh knows beyond one object. */
export interface Mesh {
  readonly verdict: (object: HttpRouteObject) => RouteVerdict;
  /** What no kernel table can hold. */
  readonly refusals: () => readonly Problem[];
}

/** A route of the API server, read once for each of its versions. */
export interface ReadRoute {
  readonly parents: readonly ServiceParent[];
  /** Null: it was refused, and `reason` and `message` say why. */
  readonly object: HttpRouteObject | null;
  readonly reason: string;
  readonly message: string;
}

interface ServiceParent {
  readonly index: number;
  readonly ref: Readonly<Record<string, unknown>>;
}

/** So many of an object's findings are told. */
const told = 5;

export function readRoute(value: Readonly<Record<string, unknown>>, kind: string, id: string): ReadRoute {
  const parents = serviceParents(value);
  if (kind !== 'HTTPRoute') {
    const message = `${kind} is not supported: HTTP/2 and gRPC pass the mesh as layer 4`;
    return { parents, object: null, reason: 'UnsupportedValue', message };
  }
  const origin = { source: sourceName, file: `${sourceName} ${kind} ${id}`, line: 0 };
  const { object, findings } = readObject(value, kind, origin);
  if (object?.kind === 'HTTPRoute') return { parents, object, reason: 'Accepted', message: '' };
  const errors = findings.filter(({ severity }) => severity === 'error');
  const together = errors.some(({ reason }) => reason === incompatibleFilters);
  return {
    ...{ parents, object: null, reason: together ? 'IncompatibleFilters' : 'UnsupportedValue' },
    message: messageOf(errors),
  };
}

export function judge(route: ReadRoute, mesh: Mesh): ParentStatus[] {
  const { object } = route;
  if (object === null) {
    const conditions = [accepted(route.reason, route.message)];
    return route.parents.map(({ ref }) => ({ parentRef: ref, conditions }));
  }
  const verdicts = mesh.verdict(object).parents;
  const refusals = mesh.refusals().filter(({ file }) => file === object.origin.file);
  return route.parents.flatMap(({ index, ref }): ParentStatus[] => {
    const verdict = verdicts.find(({ parent }) => parent.index === index);
    if (verdict === undefined) return [];
    const { namespace, name } = verdict.parent;
    const refused = refusals.filter((one) => one.namespace === namespace && one.name === name);
    const first = verdict.accepted.reason === 'Accepted' && refused.length > 0;
    const condition = first
      ? accepted('UnsupportedValue', [...new Set(refused.map(({ reason }) => reason))].slice(0, told).join('; '))
      : accepted(verdict.accepted.reason, verdict.accepted.text);
    const { reason, text } = verdict.resolved;
    const resolved: Condition = {
      ...{ type: 'ResolvedRefs', status: reason === 'ResolvedRefs' ? 'True' : 'False', reason },
      message: text === '' ? 'every backend is there' : `${text}: its requests are answered with 500`,
    };
    return [{ parentRef: ref, conditions: [condition, resolved] }];
  });
}

function accepted(reason: string, message: string): Condition {
  const good = reason === 'Accepted';
  const text = good ? 'requests to the Service are routed by it' : message;
  return { type: 'Accepted', status: good ? 'True' : 'False', reason, message: text };
}

function serviceParents(value: Readonly<Record<string, unknown>>): ServiceParent[] {
  const spec = value['spec'];
  const refs = isMap(spec) && Array.isArray(spec['parentRefs']) ? (spec['parentRefs'] as readonly unknown[]) : [];
  return refs.flatMap((ref, index): ServiceParent[] =>
    isMap(ref) && ref['kind'] === 'Service' && ref['group'] === '' ? [{ index, ref }] : [],
  );
}

function messageOf(errors: readonly Finding[]): string {
  const lines = errors.slice(0, told).map(({ path, reason }) => `${fieldText(path)}: ${reason}`);
  return [...lines, ...(errors.length > told ? [`and ${errors.length - told} more`] : [])].join('; ');
}
