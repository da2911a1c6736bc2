/** What a container image holds: files, directories and links by their absolute paths, all of them root's. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type Entry =
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'file'; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly kind: 'link'; readonly target: string };

export class Tree {
  readonly #entries = new Map<string, Entry>();

  /** In the order in which they belong into an archive: by path, so that directories come before what is in them. */
  get entries(): readonly (readonly [path: string, entry: Entry])[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get size(): number {
    return [...this.#entries.values()].reduce((sum, one) => sum + (one.kind === 'file' ? one.bytes.length : 0), 0);
  }

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  directory(path: string, mode = 0o755): void {
    if (path === '/' || this.#entries.has(path)) return;
    this.directory(dirname(path));
    this.#entries.set(path, { kind: 'directory', mode });
  }

  file(path: string, content: Uint8Array | string, mode = 0o644): void {
    this.directory(dirname(path));
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    this.#entries.set(path, { kind: 'file', mode, bytes });
  }

  link(path: string, target: string): void {
    this.directory(dirname(path));
    this.#entries.set(path, { kind: 'link', target });
  }

  /** Writes everything below a directory. */
  write(root: string): void {
    mkdirSync(root, { recursive: true });
    for (const [path, entry] of this.entries) {
      const target = join(root, path);
      if (entry.kind === 'directory') mkdirSync(target, { recursive: true, mode: entry.mode });
      else if (entry.kind === 'link') symlinkSync(entry.target, target);
      else writeFileSync(target, entry.bytes, { mode: entry.mode });
      if (entry.kind !== 'link') chmodSync(target, entry.mode);
    }
  }
}
