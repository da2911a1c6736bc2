import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KmError } from '../../base/errors.ts';
import { determinise, runDfa } from './dfa.ts';
import { minimise } from './minimise.ts';
import { PatternNfa } from './patterns.ts';
import { RandomRoutes } from './random.ts';

function automaton(pattern: string) {
  const patterns = new PatternNfa();
  patterns.add({ kind: 'regex', pattern }, 0);
  const dfa = determinise(patterns.nfa, (ids) => ids.length, { states: 50_000, members: 5_000_000 });
  assert.ok(dfa, pattern);
  return { dfa, small: minimise(dfa) };
}

/** Whether an expression matches a whole text, or bytes. */
function matches(pattern: string, text: string | Uint8Array): boolean {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  const { dfa, small } = automaton(pattern);
  const result = runDfa(dfa, bytes);
  assert.equal(runDfa(small, bytes), result, 'merging states changes nothing');
  return result > 0;
}

const cases: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
  ['', [''], ['a']],
  ['a|', ['a', ''], ['b']],
  ['a.c', ['abc', 'aéc', 'a日c', 'a😀c', 'a\rc', 'a\u2028c'], ['a\nc', 'ac', 'abbc']],
  ['(?s)a.c', ['a\nc'], ['ac']],
  ['(?s:a.)c.', ['a\ncx'], ['a\nc\n']],
  ['(?i)aBc', ['ABC', 'abc'], ['ab']],
  ['a(?i)b(?-i)c', ['aBc', 'abc'], ['Abc', 'abC']],
  ['(?i:k)s', ['ks', 'Ks', '\u212as'], ['kS']],
  ['(?i)[^s]', ['a', 'é'], ['s', 'S', 'ſ']],
  ['[a-c]{2,3}', ['ab', 'abc'], ['a', 'abca']],
  ['a{0}b', ['b'], ['ab']],
  ['a{2,}', ['aa', 'aaaaa'], ['a']],
  ['a{,2}', ['a{,2}'], ['aa']],
  ['(?:ab){1,2}c*?', ['ab', 'ababcc'], ['c', 'ababab']],
  ['[]a]', [']', 'a'], ['b']],
  ['[^]a]', ['b'], [']', 'a', '']],
  ['[a-]', ['a', '-'], ['b']],
  ['[[:alpha:]_]+', ['aZ_'], ['1']],
  ['[[:^digit:]]', ['a', 'é'], ['1']],
  ['[\\d\\-x]', ['1', '-', 'x'], ['y']],
  ['[^\\W\\d]', ['a', '_'], ['1', '-']],
  ['\\s', [' ', '\t', '\f'], ['\v', '\u00a0']],
  ['\\D\\S\\W', ['aé-', 'xx日'], ['1é-']],
  ['\\x41\\x{65e5}\\101\\0', ['A日A\0'], ['A日A']],
  ['\\Qa.b*\\Ec', ['a.b*c'], ['axbbc']],
  ['\\a\\f\\t\\n\\r\\v', ['\x07\f\t\n\r\v'], ['']],
  ['^a$', ['a'], ['']],
  ['\\Aa\\z', ['a'], ['aa']],
  ['(^a|b)c$|d', ['ac', 'bc', 'd'], ['cc']],
  ['a^b', [], ['ab', 'a^b']],
  ['a$b', [], ['ab']],
  ['(^|a)*b', ['b', 'aab'], ['a']],
  ['(?P<name>a)(?<other>b)(c)', ['abc'], ['ab']],
  ['(((a*)*)*)*b', ['aaab', 'b'], ['a']],
  ['[é-ü]+', ['éü'], ['e', 'ý']],
  ['[\\x{0}-\\x{10FFFF}]', ['a', 'é', '\u{10ffff}'], ['', 'ab']],
  ['a}b]', ['a}b]'], []],
];

