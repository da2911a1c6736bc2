/** `HOST:PORT`, `[IPv6]:PORT` or `:PORT` (every address) of a flag. */
import { KmError } from '../base/errors.ts';

export function parseHostPort(text: string, flag: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) throw new KmError('KM5014', `${flag} ${text}: HOST:PORT is expected`);
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' ? '::' : host, port };
}
