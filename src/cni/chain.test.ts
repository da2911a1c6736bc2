/** kmesh-cni in real directories of CNI configuration, and out of them again. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chain, entriesIn, unchain } from './chain.ts';
import { withEntry, withoutEntry } from './conflist.ts';
import { CniInstaller, uninstallCni } from './installer.ts';
import { pluginProgram, testDirectory, testLog } from './testing.ts';

const entry = { type: 'kmesh-cni', runDir: '/run/kmesh', enrolled: '/etc/cni/net.d/kmesh-enrolled' } as const;
const flannel = `{
  "name": "cbr0", "cniVersion": "0.3.1",
  "plugins": [
    {"type": "flannel", "delegate": {"plugins": ["]", {"type": "kmesh-cni"}]}},
    {
      "type": "portmap",\t"capabilities": {"portMappings": true}
    }
  ]
}
`;
/** Not UTF-8, an escape in a name, an empty line at the end. */
const odd = Buffer.from('{"na\\u006de":"caf\xe9","cniVersion":"1.0.0","plugins":[{"type":"ptp"} ] }\r\n\n', 'latin1');
const single = '{\n\t"cniVersion": "0.3.1",\n\t"name": "lan",\n\t"type": "bridge", "ipam": {"type": "host-local"}\n}\n';

function contents(directory: string): Record<string, string> {
  const names = readdirSync(directory).sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      `${statSync(join(directory, name)).mode} ${readFileSync(join(directory, name), 'latin1')}`,
    ]),
  );
}

test('the entry goes behind the others, and out again without a trace', () => {
  for (const text of [flannel, odd.toString('latin1'), '{"plugins":[{"type":"a"}]}']) {
    const chained = withEntry(text, entry);
    const { plugins } = JSON.parse(chained) as { plugins: { type: string }[] };
    assert.deepEqual(plugins.at(-1), entry);
    assert.equal(plugins.length, (JSON.parse(text) as { plugins: unknown[] }).plugins.length + 1);
    assert.equal(withEntry(chained, entry), chained);
    assert.equal(withoutEntry(chained), text);
  }
});

test('there is one entry, the right one, at the end, whatever somebody made of the list', () => {
  const ours = JSON.stringify(entry);
  const other = '{"type":"kmesh-cni","runDir":"/old"}';
  for (const list of [
    `${ours},{"type":"a"}`,
    `{"type":"a"},${ours} , ${ours}`,
    `${other},{"type":"a"},${ours}`,
    `{"type":"a"},\n${other}`,
  ]) {
    const text = withEntry(`{"plugins": [${list}], "more": 1}`, entry);
    assert.deepEqual(JSON.parse(text), { plugins: [{ type: 'a' }, entry], more: 1 }, list);
    assert.deepEqual(JSON.parse(withoutEntry(text)), { plugins: [{ type: 'a' }], more: 1 });
  }
});

test('the first list by name is changed, no other file, and all are as before afterwards', () => {
  using dir = testDirectory();
  const write = (name: string, text: string | Buffer) => writeFileSync(join(dir.path, name), text);
  write('10-flannel.conflist', flannel);
  write('20-odd.conflist', odd);
  write('99-loopback.conf', '{"type": "loopback"}');
  write('00-not-json.conflist', '{"plugins": [');
  write('01-list.conf', flannel);
  write('README.md', 'hello');
  chmodSync(join(dir.path, '10-flannel.conflist'), 0o640);
  const before = contents(dir.path);
  const { file, unusable } = chain(dir.path, entry, null);
  assert.equal(file, '10-flannel.conflist');
  assert.deepEqual(unusable, ['00-not-json.conflist', '01-list.conf']);
  assert.deepEqual([...entriesIn(dir.path)], [['10-flannel.conflist', 1]]);
  assert.deepEqual(chain(dir.path, entry, null).changes, []);
  assert.equal(statSync(join(dir.path, '10-flannel.conflist')).mode & 0o777, 0o640);
  unchain(dir.path);
  assert.deepEqual(contents(dir.path), before);
  chain(dir.path, entry, '20-odd.conflist');
  assert.deepEqual([...entriesIn(dir.path)], [['20-odd.conflist', 1]]);
  unchain(dir.path);
  assert.deepEqual(contents(dir.path), before);
  assert.throws(() => chain(dir.path, entry, '30-none.conflist'), { code: 'KM5024' });
});

