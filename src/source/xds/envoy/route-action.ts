/** What a route does: forward, redirect, answer. */
import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { ForwardAction, PathRewrite, RedirectAction, ReplyAction } from '../../../model/http.ts';
import type { PathMatch } from '../../../model/route-match.ts';
import { noEdits } from '../../../model/route-objects.ts';
import { maxText, pathProblem } from '../../kinds/http.ts';
import {
  RedirectActionRedirectResponseCode as Code,
  type DirectResponseAction,
  HTTPFaultSchema,
  type RedirectAction as RedirectMessage,
  type RetryPolicy,
  RetryPolicySchema,
  type Route,
  type RouteAction,
  RouteActionSchema,
  WeightedClusterClusterWeightSchema,
  WeightedClusterSchema,
} from '../gen/messages.gen.ts';
import { FieldUse, refuse } from '../refusal.ts';
import { milliseconds } from './cluster.ts';
import { editsOf } from './header-edits.ts';
import { millionths } from './route-match.ts';
import type { ClusterUse, ForwardSpec, Hash, RouteSpec } from './route-spec.ts';

const noTimeouts = 'requests have no timeouts';
const actionUse = new FieldUse(RouteActionSchema, {
  read: `cluster weighted_clusters metadata_match prefix_rewrite host_rewrite_literal auto_host_rewrite timeout retry_policy
    hash_policy`,
  quiet: `cluster_not_found_response_code idle_timeout early_data_policy priority upgrade_configs max_grpc_timeout
    grpc_timeout_offset hedge_policy include_vh_rate_limits max_stream_duration`,
  noted: { append_x_forwarded_host: 'no header is added' },
});
const retryUse = new FieldUse(RetryPolicySchema, {
  read: 'retry_on num_retries',
  quiet: `retry_host_predicate host_selection_retry_max_attempts retriable_status_codes retry_back_off
    rate_limited_retry_back_off retry_options_predicates`,
  noted: {
    per_try_timeout: noTimeouts,
    per_try_idle_timeout: noTimeouts,
    retry_priority: 'endpoints are tried in no order of priority',
    retriable_headers: 'only a connect that fails is tried again',
    retriable_request_headers: 'all requests are tried again when a connect fails',
  },
});
const weightedUse = new FieldUse(WeightedClusterSchema, {
  read: 'clusters',
  quiet: 'total_weight runtime_key_prefix',
});
const weightUse = new FieldUse(WeightedClusterClusterWeightSchema, {
  read: 'name weight metadata_match request_headers_to_add request_headers_to_remove',
  quiet: 'typed_per_filter_config',
});
const faultUse = new FieldUse(HTTPFaultSchema, {
  read: 'abort',
  quiet: 'filter_metadata disable_downstream_cluster_stats',
});

/** Settings of filters that a route may carry and that change nothing here. */
const quietFilters: ReadonlySet<string> = new Set([
  'istio.alpn',
  'istio.stats',
  'istio.metadata_exchange',
  'envoy.filters.http.grpc_stats',
]);
const faultFilter = 'envoy.filters.http.fault';

/** Conditions of retry_on that a failed connect is. */
const connectFailures = ['connect-failure', '5xx', 'gateway-error', 'reset', 'reset-before-request'];
/** Conditions that only HTTP/2 and gRPC know, or that say nothing without a list. */
const quietConditions = [
  ...connectFailures.slice(0, 1),
  'refused-stream',
  'unavailable',
  'cancelled',
  'retriable-status-codes',
];

export interface ActionContext {
  /** Where the route is, for messages. */
  readonly path: string;
  readonly matched: PathMatch | undefined;
  /** The virtual host's. */
  readonly retryPolicy: RetryPolicy | undefined;
  readonly notes: string[];
}

/** Throws FieldError. */
export function actionOf(route: Route, context: ActionContext): RouteSpec['action'] {
  const { action } = route;
  const { path } = context;
  const abort = abortOf(route.typedPerFilterConfig, path);
  switch (action.case) {
    case 'route':
      return { ...forwardOf(action.value, context), ...(abort === null ? {} : { abort }) };
    case 'redirect':
      return redirectOf(action.value, context);
    case 'directResponse':
      return replyOf(action.value, `${path}.direct_response`);
    case undefined:
      return refuse(path, 'action is missing');
    default:
      return refuse(
        `${path}.${action.case === 'filterAction' ? 'filter_action' : 'non_forwarding_action'}`,
        'not supported',
      );
  }
}

