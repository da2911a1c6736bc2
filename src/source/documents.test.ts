import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldLines, itemLines, parseJson, parseYaml, splitDocuments } from './documents.ts';

function split(text: string): [string, number, number][] {
  return splitDocuments(text).map((document) => [document.text, document.firstLine, document.contentLine]);
}

test('documents are split at markers, with their lines', () => {
  assert.deepEqual(split('a: 1\n'), [['a: 1\n', 1, 1]]);
  assert.deepEqual(split('a: 1\n---\n\n# c\nb: 2'), [
    ['a: 1\n', 1, 1],
    ['---\n\n# c\nb: 2', 2, 5],
  ]);
  assert.deepEqual(split('a: 1\n...\nb: 2\n'), [
    ['a: 1\n', 1, 1],
    ['b: 2\n', 3, 3],
  ]);
  assert.deepEqual(split('--- {a: 1}\n--- # none\n---\n'), [['--- {a: 1}\n', 1, 1]]);
  assert.deepEqual(split('%YAML 1.2\n---\na: 1\n'), [['%YAML 1.2\n---\na: 1\n', 1, 3]]);
  assert.deepEqual(split('a: 1\r\n---\r\nb: 2\r\n'), [
    ['a: 1\r\n', 1, 1],
    ['---\r\nb: 2\r\n', 2, 3],
  ]);
  // Not markers: inside a line, longer, or indented within a block of text.
  assert.deepEqual(split('a: "---"\n----: 1\nb: |\n  ---\n').length, 1);
  assert.deepEqual(split(''), []);
  assert.deepEqual(split('# only this\n\n'), []);
});

test('dates and version numbers stay text, merge keys work, keys of objects are plain', () => {
  assert.deepEqual(parseYaml('a: 2020-01-01\nb: yes\nc: 1.2.3\nd: &x {e: 1}\nf: {<<: *x, g: 2}'), {
    value: { a: '2020-01-01', b: 'yes', c: '1.2.3', d: { e: 1 }, f: { e: 1, g: 2 } },
  });
  const proto = parseYaml('__proto__: {polluted: true}\n');
  assert.ok('value' in proto && !('polluted' in (proto.value as object)));
});

test('lines of fields, whatever the style', () => {
  const text = `a:
  - b: 1
    c:
      - x
      - {d: 2,
         "e f": 3}
  -
    g: |
      text
      more
    h: &k
      i: 1
l: *k
`;
  const lines = (...paths: (string | number)[][]) => fieldLines(text, paths, 99);
  assert.deepEqual(lines(['a'], ['a', 0], ['a', 0, 'c', 1, 'd'], ['a', 0, 'c', 1, 'e f']), [1, 2, 5, 6]);
  assert.deepEqual(lines(['a', 1], ['a', 1, 'g'], ['a', 1, 'h', 'i'], ['l']), [8, 8, 12, 13]);
  // What is not there has its nearest parent's line.
  assert.deepEqual(lines([], ['z'], ['a', 7], ['a', 1, 'zz', 'y'], ['l', 'i']), [99, 99, 1, 8, 13]);
  assert.deepEqual(itemLines(text, ['a'], 99), [2, 8]);
  assert.deepEqual(itemLines('items:\n- 1\n\n- {x: 1}\n- *a\n', ['items'], 1), [2, 4, 5]);
});

test('JSON is strict, and errors have their line', () => {
  assert.deepEqual(parseJson('{"a": [1, "\\ud83d\\ude00"]}'), { value: { a: [1, '😀'] } });
  for (const [text, line] of [
    ['{\n"a": 1,\n}', 3],
    ['{\n// no\n"a": 1}', 2],
    ['{"a": 1\n', 2],
    ['{"a": 1,\n"a": 2}', 2],
    ['[1]\nx', 2],
  ] as const) {
    const parsed = parseJson(text);
    assert.ok('problem' in parsed, text);
    assert.equal(parsed.problem.line, line, text);
  }
});
