/** What a VirtualService's HTTP route does with a request. */
import type { HeaderEdits, PathRewrite, ReplyAction } from '../../model/http.ts';
import type { PathMatch } from '../../model/route-match.ts';
import {
  type Destination,
  defaultConnectRetries,
  type ForwardRule,
  noEdits,
  type RedirectRule,
} from '../../model/route-objects.ts';
import { type Fields, fieldTable, ownText, shown } from '../fields.ts';
import { dnsNameProblem, labelValueProblem } from '../names.ts';
import { checkEditedName, checkHeaderValue, maxText, pathProblem, readAuthority } from './http.ts';
import { completeHost } from './istio.ts';

const routeTable = fieldTable({ read: 'destination weight headers', closed: true });
const destinationTable = fieldTable({ read: 'host subset port', closed: true });
const portTable = fieldTable({ read: 'number', closed: true });
const headersTable = fieldTable({ read: 'request response', closed: true });
const editsTable = fieldTable({ read: 'set add remove', closed: true });
const rewriteTable = fieldTable({
  read: 'uri authority',
  refused: { uriRegexRewrite: 'not supported: rewrite a prefix or the whole path' },
  closed: true,
});
const redirectTable = fieldTable({ read: 'uri authority port derivePort scheme redirectCode', closed: true });
const responseTable = fieldTable({ read: 'status body', closed: true });
const bodyTable = fieldTable({
  read: 'string',
  refused: { bytes: 'not supported: only a text is' },
  closed: true,
});
const faultTable = fieldTable({
  read: 'abort',
  refused: { delay: 'not supported: requests cannot be delayed' },
  closed: true,
});
const abortTable = fieldTable({
  read: 'httpStatus percentage',
  refused: {
    grpcStatus: 'not supported: gRPC requests are not routed',
    http2Error: 'not supported: HTTP/2 requests are not routed',
  },
  closed: true,
});
const percentTable = fieldTable({ read: 'value', closed: true });
const retriesTable = fieldTable({
  read: 'attempts retryOn',
  // Another endpoint is always tried before one that has failed.
  harmless: 'retryIgnorePreviousHosts',
  refused: {
    perTryTimeout: 'not supported: requests have no timeouts; see connectTimeout of a DestinationRule',
    retryRemoteLocalities: 'not supported: endpoints are alike wherever they are',
    backoff: 'not supported: another endpoint is tried at once',
  },
  closed: true,
});

export function readDestinations(rule: Fields, namespace: string, withHeaders: boolean): Destination[] {
  const routes = rule.maps('route', routeTable);
  const destinations = routes.map((route) => {
    const to = route.requiredMap('destination', destinationTable);
    const host = to === null ? '' : readHost(to, namespace);
    const subset = to?.string('subset') ?? '';
    const problem = labelValueProblem(subset);
    if (problem !== '') to?.error('KM1009', ['subset'], `${problem}: ${shown(subset)}`);
    const weight = route.integer('weight', 0, 0x7fffffff) ?? (routes.length === 1 ? 100 : 0);
    if (!withHeaders && route.has('headers')) route.error('KM1009', ['headers'], 'TCP has no headers');
    const edits = withHeaders ? readHeaderEdits(route) : { headers: noEdits };
    return { host, port: to?.map('port', portTable)?.port('number') ?? 0, subset, weight, ...edits };
  });
  const only = destinations.length === 1 ? destinations[0] : undefined;
  // A single destination gets everything, whatever its weight (Istio takes 0 for "not given").
  if (only !== undefined && only.weight === 0) return [{ ...only, weight: 100 }];
  if (destinations.length > 1 && destinations.every(({ weight }) => weight === 0)) {
    rule.error('KM1009', ['route'], 'the weights must not all be 0');
  }
  return destinations;
}

function readHost(to: Fields, namespace: string): string {
  const host = to.required('host').toLowerCase();
  const problem = host === '' ? '' : dnsNameProblem(host);
  if (problem !== '') to.error('KM1009', ['host'], `${problem}: ${shown(host)}`);
  return completeHost(host, namespace);
}

/** Envoy takes `%` in values for operators: `%%` is one `%`, anything else would be computed. */
function readHeaderEdits(parent: Fields): { readonly headers: HeaderEdits; readonly responseHeaders?: HeaderEdits } {
  const both = parent.map('headers', headersTable);
  const headers = readEdits(both?.map('request', editsTable) ?? null) ?? noEdits;
  const responseHeaders = readEdits(both?.map('response', editsTable) ?? null);
  return responseHeaders === null ? { headers } : { headers, responseHeaders };
}

function readEdits(request: Fields | null): HeaderEdits | null {
  if (request === null) return null;
  const read = (name: 'set' | 'add') =>
    Object.entries(request.stringMap(name)).map(([key, text]) => {
      checkEditedName(request, [name, key], key, 'rewrite.authority');
      checkHeaderValue(request, [name, key], key, text);
      if (text.replaceAll('%%', '').includes('%')) {
        request.error('KM1011', [name, key], `operators (%...%) are not supported; write % as %%: ${shown(text)}`);
      }
      return [key, ownText(text.replaceAll('%%', '%'))] as const;
    });
  const remove = request.strings('remove');
  for (const [i, name] of remove.entries()) checkEditedName(request, ['remove', i], name, 'rewrite.authority');
  return { set: read('set'), add: read('add'), remove };
}