function forwardOf(action: RouteAction, { path: outer, matched, retryPolicy, notes }: ActionContext): ForwardSpec {
  const path = `${outer}.route`;
  actionUse.check(action, `${path}.`, notes);
  if (milliseconds(action.timeout) > 0) notes.push(`${path}.timeout: ${noTimeouts}`);
  const host = action.hostRewriteSpecifier;
  if (host.case === 'autoHostRewrite' && host.value.value) refuse(`${path}.auto_host_rewrite`, 'not supported');
  const rewrite = action.prefixRewrite;
  return {
    kind: 'forward',
    clusters: clustersOf(action, path),
    headers: noEdits,
    ...(rewrite === '' ? {} : { path: rewriteOf(rewrite, matched, `${path}.prefix_rewrite`) }),
    ...(host.case === 'hostRewriteLiteral' ? { host: authority(host.value, `${path}.host_rewrite_literal`) } : {}),
    connectRetries: retriesOf(action.retryPolicy ?? retryPolicy, `${path}.retry_policy`, notes),
    hash: hashOf(action, path, notes),
  };
}

function clustersOf({ clusterSpecifier: to, metadataMatch }: RouteAction, path: string): ClusterUse[] {
  const metadata = metadataMatch?.filterMetadata['envoy.lb'] ?? null;
  if (to.case === 'cluster') {
    if (to.value === '') refuse(`${path}.cluster`, 'empty');
    return [{ name: to.value, weight: 1, headers: noEdits, metadata }];
  }
  if (to.case !== 'weightedClusters') return refuse(path, 'only cluster and weighted_clusters are supported');
  const field = `${path}.weighted_clusters`;
  weightedUse.check(to.value, `${field}.`, []);
  if (to.value.clusters.length === 0) refuse(`${field}.clusters`, 'empty');
  return to.value.clusters.map((one, i): ClusterUse => {
    const at = `${field}.clusters[${i}]`;
    weightUse.check(one, `${at}.`, []);
    if (one.name === '') refuse(`${at}.name`, 'missing');
    const own = one.metadataMatch?.filterMetadata['envoy.lb'] ?? null;
    return {
      name: one.name,
      weight: one.weight ?? 0,
      headers: editsOf([{ ...one, path: at }]),
      metadata: own === null ? metadata : { ...metadata, ...own },
    };
  });
}

/** prefix_rewrite takes the place of what was matched: a prefix, or the whole path. */
function rewriteOf(value: string, matched: PathMatch | undefined, field: string): PathRewrite {
  const problem = pathProblem(value, false);
  if (problem !== '') refuse(field, problem);
  if (matched === undefined) return { kind: 'prefix', prefix: '/', value };
  if (matched.kind === 'prefix' || matched.kind === 'segments') return { kind: 'prefix', prefix: matched.value, value };
  return matched.kind === 'exact'
    ? { kind: 'path', value }
    : refuse(field, 'not supported beside a regular expression');
}

function retriesOf(policy: RetryPolicy | undefined, field: string, notes: string[]): number {
  if (policy === undefined) return 0;
  retryUse.check(policy, `${field}.`, notes);
  const on = policy.retryOn.split(',').map((word) => word.trim());
  const others = on.filter((word) => word !== '' && !quietConditions.includes(word));
  if (policy.retriableStatusCodes.length > 0 && on.includes('retriable-status-codes'))
    others.push('retriable-status-codes');
  if (others.length > 0)
    notes.push(`${field}.retry_on: only a connect that fails is tried again, not ${others.join()}`);
  return on.some((word) => connectFailures.includes(word)) ? Math.min(255, policy.numRetries ?? 1) : 0;
}

function hashOf({ hashPolicy }: RouteAction, path: string, notes: string[]): Hash | null {
  for (const [i, one] of hashPolicy.entries()) {
    const field = `${path}.hash_policy[${i}]`;
    const { policySpecifier: by } = one;
    if (i > 0) notes.push(`${field}: only the first policy is used`);
    if (i > 0) break;
    if (by.case === 'header') {
      if (by.value.regexRewrite !== undefined) refuse(`${field}.header.regex_rewrite`, 'not supported');
      return { kind: 'header', name: by.value.headerName.toLowerCase() };
    }
    if (by.case === 'cookie') {
      if (by.value.ttl !== undefined) notes.push(`${field}.cookie.ttl: no cookie is made for a client that has none`);
      return { kind: 'cookie', name: by.value.name };
    }
    if (by.case === 'connectionProperties' && by.value.sourceIp) return { kind: 'source' };
    refuse(field, `${by.case ?? 'nothing'} is not supported`);
  }
  return null;
}

