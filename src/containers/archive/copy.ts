import {
  MAX_ENTRIES,
  TarParser,
  TreeWriter,
  decompress,
  packFile,
  packTree,
  type Owner,
  type UnpackLimits,
} from '../../archive/index.ts';
import { EngineError, errorMessage, isEngineError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { PathStat } from '../containers.ts';
import { ContainerTree, type ContainerView } from './container-tree.ts';
import { cleanPath, fileNotFound, pathStat, resolvePath } from './path-stat.ts';

/** HEAD /containers/x/archive. @throws {EngineError} `not-found` "Could not find the file x in container y" */
export function statPath(syscall: Syscall, view: ContainerView, path: string): PathStat {
  using tree = new ContainerTree(syscall, view);
  return pathStat(tree, path, resolvePath(tree, view, path));
}

/**
 * GET /containers/x/archive: a tar of a file or directory, entries named after the last component of the path, with
 * what volumes and binds inside it hold. A symlink is archived as itself. The root file system must stay mounted until
 * the archive is read or closed (return()).
 */
export function readArchive(
  syscall: Syscall,
  view: ContainerView,
  path: string,
): { stat: PathStat; archive: AsyncGenerator<Uint8Array, void, void> } {
  using tree = new ContainerTree(syscall, view);
  const stat = pathStat(tree, path, resolvePath(tree, view, path));
  return { stat, archive: archiveOf(syscall, view, path) };
}

/** Resolves anew when it is read, so that an archive that nobody reads holds nothing open. */
async function* archiveOf(
  syscall: Syscall,
  view: ContainerView,
  path: string,
): AsyncGenerator<Uint8Array, void, void> {
  using tree = new ContainerTree(syscall, view);
  const { relative, name, stat } = resolvePath(tree, view, path);
  if (stat.isDirectory()) {
    yield* packTree(syscall, tree.directoryPath(relative), { name, mounts: tree.mountsBelow(relative) });
  } else {
    yield* packFile(syscall, tree.entryText(relative), name);
  }
}

export interface WriteArchiveOptions {
  /** A directory is never replaced by something else, nor the other way round. */
  noOverwriteDirNonDir: boolean;
  /** Docker's copyUIDGID: the owner everything gets, the container's user; else owners are the archive's. */
  owner?: Owner;
  limits?: UnpackLimits;
}

/**
 * PUT /containers/x/archive: unpacks a tar (plain or compressed) into an existing directory of the container; links in
 * the archive and in the container are followed inside the container only.
 * @throws {EngineError} `not-found` "Could not find the file …"; `invalid-parameter` "extraction point is not a
 *   directory", "container rootfs is marked read-only", "mounted volume is marked read-only", "Error processing tar
 *   file: …".
 */
export async function writeArchive(
  syscall: Syscall,
  view: ContainerView,
  path: string,
  archive: AsyncIterable<Uint8Array>,
  options: WriteArchiveOptions,
): Promise<void> {
  using tree = new ContainerTree(syscall, view);
  const base = tree.follow(cleanPath(path), true);
  const stat = tree.stat(base);
  if (stat === undefined) throw fileNotFound(path, view);
  if (!stat.isDirectory()) throw new EngineError('invalid-parameter', 'extraction point is not a directory');
  const mount = tree.mountAt(base);
  if (mount === undefined && view.readonlyRoot) {
    throw new EngineError('invalid-parameter', 'container rootfs is marked read-only', { code: 'read-only' });
  }
  if (mount?.writable === false) {
    throw new EngineError('invalid-parameter', 'mounted volume is marked read-only', { code: 'read-only' });
  }
  const { limits = {} } = options;
  const writer = new TreeWriter(
    tree,
    {
      form: 'plain',
      base,
      noOverwriteDirNonDir: options.noOverwriteDirNonDir,
      maxEntries: limits.maxEntries ?? MAX_ENTRIES,
      ...(options.owner === undefined ? {} : { owner: options.owner }),
    },
    syscall,
  );
  const parser = new TarParser(writer);
  try {
    for await (const chunk of decompress(archive, { limits })) parser.push(chunk);
    parser.finish();
    writer.finish();
  } catch (error) {
    const kind = isEngineError(error) ? error.kind : 'internal';
    throw new EngineError(kind, `Error processing tar file: ${errorMessage(error)}`, { cause: error });
  } finally {
    writer.abort();
  }
}

/** GET /containers/x/export: the root file system, without what is mounted into it. */
export function exportTree(
  syscall: Syscall,
  view: Pick<ContainerView, 'rootPath'>,
): AsyncGenerator<Uint8Array, void, void> {
  return packTree(syscall, view.rootPath);
}
