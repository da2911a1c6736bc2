/**
 * What bpf/include/km_edit.h and km_reply.h must make, said again with strings, and random cases for it. For tests, not
 * for the product.
 */

/** enum km_edit_kind. `name` is in lower case. */
export type Edit =
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'set'; readonly name: string; readonly line: string }
  | { readonly kind: 'add'; readonly line: string }
  | { readonly kind: 'host' | 'scheme' | 'port'; readonly text: string }
  | PathEdit
  | { readonly kind: 'query' };

type PathEdit =
  | { readonly kind: 'path'; readonly text: string }
  | { readonly kind: 'prefix' | 'segments'; readonly bytes: number; readonly text: string };

/** `*` and the target of CONNECT have neither authority nor path; `origin` is what stands before them. */
export interface Target {
  /** Empty, or `http://`. */
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
}

export interface Head {
  readonly method: string;
  readonly target: Target;
  readonly version: string;
  /** Name, colon with blanks, value, and what is behind it on the line. */
  readonly lines: readonly (readonly [name: string, colon: string, value: string, end: string])[];
}

const targetText = ({ scheme, authority, path, query }: Target): string => scheme + authority + path + query;

/** The head as it is sent. */
export function headText({ method, target, version, lines }: Head): string {
  return `${method} ${targetText(target)} ${version}\r\n${lines.map((line) => line.join('')).join('')}\r\n`;
}

/** The value of the Host field, or the target's authority, which counts more. */
function authorityOf({ target, lines }: Head): string {
  if (target.authority !== '') return target.authority;
  return lines.find(([name]) => name.toLowerCase() === 'host')?.[2] ?? '';
}

/** Host and port (with its colon) of a request. */
export function hostAndPort(head: Head): readonly [string, string] {
  const [, host = '', port = ''] = /^(\[.*\]|[^:]*)(:\d+)?$/.exec(authorityOf(head)) ?? [];
  return [host, port];
}

function newPath(path: string, edit: PathEdit | undefined): string {
  if (edit === undefined) return path;
  const slash = (text: string): string => (text.startsWith('/') ? text : `/${text}`);
  if (edit.kind === 'path') return slash(edit.text);
  const rest = path.slice(edit.bytes);
  if (edit.kind === 'prefix') return slash(edit.text + rest);
  return slash(edit.text + (rest === '' ? '' : slash(rest)));
}

const isPathEdit = (edit: Edit): edit is PathEdit =>
  edit.kind === 'path' || edit.kind === 'prefix' || edit.kind === 'segments';

function newHost(edits: readonly Edit[]): string | undefined {
  for (const edit of edits) {
    if (edit.kind === 'host') return edit.text;
    if (edit.kind === 'set' && edit.name === 'host') return edit.line.slice('host: '.length, -2);
  }
  return undefined;
}

/** The head after a list of edits. */
export function editedHead(head: Head, edits: readonly Edit[]): string {
  const host = newHost(edits);
  const hasPath = head.target.path.startsWith('/');
  const target = {
    ...head.target,
    authority: host !== undefined && head.target.scheme !== '' ? host : head.target.authority,
    path: hasPath ? newPath(head.target.path, edits.find(isPathEdit)) : head.target.path,
  };
  const gone = new Set(
    edits
      .flatMap((edit) => (edit.kind === 'remove' || edit.kind === 'set' ? [edit.name] : []))
      .filter((n) => n !== 'host'),
  );
  const lines = head.lines
    .filter(([name]) => !gone.has(name.toLowerCase()))
    .map((line) => (host !== undefined && line[0].toLowerCase() === 'host' ? `Host: ${host}\r\n` : line.join('')));
  if (host !== undefined && !head.lines.some(([name]) => name.toLowerCase() === 'host'))
    lines.push(`Host: ${host}\r\n`);
  for (const edit of edits) {
    if (edit.kind === 'add' || (edit.kind === 'set' && edit.name !== 'host')) lines.push(edit.line);
  }
  return `${head.method} ${targetText(target)} ${head.version}\r\n${lines.join('')}\r\n`;
}

/** Where a redirect sends the request. */
export function location(head: Head, edits: readonly Edit[]): string {
  const textOf = (kind: 'scheme' | 'port'): string | undefined => {
    const edit = edits.find((one) => one.kind === kind);
    return edit !== undefined && 'text' in edit ? edit.text : undefined;
  };
  const [requestHost, requestPort] = hostAndPort(head);
  const host = newHost(edits);
  const port = textOf('port');
  const ownPort = host !== undefined && /:\d+$/.test(host);
  const shownPort = port === undefined ? (ownPort ? '' : requestPort) : port === '' ? '' : `:${port}`;
  const authority = host ?? requestHost;
  const origin = authority === '' ? '' : `${textOf('scheme') ?? 'http'}://${authority}${shownPort}`;
  if (!head.target.path.startsWith('/')) return `${origin}/`;
  const query = edits.some(({ kind }) => kind === 'query') ? '' : head.target.query;
  return origin + newPath(head.target.path, edits.find(isPathEdit)) + query;
}

