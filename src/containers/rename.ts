import { EngineError, errorMessage, isEngineError } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { invalid } from './errors.ts';
import { renameLinks } from './links.ts';
import type { ContainerTable } from './table.ts';

/** @throws {EngineError} `invalid-parameter`; `conflict` when another container has the name */
export function renameContainer(table: ContainerTable, entry: ContainerEntry, newName: string): void {
  if (newName === '') throw invalid('Neither old nor new names may be empty');
  const { record } = entry;
  const oldName = record.name;
  const bare = newName.startsWith('/') ? newName.slice(1) : newName;
  if (bare === oldName) throw invalid('Renaming a container with the same name as its current name');
  if (entry.removed || entry.removing) {
    throw new EngineError('conflict', 'container is marked for removal and cannot be renamed');
  }
  try {
    record.name = table.names.reserve(newName, entry.id);
  } catch (error) {
    const kind = isEngineError(error) ? error.kind : 'internal';
    throw new EngineError(kind, `Error when allocating new name: ${errorMessage(error)}`, { cause: error });
  }
  try {
    table.save(entry);
  } catch (error) {
    table.names.release(record.name, entry.id);
    record.name = oldName;
    throw error;
  }
  table.names.release(oldName, entry.id);
  table.parts.networks.rename(entry.id, record.name);
  for (const endpoint of Object.values(record.networks)) {
    endpoint.DNSNames = endpoint.DNSNames?.map((known) => (known === oldName ? record.name : known)) ?? null;
  }
  table.save(entry);
  renameLinks(table, entry);
  table.publish(entry, 'rename', { oldName: `/${oldName}` });
}
