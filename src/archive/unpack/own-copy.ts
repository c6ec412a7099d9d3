import {
  chmodSync,
  chownSync,
  lstatSync,
  readFileSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import type { HostPath } from './names.ts';

/** Puts a copy in the place of a regular file that has other names elsewhere. @returns what the copy looks like */
export function ownCopy(path: HostPath, stat: Stats): Stats {
  const content = readFileSync(path);
  unlinkSync(path);
  writeFileSync(path, content, { flag: 'wx', mode: 0o600 });
  chownSync(path, stat.uid, stat.gid);
  chmodSync(path, stat.mode & 0o7777);
  utimesSync(path, stat.atimeMs / 1000, stat.mtimeMs / 1000);
  return lstatSync(path);
}
