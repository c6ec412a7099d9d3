import type { ContainerView } from './archive/index.ts';
import { exportTree, readArchive, statPath, writeArchive } from './archive/index.ts';
import { EngineError } from '../errors/index.ts';
import type { PathStat } from './containers.ts';
import type { ContainerEntry } from './entry.ts';
import { resolveUserInRoot } from './oci-spec/users.ts';
import { openRoot } from './root-access.ts';
import type { ContainerTable } from './table.ts';

/** @throws {EngineError} `not-found` */
export async function statContainerPath(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  path: string,
): Promise<PathStat> {
  const root = await openRoot(table, entry);
  try {
    return statPath(table.parts.syscall, viewOf(entry, nameOrId, root.path), path);
  } finally {
    await root.close();
  }
}

/** The root stays mounted until the archive has been read or given up. */
export async function readContainerArchive(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  path: string,
): Promise<{ stat: PathStat; archive: AsyncIterable<Uint8Array> }> {
  const root = await openRoot(table, entry);
  try {
    const { stat, archive } = readArchive(table.parts.syscall, viewOf(entry, nameOrId, root.path), path);
    table.publish(entry, 'archive-path', { path });
    return { stat, archive: closing(archive, () => root.close()) };
  } catch (error) {
    await root.close();
    throw error;
  }
}

export async function writeContainerArchive(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  request: {
    path: string;
    archive: AsyncIterable<Uint8Array>;
    noOverwriteDirNonDir: boolean;
    /** Everything gets the owner the container runs as. */
    copyUidGid: boolean;
  },
): Promise<void> {
  const { record } = entry;
  const root = await openRoot(table, entry);
  try {
    const owner = request.copyUidGid ? resolveUserInRoot(root.path, record.config.User, []).user : undefined;
    await writeArchive(
      table.parts.syscall,
      viewOf(entry, nameOrId, root.path),
      request.path,
      request.archive,
      {
        noOverwriteDirNonDir: request.noOverwriteDirNonDir,
        ...(owner === undefined ? {} : { owner: { uid: owner.uid, gid: owner.gid } }),
        limits: table.options.archiveLimits ?? {},
      },
    );
    table.publish(entry, 'extract-to-dir', { path: request.path });
  } finally {
    await root.close();
  }
}

/** The root file system as a tar, without what is mounted in it. @throws {EngineError} `conflict` */
export async function exportContainer(
  table: ContainerTable,
  entry: ContainerEntry,
): Promise<AsyncIterable<Uint8Array>> {
  const { status } = entry.record.state;
  if (status === 'dead') {
    throw new EngineError('conflict', `You cannot export container ${entry.id} which is Dead`);
  }
  if (status === 'removing' || entry.removing) {
    throw new EngineError('conflict', `You cannot export container ${entry.id} which is being removed`);
  }
  const root = await openRoot(table, entry);
  table.publish(entry, 'export');
  return closing(exportTree(table.parts.syscall, { rootPath: root.path }), () => root.close());
}

function viewOf(entry: ContainerEntry, nameOrId: string, rootPath: string): ContainerView {
  const { record } = entry;
  return {
    nameOrId,
    rootPath,
    mounts: record.mounts,
    readonlyRoot: record.hostConfig.ReadonlyRootfs,
  };
}

/** `close` is called when the last chunk was read, when the reader gives up, and also when it never begins. */
function closing(
  archive: AsyncGenerator<Uint8Array, void, void>,
  close: () => Promise<void>,
): AsyncIterable<Uint8Array> {
  const iterator: AsyncIterator<Uint8Array> = {
    next: async () => {
      try {
        const result = await archive.next();
        if (result.done === true) await close();
        return result;
      } catch (error) {
        await close();
        throw error;
      }
    },
    return: async () => {
      try {
        await archive.return();
      } finally {
        await close();
      }
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
