/** Which connections a pod's kernel still has, and waiting for a state. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from './host.ts';
import { patience } from './patience.ts';

/** Looks again and again until it is so; what is not so in time is an error. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 5000 * patience,
  detail: () => Promise<string> = async () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not in ${timeoutMs} ms: ${what} ${await detail()}`);
    await delay(10);
  }
}

/** TCP connections at a local port, as `ss` shows them, without listening sockets and those that only wait out TIME_WAIT. */
export async function connections(host: Host, port: number): Promise<readonly string[]> {
  const states = ['state', 'all', 'exclude', 'listening', 'exclude', 'time-wait'];
  const output = await host.output(['ss', '-Htn', ...states, `sport = :${port}`], { cgroup: 'outside' });
  return output.split('\n').filter(Boolean);
}

/** Waits until a server's port has no connection left. */
export async function noConnections(host: Host, port: number, timeoutMs = 5000 * patience): Promise<void> {
  const none = async () => (await connections(host, port)).length === 0;
  const left = async () => (await connections(host, port)).join('\n');
  await until(`no connection at ${host.name}:${port}`, none, timeoutMs, left);
}
