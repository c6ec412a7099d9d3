import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { errorText } from './errors.ts';

function failure(body: () => unknown): unknown {
  try {
    return body();
  } catch (error) {
    return error;
  }
}

test('errorText() tells errors of files as Go does', () => {
  assert.equal(
    errorText(failure(() => readFileSync('/nosuch/x'))),
    'open /nosuch/x: no such file or directory',
  );
  assert.equal(errorText(failure(() => writeFileSync('/', ''))), 'open /: is a directory');
  assert.equal(errorText(failure(() => readFileSync('/'))), 'read: is a directory');
  assert.equal(errorText(Object.assign(new Error('refused'), { code: 'X', syscall: 'y' })), 'refused');
  assert.equal(errorText('text'), 'text');
});
