import { lstatSync, readdirSync } from 'node:fs';

/** Names looked at before the event loop gets a turn. */
const turn = 2000;
/** The unit of st_blocks, whatever the file system's own is. */
const blockBytes = 512;

/**
 * Bytes of the blocks that everything below a directory takes, as du(1) counts them: directories too, holes not, a file
 * with several names once, nothing on another file system. The directory itself is not counted, so that an empty one
 * has 0; so has what is not there, or no directory.
 */
export async function diskUsageBytes(root: string): Promise<number> {
  const linked = new Set<number>();
  const own = lstatSync(root, { throwIfNoEntry: false });
  if (own?.isDirectory() !== true) return 0;
  const pending = [root];
  let blocks = 0;
  let looked = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const name of namesIn(directory)) {
      const path = `${directory}/${name}`;
      const stat = lstatSync(path, { throwIfNoEntry: false });
      looked += 1;
      if (stat === undefined || stat.dev !== own.dev) continue;
      if (stat.isDirectory()) pending.push(path);
      else if (stat.nlink > 1) {
        if (linked.has(stat.ino)) continue;
        linked.add(stat.ino);
      }
      blocks += stat.blocks;
    }
    if (looked > turn) {
      looked = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return blocks * blockBytes;
}

/** Bytes of the blocks of one file; 0 when it is not there. */
export function fileDiskBytes(path: string): number {
  return (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * blockBytes;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    // Whoever uses it removes what he likes meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
