import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { KmError } from '../base/errors.ts';

/** Host of an authority such as `localhost:15200` or `[::1]:15200`, lower case and without brackets; null: malformed. */
function hostOf(authority: string): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+))(?::\d{1,5})?$/i.exec(authority);
  const host = match?.[1] ?? match?.[2];
  return host === undefined ? null : host.toLowerCase().replace(/\.$/, '');
}

function isOwnName(host: string | null, boundName: string): boolean {
  return host !== null && (host === 'localhost' || isIP(host) !== 0 || host === boundName.toLowerCase());
}

/**
 * Refuses (KM5005) what only a web page would send. DNS rebinding makes a page's own name lead to this machine, so the
 * Host must be localhost, an IP address or the name that the server was told to bind. A page can also POST to
 * `http://localhost` without asking first, but then the browser adds its Origin.
 */
export function checkOrigin(request: Pick<IncomingMessage, 'headers' | 'method'>, boundName: string): void {
  const { host, origin } = request.headers;
  if (host !== undefined && !isOwnName(hostOf(host), boundName)) {
    throw new KmError('KM5005', `Host ${JSON.stringify(host)} is not a name of this server`);
  }
  if (request.method === 'POST' && origin !== undefined) {
    const sameOrigin = origin.replace(/^https?:\/\//, '') === host;
    if (!sameOrigin) throw new KmError('KM5005', `Origin ${JSON.stringify(origin)} may not change settings`);
  }
}
