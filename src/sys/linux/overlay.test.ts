import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { overlayOptions, withFittingOptions } from './overlay.ts';

test('overlayOptions() escapes what separates options and layers', () => {
  assert.equal(
    overlayOptions({ target: '/t', lowerDirs: ['/a:b', '/c,d'], upperDir: '/u:1,2', workDir: '/w\\' }),
    'lowerdir=/a\\:b:/c\\,d,index=off,metacopy=off,redirect_dir=off,upperdir=/u:1\\,2,workdir=/w\\\\',
  );
});

test('withFittingOptions() shortens more layers than fit into a page', () => {
  const root = mkdtempSync(join(tmpdir(), 'overlay-'));
  try {
    const lowerDirs = Array.from({ length: 120 }, (_none, index) => join(root, `${index}`.padStart(64, '0')));
    for (const path of lowerDirs) mkdirSync(path);
    const seen: string[] = [];
    withFittingOptions({ target: '/t', lowerDirs }, (data) => seen.push(data));
    assert.equal(seen.length, 1);
    assert.ok((seen[0] as string).length < 4096);
    assert.match(seen[0] as string, /^lowerdir=(?:\/proc\/self\/fd\/\d+:?){120},/);
  } finally {
    rmSync(root, { recursive: true });
  }
});
