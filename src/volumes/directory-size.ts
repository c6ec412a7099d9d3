import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** Sum of the sizes of the files below a directory; one with several names counts once; what goes meanwhile, not. */
export async function directorySizeBytes(root: string): Promise<number> {
  const seen = new Set<bigint>();
  const waiting = [root];
  let sum = 0n;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    try {
      for await (const entry of await opendir(path)) {
        const child = join(path, entry.name);
        if (entry.isDirectory()) {
          waiting.push(child);
          continue;
        }
        const stat = await lstat(child, { bigint: true });
        if (stat.nlink > 1n) {
          if (seen.has(stat.ino)) continue;
          seen.add(stat.ino);
        }
        sum += stat.size;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return Number(sum);
}
