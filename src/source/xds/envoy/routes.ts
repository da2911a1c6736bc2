/**
 * RouteConfiguration: virtual hosts with their routes. A virtual host that asks for what the mesh cannot do is refused alone;
 * the others of its configuration are in force.
 */
import {
  type Route,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '../gen/messages.gen.ts';
import { FieldError, FieldUse, refuse } from '../refusal.ts';
import { editsOf } from './header-edits.ts';
import { actionOf } from './route-action.ts';
import { matchOf } from './route-match.ts';
import type { RouteSpec, VirtualHostSpec } from './route-spec.ts';

const configurationUse = new FieldUse(RouteConfigurationSchema, {
  read: 'name virtual_hosts request_headers_to_add request_headers_to_remove',
  quiet: `validate_clusters max_direct_response_body_size_bytes ignore_port_in_host_matching metadata internal_only_headers
    most_specific_header_mutations_wins ignore_path_parameters_in_path_matching`,
});
const hostUse = new FieldUse(VirtualHostSchema, {
  read: 'name domains routes request_headers_to_add request_headers_to_remove retry_policy',
  quiet: `virtual_clusters include_request_attempt_count include_attempt_count_in_response per_request_buffer_limit_bytes
    hedge_policy include_is_timeout_retry_header metadata`,
});
const routeUse = new FieldUse(RouteSchema, {
  read: `name match route redirect direct_response filter_action non_forwarding_action typed_per_filter_config
    request_headers_to_add request_headers_to_remove`,
  quiet: 'metadata decorator tracing per_request_buffer_limit_bytes stat_prefix',
});

export interface ReadConfiguration {
  readonly virtualHosts: readonly VirtualHostSpec[];
  /** Names of those that are refused, with `FIELD: reason`. */
  readonly refused: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/** Throws FieldError when nothing of it can be read. */
export function configurationOf(message: RouteConfiguration): ReadConfiguration {
  const notes: string[] = [];
  configurationUse.check(message, '', notes);
  const virtualHosts: VirtualHostSpec[] = [];
  const refused = new Map<string, string>();
  const domains = new Map<string, string>();
  const names = new Set<string>();
  for (const [i, host] of message.virtualHosts.entries()) {
    const path = `virtual_hosts[${i}]`;
    try {
      if (names.has(host.name)) refuse(`${path}.name`, `${host.name} is there twice`);
      names.add(host.name);
      const spec = virtualHostOf(host, path, message, notes);
      for (const domain of spec.domains) {
        const other = domains.get(domain);
        if (other !== undefined) refuse(`${path}.domains`, `${domain} belongs to ${other}`);
      }
      for (const domain of spec.domains) domains.set(domain, host.name);
      virtualHosts.push(spec);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      refused.set(host.name, error.message);
    }
  }
  return { virtualHosts, refused, notes };
}

function virtualHostOf(
  message: VirtualHost,
  path: string,
  configuration: RouteConfiguration,
  notes: string[],
): VirtualHostSpec {
  hostUse.check(message, `${path}.`, notes);
  if (message.name === '') refuse(`${path}.name`, 'missing');
  if (message.domains.length === 0) refuse(`${path}.domains`, 'empty');
  const domains = message.domains.map((domain, i) => domainOf(domain, `${path}.domains[${i}]`));
  const routes = message.routes.map((route, i): RouteSpec => {
    const at = `${path}.routes[${i}]`;
    routeUse.check(route, `${at}.`, notes);
    const match = matchOf(route.match, `${at}.match`);
    const context = { path: at, matched: match.path, retryPolicy: message.retryPolicy, notes };
    const action = actionOf(route, context);
    const headers = editsOf([levelOf(route, at), levelOf(message, path), levelOf(configuration, 'configuration')]);
    return {
      name: route.name === '' ? `${message.name}.${i}` : route.name,
      match,
      action: action.kind === 'forward' ? { ...action, headers } : action,
    };
  });
  return { name: message.name, domains: [...new Set(domains)], routes };
}

function levelOf(level: Pick<Route, 'requestHeadersToAdd' | 'requestHeadersToRemove'>, path: string) {
  const { requestHeadersToAdd, requestHeadersToRemove } = level;
  return { path, requestHeadersToAdd, requestHeadersToRemove };
}

/** Lower case, without port and the dot at the end. */
function domainOf(text: string, field: string): string {
  const bare = text.replace(/:(\d+|\*)$/, '').replace(/\.$/, '');
  const domain = /^\[.*\]$/.test(bare) ? bare.slice(1, -1) : bare;
  if (domain === '' || /[\s\0]/.test(domain)) refuse(field, `${JSON.stringify(text)} is no domain`);
  if (domain !== '*' && domain.slice(1, -1).includes('*'))
    refuse(field, `${JSON.stringify(text)}: * only begins or ends`);
  return domain.toLowerCase();
}
