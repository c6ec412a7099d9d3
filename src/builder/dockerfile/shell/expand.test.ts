import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandToWords, expandWord } from './expand.ts';

const variables = new Map([
  ['V', 'v'],
  ['E', ''],
  ['P', 'a/b/c.tar.gz'],
  ['W', 'one two'],
]);
const expand = (word: string, escape: '\\' | '`' = '\\') => expandWord(word, { escape, variables });

test('expandWord() puts in variables and removes quotes and escapes', () => {
  const table: [word: string, result: string][] = [
    ['plain', 'plain'],
    ['$V', 'v'],
    ['$V$V.$X', 'vv.'],
    ['${V}x', 'vx'],
    ['$Vx', ''],
    ["'$V'", '$V'],
    ['"$V"', 'v'],
    ['\\$V', '$V'],
    ['"\\$V \\x"', '$V \\x'],
    ['a\\ b', 'a b'],
    ['$', '$'],
    ['a$', 'a$'],
    ['$1', ''],
    ['${V:-x}${E:-x}${X:-x}', 'vxx'],
    ['${V-x}${E-x}${X-x}', 'vx'],
    ['${V:+x}${E:+x}${X:+x}', 'x'],
    ['${V+x}${E+x}${X+x}', 'xx'],
    ['${X:-${Y:-$V}}', 'v'],
    ['${X:-"a b"}', 'a b'],
    ['${P#*/}', 'b/c.tar.gz'],
    ['${P##*/}', 'c.tar.gz'],
    ['${P%.*}', 'a/b/c.tar'],
    ['${P%%.*}', 'a/b/c'],
    ['${P#nope}', 'a/b/c.tar.gz'],
    ['${P/?b/-}', 'a-/c.tar.gz'],
    ['${P//[/x}', 'a/b/c.tar.gz'],
    ['${P//./-}', 'a/b/c-tar-gz'],
    ['${P/\\//-}', 'a-b/c.tar.gz'],
    ['${P//\\/}', 'abc.tar.gz'],
    ['é$V', 'év'],
  ];
  for (const [word, result] of table) assert.equal(expand(word), result, word);
  assert.equal(expand('`$V\\x', '`'), '$V\\x');
});

test('expandWord() says what is wrong', () => {
  const table: [word: string, message: RegExp][] = [
    ['"open', /unexpected end of statement while looking for matching double-quote/],
    ["'open", /matching single-quote/],
    ['${V', /missing '}'/],
    ['${}', /bad substitution/],
    ['${V!x}', /unsupported modifier \(!\)/],
    ['${X:?is missing}', /X: is missing/],
    ['${E:?}', /E: not allowed to be empty/],
    ['${X?}', /X: not allowed to be unset/],
  ];
  for (const [word, message] of table) assert.throws(() => expand(word), message, word);
});

test('expandToWords() splits what an unquoted variable brings in', () => {
  const words = (text: string) => expandToWords(text, { escape: '\\', variables });
  assert.deepEqual(words('$W x'), ['one', 'two', 'x']);
  assert.deepEqual(words('"$W" x$W'), ['one two', 'xone', 'two']);
  assert.deepEqual(words('$E'), []);
});

test('expandWord() bounds its work for hostile words', () => {
  const began = performance.now();
  assert.throws(() => expand('${a:-'.repeat(30_000) + '}'.repeat(30_000)), /nested too deeply/);
  const long = new Map([['L', 'a'.repeat(20_000)]]);
  expandWord(`\${L##${'*a'.repeat(50)}b}`, { escape: '\\', variables: long });
  assert.ok(performance.now() - began < 10_000);
});