function authority(text: string, field: string): string {
  if (/^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/.test(text)) return text;
  return refuse(field, `${JSON.stringify(text)} is no host`);
}

function abortOf(filters: Readonly<Record<string, Any>>, path: string): NonNullable<ForwardAction['abort']> | null {
  for (const [name, config] of Object.entries(filters)) {
    const field = `${path}.typed_per_filter_config[${name}]`;
    if (quietFilters.has(name)) continue;
    if (name !== faultFilter) refuse(field, 'not supported');
    const fault = fromBinary(HTTPFaultSchema, config.value);
    faultUse.check(fault, `${field}.`, []);
    if (fault.abort === undefined) continue;
    const { errorType, percentage } = fault.abort;
    if (errorType.case !== 'httpStatus') return refuse(`${field}.abort`, 'only http_status is supported');
    const share = percentage === undefined ? 0 : millionths(percentage, `${field}.abort.percentage`);
    return { status: statusOf(errorType.value, `${field}.abort.http_status`), share };
  }
  return null;
}

function statusOf(status: number, field: string): number {
  return status >= 200 && status <= 599 ? status : refuse(field, `${status} is not 200 to 599`);
}

const redirects: Readonly<Record<number, RedirectAction['status']>> = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
};

function redirectOf(message: RedirectMessage, { path: outer, matched }: ActionContext): RedirectAction {
  const path = `${outer}.redirect`;
  const status =
    redirects[message.responseCode] ?? refuse(`${path}.response_code`, `unknown value ${message.responseCode}`);
  const { schemeRewriteSpecifier: to, pathRewriteSpecifier: where } = message;
  const scheme = to.case === 'schemeRedirect' ? to.value : to.case === 'httpsRedirect' && to.value ? 'https' : '';
  if (scheme !== '' && scheme !== 'http' && scheme !== 'https') refuse(`${path}.scheme_redirect`, scheme);
  if (where.case === 'regexRewrite') refuse(`${path}.regex_rewrite`, 'not supported');
  if (message.portRedirect > 65535) refuse(`${path}.port_redirect`, `${message.portRedirect} is no port`);
  let rewrite: PathRewrite | null = null;
  if (where.case === 'pathRedirect' && where.value !== '') {
    const problem = pathProblem(where.value, true);
    if (problem !== '') refuse(`${path}.path_redirect`, problem);
    rewrite = { kind: 'path', value: where.value };
  } else if (where.case === 'prefixRewrite' && where.value !== '') {
    rewrite = rewriteOf(where.value, matched, `${path}.prefix_rewrite`);
  }
  return {
    kind: 'redirect',
    status,
    ...(scheme === '' ? {} : { scheme: scheme === 'https' ? 'https' : 'http' }),
    ...(message.hostRedirect === '' ? {} : { host: authority(message.hostRedirect, `${path}.host_redirect`) }),
    ...(message.portRedirect === 0 ? {} : { port: message.portRedirect }),
    ...(rewrite === null ? {} : { path: rewrite }),
    ...(message.stripQuery || (rewrite?.value.includes('?') ?? false) ? { stripQuery: true } : {}),
  };
}

function replyOf({ status, body }: DirectResponseAction, path: string): ReplyAction {
  const source = body?.specifier;
  const text =
    source?.case === 'inlineString'
      ? source.value
      : source?.case === 'inlineBytes'
        ? Buffer.from(source.value).toString('utf8')
        : source?.case === undefined
          ? ''
          : refuse(`${path}.body`, 'only inline bodies are supported');
  if (Buffer.byteLength(text) > maxText) refuse(`${path}.body`, `more than ${maxText} bytes`);
  statusOf(status, `${path}.status`);
  if ((status === 204 || status === 304) && text !== '')
    refuse(`${path}.body`, `a response with status ${status} has none`);
  return { kind: 'reply', status, body: text, contentType: 'text/plain' };
}
