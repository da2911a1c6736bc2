import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ApiClient } from '../source/kubernetes/client.ts';
import { plainAccess } from '../source/kubernetes/testing.ts';
import { systemTimers } from '../source/timers.ts';
import { OwnDaemonSet } from './own-daemonset.ts';

test('the agent leaves with its DaemonSet, and stays when nobody can tell', async () => {
  const answer = { status: 200, metadata: {} as object };
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'DaemonSet', metadata: answer.metadata }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const access = plainAccess(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const own = new OwnDaemonSet(new ApiClient(access, systemTimers), 'kmesh-system', 'kmesh');
  const says = async (status: number, metadata: object = {}): Promise<boolean> => {
    Object.assign(answer, { status, metadata });
    return await own.isGone();
  };
  // Rights that it never had say nothing.
  assert.equal(await says(403), false);
  assert.equal(await says(200), false);
  assert.equal(await says(200, { deletionTimestamp: '2026-11-24T12:00:00Z' }), true);
  assert.deepEqual([await says(404), await says(403), await says(401), await says(500)], [true, true, true, false]);
  assert.deepEqual([...new Set(asked)], ['/apis/apps/v1/namespaces/kmesh-system/daemonsets/kmesh']);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await own.isGone(), false);
  own.close();
});
