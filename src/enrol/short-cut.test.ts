import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Log } from '../base/log.ts';
import type { KmConfig } from '../kernel/gen/layout.gen.ts';
import { Switches } from '../kernel/switches.ts';
import { ShortCut } from './short-cut.ts';

let config: KmConfig | undefined;
let table: Map<number, number>;
let obstacle: string | null;
let queueless: Set<number>;
let alone: Set<number>;
let lines: string[];

const switches = new Switches({
  get: () => config,
  set: (_key, value) => {
    config = value;
    return true;
  },
});
const shortCut = (): ShortCut =>
  new ShortCut({
    switches,
    table: {
      entries: () => [...table],
      write: (entries) => {
        for (const [ifindex, value] of entries) table.set(ifindex, value);
      },
      remove: (keys) => {
        for (const key of keys) table.delete(key);
      },
    },
    obstacle: () => obstacle,
    queueless: () => queueless,
    isAlone: (ifindex) => alone.has(ifindex),
    start: 0,
    log: new Log({ format: 'text', level: 'info', write: (line) => lines.push(line) }).logger('enrol'),
  });
const both = new Set([7, 9]);

beforeEach(() => {
  config = undefined;
  table = new Map();
  obstacle = null;
  queueless = new Set([7, 9]);
  alone = new Set([7, 9]);
  lines = [];
});

test('devices where nothing else is are open to hand-over', () => {
  const cut = shortCut();
  cut.look(both);
  assert.deepEqual([[...table.keys()], config?.shortCut, cut.reason], [[7, 9], 1, null]);
  cut.look(both);
  assert.equal(config?.shortCut, 1);
  cut.look(new Set([7]));
  assert.deepEqual([[...table.keys()], config?.shortCut], [[7], 1], 'a pod that has gone takes nothing from others');
});

test('a queue or a program at one device makes connections forget, and leaves the others open', () => {
  const cut = shortCut();
  cut.look(both);
  queueless.delete(9);
  cut.look(both);
  assert.deepEqual([[...table.keys()], config?.shortCut], [[7], 2]);
  alone.delete(7);
  cut.look(both);
  assert.deepEqual([[...table.keys()], config?.shortCut], [[], 3]);
  queueless.add(9);
  cut.look(both);
  assert.deepEqual([[...table.keys()], config?.shortCut], [[9], 3]);
});

test('netfilter closes all of it, and it opens again under another number', () => {
  const cut = shortCut();
  cut.look(both);
  obstacle = 'nftables';
  cut.look(both);
  assert.deepEqual([[...table.keys()], config?.shortCut, cut.reason], [[], 0, 'nftables']);
  assert.match(lines.at(-1) ?? '', /through its stack.*nftables/);
  obstacle = null;
  cut.look(both);
  assert.deepEqual([[...table.keys()], cut.reason], [[7, 9], null]);
  assert.notEqual(config?.shortCut, 1, 'what connections learned before does not come back');
});

test('what an earlier daemon left is taken over, or closed', () => {
  shortCut().look(both);
  alone.delete(9);
  shortCut().look(both);
  assert.deepEqual([[...table.keys()], config?.shortCut], [[7], 2]);
});

test('of many known devices a few are looked at in one go, each in its turn', () => {
  const many = new Set(Array.from({ length: 20 }, (_, i) => i + 1));
  queueless = new Set(many);
  alone = new Set(many);
  const cut = shortCut();
  cut.look(many);
  assert.deepEqual([...table.keys()], [...many], 'new ones all at once');
  alone.delete(20);
  const open = [1, 2, 3].map(() => {
    cut.look(many);
    return table.has(20);
  });
  assert.deepEqual(open, [true, true, false]);
});
