/** wrk as the client: written in C, so that what is measured is the path and not the client. */
import { join } from 'node:path';
import type { Host } from '../lab/host.ts';
import { favoured } from './favour.ts';
import type { Target } from './targets.ts';

export interface Load {
  /** Open at the same time. */
  readonly connections: number;
  readonly seconds: number;
  /** The CPU that wrk is bound to. */
  readonly cpu: number;
  /** A connection for each request. */
  readonly fresh?: boolean;
  /** Mean pause of each connection between two requests, in milliseconds; default none. */
  readonly pauseMs?: number;
  /** Default `/`. */
  readonly path?: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Microseconds, from a request's first byte written to its answer's last byte read. */
  readonly p50Us: number;
  readonly p99Us: number;
}

export const rate = (result: LoadResult): number => result.requests / result.seconds;

/** Loads a target and waits for the end. A request that fails is an error of the whole run. */
export async function runWrk(client: Host, target: Target, load: Load): Promise<LoadResult> {
  const { connections, seconds, cpu, fresh = false, pauseMs, path = '/' } = load;
  const output = await client.output(
    [
      ...favoured,
      ...['taskset', '-c', String(cpu), 'wrk', '-t', '1', '-c', String(connections), '-d', `${seconds}s`],
      ...['-s', join(import.meta.dirname, 'wrk.lua')],
      ...(fresh ? ['-H', 'Connection: close'] : []),
      `http://${target.address}:${target.port}${path}`,
      ...(pauseMs === undefined ? [] : ['--', String(pauseMs)]),
    ],
    { cgroup: target.cgroup },
  );
  const result = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as LoadResult & { readonly errors: number };
  if (result.errors > 0 || result.requests === 0) throw new Error(`${target.name}: requests failed: ${output}`);
  return result;
}
