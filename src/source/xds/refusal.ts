/** How a resource, or a part of it, is refused: with the path of its field. */
import { type DescField, isFieldSet, type Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';

/** A field that cannot be taken. */
export class FieldError extends Error {}

export function refuse(field: string, reason: string): never {
  throw new FieldError(`${field}: ${reason}`);
}

/** `FIELD: reason` of whatever was thrown while a resource was read. */
export function refusalOf(error: unknown): string {
  if (error instanceof FieldError) return error.message;
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** Which fields of a message are read, and what becomes of the others. */
export class FieldUse<T extends Message> {
  readonly #others: readonly DescField[];
  readonly #noted: Readonly<Record<string, string>>;

  /**
   * `read` and `quiet` (no effect on where traffic goes) are names in one text. `noted` have no effect, which is told: name
   * → why. Every other field is refused.
   */
  constructor(
    schema: GenMessage<T>,
    use: { readonly read: string; readonly quiet?: string; readonly noted?: Readonly<Record<string, string>> },
  ) {
    const known = new Set(`${use.read} ${use.quiet ?? ''}`.split(/\s+/).filter((name) => name !== ''));
    const names = new Set(schema.fields.map(({ name }) => name));
    const wrong = [...known, ...Object.keys(use.noted ?? {})].filter((name) => !names.has(name));
    if (wrong.length > 0) throw new RangeError(`${schema.typeName} has no ${wrong.join(', ')}`);
    this.#others = schema.fields.filter(({ name }) => !known.has(name));
    this.#noted = use.noted ?? {};
  }

  /** Throws FieldError; `path` begins the field's name and ends with a dot, or is empty. */
  check(message: T, path: string, notes: string[]): void {
    for (const field of this.#others) {
      if (!isFieldSet(message, field)) continue;
      const note = this.#noted[field.name];
      if (note === undefined) refuse(`${path}${field.name}`, 'not supported');
      notes.push(`${path}${field.name}: ${note}`);
    }
  }
}
