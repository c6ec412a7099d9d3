import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeTar, type TarSource } from '../../../src/archive/index.ts';
import { writeBusyboxTree } from '../../fixtures/busybox-tree.ts';
import { dockerArchive } from '../../fixtures/archive-doors.ts';

const seconds = 1_500_000_000;
const file = (path: string, more: Partial<TarSource> = {}): TarSource => ({
  path,
  type: 'file',
  mode: 0o644,
  mtimeSeconds: seconds,
  body: Buffer.from(`${path}\n`),
  ...more,
});
const directory = (path: string, mode = 0o755, more: Partial<TarSource> = {}): TarSource => ({
  path: `${path}/`,
  type: 'directory',
  mode,
  mtimeSeconds: seconds,
  ...more,
});
const link = (path: string, linkPath: string, more: Partial<TarSource> = {}): TarSource => ({
  path,
  type: 'symlink',
  mode: 0o777,
  mtimeSeconds: seconds,
  linkPath,
  ...more,
});
const hard = (path: string, linkPath: string): TarSource => ({
  path,
  type: 'hardlink',
  mode: 0o644,
  linkPath,
});
const special = (
  path: string,
  type: 'char-device' | 'block-device' | 'fifo',
  major = 0,
  minor = 0,
): TarSource => ({
  path,
  type,
  mode: 0o640,
  mtimeSeconds: seconds,
  deviceMajor: major,
  deviceMinor: minor,
});
const xattrs = (values: Readonly<Record<string, string>>): Partial<TarSource> => ({
  xattrs: new Map(Object.entries(values).map(([name, hex]) => [name, Buffer.from(hex, 'hex')])),
});

/** Every kind of file that an image can hold, below /k. */
const kinds: readonly TarSource[] = [
  directory('k'),
  file('k/file'),
  file('k/empty', { body: Buffer.alloc(0) }),
  file('k/zeros', { body: Buffer.alloc(300_000) }),
  file('k/setuid', { mode: 0o4755 }),
  file('k/setgid', { mode: 0o2755 }),
  file('k/unreadable', { mode: 0 }),
  file('k/owned', { uid: 1, gid: 2 }),
  file('k/owned-high', { uid: 2_500_000_000, gid: 65_534 }),
  file('k/owned-setuid', { uid: 33, gid: 33, mode: 0o6711 }),
  file('k/time-zero', { mtimeSeconds: 0 }),
  file('k/time-nanos', { mtimeNanos: 123_456_789 }),
  file('k/time-future', { mtimeSeconds: 4_000_000_000 }),
  file('k/xattr', xattrs({ 'user.note': '00ff0a' })),
  file('k/xattr-empty', xattrs({ 'user.empty': '' })),
  file('k/capability', {
    mode: 0o755,
    ...xattrs({ 'security.capability': '0100000200040000000000000000000000000000' }),
  }),
  file('k/capability-3', {
    mode: 0o755,
    ...xattrs({ 'security.capability': '0100000300040000000000000000000000000000e8030000' }),
  }),
  file('k/trusted', xattrs({ 'trusted.note': '61' })),
  file('k/sp ace'),
  file('k/new\nline'),
  file('k/-dash'),
  file('k/.hidden'),
  file('k/é-utf8'),
  file('k/\udce9-latin1'),
  file(`k/${'n'.repeat(200)}`),
  directory('k/dir', 0o750, { uid: 3, gid: 4 }),
  file('k/dir/file'),
  directory('k/sticky', 0o1777),
  directory('k/setgid-dir', 0o2775, { gid: 5 }),
  directory('k/xattr-dir', 0o755, xattrs({ 'user.note': '62' })),
  directory('k/empty-dir', 0o700),
  directory(`k${'/deep'.repeat(12)}`),
  link('k/link', 'file'),
  link('k/link-absolute', '/k/dir/file'),
  link('k/link-dangling', 'nowhere'),
  link('k/link-dir', 'dir'),
  link('k/link-up', '../../../../../k/file'),
  link('k/link-owned', 'file', { uid: 7, gid: 8 }),
  link('k/link-long', `${'../k/'.repeat(30)}file`),
  hard('k/hard', 'k/file'),
  hard('k/dir/hard', 'k/file'),
  file('k/hard-owned', { uid: 9, gid: 9, mode: 0o4750 }),
  hard('k/sticky/hard-owned', 'k/hard-owned'),
  special('k/char', 'char-device', 1, 3),
  special('k/char-high', 'char-device', 259, 70_000),
  special('k/block', 'block-device', 7, 200),
  special('k/fifo', 'fifo'),
  ...['gone', 'moved', 'mode', 'owner', 'touched', 'file-to-dir', 'to-link', 'content'].map((name) =>
    file(`k/${name}`),
  ),
  ...['dir-gone', 'dir-again', 'dir-to-file', 'dir-kept'].flatMap((name) => [
    directory(`k/${name}`),
    file(`k/${name}/one`),
    file(`k/${name}/two`),
  ]),
];

/** Deletions, and things again in another way, in a layer above. */
const changes: readonly TarSource[] = [
  directory('k'),
  file('k/.wh.gone-before', { mode: 0, body: Buffer.alloc(0) }),
  file('k/dir/second-layer'),
  directory('k/dir', 0o750, { uid: 3, gid: 4 }),
  file('k/time-zero', { mtimeSeconds: 1 }),
];

async function tar(members: readonly TarSource[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(members)));
}

/** An archive of `files:1`: busybox and every kind of file, the same bytes for every engine. */
export async function busyboxArchive(): Promise<Buffer> {
  const work = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  try {
    writeBusyboxTree(work);
    const argv = [
      '-C',
      work,
      '--numeric-owner',
      '--owner=0',
      '--group=0',
      '--mtime=@1500000000',
      '--sort=name',
      '-c',
      '.',
    ];
    const packed = spawnSync('tar', argv, { maxBuffer: 64 * 2 ** 20 });
    return await archiveOf([packed.stdout]);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** An archive of `files:1` with every kind of file on top of a base's layers. */
export async function archiveOf(base: readonly Buffer[]): Promise<Buffer> {
  const layers = [...base, await tar([...kinds, file('k/gone-before')]), await tar(changes)];
  const created = '2020-01-01T00:00:00Z';
  return await dockerArchive(
    layers,
    {
      created,
      config: { Cmd: ['sh'], Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] },
      history: layers.map(() => ({ created, created_by: 'files' })),
    },
    'files:1',
  );
}

/** Changes every kind of file in every way that a shell can; runs in the container. */
export const changeScript = `cd /k
echo changed > content; chmod 640 content
rm gone; rm -r dir-gone
rm -r dir-again; mkdir dir-again; echo new > dir-again/new
rm file-to-dir; mkdir file-to-dir; echo x > file-to-dir/x
rm -r dir-to-file; echo x > dir-to-file
rm to-link; ln -s /k/file to-link
chmod 4755 mode; chown 1:2 owner; chown 5:6 capability
mv moved renamed; ln hard hard-new; rm dir/hard
mknod made-char c 1 5; mkfifo made-fifo; mkdir -p new/deep/er; touch "new/sp ace" new/empty
rm dir-kept/one; touch -d @1000000000 touched
ln hard-owned new/hard-owned
rm -r /var /home; echo x > /tmp/x`;
