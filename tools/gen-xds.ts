/**
 * Writes src/source/xds/gen/messages.gen.ts: the xDS messages that the daemon reads or writes, as types and as descriptors for
 * protobuf-es. Envoy's public protos come from the npm package below, Istio's from src/source/xds/proto; protoc (Debian:
 * protobuf-compiler) compiles them. Only `kept` messages keep their fields' types. A field of another message type
 * stays by name as Empty or `bytes`, which is the same on the wire: it is not decoded, and what is refused can be named.
 *
 *     node tools/gen-xds.ts
 */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { keptMessages, lazyFields, rootFiles } from './xds-messages.ts';

const root = join(import.meta.dirname, '..');
const npmPackage = '@grpc/grpc-js-xds@1.14.1';
const cache = join(root, 'build/xds-protos');
const out = join(root, 'src/source/xds/gen/messages.gen.ts');

/** Google's own types that protobuf-es shows as plain values. */
const plain: Readonly<Record<string, string>> = {
  'google.protobuf.BoolValue': 'boolean',
  'google.protobuf.UInt32Value': 'number',
  'google.protobuf.UInt64Value': 'bigint',
  'google.protobuf.StringValue': 'string',
  'google.protobuf.DoubleValue': 'number',
  'google.protobuf.Struct': 'JsonObject',
};
const wellKnown: Readonly<Record<string, string>> = {
  'google.protobuf.Any': 'Any',
  'google.protobuf.Duration': 'Duration',
  'google.protobuf.Empty': 'Empty',
};

function compile(): FileDescriptorSet {
  const deps = join(cache, 'package/deps');
  if (!existsSync(deps)) {
    mkdirSync(cache, { recursive: true });
    execFileSync('npm', ['pack', '--silent', npmPackage], { cwd: cache });
    execFileSync('tar', ['xzf', 'grpc-grpc-js-xds-1.14.1.tgz'], { cwd: cache });
    // Envoy's rules are newer than the package's copy of their definition, and they are not needed.
    for (const file of globSync('envoy-api/**/*.proto', { cwd: deps })) {
      const path = join(deps, file);
      writeFileSync(path, readFileSync(path, 'utf8').replace(/\s+ignore_empty: true/g, ''));
    }
  }
  const folders = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(deps, name));
  folders.push(join(root, 'src/source/xds/proto'));
  const file = join(cache, 'set.binpb');
  execFileSync('protoc', [
    '--include_imports',
    `--descriptor_set_out=${file}`,
    ...folders.flatMap((f) => ['-I', f]),
    ...rootFiles,
  ]);
  return fromBinary(FileDescriptorSetSchema, readFileSync(file));
}

const kept: ReadonlySet<string> = new Set(keptMessages);
const lazy: ReadonlySet<string> = new Set(lazyFields);
const isGoogle = (name: string): boolean => name in plain || name in wellKnown;
/** Messages and enums that some kept field is of. */
const usedEnums = new Set<string>();
const seen = new Set<string>();

function typed(owner: string, field: FieldDescriptorProto, entries: ReadonlySet<string>): boolean {
  const name = field.typeName.slice(1);
  if (field.type !== Type.MESSAGE) return true;
  return !lazy.has(`${owner}.${field.name}`) && (kept.has(name) || isGoogle(name) || entries.has(name));
}

