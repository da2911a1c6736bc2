/** How the endpoints of a cluster share their work: DestinationRule, subset and port settings put together. */
import type { ClusterPolicy } from './http.ts';
import type { LocalityPolicy } from './localities.ts';
import type { BalancePer, DestinationRuleObject, PolicyFields, RuleSubset, TrafficPolicy } from './objects.ts';
import type { ServicePort } from './types.ts';

/** Shared by all that no rule is for. */
const usual: ClusterPolicy = { balance: 'random', perConnection: false, connectTimeoutMs: 0 };

export interface PolicyContext {
  readonly rule: DestinationRuleObject | null;
  /** Annotation of the Service or ServiceEntry; a rule's comes first. */
  readonly balancePer: BalancePer;
}

/** Policy of a port, or of a subset of its endpoints. */
export function policyOf(
  { rule, balancePer }: PolicyContext,
  { port, mode }: Pick<ServicePort, 'port' | 'mode'>,
  subset: RuleSubset | null = null,
): ClusterPolicy {
  const ofRule = rule === null ? {} : fieldsAt(rule.policy, port, {});
  const { balance, connectTimeoutMs = 0 } = subset === null ? ofRule : fieldsAt(subset.policy, port, ofRule);
  const perConnection = (rule?.balancePer || balancePer) === 'connection';
  if (balance === undefined && !perConnection && connectTimeoutMs === 0) return usual;
  // Without requests there is nothing to hash but the source.
  const nothing = mode === 'tcp' && balance?.hash !== undefined && balance.hash.kind !== 'source';
  return { ...(balance === undefined || nothing ? { balance: 'random' } : balance), perConnection, connectTimeoutMs };
}

/** Where the endpoints of a port, or of a subset of them, are looked for first; `own`: what the Service says. */
export function localityPolicyOf(
  rule: DestinationRuleObject | null,
  port: number,
  subset: RuleSubset | null,
  own: LocalityPolicy | null,
): LocalityPolicy | null {
  const ofRule = rule === null ? {} : fieldsAt(rule.policy, port, {});
  const { locality = 'service' } = subset === null ? ofRule : fieldsAt(subset.policy, port, ofRule);
  return locality === 'service' ? own : locality;
}

/** Fields of one level on top of those above it. A port's settings inherit nothing (Istio's portLevelSettings). */
function fieldsAt(policy: TrafficPolicy, port: number, above: PolicyFields): PolicyFields {
  const { ports, ...fields } = policy;
  return ports.get(port) ?? { ...above, ...fields };
}
