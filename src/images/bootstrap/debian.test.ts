import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { debianImage, debianSources } from './debian.ts';

test('debianSources() takes the mirrors this machine uses, in either form', () => {
  const root = mkdtempSync(join(tmpdir(), 'apt-'));
  try {
    assert.deepEqual(debianSources('bookworm', root), []);
    mkdirSync(join(root, 'sources.list.d'));
    writeFileSync(
      join(root, 'sources.list.d', 'debian.sources'),
      'Types: deb\nURIs: http://mirror.test/debian/\nSuites: bookworm\n\n' +
        'Types: deb\nURIs: http://mirror.test/debian-security\nSuites: bookworm-security\n',
    );
    writeFileSync(
      join(root, 'sources.list.d', 'other.list'),
      'deb [arch=amd64] https://other.test/apt x main\n',
    );
    assert.deepEqual(debianSources('trixie', root), [
      'deb http://mirror.test/debian trixie main',
      'deb http://mirror.test/debian trixie-updates main',
      'deb http://mirror.test/debian-security trixie-security main',
    ]);
    rmSync(join(root, 'sources.list.d', 'debian.sources'));
    writeFileSync(
      join(root, 'sources.list'),
      '# deb http://no.test/debian x\ndeb http://old.test/debian bookworm main\n',
    );
    assert.deepEqual(debianSources('sid', root), ['deb http://old.test/debian sid main']);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('debianImage() refuses what is no suite', () => {
  for (const suite of ['--help', '../x', 'a b', '']) {
    assert.throws(() => debianImage(suite, { nowMs: 0 }), { kind: 'invalid-parameter' });
  }
});
