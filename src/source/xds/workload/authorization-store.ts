/**
 * Authorization policies of the workload API. The mesh does not enforce any yet: they are kept, and each is a warning in
 * log and status, so that nobody believes to be protected. A policy with parts that this version does not know is refused:
 * a match whose conditions are left out would be wider than it is written.
 */
import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Authorization, AuthorizationSchema } from '../gen/messages.gen.ts';
import type { ResourceSink, Verdict } from '../sink.ts';
import { authorizationType } from '../type-urls.ts';

export class AuthorizationStore implements ResourceSink {
  readonly typeUrl = authorizationType;
  readonly #policies = new Map<string, Authorization>();

  /** By `NAMESPACE/NAME`. */
  get policies(): ReadonlyMap<string, Authorization> {
    return this.#policies;
  }

  put(body: Uint8Array, given: string | null): Verdict {
    try {
      const policy = fromBinary(AuthorizationSchema, body);
      const name = `${policy.namespace}/${policy.name}`;
      if (given !== null && given !== name) return { name: given, refusal: `name: it is ${name}` };
      const unknown = unknownField(AuthorizationSchema, policy, '');
      if (unknown !== null) return { name, refusal: `${unknown}: not known to this version` };
      this.#policies.set(name, policy);
      return { name, refusal: null };
    } catch (error) {
      return { name: given, refusal: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  remove(name: string): void {
    this.#policies.delete(name);
  }
}

/** Path of a field, at any depth, that the schema does not have; null: there is none. */
export function unknownField(schema: DescMessage, message: Message, path: string): string | null {
  return unknownIn(reflect(schema, message), path);
}

function unknownIn(message: ReflectMessage, path: string): string | null {
  const [unknown] = message.getUnknown() ?? [];
  if (unknown !== undefined) return `${path}field ${unknown.no}`;
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === 'message') {
      const found = unknownIn(message.get(field), `${path}${field.name}.`);
      if (found !== null) return found;
    } else if (field.fieldKind === 'list' && field.listKind === 'message') {
      for (const [i, item] of [...message.get(field)].entries()) {
        const found = unknownIn(item as ReflectMessage, `${path}${field.name}[${i}].`);
        if (found !== null) return found;
      }
    }
  }
  return null;
}