/** Takes away in place what is not needed; false: nothing of it is. Fields that are not set are read from prototypes here. */
function pruneMessage(name: string, message: DescriptorProto): boolean {
  const mine = kept.has(name);
  const maps = message.nestedType.filter((one) => one.options?.mapEntry === true);
  const nested = message.nestedType.filter(
    (one) => one.options?.mapEntry !== true && pruneMessage(`${name}.${one.name}`, one),
  );
  const enums = message.enumType.filter((one) => usedEnums.has(`${name}.${one.name}`));
  if (!mine && nested.length === 0 && enums.length === 0) return false;
  if (mine) seen.add(name);
  const entries = new Set(maps.map((one) => `${name}.${one.name}`));
  if (!mine) message.field = [];
  for (const field of message.field) pruneField(name, field, entries);
  const usedMaps = maps.filter((one) => message.field.some((field) => field.typeName === `.${name}.${one.name}`));
  for (const entry of usedMaps) for (const field of entry.field) pruneField(`${name}.${entry.name}`, field, new Set());
  message.nestedType = [...nested, ...usedMaps];
  message.enumType = enums;
  for (const one of enums) pruneEnum(one);
  if (!mine) message.oneofDecl = [];
  for (const one of message.oneofDecl) delete one.options;
  message.reservedRange = [];
  message.reservedName = [];
  delete message.options;
  return true;
}

function pruneField(owner: string, field: FieldDescriptorProto, entries: ReadonlySet<string>): void {
  delete field.options;
  Reflect.deleteProperty(field, 'jsonName');
  if (field.type === Type.ENUM && !usedEnums.has(field.typeName.slice(1))) setType(field, Type.INT32);
  if (typed(owner, field, entries)) return;
  // `bytes` would not show an empty message; Empty keeps what is in it as unknown fields.
  const present = field.label !== Label.REPEATED && !Object.hasOwn(field, 'oneofIndex');
  if (present && !lazy.has(`${owner}.${field.name}`)) field.typeName = '.google.protobuf.Empty';
  else setType(field, Type.BYTES);
}

function setType(field: FieldDescriptorProto, type: Type): void {
  field.type = type;
  Reflect.deleteProperty(field, 'typeName');
}

function pruneEnum(one: EnumDescriptorProto): void {
  delete one.options;
  one.reservedRange = [];
  one.reservedName = [];
  for (const value of one.value) delete value.options;
}

function findEnums(name: string, message: DescriptorProto): void {
  if (kept.has(name))
    for (const field of message.field) if (field.type === Type.ENUM) usedEnums.add(field.typeName.slice(1));
  for (const one of message.nestedType) findEnums(`${name}.${one.name}`, one);
}

function prune(set: FileDescriptorSet): FileDescriptorProto[] {
  for (const file of set.file) for (const one of file.messageType) findEnums(`${file.package}.${one.name}`, one);
  const files: FileDescriptorProto[] = [];
  const home = new Map<string, string>();
  for (const file of set.file.filter((one) => one.package === 'google.protobuf')) {
    for (const one of file.messageType) home.set(`${file.package}.${one.name}`, file.name);
  }
  for (const file of set.file) {
    if (file.package === 'google.protobuf') {
      if (file.messageType.some((one) => isGoogle(`google.protobuf.${one.name}`))) {
        delete file.options;
        files.push(file);
      }
      continue;
    }
    const messages = file.messageType.filter((one) => pruneMessage(`${file.package}.${one.name}`, one));
    const enums = file.enumType.filter((one) => usedEnums.has(`${file.package}.${one.name}`));
    for (const one of enums) pruneEnum(one);
    if (messages.length === 0 && enums.length === 0) continue;
    const note = (scope: string, one: DescriptorProto): void => {
      home.set(`${scope}.${one.name}`, file.name);
      for (const inner of one.enumType) home.set(`${scope}.${one.name}.${inner.name}`, file.name);
      for (const inner of one.nestedType) note(`${scope}.${one.name}`, inner);
    };
    for (const one of messages) note(file.package, one);
    for (const one of enums) home.set(`${file.package}.${one.name}`, file.name);
    file.messageType = messages;
    file.enumType = enums;
    file.service = [];
    file.extension = [];
    file.publicDependency = [];
    file.weakDependency = [];
    delete file.options;
    files.push(file);
  }
  for (const file of files.filter((one) => one.package !== 'google.protobuf')) {
    const needed = new Set<string>();
    const walk = (one: DescriptorProto): void => {
      for (const field of one.field)
        if (field.typeName !== '') needed.add(home.get(field.typeName.slice(1)) ?? `missing ${field.typeName}`);
      for (const inner of one.nestedType) walk(inner);
    };
    for (const one of file.messageType) walk(one);
    needed.delete(file.name);
    file.dependency = [...needed];
  }
  return ordered(files);
}

