import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSelector } from './selector.ts';

const labels = { app: 'reviews', version: 'v1', canary: '', 'app.kubernetes.io/part-of': 'shop' };

test('equality and set requirements, all of which must hold', () => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['app=reviews', true],
    ['app == reviews', true],
    ['app=ratings', false],
    ['app!=ratings', true],
    ['app!=reviews', false],
    ['none!=x', true],
    ['canary=', true],
    ['version=', false],
    ['none=', false],
    ['app', true],
    ['!app', false],
    ['! none', true],
    ['none', false],
    ['version in (v1, v2)', true],
    ['version in(v2)', false],
    ['version notin (v2,v3)', true],
    ['version notin (v1)', false],
    ['none notin (v1)', true],
    ['none in ()', false],
    ['canary in (,x)', true],
    ['app.kubernetes.io/part-of=shop', true],
    ['app=reviews,version in (v1),!none', true],
    ['app=reviews,version in (v2),!none', false],
    ['toString', false],
  ];
  for (const [text, holds] of cases) assert.equal(parseSelector(text)(labels), holds, text);
});

test('what is not a selector is wrong usage and says where', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['=x', /a label key is missing before "="/],
    ['a=b,', /a label key is missing before its end/],
    ['a in b', /"\(" is missing before "b"/],
    ['a in (b', /"\)" is missing before its end/],
    ['a b', /"," is missing before "b"/],
    ['!', /a label key is missing/],
    ['a=b=c', /"," is missing before "="/],
    ['-a=b', /"-a" is not a label key/],
    ['a=b!', /"," is missing before "!"/],
    ['a=-b', /"-b" is not a label value/],
  ];
  for (const [text, message] of cases) assert.throws(() => parseSelector(text), { code: 'KM6005', message }, text);
});
