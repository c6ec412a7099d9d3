import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { Syscall } from '../sys/index.ts';
import { CopySnapshotter } from './copy-snapshotter.ts';
import { OverlaySnapshotter } from './overlay-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';

export interface OpenSnapshotterOptions {
  dataRoot: string;
  syscall: Syscall;
  /** `overlay2` (also `overlay`) or `vfs`; default: what was used in this data root, else overlay2 where it works. */
  driver?: string;
}

/** File systems by the magic of statfs(2), as Docker names them. */
const fileSystems: Readonly<Record<number, string>> = {
  0xef53: 'extfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x2fc12fc1: 'zfs',
  0x6969: 'nfs',
  0x794c7630: 'overlayfs',
  0x65735546: 'fuse',
};

/**
 * Opens the snapshotter of a data root: overlay2 where a trial mount works, else vfs, with the reason in `status`.
 * @throws {EngineError} `invalid-parameter` for an unknown driver; `unavailable` when overlay2 was asked for and cannot
 *   work there.
 */
export async function openSnapshotter(options: OpenSnapshotterOptions): Promise<Snapshotter> {
  const { dataRoot, syscall, driver } = options;
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  if (driver !== undefined && !['overlay2', 'overlay', 'vfs'].includes(driver)) {
    throw new EngineError(
      'invalid-parameter',
      `error initializing graphdriver: driver not supported: ${driver}`,
    );
  }
  const backing = fileSystemName(syscall, dataRoot);
  const vfs = (why: string): Snapshotter =>
    new CopySnapshotter({
      directory: `${dataRoot}/vfs`,
      syscall,
      status: [
        ['Backing Filesystem', backing],
        ['Reason', why],
      ],
    });
  if (driver === 'vfs') return vfs('asked for');
  if (driver === undefined && isUsed(`${dataRoot}/vfs`) && !isUsed(`${dataRoot}/overlay2`)) {
    return vfs('used in this data root before');
  }
  const directory = `${dataRoot}/overlay2`;
  const existed = existsSync(directory);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const obstacle = probeOverlay(syscall, directory);
  if (obstacle !== undefined) {
    if (!existed) rmSync(directory, { recursive: true, force: true });
    if (driver !== undefined || isUsed(directory)) {
      throw new EngineError('unavailable', `Cannot use storage driver overlay2 in ${dataRoot}: ${obstacle}`);
    }
    return vfs(obstacle);
  }
  return new OverlaySnapshotter({
    directory,
    syscall,
    status: [
      ['Backing Filesystem', backing],
      ['Supports d_type', 'true'],
      ['Using metacopy', 'false'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
    ],
  });
}

/** Tries what snapshots need; the reason why it does not work, or undefined. Leaves nothing behind. */
function probeOverlay(syscall: Syscall, directory: string): string | undefined {
  const probe = mkdtempSync(`${directory}/probe-`);
  const merged = `${probe}/merged`;
  let mounted = false;
  try {
    for (const name of ['lower', 'lower2', 'upper', 'work', 'merged']) mkdirSync(`${probe}/${name}`);
    // overlayfs cannot hide whiteouts where the file system does not tell types in directory entries.
    writeFileSync(`${probe}/lower/gone`, '');
    const typed = readdirSync(`${probe}/lower`, { withFileTypes: true })[0]?.isFile() === true;
    if (!typed) return 'the backing file system does not support d_type';
    syscall.lsetxattr(`${probe}/upper`, 'trusted.overlay.opaque', Buffer.from('n'));
    syscall.mknod(`${probe}/upper/gone`, 0o020000, 0, 0);
    syscall.mountOverlay({
      target: merged,
      lowerDirs: [`${probe}/lower`, `${probe}/lower2`],
      upperDir: `${probe}/upper`,
      workDir: `${probe}/work`,
    });
    mounted = true;
    if (readdirSync(merged).length > 0) return 'whiteouts are not honoured';
    return undefined;
  } catch (error) {
    return errorMessage(error);
  } finally {
    if (mounted) syscall.unmount(merged);
    rmSync(probe, { recursive: true, force: true });
  }
}

function fileSystemName(syscall: Syscall, path: string): string {
  const { type } = syscall.statfs(path);
  return fileSystems[type] ?? '<unknown>';
}

function isUsed(directory: string): boolean {
  for (const kind of ['layers', 'active']) {
    if (existsSync(`${directory}/${kind}`) && readdirSync(`${directory}/${kind}`).length > 0) return true;
  }
  return false;
}
