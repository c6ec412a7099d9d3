import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskUsageBytes, fileDiskBytes } from './disk-usage.ts';

test('diskUsageBytes() is what du counts: directories, holes, files with several names', async () => {
  const root = mkdtempSync(join(tmpdir(), 'disk-usage-'));
  try {
    assert.equal(await diskUsageBytes(root), 0);
    assert.equal(await diskUsageBytes(join(root, 'missing')), 0);
    mkdirSync(join(root, 'a/b'), { recursive: true });
    for (let number = 0; number < 50; number += 1)
      writeFileSync(join(root, `a/b/${number}`), 'x'.repeat(number));
    writeFileSync(join(root, 'large'), Buffer.alloc(300_000, 1));
    linkSync(join(root, 'large'), join(root, 'a/same'));
    writeFileSync(join(root, 'sparse'), '');
    truncateSync(join(root, 'sparse'), 50_000_000);
    const [used = ''] = execFileSync('du', ['-s', '--block-size=1', root], { encoding: 'utf8' }).split('\t');
    assert.equal(await diskUsageBytes(root), Number(used) - statSync(root).blocks * 512);
    assert.ok(fileDiskBytes(join(root, 'large')) >= 300_000);
    assert.ok(fileDiskBytes(join(root, 'sparse')) < 1_000_000);
    assert.equal(fileDiskBytes(join(root, 'missing')), 0);
  } finally {
    rmSync(root, { recursive: true });
  }
});
