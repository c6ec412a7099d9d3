import { EngineError } from '../errors/index.ts';
import type { Filters } from './containers.ts';
import { invalid } from './errors.ts';
import { assertKnownFilters, matchesLabels, parseUntil } from './filter-values.ts';
import { removeContainer } from './remove.ts';
import { containerSizes } from './sizes.ts';
import type { ContainerTable } from './table.ts';
import { parseNs } from './timestamp.ts';

/** Removes what does not run. A container that cannot be removed is reported and left. @see moby daemon/prune.go */
export async function pruneContainers(
  table: ContainerTable,
  filters: Filters,
): Promise<{ ids: string[]; spaceReclaimedBytes: number }> {
  assertKnownFilters(filters, ['label', 'label!', 'until']);
  if (table.pruning) throw new EngineError('conflict', 'a prune operation is already running');
  table.pruning = true;
  try {
    return await prune(table, filters);
  } finally {
    table.pruning = false;
  }
}

async function prune(
  table: ContainerTable,
  filters: Filters,
): Promise<{ ids: string[]; spaceReclaimedBytes: number }> {
  const until = filters.get('until') ?? [];
  if (until.length > 1) throw invalid('more than one until filter specified');
  const before =
    until[0] === undefined ? null : BigInt(Math.round(parseUntil(until[0], Date.now()))) * 1_000_000n;
  const ids: string[] = [];
  let spaceReclaimedBytes = 0;
  for (const entry of table.entries.values()) {
    const { record } = entry;
    if (entry.running || entry.removing) continue;
    if (before !== null && parseNs(record.createdAt) > before) continue;
    if (!matchesLabels(record.config.Labels, filters.get('label') ?? [])) continue;
    const unwanted = filters.get('label!') ?? [];
    if (unwanted.length > 0 && matchesLabels(record.config.Labels, unwanted)) continue;
    try {
      const { sizeRwBytes } = await containerSizes(table, entry);
      await removeContainer(table, entry, { force: false, volumes: false, link: false });
      ids.push(entry.id);
      spaceReclaimedBytes += sizeRwBytes;
    } catch (error) {
      table.report(`prune ${entry.id}`, error);
    }
  }
  table.parts.events.publish('container', 'prune', '', { reclaimed: String(spaceReclaimedBytes) });
  return { ids, spaceReclaimedBytes };
}