test('a single plugin becomes a list in its place, and is back afterwards', () => {
  using dir = testDirectory();
  const at = (name: string) => join(dir.path, name);
  writeFileSync(at('10-lan.conf'), single);
  writeFileSync(at('10-lan.conflist'), flannel);
  const before = contents(dir.path);
  assert.equal(chain(dir.path, entry, null).file, '10-lan.conf.conflist');
  const configs = readdirSync(dir.path)
    .sort()
    .filter((name) => /\.(conf|conflist|json)$/.test(name));
  assert.equal(configs[0], '10-lan.conf.conflist', 'it is the first, as the single plugin was');
  const list = JSON.parse(readFileSync(at('10-lan.conf.conflist'), 'utf8'));
  assert.deepEqual(list, { cniVersion: '0.3.1', name: 'lan', plugins: [JSON.parse(single), entry] });
  assert.deepEqual(chain(dir.path, entry, null).changes, []);
  unchain(dir.path);
  assert.deepEqual(contents(dir.path), before);
});

test('a single plugin that is written anew is taken over, and that version is back afterwards', () => {
  using dir = testDirectory();
  const at = (name: string) => join(dir.path, name);
  writeFileSync(at('10-lan.conf'), single);
  chain(dir.path, entry, null);
  const changed = single.replace('"lan"', '"wan"');
  writeFileSync(at('10-lan.conf'), changed);
  chain(dir.path, entry, null);
  assert.match(readFileSync(at('10-lan.conf.conflist'), 'utf8'), /"name": "wan", "plugins"/);
  assert.equal(entriesIn(dir.path).size, 1);
  unchain(dir.path);
  assert.deepEqual(readdirSync(dir.path), ['10-lan.conf']);
  assert.equal(readFileSync(at('10-lan.conf'), 'utf8'), changed);
});

test('a change that somebody makes while the entry is there is kept', () => {
  using dir = testDirectory();
  const at = (name: string) => join(dir.path, name);
  writeFileSync(at('10-flannel.conflist'), flannel);
  writeFileSync(at('05-lan.conf'), single);
  chain(dir.path, entry, null);
  const list = JSON.parse(readFileSync(at('05-lan.conf.conflist'), 'utf8'));
  writeFileSync(
    at('05-lan.conf.conflist'),
    JSON.stringify({ ...list, plugins: [...list.plugins, { type: 'tuning' }] }),
  );
  chain(dir.path, entry, null);
  unchain(dir.path);
  assert.deepEqual(readdirSync(dir.path).sort(), ['05-lan.conf.conflist', '10-flannel.conflist']);
  const left = JSON.parse(readFileSync(at('05-lan.conf.conflist'), 'utf8'));
  assert.deepEqual(left.plugins, [JSON.parse(single), { type: 'tuning' }]);
});

test('another network plugin that comes first takes the entry over', () => {
  using dir = testDirectory();
  const at = (name: string) => join(dir.path, name);
  writeFileSync(at('10-lan.conf'), single);
  chain(dir.path, entry, null);
  writeFileSync(at('05-flannel.conflist'), flannel);
  chain(dir.path, entry, null);
  assert.deepEqual([...entriesIn(dir.path)], [['05-flannel.conflist', 1]]);
  assert.deepEqual(readdirSync(dir.path).sort(), ['05-flannel.conflist', '10-lan.conf']);
  assert.equal(readFileSync(at('10-lan.conf'), 'utf8'), single);
  rmSync(at('05-flannel.conflist'));
  assert.equal(chain(dir.path, entry, null).file, '10-lan.conf.conflist');
});

