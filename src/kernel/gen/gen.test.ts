import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { generateLayout } from '../../../tools/gen-layout.ts';
import { type Codec, toBytes } from '../codec.ts';
import { testObject } from '../testing.ts';
import { mergeLayouts, readLayout } from './btf.ts';
import { schemaHash } from './emit.ts';

const directory = mkdtempSync(join(tmpdir(), 'km-gen-'));
after(() => rmSync(directory, { recursive: true }));

interface TestValue {
  readonly colour: number;
  readonly bytes: bigint;
  readonly delta: bigint;
  readonly name: string;
  readonly mac: Uint8Array;
  readonly parts: readonly { readonly low: number; readonly high: number }[];
  readonly totals: readonly bigint[];
  readonly ready: boolean;
}

interface Generated {
  readonly schema: string;
  readonly kmTestColour: Readonly<Record<string, number>>;
  readonly kmTestKey: Codec<{ readonly addr: readonly number[]; readonly port: number; readonly protocol: number }>;
  readonly kmTestValue: Codec<TestValue>;
  readonly kmTestGapKey: Codec<{ readonly kind: number; readonly id: bigint }>;
  readonly mapTypes: Readonly<Record<string, { readonly type: string; readonly key: Codec<unknown> }>>;
}

/** Runs the generated source from a place outside the tree. */
async function generated(objects: readonly string[]): Promise<Generated> {
  const file = join(directory, 'layout.ts');
  const codecs = pathToFileURL(join(import.meta.dirname, '../codec.ts')).href;
  writeFileSync(file, generateLayout(objects).replaceAll("'../codec.ts'", `'${codecs}'`));
  return (await import(pathToFileURL(file).href)) as Generated;
}

test('the generated codecs write what the C structs hold', async () => {
  const { kmTestKey, kmTestValue, kmTestGapKey, kmTestColour, mapTypes, schema } = await generated([
    testObject('maps'),
  ]);
  assert.match(schema, /^[0-9a-f]{12}$/);
  assert.deepEqual(kmTestColour, { RED: 0, GREEN: 1, BLUE: 7 });

  const key = toBytes(kmTestKey, { addr: [0x0a000001, 0, 0, 2], port: 443, protocol: 6 });
  assert.equal(
    Buffer.from(key).toString('hex'),
    `0a000001${'00000000'.repeat(2)}0000000201bb0600`,
    '__be fields are big-endian',
  );

  const value: TestValue = {
    colour: 7,
    bytes: 2n ** 63n + 1n,
    delta: -5n,
    name: 'größe',
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    parts: [
      { low: 1, high: 2 },
      { low: 3, high: 0xffff },
    ],
    totals: [1n, 2n],
    ready: true,
  };
  assert.deepEqual(kmTestValue.decode(new DataView(toBytes(kmTestValue, value).buffer), 0), value);

  const used = new Uint8Array(16).fill(0xaa);
  kmTestGapKey.encode({ kind: 1, id: 2n }, new DataView(used.buffer), 0);
  assert.equal(Buffer.from(used).toString('hex'), '01000000000000000200000000000000', 'padding becomes zero');

  assert.deepEqual(Object.keys(mapTypes).sort(), Object.keys(mapTypes), 'sorted');
  assert.equal(mapTypes['km_test_storage']?.type, 'sk_storage');
  assert.equal(mapTypes['km_test_hash']?.key, kmTestKey);
});

test('two objects that say otherwise about one name are refused', () => {
  const layouts = ['maps', 'other'].map((name) => [testObject(name), readLayout(testObject(name))] as const);
  assert.throws(() => mergeLayouts(layouts), {
    message:
      'struct km_test_counter differs: maps.bpf.o has {"name":"errors","offset":8,"shape":{"kind":"int","size":4,' +
      '"signed":false,"bigEndian":false}}, other.bpf.o has {"name":"errors","offset":8,"shape":{"kind":"int","size":8,' +
      '"signed":false,"bigEndian":false}}',
  });
});

test('the schema changes with a layout, not with the number of entries', () => {
  const layout = readLayout(testObject('maps'));
  assert.equal(schemaHash(readLayout(testObject('maps'))), schemaHash(layout));
  assert.notEqual(schemaHash(readLayout(testObject('other'))), schemaHash(layout));
  assert.equal('maxEntries' in (layout.maps.get('km_test_hash') ?? {}), false);
});

test('--check is silent while nothing drifts and shows the lines that did', () => {
  const out = join(directory, 'checked.ts');
  const tool = join(import.meta.dirname, '../../../tools/gen-layout.ts');
  const gen = (...args: string[]) =>
    spawnSync(process.execPath, [tool, '--out', out, ...args, testObject('maps')], { encoding: 'utf8' });
  assert.equal(gen().status, 0);
  const same = gen('--check');
  assert.deepEqual([same.status, same.stderr], [0, '']);
  const text = readFileSync(out, 'utf8');
  writeFileSync(out, text.replace('BLUE: 7', 'BLUE: 8'));
  const drifted = gen('--check');
  assert.equal(drifted.status, 1);
  assert.match(drifted.stderr, /run: make gen\n +\d+ - {2}BLUE: 8,\n +\d+ \+ {2}BLUE: 7,\n$/);
  assert.equal(readFileSync(out, 'utf8').includes('BLUE: 8'), true, '--check writes nothing');
});
