/** A directory and an API server together, both real. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Log } from '../base/log.ts';
import { objectKeyText } from '../model/objects.ts';
import { problemLine } from '../model/types.ts';
import { CombinedSource } from './combined.ts';
import { FilesSource } from './files.ts';
import { KubernetesSource } from './kubernetes/kubernetes.ts';
import { type ApiObject, FakeApiServer, plainAccess } from './kubernetes/testing.ts';
import type { SourceBatch } from './source.ts';
import { serviceText } from './testing.ts';
import { systemTimers } from './timers.ts';

async function setUp(t: TestContext, files: Readonly<Record<string, string>>, objects: readonly ApiObject[]) {
  const directory = mkdtempSync(join(tmpdir(), 'kmesh-combined-'));
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
  for (const [name, text] of Object.entries(files)) write(name, text);
  const api = new FakeApiServer();
  for (const object of objects) api.put(object);
  await api.listen();
  const batches: SourceBatch[] = [];
  const access = plainAccess(api.url);
  const log = new Log({ format: 'text', level: 'error', write: () => undefined }).logger('kubernetes');
  const source = new CombinedSource(
    [
      (onChange) => new FilesSource({ directory, onChange }),
      (onChange) => new KubernetesSource({ access, namespaces: [], timers: systemTimers, log, onChange }),
    ],
    (batch) => batches.push(batch),
  );
  t.after(async () => {
    source.close();
    await api.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const until = async (what: string, done: () => boolean) => {
    const end = performance.now() + 5000;
    while (!done()) {
      if (performance.now() > end) throw new Error(`not within 5 s: ${what}; ${JSON.stringify(batches)}`);
      await delay(2);
    }
  };
  const problems = () =>
    source.problems().map((one) => `${one.severity} ${one.code} ${problemLine(one)}`.replaceAll(`${directory}/`, ''));
  /** The last batch: what is in force now, with where it came from, and what is gone. */
  const last = () => {
    const { upserted = [], removed = [] } = batches.at(-1) ?? {};
    return [
      ...upserted.map((object) => `${objectKeyText(object)} of ${object.origin.source}`),
      ...removed.map((key) => `no ${objectKeyText(key)}`),
    ];
  };
  return { api, directory, write, source, batches, until, problems, last };
}

const service = (name: string, address: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP: address, ports: [{ name: 'http', port: 80 }] },
});

test('both are told as one, when both were read', async (t) => {
  const { source, batches, until, last } = await setUp(t, { 'a.yaml': serviceText('here', '10.96.0.1') }, [
    service('there', '10.96.0.2'),
  ]);
  source.start();
  assert.deepEqual(batches, []);
  assert.deepEqual(source.pending(), ['source kubernetes was not read yet']);
  await until('both', () => batches.length > 0);
  assert.deepEqual(source.pending(), []);
  assert.deepEqual(last().sort(), ['Service/shop/here of files', 'Service/shop/there of kubernetes']);
  assert.deepEqual(
    source.status().map(({ name, objects }) => [name, objects]),
    [
      ['files', 1],
      ['kubernetes', 1],
    ],
  );
});

test('what both have is that of the files, until they have it no more', async (t) => {
  const { api, source, batches, until, last, problems, write } = await setUp(
    t,
    { 'a.yaml': serviceText('web', '10.96.0.1') },
    [service('web', '10.96.0.2'), service('other', '10.96.0.3')],
  );
  source.start();
  await until('both', () => batches.length === 1);
  assert.deepEqual(last().sort(), ['Service/shop/other of kubernetes', 'Service/shop/web of files']);
  const warning =
    'warning KM1020 Service shop/web kubernetes: source files has this object too (a.yaml:1), and comes first';
  assert.deepEqual(problems(), [warning]);

  // A change of the second one's changes nothing; one that nobody else has goes through.
  api.put(service('web', '10.96.0.4'));
  api.put(service('other', '10.96.0.5'));
  await until('the other', () => batches.at(-1)?.upserted[0]?.name === 'other' && batches.length > 1);
  assert.equal(
    batches.slice(1).some((batch) => batch.upserted.some(({ name }) => name === 'web')),
    false,
  );

  write('a.yaml', serviceText('web', '10.96.0.6'));
  await until('the file changed', () => last()[0] === 'Service/shop/web of files');
  write('a.yaml', serviceText('mine', '10.96.0.7'));
  await until('the file has it no more', () => last().length === 2);
  assert.deepEqual(last().sort(), ['Service/shop/mine of files', 'Service/shop/web of kubernetes']);
  assert.deepEqual(problems(), []);

  // The file takes it again; then the server deletes its own, which nobody notices; then it is gone.
  write('a.yaml', serviceText('web', '10.96.0.8'));
  await until('the file has it again', () => last().includes('Service/shop/web of files'));
  assert.deepEqual(problems(), [warning]);
  const before = batches.length;
  api.remove('Service', 'shop', 'web');
  await until('no conflict', () => problems().length === 0);
  write('a.yaml', '');
  await until('it is gone', () => last().includes('no Service/shop/web'));
  const between = batches.slice(before, -1);
  assert.deepEqual(
    between.flatMap(({ upserted, removed }) => [...upserted, ...removed]),
    [],
  );
});

test('lines of files are found, and an object of the server has none', async (t) => {
  const { source, batches, until } = await setUp(t, { 'a.yaml': serviceText('here', '10.96.0.1') }, [
    service('there', '10.96.0.2'),
  ]);
  source.start();
  await until('both', () => batches.length > 0);
  const lines = (batches[0]?.upserted ?? []).map((object) => [
    object.name,
    source.locate(object.origin, ['spec', 'clusterIP']),
  ]);
  assert.deepEqual(lines.sort(), [
    ['here', 7],
    ['there', 0],
  ]);
});
