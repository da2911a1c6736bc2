import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Format, Log } from './log.ts';

function capture(format: Format): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const now = () => new Date('2026-01-02T03:04:05.678Z');
  return { log: new Log({ format, level: 'info', write: (line) => lines.push(line), now }), lines };
}

test('a text line holds time, level, logger, message and fields', () => {
  const { log, lines } = capture('text');
  log.logger('source').warn('two objects', { file: 'a.yaml:3', reason: 'same name', n: 2, none: undefined });
  assert.deepEqual(lines, [
    '2026-01-02T03:04:05.678Z  WARN source: two objects file=a.yaml:3 reason="same name" n=2\n',
  ]);
});

test('a JSON line is one object, line breaks escaped', () => {
  const { log, lines } = capture('json');
  log.logger('source').error('first\nsecond', { bytes: 5n });
  assert.equal(lines.length, 1);
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: '2026-01-02T03:04:05.678Z',
    level: 'error',
    logger: 'source',
    message: 'first\nsecond',
    bytes: 5,
  });
});

test('a text line never has a raw line break', () => {
  const { log, lines } = capture('text');
  log.logger('x').info('a\nb', { c: 'd\ne' });
  assert.equal(lines[0]?.split('\n').length, 2);
});

test('the level of one logger changes at run time and leaves the others', () => {
  const { log, lines } = capture('text');
  const [a, b] = [log.logger('a'), log.logger('b')];
  a.debug('hidden');
  log.setLevel('a', 'debug');
  a.debug('shown');
  b.debug('hidden');
  log.setLevel('b', 'error');
  b.warn('hidden');
  assert.equal(lines.length, 1);
  assert.deepEqual(log.list(), [
    { name: 'default', level: 'info' },
    { name: 'a', level: 'debug' },
    { name: 'b', level: 'error' },
  ]);
});

test('default is the name of all loggers, those to come included', () => {
  const { log, lines } = capture('text');
  const a = log.logger('a');
  log.setLevel('default', 'debug');
  a.debug('shown');
  log.logger('b').debug('shown');
  assert.equal(lines.length, 2);
  assert.deepEqual(
    log.list().map(({ level }) => level),
    ['debug', 'debug', 'debug'],
  );
});
