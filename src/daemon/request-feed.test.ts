import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixtureRequests } from '../api/fixture-http.ts';
import type { ObserveLine, RequestItem } from '../api/types.ts';
import { RequestFeed } from './request-feed.ts';

const [sample] = fixtureRequests;
assert.ok(sample !== undefined);
const request = (path: string): RequestItem => ({ ...sample, path });

/** A feed over a list instead of the kernel's buffer; `pass` is a turn of its timer. */
function feedOf() {
  const waiting: RequestItem[] = [];
  const written: string[] = [];
  const switches: boolean[] = [];
  const log = { keepsUp: true };
  const feed = new RequestFeed({
    source: {
      drain: (handler, budget) => {
        for (const item of waiting.splice(0, budget)) handler(item, () => `${item.path}\n`);
      },
    },
    setWanted: (wanted) => switches.push(wanted),
    log: { write: (lines) => written.push(lines), keepsUp: () => log.keepsUp },
    guarded: (_what, action) => action,
  });
  const pass = (...paths: readonly string[]): void => {
    waiting.push(...paths.map(request));
    feed.drain();
  };
  return { feed, pass, waiting, written, switches, log };
}

const text = (line: ObserveLine | undefined): string => {
  if (line === undefined) return 'nothing';
  if ('request' in line) return line.request.path;
  return 'lost' in line ? `lost ${line.lost}` : `remembered ${line.remembered}`;
};
const take = async (lines: AsyncGenerator<ObserveLine>, count: number): Promise<string[]> => {
  const taken: string[] = [];
  while (taken.length < count) taken.push(text((await lines.next()).value as ObserveLine | undefined));
  return taken;
};

test('the kernel writes requests while somebody observes or logs', async () => {
  const { feed, switches } = feedOf();
  assert.deepEqual(switches, [false]);
  feed.setLog(true);
  const gone = new AbortController();
  const lines = feed.observe(true, gone.signal);
  assert.deepEqual(await take(lines, 1), ['remembered 0']);
  feed.setLog(false);
  assert.deepEqual(switches, [false, true]);
  const end = lines.next();
  gone.abort();
  assert.equal((await end).done, true);
  assert.deepEqual(switches, [false, true, false]);
  feed.close();
});

test('who follows gets what is remembered once, then what comes, in order', async () => {
  const { feed, pass, waiting } = feedOf();
  feed.setLog(true);
  pass('/a', '/b');
  waiting.push(request('/c'));
  const gone = new AbortController();
  const lines = feed.observe(true, gone.signal);
  assert.deepEqual(await take(lines, 4), ['/a', '/b', '/c', 'remembered 3']);
  const next = take(lines, 2);
  pass('/d', '/e');
  assert.deepEqual(await next, ['/d', '/e']);
  const all: string[] = [];
  for await (const line of feed.observe(false, gone.signal)) all.push(text(line));
  assert.deepEqual(all, ['/a', '/b', '/c', '/d', '/e', 'remembered 5']);
  // The end of the daemon is the end of what comes.
  const end = lines.next();
  feed.close();
  assert.equal((await end).done, true);
});

test('a reader that does not keep up is told how many it lacks', async () => {
  const { feed, pass } = feedOf();
  const lines = feed.observe(true, new AbortController().signal);
  await take(lines, 1);
  for (let i = 0; i < 3; i++) pass(...Array.from({ length: 4000 }, (_, n) => `/${i}/${n}`));
  const read = await take(lines, 10_001);
  assert.deepEqual([read[0], read[9999], read[10_000]], ['/0/0', '/2/1999', 'lost 2000']);
  feed.close();
});

test('only the last 4096 are remembered', async () => {
  const { feed, pass } = feedOf();
  feed.setLog(true);
  pass(...Array.from({ length: 4100 }, (_, n) => `/${n}`));
  assert.deepEqual(await take(feed.observe(false, new AbortController().signal), 1), ['/4']);
  feed.close();
});

test('the access log has a line each, and waits for its reader', () => {
  const { feed, pass, written, waiting, log } = feedOf();
  pass('/unlogged');
  feed.setLog(true);
  pass('/a', '/b');
  assert.deepEqual(written, ['/a\n/b\n']);
  log.keepsUp = false;
  pass('/c');
  assert.deepEqual([written.length, waiting.length], [1, 1]);
  log.keepsUp = true;
  feed.setLog(false);
  assert.deepEqual(written, ['/a\n/b\n', '/c\n']);
  feed.close();
});
