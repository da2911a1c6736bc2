import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { KmError } from '../base/errors.ts';
import { FilesSource, isConfigName } from './files.ts';
import { type Setting, serviceText, setUp } from './testing.ts';

const key = (name: string) => `shop/${name}.shop.svc.cluster.local`;

function port(setting: Setting, name: string): number | undefined {
  return setting.model.mesh.services.get(key(name))?.ports[0]?.port;
}

test('a missing directory is a clear error at start', () => {
  const source = new FilesSource({ directory: '/nowhere/at/all', onChange: () => undefined });
  assert.throws(
    () => source.start(),
    (error) =>
      error instanceof KmError && error.code === 'KM1001' && /\/nowhere\/at\/all: no such file/.test(error.message),
  );
});

test('names that are read', () => {
  for (const name of ['a.yaml', 'b.yml', 'c.json', 'x y.yaml']) assert.ok(isConfigName(name), name);
  for (const name of ['.a.yaml.swp', '.hidden.yaml', 'a.yaml~', '#a.yaml#', 'a.yaml.tmp', '4913', 'a.txt', '..data']) {
    assert.ok(!isConfigName(name), name);
  }
});

test('the first batch holds everything and comes before start returns', (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1'), 'b.json': '', 'sub.txt': 'no' });
  assert.equal(setting.batches.length, 1);
  assert.deepEqual([...setting.model.mesh.services.keys()], [key('a')]);
  const status = setting.source.status();
  assert.equal(status.synced, true);
  assert.equal(status.objects, 1);
  assert.equal(status.error, null);
});

test('a file written beside and renamed into place is one batch', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') });
  setting.write('a.yaml.tmp', serviceText('a', '10.96.0.1', 81));
  renameSync(join(setting.directory, 'a.yaml.tmp'), join(setting.directory, 'a.yaml'));
  await setting.until('port 81', () => port(setting, 'a') === 81);
  assert.equal(setting.batches.length, 2);
  assert.deepEqual([...(setting.batches[1]?.delta.services ?? [])], [key('a')]);
});

test('files from elsewhere moved in and out', async (t) => {
  const setting = setUp(t, {});
  const outside = join(dirname(setting.directory), 'b.yaml');
  writeFileSync(outside, serviceText('b', '10.96.0.2'));
  renameSync(outside, join(setting.directory, 'b.yaml'));
  await setting.until('b', () => port(setting, 'b') === 80);
  renameSync(join(setting.directory, 'b.yaml'), outside);
  await setting.until('no b', () => port(setting, 'b') === undefined);
});

test('editor saves: in place, by backup and new file, by delete and new file', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') });
  const path = join(setting.directory, 'a.yaml');
  const count = () => setting.batches.length;
  writeFileSync(path, serviceText('a', '10.96.0.1', 81));
  await setting.until('in place', () => port(setting, 'a') === 81);
  let before = count();
  // vim with backupcopy=no: probe file, rename to backup, new file, backup gone.
  writeFileSync(join(setting.directory, '4913'), '');
  unlinkSync(join(setting.directory, '4913'));
  renameSync(path, `${path}~`);
  writeFileSync(path, serviceText('a', '10.96.0.1', 82));
  unlinkSync(`${path}~`);
  await setting.until('backup', () => port(setting, 'a') === 82);
  assert.equal(count(), before + 1);
  before = count();
  unlinkSync(path);
  writeFileSync(path, serviceText('a', '10.96.0.1', 83));
  await setting.until('delete and new', () => port(setting, 'a') === 83);
  assert.equal(count(), before + 1);
  assert.ok(setting.batches.every(({ batch }) => batch.removed.length === 0));
});

test('the same size within the same clock tick is noticed', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1', 80) });
  for (let next = 81; next < 86; next++) {
    setting.write('a.yaml', serviceText('a', '10.96.0.1', next));
    await setting.until(`port ${next}`, () => port(setting, 'a') === next);
  }
});

test('a half-written file keeps its objects until it is whole', async (t) => {
  const whole = `${serviceText('a', '10.96.0.1')}---\n${serviceText('b', '10.96.0.2')}`;
  const setting = setUp(t, { 'a.yaml': whole });
  const path = join(setting.directory, 'a.yaml');
  const changed = whole.replace('port: 80', 'port: 81');
  const cut = changed.indexOf('10.96.0.2') - 'spec:\n  clusterIP: '.length + 3;
  const fd = openSync(path, 'w');
  writeSync(fd, `${changed.slice(0, cut)}`);
  await setting.until('the error', () => setting.source.problems().length > 0);
  assert.equal(port(setting, 'b'), 80);
  assert.equal(port(setting, 'a'), 81);
  assert.equal(setting.source.problems()[0]?.lastGoodInForce, true);
  writeSync(fd, changed.slice(cut));
  closeSync(fd);
  await setting.until('no error', () => setting.source.problems().length === 0);
  assert.equal(port(setting, 'b'), 80);
  assert.ok(setting.batches.every(({ batch }) => batch.removed.length === 0));
});

