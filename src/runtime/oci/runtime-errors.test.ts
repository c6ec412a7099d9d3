import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createError, execError, lastLoggedError, translate } from './runtime-errors.ts';

test('translate() puts what crun says in runc’s words', () => {
  for (const [message, program, expected] of [
    [
      'executable file `nosuch` not found in $PATH: No such file or directory',
      'nosuch',
      'exec: "nosuch": executable file not found in $PATH',
    ],
    [
      'executable file `/bin/x` not found in $PATH: No such file or directory',
      '/bin/x',
      'exec: "/bin/x": stat /bin/x: no such file or directory',
    ],
    ['open executable: Permission denied', '/bin/x', 'exec: "/bin/x": permission denied'],
    ['open executable: Operation not permitted', '/tmp', 'exec: "/tmp": permission denied'],
    ['open executable: Permission denied', 'x', 'exec: "x": executable file not found in $PATH'],
    ['exec: Exec format error', '/bin/x', 'exec /bin/x: exec format error'],
    [
      "error stat'ing file `/src`: No such file or directory",
      'x',
      'error stat\'ing file "/src": no such file or directory',
    ],
    ['crun: chdir `/a`: Not a directory', 'x', 'chdir "/a": not a directory'],
    ['runc create failed: exec: "a": executable file not found in $PATH', 'a', undefined],
  ] as const) {
    assert.equal(translate(message, program), expected ?? message);
  }
});

test('createError() and execError() read as Docker 28’s, with the exit code Docker gives', () => {
  const missing = createError('executable file `a` not found in $PATH: No such file or directory', 'a');
  assert.equal(
    missing.message,
    'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ' +
      'unable to start container process: exec: "a": executable file not found in $PATH: unknown',
  );
  assert.deepEqual([missing.kind, missing.details['exitCode']], ['invalid-parameter', 127]);
  const denied = execError('open executable: Permission denied', '/a');
  assert.equal(
    denied.message,
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "/a": permission denied: unknown',
  );
  assert.deepEqual([denied.kind, denied.details['exitCode']], ['invalid-parameter', 126]);
  const other = createError('something else');
  assert.deepEqual([other.kind, other.details['exitCode']], ['internal', 128]);
  const wrongType = createError('mount `/a` to `/b`: Not a directory');
  assert.match(
    wrongType.message,
    /: unknown: Are you trying to mount a directory onto a file \(or vice-versa\)\?/,
  );
  const own = createError('runc create failed: unable to start container process: exec: "a": x', 'a');
  assert.equal(own.message.split('runc create failed').length, 2);
});

test('lastLoggedError() reads crun’s text and runc’s JSON', () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  const path = join(directory, 'log');
  try {
    assert.equal(lastLoggedError(path), undefined);
    writeFileSync(path, 'first\nsecond: No such file\n');
    assert.equal(lastLoggedError(path), 'second: No such file');
    writeFileSync(path, '{"level":"error","msg":"bad"}\n{"level":"warning","msg":"later"}\n{"level":');
    assert.equal(lastLoggedError(path), 'bad');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