/** Each file after those that it needs. */
function ordered(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const done: FileDescriptorProto[] = [];
  const visit = (file: FileDescriptorProto): void => {
    if (done.includes(file)) return;
    for (const name of file.dependency) {
      const other = byName.get(name);
      if (other === undefined) throw new Error(`${file.name} needs ${name}`);
      visit(other);
    }
    done.push(file);
  };
  for (const file of files) visit(file);
  return done;
}

const camel = (text: string): string => text.replace(/_+([a-z0-9])/g, (_, c: string) => c.toUpperCase());

/** The name of a type in TypeScript: the last parts, with a prefix where packages share a name. */
const names = new Map<string, string>();
function tsName(full: string): string {
  return names.get(full) ?? full;
}
function nameAll(files: readonly FileDescriptorProto[]): void {
  const taken = new Set<string>();
  const add = (file: FileDescriptorProto, path: string): void => {
    const full = `${file.package}.${path}`;
    const short = path.replaceAll('.', '');
    const prefix = file.package.startsWith('istio.security')
      ? 'Authz'
      : file.package.startsWith('istio.')
        ? 'Istio'
        : file.package.includes('.route.')
          ? 'Route'
          : file.package.includes('.tcp_proxy.')
            ? 'Tcp'
            : '';
    const name =
      taken.has(short) || (file.package.startsWith('istio.') && !short.startsWith('Authorization'))
        ? `${prefix}${short}`
        : short;
    if (taken.has(name)) throw new Error(`two types would be named ${name}: ${full}`);
    taken.add(name);
    names.set(full, name);
  };
  for (const file of files.filter((one) => one.package !== 'google.protobuf')) {
    const walk = (path: string, one: DescriptorProto): void => {
      if (one.options?.mapEntry === true) return;
      add(file, path);
      for (const inner of one.enumType) add(file, `${path}.${inner.name}`);
      for (const inner of one.nestedType) walk(`${path}.${inner.name}`, inner);
    };
    for (const one of file.messageType) walk(one.name, one);
    for (const one of file.enumType) add(file, one.name);
  }
}

function valueType(field: FieldDescriptorProto): string {
  switch (field.type) {
    case Type.STRING:
      return 'string';
    case Type.BOOL:
      return 'boolean';
    case Type.BYTES:
      return 'Uint8Array';
    case Type.INT64:
    case Type.UINT64:
    case Type.SINT64:
    case Type.FIXED64:
    case Type.SFIXED64:
      return 'bigint';
    case Type.MESSAGE: {
      const name = field.typeName.slice(1);
      return plain[name] ?? wellKnown[name] ?? tsName(name);
    }
    default:
      return 'number';
  }
}

function repeatedType(field: FieldDescriptorProto): string {
  // Wrappers are only unwrapped where they are a single field.
  const name = field.typeName.slice(1);
  if (field.type === Type.MESSAGE && name in plain && name !== 'google.protobuf.Struct')
    throw new Error(`repeated ${name}`);
  return `${valueType(field)}[]`;
}

