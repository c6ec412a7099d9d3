import type { TarHeader } from './header.ts';

/** The header of a file that is made here and now, of root's, but for what is given. */
export function plainHeader(given: Partial<TarHeader>): TarHeader {
  return {
    path: '',
    type: 'file',
    typeFlag: '0',
    mode: 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    mtimeSeconds: Math.floor(Date.now() / 1000),
    mtimeNanos: 0,
    linkPath: '',
    userName: '',
    groupName: '',
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: null,
    sparse: null,
    ...given,
  };
}
