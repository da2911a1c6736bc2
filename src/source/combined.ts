/**
 * Several sources as one stream of changes. Where two have an object of the same kind, namespace and name, the source that
 * comes first has it, and the other's is a warning until the first one's goes.
 *
 * Nothing is told until every source has read everything once: half a mesh would take the other half out of the kernel,
 * where an earlier daemon has left it.
 */
import type { SourceStatus } from '../api/types.ts';
import type { FieldPath } from '../model/fieldpath.ts';
import { type KubeObject, type ObjectKey, objectKeyText } from '../model/objects.ts';
import { type Origin, originText, type Problem } from '../model/types.ts';
import type { ObjectSource, OnChange, SourceBatch } from './source.ts';

/** Makes a source that tells its changes there. */
export type OpenSource = (onChange: OnChange) => ObjectSource;

export class CombinedSource {
  readonly #sources: readonly ObjectSource[];
  readonly #onChange: OnChange;
  /** Keys that changed before all sources were read. */
  #waiting: Map<string, ObjectKey> | null = new Map();
  /** Keys that more than one source has. */
  readonly #shared = new Map<string, ObjectKey>();

  /** `open`: the sources, the one that comes first before the others. */
  constructor(open: readonly OpenSource[], onChange: OnChange) {
    this.#onChange = onChange;
    this.#sources = open.map((one, i) => one((batch) => this.#take(i, batch)));
  }

  start(): void {
    for (const source of this.#sources) source.start();
  }

  close(): void {
    for (const source of this.#sources) source.close();
  }

  problems(): readonly Problem[] {
    return [...this.#sources.flatMap((source) => source.problems()), ...this.#conflicts()];
  }

  status(): readonly SourceStatus[] {
    return this.#sources.map((source) => source.status());
  }

  /** The sources that were not read yet, each with what is known of why. */
  pending(): readonly string[] {
    return this.#sources.flatMap((source) => {
      if (source.synced) return [];
      const { name, error } = source.status();
      return [`source ${name} was not read yet${error === null ? '' : `: ${error}`}`];
    });
  }

  locate(origin: Origin, path: FieldPath): number {
    const source = this.#sources.find(({ name }) => name === origin.source);
    return source === undefined ? origin.line : source.locate(origin, path);
  }

  #take(from: number, batch: SourceBatch): void {
    const keys = [...batch.upserted, ...batch.removed];
    if (this.#sources.length > 1) for (const key of keys) this.#noteShared(key);
    if (this.#waiting !== null) {
      for (const { kind, namespace, name } of keys) {
        const key = { kind, namespace, name };
        this.#waiting.set(objectKeyText(key), key);
      }
      if (this.#sources.some((source) => !source.synced)) return;
      const waiting = [...this.#waiting.values()];
      this.#waiting = null;
      this.#tell(waiting.map((key) => ({ key, object: this.#holder(key)?.object ?? null })));
      return;
    }
    if (this.#sources.length === 1) {
      this.#onChange(batch);
      return;
    }
    const changes = keys.flatMap((key) => {
      const holder = this.#holder(key);
      // One that comes before has it, and has not changed.
      return holder !== null && holder.place < from ? [] : [{ key, object: holder?.object ?? null }];
    });
    this.#tell(changes);
  }

  #tell(changes: readonly { readonly key: ObjectKey; readonly object: KubeObject | null }[]): void {
    const upserted = changes.flatMap(({ object }) => object ?? []);
    const removed = changes.flatMap(({ key, object }) => (object === null ? [key] : []));
    this.#onChange({ upserted, removed, problems: this.problems() });
  }

  #holder(key: ObjectKey): { readonly place: number; readonly object: KubeObject } | null {
    for (const [place, source] of this.#sources.entries()) {
      const object = source.object(key);
      if (object !== null) return { place, object };
    }
    return null;
  }

  #noteShared({ kind, namespace, name }: ObjectKey): void {
    const key = { kind, namespace, name };
    const text = objectKeyText(key);
    const holders = this.#sources.filter((source) => source.object(key) !== null);
    if (holders.length > 1) this.#shared.set(text, key);
    else this.#shared.delete(text);
  }

  #conflicts(): Problem[] {
    return [...this.#shared.values()].flatMap((key) => {
      const [first, ...others] = this.#sources.flatMap((source) => source.object(key) ?? []);
      if (first === undefined) return [];
      return others.map(({ kind, namespace, name, origin }): Problem => {
        const { file, line } = origin;
        const reason = `source ${first.origin.source} has this object too (${originText(first.origin)}), and comes first`;
        return {
          ...{ severity: 'warning', code: 'KM1020', kind, namespace, name, file, line },
          ...{ field: '', reason, lastGoodInForce: false },
        };
      });
    });
  }
}
