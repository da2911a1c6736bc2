import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootOnly } from '../kernel/testing.ts';
import { holder, takeLock } from './lock.ts';

test('one directory has one lock, however its path is written', { skip: rootOnly() }, () => {
  const path = `/sys/fs/bpf/kmesh-lock-test-${process.pid}`;
  const release = takeLock(path);
  for (const same of [path, `${path}/`, `/sys/fs/./bpf/${path.slice('/sys/fs/bpf/'.length)}`]) {
    assert.equal(holder(same), process.pid, same);
  }
  release();
  assert.equal(holder(path), null);
});
