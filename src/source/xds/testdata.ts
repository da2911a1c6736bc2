/** For tests: what a real istiod answered, as it was on the wire (`testdata`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';

export interface Recorded {
  readonly name: string;
  readonly version: string;
  readonly resource: Any;
}

type FileName = 'addresses' | 'authorizations' | 'clusters' | 'endpoints' | 'listeners' | 'routes';

/** The resources of one type. Dates from istio 1.32-dev: a shop of four services, a canary, a DestinationRule. */
export function recorded(file: FileName): Recorded[] {
  const text = readFileSync(join(import.meta.dirname, 'testdata', `${file}.json`), 'utf8');
  const list = JSON.parse(text) as { name: string; version?: string; typeUrl: string; value: string }[];
  return list.map(({ name, version = '1', typeUrl, value }) => ({
    name,
    version,
    resource: create(AnySchema, { typeUrl, value: Buffer.from(value, 'base64') }),
  }));
}