test('expressions match as RE2 says', () => {
  for (const [pattern, matching, others] of cases) {
    for (const text of matching) assert.ok(matches(pattern, text), `${pattern} takes ${JSON.stringify(text)}`);
    for (const text of others) assert.ok(!matches(pattern, text), `${pattern} refuses ${JSON.stringify(text)}`);
  }
});

test('bytes that are no UTF-8 match no character', () => {
  const broken = [
    [0xff],
    [0x80],
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xc3],
  ];
  for (const bytes of broken) {
    assert.ok(!matches('(?s).*', Uint8Array.from(bytes)));
    assert.ok(!matches('[^a]+', Uint8Array.from(bytes)));
  }
});

test('what is not supported is refused by name', () => {
  const reasons: readonly (readonly [pattern: string, reason: RegExp])[] = [
    ['a(?=b)', /look-ahead is not supported/],
    ['a(?!b)', /look-ahead/],
    ['(?<=a)b', /look-behind/],
    ['(?<!a)b', /look-behind/],
    ['(a)\\1', /back-references are not supported/],
    ['\\bword', /word boundaries are not supported/],
    ['\\pL', /Unicode classes are not supported/],
    ['[\\p{Greek}]', /Unicode classes/],
    ['\\C', /\\C is not supported/],
    ['(?m)a', /\(\?m is not supported/],
    ['(?U)a*', /\(\?U/],
    ['(?i)é', /beyond ASCII cannot be matched without case/],
    ['a**', /two repetitions in a row/],
    ['a*+', /two repetitions/],
    ['a{2}{3}', /two repetitions/],
    ['*a', /nothing to repeat/],
    ['a{1001}', /more than 1000/],
    ['(a{100}){11}', /nested repetitions of more than 1000/],
    ['a{3,2}', /end is before its start/],
    ['(a', /missing \)/],
    ['a)', /unexpected \)/],
    ['[a', /missing \]/],
    ['[b-a]', /bad range/],
    ['[a-\\d]', /bad range/],
    ['[[:foo:]]', /unknown class/],
    ['a\\', /ends too early/],
    ['\\y', /unknown escape/],
    ['\\x{110000}', /bad \\x escape/],
    ['(?P<a-b>c)', /bad name/],
    ['('.repeat(300), /nested deeper/],
    ['a'.repeat(5000), /longer than 4096/],
    ['\ud800', /not well-formed/],
  ];
  for (const [pattern, reason] of reasons) {
    assert.throws(
      () => automaton(pattern),
      (error) => error instanceof KmError && error.code === 'KM3010' && reason.test(error.message),
      pattern,
    );
  }
});

test('an expression that is too large written out is refused', () => {
  assert.throws(() => automaton('(?:[^x]|[^y]){1000}'), { code: 'KM3011' });
});

test('random expressions match as in JavaScript, also merged', () => {
  for (let seed = 0; seed < 150; seed++) {
    const random = new RandomRoutes(seed);
    const pattern = random.regex(2);
    const { dfa, small } = automaton(pattern);
    assert.ok(small.states.length <= dfa.states.length);
    const expression = new RegExp(`^(?:${pattern})$`, 'u');
    for (let i = 0; i < 60; i++) {
      const text = random.below(2) === 0 ? random.path() : random.text();
      const bytes = Buffer.from(text, 'utf8');
      const expected = expression.test(text);
      assert.equal(runDfa(dfa, bytes) > 0, expected, `seed ${seed}: ${pattern} on ${JSON.stringify(text)}`);
      assert.equal(runDfa(small, bytes) > 0, expected, `seed ${seed}, merged: ${pattern} on ${JSON.stringify(text)}`);
    }
  }
});

test('states that no text tells apart become one', () => {
  // The minimal automata of these languages, with the dead state, are known.
  assert.equal(automaton('(?:a|b)*abb').small.states.length, 5);
  assert.equal(automaton('a(?:b|c)d|e(?:b|c)d').small.states.length, 5);
  assert.equal(automaton('(?:aa)*').small.states.length, 3);
});
