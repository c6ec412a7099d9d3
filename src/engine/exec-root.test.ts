import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openExecRoot } from './exec-root.ts';

test('openExecRoot() takes away what is empty, itself when it made it', (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'coracle-exec-root-'));
  t.after(() => rmSync(parent, { recursive: true }));
  const root = join(parent, 'root');
  {
    using _made = openExecRoot(root);
    mkdirSync(join(root, 'containers/one'), { recursive: true });
    mkdirSync(join(root, 'empty/below'), { recursive: true });
    writeFileSync(join(root, 'containers/one/pid'), '1');
  }
  assert.deepEqual(
    ['containers/one/pid', 'empty'].map((path) => existsSync(join(root, path))),
    [true, false],
  );
  rmSync(join(root, 'containers/one/pid'));
  openExecRoot(root)[Symbol.dispose]();
  assert.deepEqual(
    ['', 'containers'].map((path) => existsSync(join(root, path))),
    [true, false],
  );
  rmSync(root, { recursive: true });
  openExecRoot(root)[Symbol.dispose]();
  assert.equal(existsSync(root), false);
});