/** A forward, and its rewrite.uri (empty: none), of which the match says what it does. */
export function readForward(rule: Fields, namespace: string): { readonly forward: ForwardRule; readonly uri: string } {
  const rewrite = rule.map('rewrite', rewriteTable);
  const authority = rewrite === null ? null : readAuthority(rewrite, 'authority');
  const uri = rewrite?.string('uri') ?? '';
  const problem = uri === '' ? '' : pathProblem(uri, false);
  if (problem !== '') rewrite?.error('KM1009', ['uri'], `${problem}: ${shown(uri)}`);
  const abort = readAbort(rule);
  const forward: ForwardRule = {
    kind: 'forward',
    destinations: readDestinations(rule, namespace, true),
    ...readHeaderEdits(rule),
    ...(authority === null ? {} : { host: hostText(authority) }),
    ...(abort === null ? {} : { abort }),
    connectRetries: readRetries(rule),
  };
  return { forward, uri };
}

function hostText({ host, port }: { readonly host: string; readonly port: number }): string {
  return port === 0 ? host : `${host}:${port}`;
}

/** What rewrite.uri does to a path that this took: Envoy swaps what was matched, and no condition is the prefix `/`. */
export function rewriteFor(uri: string, path: PathMatch | undefined): PathRewrite {
  if (path === undefined) return { kind: 'prefix', prefix: '/', value: uri };
  return path.kind === 'prefix' ? { kind: 'prefix', prefix: path.value, value: uri } : { kind: 'path', value: uri };
}

function readAbort(rule: Fields): NonNullable<ForwardRule['abort']> | null {
  const abort = rule.map('fault', faultTable)?.map('abort', abortTable) ?? null;
  if (abort === null) return null;
  const status = abort.integer('httpStatus', 200, 599);
  if (status === null && abort.raw('httpStatus') === null) abort.error('KM1010', ['httpStatus'], 'is missing');
  // Istio's documentation and its code differ in what a missing percentage means.
  const value = abort.requiredMap('percentage', percentTable)?.number('value', 0, 100) ?? 0;
  return { status: status ?? 0, share: Math.round(value * 10_000) };
}

/** Conditions of retryOn that a failed connect is, or that only HTTP/2 and gRPC know. */
const connectOnly = new Set('connect-failure refused-stream unavailable cancelled reset-before-request'.split(' '));

function readRetries(rule: Fields): number {
  const retries = rule.map('retries', retriesTable);
  if (retries === null) return defaultConnectRetries;
  const attempts = retries.integer('attempts', 0, 255) ?? 0;
  const on = retries
    .string('retryOn')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (attempts === 0) return 0;
  if (on.length === 0) {
    const reason = 'write connect-failure: the default also retries on status 503, which is not supported';
    retries.error('KM1011', ['retryOn'], reason);
  }
  const other = on.find((word) => !connectOnly.has(word));
  if (other !== undefined) {
    retries.error(
      'KM1011',
      ['retryOn'],
      `${other} is not supported: only connect-failure is, before anything was sent`,
    );
  }
  return on.includes('connect-failure') ? attempts : 0;
}

export function readRedirect(rule: Fields): RedirectRule | null {
  const redirect = rule.map('redirect', redirectTable);
  if (redirect === null) return null;
  const status = redirect.integer('redirectCode', 300, 399) ?? 301;
  if (![301, 302, 303, 307, 308].includes(status)) {
    redirect.error('KM1009', ['redirectCode'], `must be 301, 302, 303, 307 or 308, not ${status}`);
  }
  const uri = redirect.string('uri');
  const problem = uri === '' ? '' : pathProblem(uri, true);
  if (problem !== '') redirect.error('KM1009', ['uri'], `${problem}: ${shown(uri)}`);
  const authority = readAuthority(redirect, 'authority');
  const scheme = redirect.oneOf('scheme', ['http', 'https']);
  const given = redirect.integer('port', 1, 65535);
  const derive = redirect.oneOf('derivePort', ['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']);
  if (given !== null && derive !== '') redirect.error('KM1009', ['derivePort'], 'cannot stand beside port');
  if (uri === '' && authority === null && scheme === '' && given === null && derive === '') {
    redirect.error('KM1010', [], 'needs one of uri, authority, scheme and port');
  }
  const port = given ?? (derive === 'FROM_PROTOCOL_DEFAULT' ? 0 : authority === null ? null : authority.port);
  return {
    kind: 'redirect',
    status: status as RedirectRule['status'],
    ...(scheme === '' ? {} : { scheme: scheme as 'http' | 'https' }),
    ...(authority === null ? {} : { host: authority.host }),
    ...(derive === 'FROM_REQUEST_PORT' ? { listenerPort: true } : port === null ? {} : { port }),
    ...(uri === '' ? {} : { path: { kind: 'path', value: uri } }),
    // A query in the new path takes the place of the request's (Envoy's path_redirect).
    ...(uri.includes('?') ? { stripQuery: true } : {}),
  };
}

export function readReply(rule: Fields): ReplyAction | null {
  const response = rule.map('directResponse', responseTable);
  if (response === null) return null;
  const status = response.integer('status', 200, 599);
  if (status === null && response.raw('status') === null) response.error('KM1010', ['status'], 'is missing');
  const body = response.map('body', bodyTable)?.string('string') ?? '';
  const bytes = Buffer.byteLength(body);
  if (bytes > maxText) {
    response.error('KM1011', ['body', 'string'], `too long: at most ${maxText} bytes are supported, not ${bytes}`);
  }
  if ((status === 204 || status === 304) && bytes > 0) {
    response.error('KM1009', ['body'], `a response with status ${status} has no body`);
  }
  return { kind: 'reply', status: status ?? 0, body, contentType: 'text/plain' };
}
