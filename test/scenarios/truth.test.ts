/** What somebody else changes in the kernel: status and readiness tell. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test as nodeTest } from 'node:test';
import { openLink } from '../../src/kernel/link.ts';
import { linksDirectory } from '../../src/kernel/pin.ts';
import { Lab } from '../lab/lab.ts';
import { entry, file, meshOf, namespace, pod } from '../lab/mesh.ts';
import { requireRoot } from '../lab/root.ts';

const test = requireRoot(nodeTest);

test('a hook that was detached and a namespace that was taken out make status fail', async () => {
  await using lab = await Lab.create();
  const client = await lab.pod('client');
  const mesh = meshOf(lab);
  const service = entry('shop', { addresses: ['10.96.0.1'], endpoints: [{ address: client.ip4 }] });
  mesh.write('mesh.yaml', file(namespace('shop', true), pod(client), service));
  await mesh.start();
  await mesh.settled();
  const pins = join(lab.bpfFsPath, 'km');

  const schema = readdirSync(pins).find((name) => name !== 'links');
  assert.ok(schema);
  const table = join(pins, schema, 'maps/km_enrolment');
  const [cookie] = JSON.parse(await lab.node.output(['bpftool', '-j', 'map', 'dump', 'pinned', table])) as {
    key: string[];
  }[];
  assert.ok(cookie);
  await lab.node.output(['bpftool', 'map', 'delete', 'pinned', table, 'key', ...cookie.key]);
  const { kernel } = await mesh.status();
  assert.deepEqual([kernel.inSync, kernel.differences.length], [false, 1]);
  assert.match(kernel.differences.join(), /^network namespace \d+ is not enrolled in the kernel$/);

  const link = openLink(join(linksDirectory(pins), 'km_connect4'));
  link?.detach();
  link?.close();
  const { code, stdout } = await mesh.ctl('status');
  assert.equal(code, 1);
  assert.match(stdout, /^Ready: +no, pending: hook km_connect4 was detached$/m);
});
