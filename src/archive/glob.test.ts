import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IgnoreRules, parseIgnoreFile } from './dockerignore.ts';
import { Glob } from './glob.ts';

const table: [pattern: string, matching: string[], others: string[]][] = [
  ['a', ['a'], ['b', 'aa', 'a/b', '']],
  ['*.txt', ['a.txt', '.txt'], ['a.md', 'd/a.txt']],
  ['a?c', ['abc'], ['ac', 'a/c', 'abbc']],
  ['**', ['a', 'a/b', ''], []],
  ['**/x', ['x', 'a/x', 'a/b/x'], ['ax', 'x/a', 'a/bx']],
  ['a/**/x', ['a/x', 'a/b/x', 'a/b/c/x'], ['ab/x', 'a/bx', 'x']],
  ['a/**', ['a/b', 'a/b/c'], ['a', 'ab']],
  ['[a-c]x', ['ax', 'cx'], ['dx', '/x', 'x']],
  ['[^a-c]x', ['dx'], ['ax', '/x']],
  ['\\*', ['*'], ['a']],
  ['[', ['['], ['a']],
  ['a.b', ['a.b'], ['axb']],
];

test('Glob.matches() as patterns of .dockerignore', () => {
  for (const [pattern, matching, others] of table) {
    const glob = new Glob(pattern);
    for (const text of matching) assert.ok(glob.matches(text), `${pattern} matches ${text}`);
    for (const text of others) assert.ok(!glob.matches(text), `${pattern} does not match ${text}`);
  }
});

test('Glob.matches() takes no time for a pattern made to take long', () => {
  const glob = new Glob(`${'*a'.repeat(60)}b`);
  const began = performance.now();
  assert.equal(glob.matches('a'.repeat(4000)), false);
  assert.ok(performance.now() - began < 5000);
});

test('IgnoreRules.ignores() lets later rules win and counts what is below', () => {
  const rules = new IgnoreRules(parseIgnoreFile('# comment\n\n*.log\n/dir/\n!dir/kept\n./x/../y\n'));
  const ignored = ['a.log', 'dir', 'dir/other', 'dir/other/deep', 'y', 'y/z'];
  const kept = ['d/a.log', 'dir/kept', 'dir/kept/deep', 'x', '# comment'];
  for (const path of ignored) assert.ok(rules.ignores(path), path);
  for (const path of kept) assert.ok(!rules.ignores(path), path);
  assert.ok(rules.hasExceptions);
  assert.ok(new IgnoreRules([]).isEmpty);
});
