import { adminPort } from '../api/types.ts';
import { KmError } from '../base/errors.ts';

export interface AdminAddress {
  /** Name or IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST`, `HOST:PORT`, `:PORT`, `[IPV6]:PORT`, with or without `http://`; throws KM6005. */
export function parseAdminAddress(text: string): AdminAddress {
  const match = /^(?:http:\/\/)?(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@?#]*))(?::(\d{1,5}))?\/?$/i.exec(text);
  const port = Number(match?.[3] ?? adminPort);
  if (match === null || text === '' || port < 1 || port > 65_535) {
    throw new KmError('KM6005', `admin address ${JSON.stringify(text)} is not HOST:PORT`);
  }
  return { host: match[1] ?? (match[2] || 'localhost'), port };
}

/** `HOST:PORT`, IPv6 in brackets. */
export function formatAddress({ host, port }: AdminAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
