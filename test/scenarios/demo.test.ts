/** `make demo` from each source: its traffic ends in the same table. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test as nodeTest } from 'node:test';
import type { Outcome } from '../../demo/outcomes.ts';
import type { SourceName } from '../../demo/sources/source.ts';
import { istiodMissing } from '../lab/istiod.ts';
import { serverName } from '../lab/kubernetes/control-plane.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);
const program = join(import.meta.dirname, '../../demo/demo.ts');

describe('the demo', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kmesh-demo-'));
  after(() => rmSync(directory, { recursive: true }));

  /** Runs it whole but for what it measures beside, as a user would, and returns its table. */
  const outcomes = async (source: SourceName): Promise<readonly Outcome[]> => {
    const file = join(directory, `${source}.json`);
    // A name of its own: one may be up.
    const env = { ...process.env, KMESH_DEMO_PREFIX: 'kmesh-demotest', KEEP: '' };
    const run = spawn(process.execPath, [program, '--short', '--source', source, '--outcomes', file], { env });
    let said = '';
    for (const stream of [run.stdout, run.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    const code = await new Promise((resolve) => run.on('close', resolve));
    assert.equal(code, 0, said);
    return JSON.parse(readFileSync(file, 'utf8')) as readonly Outcome[];
  };

  let usual: readonly Outcome[] = [];

  test('from a directory', async () => {
    usual = await outcomes('files');
    assert.equal(usual.length, 15);
  });

  test(`from ${serverName}: the same table`, async () => {
    assert.deepEqual(await outcomes('kubernetes'), usual);
  });

  const skip = istiodMissing() ?? false;
  test('from istiod by Envoy’s resources: the same table', { skip }, async () => {
    assert.deepEqual(await outcomes('ads'), usual);
  });

  // They know services and workloads, and nothing of single requests.
  const routed = /^(2000 requests on one|requests of one|requests to \/|the same at)/;
  for (const [source, what, left] of [
    ['workload', 'istiod by the workload API', skip],
    ['local', 'a LocalConfig file', false],
  ] as const) {
    test(`from ${what}: the same table but for the routes`, { skip: left }, async () => {
      const wanted = usual.filter(({ traffic }) => !routed.test(traffic));
      assert.equal(wanted.length, 9);
      assert.deepEqual(await outcomes(source), wanted);
    });
  }
});