test('a file that is truncated before it is written again loses nothing', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') }, { quietMs: 5, maxWaitMs: 300 });
  const fd = openSync(join(setting.directory, 'a.yaml'), 'w');
  // Another file's change shows that the source has looked at the directory meanwhile.
  setting.write('b.yaml', serviceText('b', '10.96.0.2'));
  await setting.until('b', () => port(setting, 'b') === 80);
  assert.equal(port(setting, 'a'), 80);
  writeSync(fd, serviceText('a', '10.96.0.1', 81));
  closeSync(fd);
  await setting.until('port 81', () => port(setting, 'a') === 81);
  assert.ok(setting.batches.every(({ batch }) => batch.removed.length === 0));
  setting.write('a.yaml', '');
  await setting.until('a that stays empty is gone', () => port(setting, 'a') === undefined);
});

test('a refused object keeps its last good version; gone is gone', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') });
  setting.write('a.yaml', serviceText('a', '10.96.0.1', 70000));
  await setting.until('the problem', () => setting.source.problems().length === 1);
  assert.equal(port(setting, 'a'), 80);
  assert.equal(setting.source.problems()[0]?.lastGoodInForce, true);
  setting.write('a.yaml', serviceText('a', '10.96.0.1', 82));
  await setting.until('82', () => port(setting, 'a') === 82);
  assert.deepEqual(setting.problems(), []);
  unlinkSync(join(setting.directory, 'a.yaml'));
  await setting.until('gone', () => port(setting, 'a') === undefined);
});

test('two objects of one name: the first stays, the second follows it', async (t) => {
  const setting = setUp(t, { 'b.yaml': serviceText('a', '10.96.0.1', 81) });
  setting.write('a.yaml', serviceText('a', '10.96.0.1', 82));
  await setting.until('the problem', () => setting.source.problems().length === 1);
  assert.deepEqual(setting.problems(), [
    'KM1013 Service shop/a a.yaml:1 metadata.name: b.yaml:1 has an object of the same name, which is in force',
  ]);
  assert.equal(port(setting, 'a'), 81);
  setting.write('b.yaml', `# moved down\n\n${serviceText('a', '10.96.0.1', 81)}`);
  await setting.until('the first moved', () => setting.problems()[0]?.includes('b.yaml:3') ?? false);
  unlinkSync(join(setting.directory, 'b.yaml'));
  await setting.until('the second', () => port(setting, 'a') === 82);
  assert.deepEqual(setting.problems(), []);
  assert.ok(setting.batches.every(({ batch }) => batch.removed.length === 0));
});

test('an object that moves to another file in one change is not removed', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') });
  renameSync(join(setting.directory, 'a.yaml'), join(setting.directory, 'z.yaml'));
  await setting.until('the new file', () => setting.batches.length === 2);
  assert.deepEqual(setting.batches[1]?.batch.removed, []);
  assert.equal(setting.model.mesh.services.get(key('a'))?.origin.file, join(setting.directory, 'z.yaml'));
});

test('only what changed is told, and lines follow the text', async (t) => {
  const setting = setUp(t, { 'a.yaml': `${serviceText('a', '10.96.0.1')}---\n${serviceText('b', '10.96.0.2')}` });
  const b = setting.model.mesh.services.get(key('b'));
  setting.write(
    'a.yaml',
    `${serviceText('new', '10.96.0.3')}---\n${serviceText('a', '10.96.0.1')}---\n${serviceText('b', '10.96.0.2')}`,
  );
  await setting.until('new', () => port(setting, 'new') === 80);
  assert.deepEqual([...(setting.batches[1]?.delta.services ?? [])], [key('new')]);
  assert.equal(setting.model.mesh.services.get(key('b')), b);
  assert.equal(b?.origin.line, 23);
  setting.write(
    'a.yaml',
    readFileSync(join(setting.directory, 'a.yaml'), 'utf8').replaceAll('name: http', 'name:   http'),
  );
  appendFileSync(join(setting.directory, 'a.yaml'), `---\n${serviceText('last', '10.96.0.4')}`);
  await setting.until('last', () => port(setting, 'last') === 80);
  assert.equal(setting.model.mesh.services.get(key('b')), b, 'only blanks changed');
});