test('what a crash left in the middle is put right', () => {
  using dir = testDirectory();
  const at = (name: string) => join(dir.path, name);
  writeFileSync(at('10-lan.conf'), single);
  chain(dir.path, entry, null);
  // Before the single plugin was put aside.
  renameSync(at('10-lan.conf.kmesh-saved'), at('10-lan.conf'));
  writeFileSync(at('.10-lan.conf.conflist.kmesh-new'), '{');
  unchain(dir.path);
  assert.deepEqual(readdirSync(dir.path), ['10-lan.conf']);
  // Before the list was removed.
  chain(dir.path, entry, null);
  writeFileSync(at('10-lan.conf'), single);
  unchain(dir.path);
  assert.deepEqual(readdirSync(dir.path), ['10-lan.conf']);
});

test('a list of somebody else in the place of ours is left alone', () => {
  using dir = testDirectory();
  writeFileSync(join(dir.path, '10-lan.conf'), single);
  writeFileSync(join(dir.path, '10-lan.conf.conflist'), flannel);
  const before = contents(dir.path);
  assert.throws(() => chain(dir.path, entry, null), { code: 'KM5024' });
  unchain(dir.path);
  assert.deepEqual(contents(dir.path), before);
});

test('a link stays a link', () => {
  using dir = testDirectory();
  mkdirSync(join(dir.path, 'net.d'));
  writeFileSync(join(dir.path, 'real.json'), flannel);
  symlinkSync('../real.json', join(dir.path, 'net.d/10-flannel.conflist'));
  chain(join(dir.path, 'net.d'), entry, null);
  assert.match(readFileSync(join(dir.path, 'real.json'), 'utf8'), /kmesh-cni", "runDir|"kmesh-cni","runDir"/);
  unchain(join(dir.path, 'net.d'));
  assert.equal(readFileSync(join(dir.path, 'real.json'), 'utf8'), flannel);
});

test('the installer keeps program and entry there until it is uninstalled', async () => {
  using dir = testDirectory();
  const confDirectory = join(dir.path, 'etc/cni/net.d');
  const binDirectory = join(dir.path, 'opt/cni/bin');
  const lines: string[] = [];
  const installer = new CniInstaller({
    ...{ confDirectory, binDirectory, runDirectory: '/run/kmesh', conflistName: null, program: pluginProgram },
    log: testLog(lines),
  });
  const until = async (what: () => boolean): Promise<void> => {
    for (const deadline = Date.now() + 15_000; !what(); await new Promise((resolve) => setTimeout(resolve, 10))) {
      assert.ok(Date.now() < deadline, lines.join(''));
    }
  };
  installer.start();
  assert.match(installer.problem ?? '', /no CNI configuration in .* yet/);
  assert.equal(statSync(join(binDirectory, 'kmesh-cni')).mode & 0o777, 0o755);
  writeFileSync(join(confDirectory, '10-flannel.conflist'), flannel);
  await until(() => installer.problem === null && installer.file === '10-flannel.conflist');
  // As the network plugin's own installer does it when it is updated.
  writeFileSync(join(confDirectory, '10-flannel.conflist'), flannel.replace('0.3.1', '1.0.0'));
  await until(() => entriesIn(confDirectory).size === 1);
  rmSync(join(binDirectory, 'kmesh-cni'));
  await until(() => readdirSync(binDirectory).includes('kmesh-cni'));
  installer.close();
  const removed = uninstallCni(confDirectory, binDirectory);
  assert.equal(removed.length, 2, removed.join());
  assert.equal(readFileSync(join(confDirectory, '10-flannel.conflist'), 'utf8'), flannel.replace('0.3.1', '1.0.0'));
  assert.deepEqual(readdirSync(binDirectory), []);
  assert.deepEqual(uninstallCni(confDirectory, binDirectory), []);
});
