import { execFile } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { packTreeChanges, removeTree, treeChanges, type TreeChange } from '../archive/index.ts';
import type { ChainId } from '../spec/index.ts';
import { diskUsageBytes } from '../sys/index.ts';
import { LayeredSnapshotter } from './layered-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';
import { treeSizeBytes } from './tree-size.ts';

const run = promisify(execFile);

/**
 * Snapshots as plain copies, for file systems on which overlayfs cannot work: each layer and each active snapshot is a
 * whole tree (`layers/<short id>/fs`, `active/<key>/{root,parent}`), shared by reflink where the file system can.
 */
export class CopySnapshotter extends LayeredSnapshotter implements Snapshotter {
  readonly driver = 'vfs';

  createLayer(
    chainId: ChainId,
    parent: ChainId | null,
    fill: (directory: string, form: 'overlay' | 'merged') => Promise<void>,
  ): Promise<void> {
    return this.store.create(chainId, parent, async (directory) => {
      if (parent !== null) {
        await this.store.settled(parent);
        await copyTree(this.store.files(parent), directory);
      }
      await fill(directory, 'merged');
    });
  }

  layerSizeBytes(chainId: ChainId): Promise<number> {
    return this.store.sizeBytes(chainId, async () => {
      const [, parent] = this.store.chain(chainId);
      const lower = parent === undefined ? [] : [this.store.files(parent)];
      return this.#changedBytes(this.store.files(chainId), lower);
    });
  }

  /** One directory: it holds the layers below too. */
  layerDirectories(chainId: ChainId): string[] {
    this.store.chain(chainId);
    return [this.store.files(chainId)];
  }

  prepare(key: string, parent: ChainId | null): Promise<void> {
    return this.make(key, parent, async (directory, lower) => {
      const root = `${directory}/root`;
      mkdirSync(root, { mode: 0o755 });
      chmodSync(root, 0o755);
      for (const tree of lower.toReversed()) {
        if (tree === lower[0]) clearWayFor(tree, root);
        await copyTree(tree, root);
      }
    });
  }

  async mount(key: string): Promise<string> {
    return `${this.existing(key)}/root`;
  }

  unmount(): Promise<void> {
    return Promise.resolve();
  }

  async remove(key: string): Promise<void> {
    this.trash.discard(this.directory(key));
  }

  describe(key: string): { rootPath: string; data: Record<string, string> } {
    return { rootPath: `${this.existing(key)}/root`, data: {} };
  }

  async changes(key: string): Promise<TreeChange[]> {
    const { root, lower } = this.#trees(key);
    return treeChanges(this.syscall, root, lower, { complete: true });
  }

  async *diff(key: string): AsyncIterable<Uint8Array> {
    yield* packTreeChanges(this.syscall, this.#trees(key).root, await this.changes(key));
  }

  async usageBytes(key: string): Promise<number> {
    const { root, lower } = this.#trees(key);
    return this.#changedBytes(root, lower);
  }

  /** The whole tree: it is a copy. */
  async diskBytes(key: string): Promise<number> {
    return diskUsageBytes(this.#trees(key).root);
  }

  #trees(key: string): { root: string; lower: string[] } {
    const directory = this.existing(key);
    return { root: `${directory}/root`, lower: this.lowerDirectories(this.parent(key)) };
  }

  async #changedBytes(root: string, lower: readonly string[]): Promise<number> {
    if (lower.length === 0) return treeSizeBytes(root);
    let total = 0;
    for (const { path, kind } of await treeChanges(this.syscall, root, lower, { complete: true })) {
      if (kind === 'deleted') continue;
      const stat = lstatSync(`${root}${path}`, { throwIfNoEntry: false });
      if (stat !== undefined && !stat.isDirectory()) total += stat.size;
    }
    return total;
  }
}

/** With owners, times, links, devices, holes and extended attributes. */
async function copyTree(from: string, to: string): Promise<void> {
  await run('cp', ['-a', '--reflink=auto', '--', `${from}/.`, to]);
}

/** Removes what the copy of a tree could not be laid over: cp(1) would write through symlinks. */
function clearWayFor(tree: string, root: string): void {
  for (const entry of readdirSync(tree, { withFileTypes: true })) {
    const path = `${root}/${entry.name}`;
    const here = lstatSync(path, { throwIfNoEntry: false });
    if (here === undefined) continue;
    if (entry.isDirectory() && here.isDirectory()) clearWayFor(`${tree}/${entry.name}`, path);
    else removeTree(path);
  }
}
