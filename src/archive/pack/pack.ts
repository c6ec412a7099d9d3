import { lstatSync } from 'node:fs';
import type { Syscall } from '../../sys/index.ts';
import { toHostPath } from '../unpack/names.ts';
import type { TreeChange } from './changes.ts';
import { TreePacker, type PackOptions } from './tree-packer.ts';

/** A directory tree as a tar: `docker export`, `docker cp` out of a container. Follows no symlink but the root itself. */
export async function* packTree(
  syscall: Syscall,
  directory: string,
  options: PackOptions = {},
): AsyncGenerator<Buffer, void, void> {
  const packer = new TreePacker(syscall, options);
  yield* packer.tree(directory);
  yield* packer.end();
}

/** One file (or an empty directory) as a tar with a single member of this name. */
export async function* packFile(
  syscall: Syscall,
  path: string,
  name: string,
): AsyncGenerator<Buffer, void, void> {
  const packer = new TreePacker(syscall);
  yield* packer.entry(path, name, lstatSync(toHostPath(path)));
  yield* packer.end();
}

/** The upper directory of an overlay as a layer tar: whiteouts and opaque directories as `.wh.` names. */
export async function* packChanges(syscall: Syscall, upper: string): AsyncGenerator<Buffer, void, void> {
  yield* packTree(syscall, upper, { whiteouts: true });
}

/** Changes of a whole tree (as treeChanges() lists them) as a layer tar. */
export async function* packTreeChanges(
  syscall: Syscall,
  root: string,
  changes: readonly TreeChange[],
): AsyncGenerator<Buffer, void, void> {
  const packer = new TreePacker(syscall);
  for (const { path, kind } of changes) {
    const name = path.slice(1);
    if (kind === 'deleted') {
      packer.deletion(name);
      continue;
    }
    const stat = lstatSync(toHostPath(`${root}${path}`), { throwIfNoEntry: false });
    if (stat !== undefined) yield* packer.entry(`${root}${path}`, name, stat);
  }
  yield* packer.end();
}