test('a ConfigMap volume is swapped as a whole', async (t) => {
  const setting = setUp(t, {});
  const publish = (version: string, files: Readonly<Record<string, string>>) => {
    mkdirSync(join(setting.directory, version));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(setting.directory, version, name), text);
    symlinkSync(version, join(setting.directory, '..data_tmp'));
    renameSync(join(setting.directory, '..data_tmp'), join(setting.directory, '..data'));
  };
  publish('..1', { 'a.yaml': serviceText('a', '10.96.0.1'), 'b.yaml': serviceText('b', '10.96.0.2') });
  for (const name of ['a.yaml', 'b.yaml']) symlinkSync(`..data/${name}`, join(setting.directory, name));
  await setting.until('both', () => setting.model.mesh.services.size === 2);
  const before = setting.batches.length;
  publish('..2', { 'a.yaml': serviceText('a', '10.96.0.1', 81), 'b.yaml': serviceText('b', '10.96.0.2', 82) });
  rmSync(join(setting.directory, '..1'), { recursive: true });
  await setting.until('the swap', () => port(setting, 'a') === 81);
  assert.equal(port(setting, 'b'), 82);
  assert.equal(setting.batches.length, before + 1);
});

test('what a symbolic link leads to is watched', async (t) => {
  const setting = setUp(t, {});
  const elsewhere = join(dirname(setting.directory), 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'real'), serviceText('a', '10.96.0.1'));
  symlinkSync('real', join(elsewhere, 'middle'));
  symlinkSync(join(elsewhere, 'middle'), join(setting.directory, 'a.yaml'));
  await setting.until('the target', () => port(setting, 'a') === 80);
  writeFileSync(join(elsewhere, 'real'), serviceText('a', '10.96.0.1', 81));
  await setting.until('the target written', () => port(setting, 'a') === 81);
  writeFileSync(join(elsewhere, 'other'), serviceText('a', '10.96.0.1', 82));
  symlinkSync('other', join(elsewhere, 'tmp'));
  renameSync(join(elsewhere, 'tmp'), join(elsewhere, 'middle'));
  await setting.until('the middle link swapped', () => port(setting, 'a') === 82);
  unlinkSync(join(elsewhere, 'other'));
  await setting.until('a dangling link is told', () => setting.source.problems().some(({ code }) => code === 'KM1002'));
  assert.equal(port(setting, 'a'), 82);
});

test('a directory that is deleted keeps its objects, and is picked up when it is back', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') });
  const parent = dirname(setting.directory);
  renameSync(setting.directory, join(parent, 'old'));
  // A change in the moved directory is none of ours any more.
  writeFileSync(join(parent, 'old', 'a.yaml'), serviceText('a', '10.96.0.1', 99));
  mkdirSync(join(parent, 'next'));
  writeFileSync(join(parent, 'next', 'a.yaml'), serviceText('a', '10.96.0.1', 81));
  renameSync(join(parent, 'next'), setting.directory);
  await setting.until('the new directory', () => port(setting, 'a') === 81);
  rmSync(setting.directory, { recursive: true });
  mkdirSync(setting.directory);
  setting.write('b.yaml', serviceText('b', '10.96.0.2'));
  await setting.until('b', () => port(setting, 'b') === 80);
  setting.write('b.yaml', serviceText('b', '10.96.0.2', 83));
  await setting.until('b is watched', () => port(setting, 'b') === 83);
  assert.equal(port(setting, 'a'), undefined);
});

test('a steady stream of events is taken over within the bound', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') }, { quietMs: 50, maxWaitMs: 100 });
  const noise = setInterval(() => setting.write('noise.txt', String(Math.random())), 10);
  t.after(() => clearInterval(noise));
  setting.write('a.yaml', serviceText('a', '10.96.0.1', 81));
  await setting.until('port 81 in spite of noise', () => port(setting, 'a') === 81);
});

test('after close nothing is told', async (t) => {
  const setting = setUp(t, { 'a.yaml': serviceText('a', '10.96.0.1') });
  const other = setUp(t, {});
  setting.source.close();
  setting.write('a.yaml', serviceText('a', '10.96.0.1', 81));
  other.write('b.yaml', serviceText('b', '10.96.0.2'));
  await other.until('another source has seen a later change', () => port(other, 'b') === 80);
  assert.equal(setting.batches.length, 1);
});
