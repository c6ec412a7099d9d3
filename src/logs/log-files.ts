import { readdirSync, statSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** One open file of a log. Renaming it does not disturb who reads it. */
export interface LogFile {
  handle: FileHandle;
  inode: bigint;
}

/** `path.1` is the youngest rotated file. */
export const rotatedPath = (path: string, number: number): string =>
  number === 0 ? path : `${path}.${number}`;

/** Opens one; undefined when it is not there. */
export async function openLogFile(path: string): Promise<LogFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { ino } = await handle.stat({ bigint: true });
  return { handle, inode: ino };
}

/**
 * Opens the files of a log that are younger than `after` (all, when it is undefined or deleted), oldest first. A rotation
 * while this goes on shifts names towards the older ones, which are opened later: one may be met twice, none is missed.
 */
export async function openLogFiles(path: string, after?: bigint): Promise<LogFile[]> {
  const files: LogFile[] = [];
  try {
    for (let number = 0; ; number++) {
      const file = await openLogFile(rotatedPath(path, number));
      // Between rename and reopen there is no current file.
      if (file === undefined && number > 0) break;
      if (file === undefined) continue;
      if (file.inode === after) {
        await file.handle.close();
        break;
      }
      if (files.some(({ inode }) => inode === file.inode)) await file.handle.close();
      else files.push(file);
    }
  } catch (error) {
    await closeAll(files);
    throw error;
  }
  return files.reverse();
}

export async function closeAll(files: readonly LogFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()));
}

/** Paths of all files of a log, the current one included. */
export function logPaths(path: string): string[] {
  const name = basename(path);
  let names: string[];
  try {
    names = readdirSync(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter(
      (other) =>
        other === name || (other.startsWith(`${name}.`) && /^\d+$/.test(other.slice(name.length + 1))),
    )
    .map((other) => join(dirname(path), other));
}

export function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * `path` becomes `path.1` and so on; what is beyond `maxFiles` in all is deleted at the end. Undone when `reopen` fails,
 * unless a new file is there.
 */
export async function rotate(path: string, maxFiles: number, reopen: () => Promise<void>): Promise<void> {
  const count = logPaths(path).length;
  const moved: number[] = [];
  try {
    for (let number = count - 1; number >= 0; number--) {
      if (await renameIfThere(rotatedPath(path, number), rotatedPath(path, number + 1))) moved.push(number);
    }
    await reopen();
  } catch (error) {
    if (fileSize(path) === 0) {
      for (const number of moved.reverse()) {
        await renameIfThere(rotatedPath(path, number + 1), rotatedPath(path, number));
      }
    }
    throw error;
  }
  for (let number = Math.max(1, maxFiles); number <= count; number++) {
    await rm(rotatedPath(path, number), { force: true });
  }
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
