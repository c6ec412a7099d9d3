import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sealedProgram } from './sealed-program.ts';

test('sealedProgram() gives a copy that runs and cannot be written', () => {
  const path = sealedProgram('/bin/true');
  assert.match(path, /^\/proc\/\d+\/fd\/\d+$/);
  assert.deepEqual(readFileSync(path), readFileSync('/bin/true'));
  assert.equal(spawnSync(path).status, 0);
  assert.throws(() => writeFileSync(openSync(path, 'r+'), 'x'), { code: /EPERM|ETXTBSY|EACCES/ });
  assert.equal(sealedProgram('/bin/true'), path);
});

test('sealedProgram() copies a program again that was replaced', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sealed-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const program = join(directory, 'program');
  copyFileSync('/bin/true', program);
  assert.equal(spawnSync(sealedProgram(program)).status, 0);
  rmSync(program);
  copyFileSync('/bin/false', program);
  assert.equal(spawnSync(sealedProgram(program)).status, 1);
});

test('sealedProgram() leaves scripts and missing programs as they are', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sealed-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const script = join(directory, 'script');
  writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
  assert.equal(sealedProgram(script), script);
  assert.equal(sealedProgram(join(directory, 'missing')), join(directory, 'missing'));
});
