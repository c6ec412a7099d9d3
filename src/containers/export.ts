import { packTree } from '../archive/index.ts';
import { EngineError } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { openRoot } from './root-access.ts';
import type { ContainerTable } from './table.ts';

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
  return packAndClose(table, root);
}

async function* packAndClose(
  table: ContainerTable,
  root: { path: string; close(): Promise<void> },
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* packTree(table.parts.syscall, root.path);
  } finally {
    await root.close();
  }
}
