import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes the directory of what a reboot ends. Disposing removes what is empty in it (containers that run on keep theirs), and
 * itself when it was made here.
 */
export function openExecRoot(path: string): Disposable {
  const isNew = mkdirSync(path, { recursive: true, mode: 0o711 }) !== undefined;
  return { [Symbol.dispose]: () => void removeIfEmpty(path, !isNew) };
}

/** @returns whether nothing is left in it */
function removeEmptyIn(directory: string): boolean {
  const left = readdirSync(directory, { withFileTypes: true }).filter(
    (entry) => !entry.isDirectory() || !removeIfEmpty(join(directory, entry.name)),
  );
  return left.length === 0;
}

function removeIfEmpty(directory: string, isKept = false): boolean {
  try {
    if (!removeEmptyIn(directory) || isKept) return false;
    rmdirSync(directory);
    return true;
  } catch {
    // Something is mounted there, was put there just now, or it is gone.
    return false;
  }
}
