import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  type Stats,
} from 'node:fs';
import { randomBytes } from 'node:crypto';

/**
 * What Docker puts between an image and a container's own files: the names on which the runtime mounts things, the mark
 * `/.dockerenv` and `/etc/mtab`. It lies below the writable directory, so that mount points made for the runtime are no
 * changes of the container's, in `diff` as in `commit`.
 */
const directories = ['dev', 'dev/pts', 'dev/shm', 'proc', 'sys', 'etc'] as const;
const files = ['.dockerenv', 'dev/console', 'etc/resolv.conf', 'etc/hosts', 'etc/hostname'] as const;
const links = [['etc/mtab', '/proc/mounts']] as const;

/**
 * Makes the tree at `target` by one rename.
 * @param below tells what the image has under a name; its directories keep their owner and mode.
 */
export function makeInitTree(target: string, below: (relative: string) => Stats | undefined): void {
  const half = `${target}.${randomBytes(4).toString('hex')}.tmp`;
  mkdirSync(half, { mode: 0o755 });
  copyLook(half, below(''));
  for (const name of directories) {
    mkdirSync(`${half}/${name}`, { mode: 0o755 });
    copyLook(`${half}/${name}`, below(name));
  }
  fillInitTree(half);
  try {
    renameSync(half, target);
  } catch (error) {
    // Another container of the same image was first.
    if (!['EEXIST', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** The files and links, in a tree that has the directories. */
function fillInitTree(root: string): void {
  for (const name of files) closeSync(openSync(`${root}/${name}`, 'wx', 0o755));
  for (const [name, target] of links) symlinkSync(target, `${root}/${name}`);
}

function copyLook(path: string, stat: Stats | undefined): void {
  if (stat?.isDirectory() !== true) {
    chmodSync(path, 0o755);
    return;
  }
  if (stat.uid !== process.geteuid?.() || stat.gid !== process.getegid?.())
    chownSync(path, stat.uid, stat.gid);
  chmodSync(path, stat.mode & 0o7777);
}
