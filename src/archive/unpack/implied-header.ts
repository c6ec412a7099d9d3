import type { Stats } from 'node:fs';
import type { TarHeader } from '../tar/header.ts';
import { plainHeader } from '../tar/plain-header.ts';

/** Of a directory that an archive does not list; `stat`: of the one that it hides. */
export function impliedHeader(stat?: Stats): TarHeader {
  const directory = { type: 'directory', typeFlag: '5', mode: 0o755 } as const;
  if (stat === undefined) return plainHeader(directory);
  const { uid, gid } = stat;
  const mtimeSeconds = Math.floor(stat.mtimeMs / 1000);
  return plainHeader({ ...directory, mode: stat.mode & 0o7777, uid, gid, mtimeSeconds });
}
