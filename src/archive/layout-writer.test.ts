import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../spec/index.ts';
import { LayoutWriter } from './layout-writer.ts';

test('LayoutWriter leaves what was there when it does not come to commit()', async () => {
  const root = mkdtempSync(join(tmpdir(), 'layout-'));
  const directory = join(root, 'made/here');
  const [first, second] = [Buffer.from('first'), Buffer.from('second')];
  const descriptor = (bytes: Buffer) => ({ mediaType: 'x', digest: digestOf(bytes), size: bytes.length });
  const names = (): string[] => readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted();
  try {
    {
      using layout = new LayoutWriter(directory);
      await layout.put(digestOf(first), [first]);
    }
    assert.deepEqual(names(), []);
    {
      using layout = new LayoutWriter(directory);
      await layout.put(digestOf(first), [first]);
      await layout.put(digestOf(first), [first]);
      layout.commit('latest', descriptor(first));
    }
    const before = names();
    {
      using layout = new LayoutWriter(directory);
      assert.equal(layout.has(digestOf(first)), true);
      await layout.put(digestOf(second), [second]);
      await assert.rejects(layout.put(digestOf(Buffer.from('third')), [second]), { kind: 'data-loss' });
    }
    assert.deepEqual(names(), before);
    {
      using layout = new LayoutWriter(directory);
      await layout.put(digestOf(second), [second]);
      layout.commit('latest', descriptor(second));
    }
    const { manifests } = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
      manifests: { digest: string }[];
    };
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [digestOf(second)],
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
