import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { type LinkEvents, LinkListener } from './link-events.ts';
import { netnsNumber } from './netlink.ts';
import { withNetns } from './netns.ts';
import { rootOnly, run, testNamespace, testVeth } from './testing.ts';

const skip = rootOnly();

test('a change of a device is told with the number of its namespace', { skip }, () => {
  using node = testNamespace('events-node');
  using pod = testNamespace('events-pod');
  using other = testNamespace('events-other');
  const number = (path: string): number | null => {
    const fd = openSync(path, 'r');
    const found = withNetns<number | null>(node.path, () => netnsNumber(fd));
    closeSync(fd);
    return found;
  };
  const listener = withNetns<LinkListener>(node.path, () => new LinkListener());
  const none: LinkEvents = { others: new Set(), own: false, lost: false };
  assert.deepEqual(listener.drain(), none);
  assert.equal(number(pod.path), null);
  testVeth(pod.name, 'eth0', node.name, 'host0');
  testVeth(other.name, 'eth0', node.name, 'host1');
  listener.drain();
  assert.deepEqual(listener.drain(), none);
  const [podNumber, otherNumber] = [number(pod.path), number(other.path)];
  assert.ok(podNumber !== null && otherNumber !== null && podNumber !== otherNumber);
  run('ip', '-n', pod.name, 'link', 'add', 'bridge0', 'type', 'bridge');
  assert.deepEqual(listener.drain(), { ...none, others: new Set([podNumber]) });
  run('ip', '-n', node.name, 'link', 'add', 'bridge0', 'type', 'bridge');
  assert.deepEqual(listener.drain(), { ...none, own: true });
  run('ip', '-n', other.name, 'link', 'del', 'eth0');
  assert.deepEqual(listener.drain(), { ...none, own: true, others: new Set([otherNumber]) });
  listener.close();
});
