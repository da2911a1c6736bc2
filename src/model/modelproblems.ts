/** What is wrong between objects. Kept as notes, written with the lines of the moment when somebody asks. */
import type { ErrorCode } from '../base/errors.ts';
import { type FieldPath, fieldText } from './fieldpath.ts';
import type { EndpointSliceObject, KubeObject } from './objects.ts';
import type { Rules } from './rules.ts';
import { type Origin, originText, type Problem, type Service } from './types.ts';

export interface Issue {
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  readonly object: KubeObject;
  readonly path: FieldPath;
  /** Written late, since it may name the line of another object. */
  readonly reason: () => string;
}

export class ModelProblems {
  readonly #issues = new Map<string, readonly Issue[]>();
  readonly #locate: (origin: Origin, path: FieldPath) => number;

  constructor(locate: (origin: Origin, path: FieldPath) => number) {
    this.#locate = locate;
  }

  /** Replaces the issues of one owner. */
  set(owner: string, issues: readonly Issue[]): void {
    if (issues.length > 0) this.#issues.set(owner, issues);
    else this.#issues.delete(owner);
  }

  clear(owner: string): void {
    this.#issues.delete(owner);
  }

  /** All problems by file and line, with `more`; `orphans` are slices of services that do not exist. */
  list(
    mesh: { readonly services: ReadonlyMap<string, Service>; readonly rules: Rules; readonly placed: boolean },
    orphans: readonly EndpointSliceObject[],
    more: readonly Issue[],
  ): Problem[] {
    const issues = [...[...this.#issues.values()].flat(), ...more];
    for (const slice of orphans) {
      const reason = () => `there is no Service ${slice.namespace}/${slice.service}`;
      const path = ['metadata', 'labels', 'kubernetes.io/service-name'];
      issues.push({ severity: 'warning', code: 'KM2006', object: slice, path, reason });
    }
    issues.push(...ruleIssues(mesh.services, mesh.rules));
    if (!mesh.placed) issues.push(...placeIssues(mesh.rules));
    const problems = issues.map((issue) => this.#problem(issue));
    return problems.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  }

  #problem({ severity, code, object, path, reason }: Issue): Problem {
    const { kind, namespace, name, origin } = object;
    return {
      severity,
      code,
      kind,
      namespace,
      name,
      file: origin.file,
      line: this.#locate(origin, path),
      field: fieldText(path),
      reason: reason(),
      lastGoodInForce: false,
    };
  }
}

/** Rules in force that go by places, where the node's is not known. */
function placeIssues(rules: Rules): Issue[] {
  return [...rules.entries()].flatMap(([, [rule]]): Issue[] => {
    const policies = rule === undefined ? [] : [rule.policy, ...rule.subsets.map(({ policy }) => policy)];
    const fields = policies.flatMap((policy) => [policy, ...policy.ports.values()]);
    const located = fields.some(({ locality }) => typeof locality === 'object' && locality !== null);
    if (rule === undefined || !located) return [];
    const reason = () =>
      'endpoints are not preferred by their place: the node has no labels topology.kubernetes.io, and the daemon no --locality';
    return [{ severity: 'warning', code: 'KM2011', object: rule, path: ['spec'], reason }];
  });
}

function ruleIssues(services: ReadonlyMap<string, Service>, rules: Rules): Issue[] {
  const issues: Issue[] = [];
  let namespaces: Map<string, string> | null = null;
  const path = ['spec', 'host'];
  for (const [host, [first, ...others]] of rules.entries()) {
    if (first === undefined) continue;
    for (const rule of others) {
      const { origin } = first;
      const reason = () => `${originText(origin)} has a rule for this host, which is in force`;
      issues.push({ severity: 'error', code: 'KM2004', object: rule, path, reason });
    }
    if (services.has(host)) continue;
    namespaces ??= new Map([...services.values()].map((service) => [service.hostname, service.namespace]));
    const elsewhere = namespaces.get(first.host);
    const reason = () =>
      elsewhere === undefined
        ? `there is no service ${first.host}`
        : `${first.host} is in namespace ${elsewhere}: a rule for the clients of one namespace is not supported`;
    const severity = elsewhere === undefined ? 'warning' : 'error';
    issues.push({ severity, code: 'KM2005', object: first, path, reason });
  }
  return issues;
}
