import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';

/** A directory of the machine, outside of every engine, that no attack may read or change. */
export class Bait {
  #directory = '';

  get directory(): string {
    return this.#directory;
  }

  /** For one file's tests; whatever they did, it is untouched at the end. */
  static create(): Bait {
    const bait = new Bait();
    before(() => {
      bait.#directory = mkdtempSync(join(tmpdir(), 'coracle-host-'));
      writeFileSync(join(bait.directory, 'secret'), 'host secret\n');
      writeFileSync(join(bait.directory, 'empty'), '');
      mkdirSync(join(bait.directory, 'directory'));
    });
    after(() => {
      bait.assertUntouched();
      rmSync(bait.directory, { recursive: true });
    });
    return bait;
  }

  assertUntouched(): void {
    assert.deepEqual(readdirSync(this.directory).toSorted(), ['directory', 'empty', 'secret']);
    assert.deepEqual(readdirSync(join(this.directory, 'directory')), []);
    assert.equal(readFileSync(join(this.directory, 'secret'), 'utf8'), 'host secret\n');
    assert.equal(readFileSync(join(this.directory, 'empty'), 'utf8'), '');
  }
}
