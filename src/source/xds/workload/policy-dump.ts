/** An authorization policy in ztunnel's shape, as its config dump and its LocalConfig have it. */
import {
  type Authorization,
  AuthzAction,
  type AuthzAddress,
  type AuthzMatch,
  AuthzScope,
  type AuthzServiceAccountMatch,
  type AuthzStringMatch,
} from '../gen/messages.gen.ts';
import { addressOf } from './fields.ts';

const scopes: Readonly<Record<number, string>> = {
  [AuthzScope.GLOBAL]: 'Global',
  [AuthzScope.NAMESPACE]: 'Namespace',
  [AuthzScope.WORKLOAD_SELECTOR]: 'WorkloadSelector',
};

export function policyDump({ name, namespace, scope, action, dryRun, groups }: Authorization): object {
  return {
    name,
    namespace,
    scope: scopes[scope] ?? String(scope),
    action: action === AuthzAction.DENY ? 'Deny' : action === AuthzAction.ALLOW ? 'Allow' : String(action),
    ...(dryRun ? { dryRun } : {}),
    rules: groups.map(({ rules }) => rules.map(({ matches }) => matches.map(matchDump))),
  };
}

function matchDump(match: AuthzMatch): object {
  const all: Readonly<Record<string, readonly unknown[]>> = {
    namespaces: match.namespaces.map(textDump),
    notNamespaces: match.notNamespaces.map(textDump),
    serviceAccounts: match.serviceAccounts.map(accountDump),
    notServiceAccounts: match.notServiceAccounts.map(accountDump),
    principals: match.principals.map(textDump),
    notPrincipals: match.notPrincipals.map(textDump),
    sourceIps: match.sourceIps.map(blockDump),
    notSourceIps: match.notSourceIps.map(blockDump),
    destinationIps: match.destinationIps.map(blockDump),
    notDestinationIps: match.notDestinationIps.map(blockDump),
    destinationPorts: match.destinationPorts,
    notDestinationPorts: match.notDestinationPorts,
  };
  return Object.fromEntries(Object.entries(all).filter(([, list]) => list.length > 0));
}

function textDump({ matchType }: AuthzStringMatch): object {
  if (matchType.case === undefined) return {};
  if (matchType.case === 'presence') return { Presence: {} };
  const kind = { exact: 'Exact', prefix: 'Prefix', suffix: 'Suffix' }[matchType.case];
  return { [kind]: matchType.value };
}

function accountDump({ namespace, serviceAccount }: AuthzServiceAccountMatch): object {
  return { namespace, serviceAccount };
}

function blockDump({ address, length }: AuthzAddress): string {
  const known = address.length === 4 || address.length === 16;
  return `${known ? addressOf(address, 'address') : Buffer.from(address).toString('hex')}/${length}`;
}
