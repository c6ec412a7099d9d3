import type { Stats } from 'node:fs';
import type { TarHeader } from '../tar/header.ts';

/** Of a directory that an archive does not list; `stat`: of the one that it hides. */
export function impliedHeader(stat?: Stats): TarHeader {
  return {
    path: '',
    type: 'directory',
    typeFlag: '5',
    mode: stat === undefined ? 0o755 : stat.mode & 0o7777,
    uid: stat?.uid ?? 0,
    gid: stat?.gid ?? 0,
    sizeBytes: 0,
    mtimeSeconds: Math.floor((stat?.mtimeMs ?? Date.now()) / 1000),
    mtimeNanos: 0,
    linkPath: '',
    userName: '',
    groupName: '',
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: null,
    sparse: null,
  };
}