/** Random heads and edits, the same for the same seed. */
export class RandomEdits {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 0x9e3779b1 + 1) >>> 0;
  }

  /** An integer from 0 to limit, exclusive (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  #chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  #pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }

  #letters(most: number): string {
    const length = this.#chance(5) ? this.below(most * 20) : this.below(most);
    return Array.from({ length }, () => this.#pick(['a', 'b', 'Z', '-', '9', '~', '%20', '.'])).join('');
  }

  #path(): string {
    return `/${Array.from({ length: this.below(4) }, () => this.#pick(['a', 'api', this.#letters(30), ''])).join('/')}`;
  }

  #host(): string {
    return this.#pick(['a', 'shop.example', '10.0.0.1', '[fd00::1]', 'x'.repeat(1 + this.below(60))]);
  }

  #authority(): string {
    return this.#host() + (this.#chance(40) ? `:${this.#pick(['80', '8080', '65535', '1'])}` : '');
  }

  /** Names that differ in case, in their first letter, in the last, in length, around the words of eight bytes. */
  #name(): string {
    const name = this.#pick([
      'x-a',
      'x-user',
      'x-User-2',
      'accept',
      'y-user',
      'x-useR',
      'via^~',
      'via~~',
      'cookie-1',
      'b',
    ]);
    const long = this.#chance(10) ? `${name}${'-long'.repeat(1 + this.below(45))}` : name;
    return this.#chance(30) ? long.toUpperCase() : long;
  }

  head(): Head {
    const form = this.below(20);
    const method = form === 0 ? 'OPTIONS' : form === 1 ? 'CONNECT' : this.#pick(['GET', 'POST', 'HEAD', 'PROPFIND']);
    const query = this.#chance(40) ? `?${this.#letters(20)}` : '';
    const authority = this.#authority();
    let target: Target = { scheme: '', authority: '', path: this.#path(), query };
    if (form === 0) target = { scheme: '', authority: '', path: '*', query: '' };
    if (form === 1) target = { scheme: '', authority, path: '', query: '' };
    if (form > 1 && form < 5) target = { ...target, scheme: this.#pick(['http://', 'https://', 'HTTP://']), authority };
    const many = this.#chance(5) ? 60 : 8;
    const lines = Array.from({ length: this.below(many) }, () => this.#line(this.#name(), this.#letters(40)));
    const at = this.below(lines.length + 1);
    const host = this.#line(this.#pick(['Host', 'host', 'HOST']), authority);
    const withHost = this.#chance(92) ? [...lines.slice(0, at), host, ...lines.slice(at)] : lines;
    return { method, target, version: this.#pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0']), lines: withHost };
  }

  #line(name: string, value: string): Head['lines'][number] {
    return [name, this.#pick([': ', ':', ':  \t']), value, this.#pick(['\r\n', '\r\n', ' \r\n'])];
  }

  #added(name: string): string {
    return `${name}: ${this.#letters(60)}\r\n`;
  }

  /** One edit of the path and of the host at most, as the compiler makes them. */
  edits(path: string): Edit[] {
    const list: Edit[] = Array.from({ length: this.#chance(5) ? 60 : this.below(5) }, (): Edit => {
      const name = this.#name();
      const kind = this.#pick(['remove', 'set', 'add'] as const);
      if (kind === 'remove') return { kind, name: this.#chance(5) ? 'host' : name.toLowerCase() };
      return kind === 'add'
        ? { kind, line: this.#added(name) }
        : { kind, name: name.toLowerCase(), line: this.#added(name) };
    });
    if (this.#chance(30)) list.push(this.pathEdit(path));
    if (this.#chance(15)) list.push({ kind: 'host', text: this.#authority() });
    else if (this.#chance(10)) list.push({ kind: 'set', name: 'host', line: `Host: ${this.#authority()}\r\n` });
    return list;
  }

  pathEdit(path: string): Edit {
    const kind = this.#pick(['path', 'prefix', 'segments'] as const);
    if (kind === 'path') return { kind, text: this.#path() };
    // A prefix that the path has; the segments' one ends before a slash or the end.
    const slashes = [...path].flatMap((character, i) => (character === '/' ? [i] : []));
    const bytes = kind === 'prefix' ? this.below(path.length + 1) : this.#pick([path.length, ...slashes]);
    const text = this.#chance(20) ? '' : this.#path();
    return kind === 'prefix' ? { kind, bytes, text } : { kind, bytes, text: text.replace(/\/+$/, '') };
  }

  redirect(path: string): Edit[] {
    const list: Edit[] = [];
    if (this.#chance(40)) list.push({ kind: 'scheme', text: this.#pick(['http', 'https']) });
    if (this.#chance(40)) list.push({ kind: 'host', text: this.#authority() });
    if (this.#chance(40)) list.push({ kind: 'port', text: this.#pick(['', '443', '8443']) });
    if (this.#chance(50)) list.push(this.pathEdit(path));
    if (this.#chance(20)) list.push({ kind: 'query' });
    return list;
  }
}
