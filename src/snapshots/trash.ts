import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/** Trees up to this many entries are deleted at once; a fresh container's tree has five. */
const SMALL_TREE_ENTRIES = 64;

/**
 * Deletes trees without making anybody wait: a tree is renamed into the trash, small ones are deleted there and then,
 * others by `rm` in the background. What a crash leaves is deleted by sweep().
 */
export class Trash {
  readonly #directory: string;
  readonly #pending = new Set<Promise<void>>();

  /** @param directory on the same file system as the trees; made when missing. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Moves a tree away at once; no error when it is not there. */
  discard(path: string): void {
    const name = `${this.#directory}/${randomBytes(8).toString('hex')}`;
    try {
      renameSync(path, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    this.#delete(name);
  }

  /** Deletes what an earlier process left. */
  sweep(): void {
    for (const name of readdirSync(this.#directory)) this.#delete(`${this.#directory}/${name}`);
  }

  /** Resolves when nothing is being deleted any more. */
  async drain(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  #delete(path: string): void {
    if (deleteSmall(path, { left: SMALL_TREE_ENTRIES })) return;
    const removal = new Promise<void>((resolve) => {
      // Not recursive into mounts: a mount that could not be undone must keep its content.
      execFile('rm', ['-rf', '--one-file-system', '--', path], () => resolve());
    });
    this.#pending.add(removal);
    void removal.then(() => this.#pending.delete(removal));
  }
}

/** Deletes a tree of few entries; false when it has more, or cannot be deleted, and a part is left. */
function deleteSmall(path: string, budget: { left: number }): boolean {
  try {
    const { dev } = lstatSync(path);
    return emptyAndRemove(path, dev, budget);
  } catch {
    return !existsSync(path);
  }
}

function emptyAndRemove(path: string, device: number, budget: { left: number }): boolean {
  if (lstatSync(path).dev !== device) return false;
  const entries = readdirSync(path, { withFileTypes: true });
  budget.left -= entries.length;
  if (budget.left < 0) return false;
  for (const entry of entries) {
    const child = `${path}/${entry.name}`;
    if (!entry.isDirectory()) unlinkSync(child);
    else if (!emptyAndRemove(child, device, budget)) return false;
  }
  rmdirSync(path);
  return true;
}