function emitMessage(full: string, message: DescriptorProto, lines: string[]): void {
  if (message.options?.mapEntry === true) return;
  for (const one of message.enumType) emitEnum(`${full}.${one.name}`, one, lines);
  for (const one of message.nestedType) emitMessage(`${full}.${one.name}`, one, lines);
  const name = tsName(full);
  lines.push(`export type ${name} = Message<'${full}'> & {`);
  const oneofs = new Map<number, FieldDescriptorProto[]>();
  for (const field of message.field) {
    const real = Object.hasOwn(field, 'oneofIndex') && !field.proto3Optional;
    if (real) {
      oneofs.set(field.oneofIndex, [...(oneofs.get(field.oneofIndex) ?? []), field]);
      continue;
    }
    const entry = message.nestedType.find(
      (one) => one.options?.mapEntry === true && field.typeName === `.${full}.${one.name}`,
    );
    if (entry !== undefined) {
      const value = entry.field[1];
      if (value === undefined) throw new Error(`${full}.${field.name} is no map`);
      lines.push(`  ${camel(field.name)}: { [key: string]: ${valueType(value)} };`);
    } else if (field.label === Label.REPEATED) lines.push(`  ${camel(field.name)}: ${repeatedType(field)};`);
    else if (field.type === Type.MESSAGE || field.proto3Optional)
      lines.push(`  ${camel(field.name)}?: ${valueType(field)};`);
    else lines.push(`  ${camel(field.name)}: ${valueType(field)};`);
  }
  for (const [index, fields] of oneofs) {
    const one = message.oneofDecl[index];
    const cases = fields.map((field) => `{ case: '${camel(field.name)}'; value: ${oneofType(field)} }`);
    lines.push(`  ${camel(one?.name ?? '')}: ${cases.join(' | ')} | { case: undefined; value?: undefined };`);
  }
  lines.push('};', `export const ${name}Schema = schemaOf<${name}>('${full}');`, '');
}

/** Inside a oneof, wrappers stay messages. */
function oneofType(field: FieldDescriptorProto): string {
  const name = field.typeName.slice(1);
  if (field.type === Type.MESSAGE && name in plain && name !== 'google.protobuf.Struct')
    return `{ value: ${plain[name]} }`;
  return valueType(field);
}

function emitEnum(full: string, one: EnumDescriptorProto, lines: string[]): void {
  lines.push(
    `export const ${tsName(full)} = {`,
    ...one.value.map((v) => `  ${v.name}: ${v.number},`),
    '} as const;',
    '',
  );
}

function main(): void {
  const files = prune(compile());
  const missing = keptMessages.filter((name) => !seen.has(name));
  if (missing.length > 0) throw new Error(`no such message: ${missing.join(', ')}`);
  nameAll(files);
  const set = create(FileDescriptorSetSchema, { file: files });
  const base64 = Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString('base64');
  const lines: string[] = [];
  for (const file of files.filter((one) => one.package !== 'google.protobuf')) {
    for (const one of file.enumType) emitEnum(`${file.package}.${one.name}`, one, lines);
    for (const one of file.messageType) emitMessage(`${file.package}.${one.name}`, one, lines);
  }
  const text = [
    `// Generated from the protos of ${npmPackage} and src/source/xds/proto by tools/gen-xds.ts. Do not edit.`,
    "import { createFileRegistry, fromBinary, type JsonObject, type Message } from '@bufbuild/protobuf';",
    "import type { GenMessage } from '@bufbuild/protobuf/codegenv2';",
    "import { type Any, type Duration, type Empty, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';",
    '',
    'const descriptors =',
    ...(base64.match(/.{1,118}/g) ?? []).map((line, i, all) => `  '${line}'${i === all.length - 1 ? ';' : ' +'}`),
    '',
    '/** Every message here by its full name. */',
    "export const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, 'base64')));",
    '',
    "function schemaOf<T extends Message>(name: T['$typeName']): GenMessage<T> {",
    '  const found = registry.getMessage(name);',
    "  if (found === undefined) throw new RangeError('no message ' + name);",
    '  return found as unknown as GenMessage<T>;',
    '}',
    '',
    ...lines,
  ].join('\n');
  writeFileSync(out, text);
  console.log(`gen-xds: wrote ${text.length} bytes, ${files.length} files, descriptors ${base64.length}`);
}

main();
