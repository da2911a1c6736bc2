/** Parts of HTTP messages that routing objects write: names, values, paths, hosts, statuses. */

import type { Fields } from '../fields.ts';
import { isMap, shown } from '../fields.ts';
import { dnsNameProblem } from '../names.ts';

/** RFC 9110 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Bytes of one text that the kernel writes into a request. */
export const maxText = 4096;

/** Fields that frame a message or belong to one connection: a changed one would let two readers see other requests. */
export const framing: ReadonlySet<string> = new Set(
  'connection content-length expect host keep-alive proxy-connection te trailer transfer-encoding upgrade'.split(' '),
);

/** Why a text is no name of a header, or an empty text when it is one. */
export function headerNameProblem(text: string): string {
  if (text.startsWith(':')) return 'pseudo-headers are not supported here';
  return token.test(text) ? '' : "must be letters, digits and !#$%&'*+-.^_`|~";
}

/** Notes a name that cannot be one. */
export function checkHeaderName(fields: Fields, path: readonly (string | number)[], name: string): void {
  const problem = headerNameProblem(name);
  if (problem !== '') fields.error('KM1009', path, `${problem}: ${shown(name)}`);
}

/** Notes a header that cannot be changed. `host`: what to use instead for the host. */
export function checkEditedName(fields: Fields, path: readonly (string | number)[], name: string, host: string): void {
  const problem = headerNameProblem(name);
  const lower = name.toLowerCase();
  if (problem !== '') fields.error('KM1009', path, `${problem}: ${shown(name)}`);
  else if (lower === 'host') fields.error('KM1011', path, `host cannot be changed here: use ${host}`);
  else if (framing.has(lower)) fields.error('KM1011', path, `${lower} cannot be changed: it frames the message`);
}

/** Notes a header value that cannot be written. */
export function checkHeaderValue(
  fields: Fields,
  path: readonly (string | number)[],
  name: string,
  value: string,
): void {
  if (/[\0\r\n]/.test(value)) fields.error('KM1009', path, 'must not have line ends or zero bytes');
  const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 4;
  if (bytes > maxText) fields.error('KM1011', path, `too long: at most ${maxText} bytes with the name, not ${bytes}`);
}

/** Whether a text can stand in a request line as (part of) a path. */
export function pathProblem(text: string, query: boolean): string {
  if (!/^[!-~]+$/.test(text)) return 'must be visible ASCII characters (encode others with %)';
  if (text.length > maxText) return `must have at most ${maxText} characters, not ${text.length}`;
  if (text.includes('#') || (!query && text.includes('?'))) return `must be a path without ${query ? '' : '? or '}#`;
  return '';
}

/** `HOST` or `HOST:PORT`; null, and noted, when it is neither. Port 0: none. */
export function readAuthority(fields: Fields, name: string): { readonly host: string; readonly port: number } | null {
  const text = fields.string(name);
  if (text === '') return null;
  const [, host = '', digits] = /^([^:]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = Number(digits ?? 0);
  if (host === '' || (!host.startsWith('[') && dnsNameProblem(host.toLowerCase()) !== '') || port > 65535) {
    fields.error('KM1009', [name], `must be a host, or a host with a port, not ${shown(text)}`);
    return null;
  }
  return { host, port };
}

/** Names of the entries of a map that are maps themselves; the others are noted. */
export function mapNames(fields: Fields, name: string): string[] {
  const value = fields.raw(name);
  if (value === null) return [];
  if (!isMap(value)) {
    fields.error('KM1009', [name], `must be a map, not ${shown(value)}`);
    return [];
  }
  return Object.keys(value);
}
