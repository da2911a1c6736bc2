/** What an API server answers: lists, lines of watches, errors. What is none of these is a ProtocolError. */
import { isMap } from '../fields.ts';
import { ApiError, ProtocolError } from './client.ts';

export interface ListPage {
  readonly items: readonly unknown[];
  readonly next: string;
  readonly version: string;
  /** Behind this page, where the server says it. */
  readonly remaining: number;
}

export function readList(value: unknown): ListPage {
  const metadata = isMap(value) ? value['metadata'] : null;
  const items = isMap(value) ? (value['items'] ?? []) : null;
  const version = isMap(metadata) ? metadata['resourceVersion'] : null;
  if (!isMap(metadata) || !Array.isArray(items) || typeof version !== 'string' || version === '') {
    throw new ProtocolError('no list with items and a resourceVersion');
  }
  const { continue: next, remainingItemCount: remaining } = metadata;
  return {
    items: items as unknown[],
    next: typeof next === 'string' ? next : '',
    version,
    remaining: typeof remaining === 'number' ? remaining : 0,
  };
}

/** What identifies an object, and which version of it this is. */
export function identify(value: unknown): {
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
} {
  const metadata = isMap(value) ? value['metadata'] : null;
  if (!isMap(metadata)) throw new ProtocolError('an object without metadata');
  const { namespace = '', name, resourceVersion: version } = metadata;
  if (typeof name !== 'string' || typeof namespace !== 'string' || name === '') {
    throw new ProtocolError('an object without a name');
  }
  if (typeof version !== 'string' || version === '') throw new ProtocolError(`${name} has no resourceVersion`);
  return { namespace, name, version };
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: unknown;
  /** Where a watch goes on after it. */
  readonly version: string;
}

/** A line of a watch. An ERROR is thrown as what it says. */
export function readEvent(value: unknown): WatchEvent {
  const type = isMap(value) ? value['type'] : null;
  const object = isMap(value) ? value['object'] : null;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object, version: identify(object).version };
    case 'BOOKMARK': {
      const metadata = isMap(object) ? object['metadata'] : null;
      const version = isMap(metadata) ? metadata['resourceVersion'] : null;
      if (typeof version !== 'string' || version === '') throw new ProtocolError('a bookmark without a version');
      return { type, object, version };
    }
    case 'ERROR': {
      const { code, reason, message } = isMap(object) ? object : {};
      throw new ApiError(Number(code ?? 500), String(reason ?? ''), String(message ?? 'the watch failed'));
    }
    default:
      throw new ProtocolError(`a watch event of type ${JSON.stringify(type)}`);
  }
}

/** The server does not remember that version. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410;
}

/** The server's data is older than what was heard: it was restored from a copy. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof ApiError && /too large resource version/i.test(error.message);
}

/** What went wrong, in one line. */
export function errorText(error: unknown): string {
  if (error instanceof ApiError) return `HTTP ${error.status}: ${error.message}`;
  if (!(error instanceof Error)) return String(error);
  // Of several addresses that were tried, Node says only the code.
  return error.message || String((error as NodeJS.ErrnoException).code ?? error.name);
}
