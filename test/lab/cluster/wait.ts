/** Waiting for what happens in other processes, which nobody tells of: looked at again and again until it is so. */
import { setTimeout as sleep } from 'node:timers/promises';

const everyMs = 100;

/** The first answer that is neither false nor null nor undefined; an error when there is none in time. */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs: number,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + withinMs;
  let last = '';
  for (;;) {
    try {
      const seen = await look();
      if (seen !== false && seen !== null && seen !== undefined) return seen as Exclude<T, false | null | undefined>;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs / 1000} s${last}`);
    await sleep(everyMs);
  }
}
