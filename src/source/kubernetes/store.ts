/** The objects of one kind as an API server told them: the version in force of each, and what is wrong with it. */
import { isDeepStrictEqual } from 'node:util';
import { fieldText } from '../../model/fieldpath.ts';
import type { KubeObject, ObjectKey, ObjectKind } from '../../model/objects.ts';
import type { Problem } from '../../model/types.ts';
import type { Finding } from '../fields.ts';
import { readObject } from '../object.ts';
import { identify } from './answers.ts';

/** Name of the source, and of the place of what is wrong with its objects. */
export const sourceName = 'kubernetes';

interface Held {
  /** The last good version. */
  object: KubeObject | null;
  /** The server's version of what was last told; the same again need not be read. */
  version: string;
  /** The list in which it was last seen. */
  round: number;
}

export interface StoreChanges {
  /** Another version of an object is in force, or none. */
  readonly onObject: (key: ObjectKey, before: KubeObject | null) => void;
  /** There is more or less wrong with the objects. */
  readonly onFindings: () => void;
}

export class ObjectStore {
  readonly #kind: ObjectKind;
  readonly #changes: StoreChanges;
  readonly #held = new Map<string, Held>();
  readonly #findings = new Map<string, { readonly key: ObjectKey; readonly findings: readonly Finding[] }>();
  #round = 0;
  #inForce = 0;

  constructor(kind: ObjectKind, changes: StoreChanges) {
    this.#kind = kind;
    this.#changes = changes;
  }

  /** Objects in force. */
  get size(): number {
    return this.#inForce;
  }

  object(namespace: string, name: string): KubeObject | null {
    return this.#held.get(`${namespace}/${name}`)?.object ?? null;
  }

  /** A list begins: what is not told until {@link endList} is gone then. */
  beginList(): void {
    this.#round++;
  }

  endList(): void {
    for (const [id, held] of this.#held) if (held.round !== this.#round) this.#drop(id, held);
  }

  /** The server does not have the kind any more. */
  clear(): void {
    for (const [id, held] of this.#held) this.#drop(id, held);
  }

  /** The server told of this object. */
  put(value: unknown, apiVersion: string): void {
    const { namespace, name, version } = identify(value);
    const id = `${namespace}/${name}`;
    const held = this.#held.get(id);
    if (held !== undefined) {
      held.round = this.#round;
      if (held.version === version) return;
    }
    // Items of a list do not say what they are.
    const whole = { ...(value as Record<string, unknown>), apiVersion, kind: this.#kind };
    const origin = { source: sourceName, file: `${sourceName} ${this.#kind} ${id.replace(/^\//, '')}`, line: 0 };
    const read = readObject(whole, this.#kind, origin);
    if (read.findings.length > 0) {
      const key = { kind: this.#kind, namespace, name };
      this.#findings.set(id, { key, findings: read.findings });
      this.#changes.onFindings();
    } else if (this.#findings.delete(id)) this.#changes.onFindings();
    const before = held?.object ?? null;
    const object = read.refused || same(before, read.object) ? before : read.object;
    if (held === undefined) this.#held.set(id, { object, version, round: this.#round });
    else {
      held.object = object;
      held.version = version;
    }
    if (object !== before) this.#tell(id, before, object);
  }

  /** The server deleted this object. */
  remove(value: unknown): void {
    const { namespace, name } = identify(value);
    const id = `${namespace}/${name}`;
    const held = this.#held.get(id);
    if (held !== undefined) this.#drop(id, held);
  }

  *problems(): Generator<Problem & { readonly onceFor: string }> {
    for (const [id, { key, findings }] of this.#findings) {
      const keeps = (this.#held.get(id)?.object ?? null) !== null;
      for (const { severity, code, path, reason, onceFor } of findings) {
        yield {
          ...{ severity, code, ...key, file: sourceName, line: 0, field: fieldText(path), reason, onceFor },
          lastGoodInForce: severity === 'error' && keeps,
        };
      }
    }
  }

  #drop(id: string, held: Held): void {
    this.#held.delete(id);
    if (this.#findings.delete(id)) this.#changes.onFindings();
    if (held.object !== null) this.#tell(id, held.object, null);
  }

  #tell(id: string, before: KubeObject | null, object: KubeObject | null): void {
    const slash = id.indexOf('/');
    this.#inForce += Number(object !== null) - Number(before !== null);
    this.#changes.onObject({ kind: this.#kind, namespace: id.slice(0, slash), name: id.slice(slash + 1) }, before);
  }
}

/** Versions of one object that differ in nothing that the mesh reads, such as in a heartbeat, are no change. */
function same(a: KubeObject | null, b: KubeObject | null): boolean {
  return a === b || (a !== null && b !== null && isDeepStrictEqual(a, b));
}
