import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type Lab, startLab } from './testing.ts';

const exec = promisify(execFile);

/** Words before the cursor (the last one may be half a word), and what is offered. */
const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
  [['sta'], ['status']],
  [
    ['get', ''],
    ['services', 'workloads', 'endpoints', 'listeners', 'routes', 'clusters', 'connections', 'maps', 'sources'],
  ],
  [['get', 'w'], ['workloads']],
  [['get', '-n', 'shop', 'ma'], ['maps']],
  [['get', 'maps', ''], []],
  [
    ['get', '-o', ''],
    ['table', 'wide', 'json', 'yaml', 'name'],
  ],
  [['get', '--output', 'j'], ['json']],
  [['get', '--all'], ['--all-namespaces']],
  [['--admin-address', 'x', 'acc'], ['accesslog']],
  [['accesslog', 'e'], ['enable']],
  [
    ['accesslog', 'enable', '--format', ''],
    ['text', 'json'],
  ],
  [
    ['monitoring', '--all', ''],
    ['enable', 'disable'],
  ],
  [['status', '--w'], ['--wait']],
  [['status', '--adm'], ['--admin-address']],
  [['dump', 'k'], ['kernel-native']],
  [['inst'], ['install']],
  [['install', '--image-pull-policy', 'N'], ['Never']],
  [['uninstall', '--ag'], ['--agents-only']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
];

function isInstalled(shell: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, shell), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

describe('completion', () => {
  let lab: Lab;
  let dir: string;
  before(async () => {
    lab = await startLab();
    dir = mkdtempSync(join(tmpdir(), 'kmeshctl-completion-'));
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await lab.ctl(`completion ${shell}`);
      assert.equal(code, 0);
      writeFileSync(join(dir, shell), stdout);
    }
  });
  after(async () => {
    rmSync(dir, { recursive: true });
    await lab.server.stop();
  });

  test('bash offers commands, flags, types and values', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's, not JavaScript's
    const all = '"${COMPREPLY[@]}"';
    const ask = `source "$1"; shift; COMP_WORDS=(kmeshctl "$@"); COMP_CWORD=$#; _kmeshctl; printf "%s\\n" ${all}`;
    const offered = async (words: readonly string[]) => {
      const { stdout } = await exec('bash', ['--norc', '-euc', ask, 'bash', join(dir, 'bash'), ...words]);
      return stdout.split('\n').filter((word) => word !== '');
    };
    for (const [words, wanted] of cases) assert.deepEqual(await offered(words), wanted, words.join(' '));
    // Bash hands out `--output=j` as three words.
    assert.deepEqual(await offered(['get', '--output', '=', 'j']), ['json']);
    assert.deepEqual(await offered(['get', '--output', '=']), ['table', 'wide', 'json', 'yaml', 'name']);
    assert.deepEqual(await offered(['get', '--namespace', '=', 'shop', 'w']), ['workloads']);
  });

  test('zsh offers the same', { skip: isInstalled('zsh') ? false : 'SKIPPED: zsh is not installed' }, async () => {
    // compadd itself works only inside the line editor: this one prints what it is given, cut to the half word.
    const ask = `compdef() { }; compset() { }; compadd() { shift; for w in "$@"; do [[ $w == "$cur"* ]] && print -r -- $w; done; true }
      source "$1"; shift; words=(kmeshctl "$@"); CURRENT=$#words; _kmeshctl`;
    for (const [words, wanted] of cases) {
      const { stdout } = await exec('zsh', ['-fc', ask, 'zsh', join(dir, 'zsh'), ...words]);
      assert.deepEqual(
        stdout.split('\n').filter((word) => word !== ''),
        wanted,
        words.join(' '),
      );
    }
  });

  test('fish offers the same', { skip: isInstalled('fish') ? false : 'SKIPPED: fish is not installed' }, async () => {
    const ask = 'source $argv[1]; complete -C "kmeshctl $argv[2]"';
    for (const [words, wanted] of cases.filter(([, offered]) => offered.length > 0)) {
      const { stdout } = await exec('fish', ['--no-config', '-c', ask, join(dir, 'fish'), words.join(' ')]);
      const offered = stdout.split('\n').map((line) => line.split('\t')[0] ?? '');
      for (const word of wanted) assert.ok(offered.includes(word), `${words.join(' ')}: ${word} in ${offered}`);
    }
  });
});
