/** Runs kmeshctl in this process against a real admin server, and compares what it prints with golden files. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type FixtureBackend, fixtureBackend, fixtureNow } from '../api/fixture.ts';
import { type AdminServer, startAdminServer } from '../api/server.ts';
import { type RunOptions, run } from './main.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Lab {
  readonly backend: FixtureBackend;
  readonly server: AdminServer;
  /** Runs one command line, split at spaces unless it is an array. */
  readonly ctl: (line: string | readonly string[], options?: Partial<RunOptions> & { tty?: boolean }) => Promise<Ran>;
}

/** A fixture backend behind a real server on a free port. Stop the server afterwards. */
export async function startLab(): Promise<Lab> {
  const backend = fixtureBackend();
  const server = await startAdminServer({ backend, host: 'localhost', port: 0 });
  const env = { KMESH_ADMIN_ADDRESS: `127.0.0.1:${server.port}` };
  return {
    backend,
    server,
    ctl: async (line, { tty = false, ...options } = {}) => {
      let stdout = '';
      let stderr = '';
      const argv = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
      const code = await run(argv, {
        stdout: { isTTY: tty, write: (text) => (stdout += text) },
        stderr: { isTTY: tty, write: (text) => (stderr += text) },
        now: () => fixtureNow,
        version: '0.1.0',
        ...options,
        env: { ...env, ...options.env },
      });
      return { code, stdout, stderr };
    },
  };
}

/** `UPDATE_GOLDEN=1 node --test src/ctl` writes the files anew: read the difference before committing it. */
export function assertGolden(name: string, actual: string): void {
  const file = new URL(`golden/${name}.txt`, import.meta.url);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    writeFileSync(file, actual);
    return;
  }
  assert.equal(actual, readFileSync(file, 'utf8'), `golden/${name}.txt; UPDATE_GOLDEN=1 rewrites it`);
}
