/**
 * Responses of a control plane, read as they are taken over. A first push may be a hundred thousand resources in one
 * message: made into objects all at once, they would be most of what the daemon ever needs of memory.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** A resource of a response. */
export interface Pushed {
  /** Empty in a state-of-the-world response. */
  readonly name: string;
  readonly version: string;
  /** Null: there is none, or its message cannot be read. */
  readonly resource: { readonly typeUrl: string; readonly value: Uint8Array } | null;
  /** Why it cannot be read. */
  readonly unreadable: string | null;
}

/** A response without its resources. */
export interface Response {
  readonly typeUrl: string;
  readonly nonce: string;
  /** Of the whole. */
  readonly version: string;
  /** Names that are gone (delta). */
  readonly removed: readonly string[];
  /** Reads the resources, one at a time. */
  resources(): Iterable<Pushed>;
}

// Of both messages (envoy/service/discovery/v3/discovery.proto).
const field = { version: 1, resources: 2, typeUrl: 4, nonce: 5, removed: 6 } as const;

/** `dialect`: whether resources come with a name and a version of their own. Throws when the message is none. */
export function readResponse(message: Uint8Array, dialect: 'delta' | 'sotw'): Response {
  let version = '';
  let typeUrl = '';
  let nonce = '';
  const removed: string[] = [];
  for (const [number, reader] of fieldsOf(message)) {
    if (number === field.version) version = reader.string();
    else if (number === field.typeUrl) typeUrl = reader.string();
    else if (number === field.nonce) nonce = reader.string();
    // Number 6 of the other dialect is a message.
    else if (number === field.removed && dialect === 'delta') removed.push(reader.string());
    else reader.skip(WireType.LengthDelimited);
  }
  const read = dialect === 'delta' ? readResource : readAny;
  return { typeUrl, nonce, version, removed, resources: () => resourcesOf(message, read) };
}

function* resourcesOf(message: Uint8Array, read: (bytes: Uint8Array) => Pushed): Generator<Pushed> {
  for (const [number, reader] of fieldsOf(message)) {
    if (number === field.resources) yield read(reader.bytes());
    else reader.skip(WireType.LengthDelimited);
  }
}

function readAny(bytes: Uint8Array): Pushed {
  try {
    return { name: '', version: '', resource: anyIn(bytes), unreadable: null };
  } catch (error) {
    return { name: '', version: '', resource: null, unreadable: textOf(error) };
  }
}

/** envoy.service.discovery.v3.Resource */
function readResource(bytes: Uint8Array): Pushed {
  let name = '';
  let version = '';
  let resource: Pushed['resource'] = null;
  try {
    for (const [number, reader] of fieldsOf(bytes)) {
      if (number === 1) version = reader.string();
      else if (number === 2) resource = anyIn(reader.bytes());
      else if (number === 3) name = reader.string();
      else reader.skip(WireType.LengthDelimited);
    }
    return { name, version, resource, unreadable: null };
  } catch (error) {
    return { name, version, resource: null, unreadable: textOf(error) };
  }
}

/** google.protobuf.Any */
function anyIn(bytes: Uint8Array): { readonly typeUrl: string; readonly value: Uint8Array } {
  let typeUrl = '';
  let value: Uint8Array = nothing;
  for (const [number, reader] of fieldsOf(bytes)) {
    if (number === 1) typeUrl = reader.string();
    else if (number === 2) value = reader.bytes();
    else reader.skip(WireType.LengthDelimited);
  }
  return { typeUrl, value };
}

const nothing = new Uint8Array();

/** Fields that have a length; whoever takes one reads or skips it. All others are passed over. */
function* fieldsOf(bytes: Uint8Array): Generator<readonly [number: number, reader: BinaryReader]> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) yield [number, reader];
    else reader.skip(wireType, number);
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
