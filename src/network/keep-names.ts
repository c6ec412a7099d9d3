import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Records } from '../records/index.ts';
import type { DescriptorWatcher, Netlink, Syscall } from '../sys/index.ts';
import { directoryOf } from './directory.ts';
import { NameServers } from './dns/index.ts';
import { lookAround } from './look-around.ts';
import { NetworkTable } from './network-table.ts';
import { sandboxPath } from './sandboxes.ts';

/** Collections of the records that names are made of. */
export const nameCollections: readonly string[] = [
  'networks',
  'network-endpoints',
  'network-names',
  'network-sandboxes',
];

/**
 * Answers names in place of an engine that is dead, on the same sockets, out of what it wrote down. Containers that end
 * meanwhile are no longer answered.
 * @param parts.records a copy: the next engine wants the database for itself
 * @param parts.pidOf the container's process as it was
 * @returns when no container is left that asks
 */
export async function keepNames(parts: {
  syscall: Pick<Syscall, 'inNetworkNamespace' | 'socket' | 'bind' | 'connect' | 'close'>;
  netlink: Pick<Netlink, 'inNamespace'>;
  watcher: Pick<DescriptorWatcher, 'openDatagrams'>;
  records: Records;
  execRoot: string;
  pidOf: (containerId: string) => number | undefined;
}): Promise<void> {
  const { syscall, netlink, watcher, records, execRoot, pidOf } = parts;
  const sandboxes = new Map(records.collection<{ id: string }>('network-sandboxes').entries());
  const pathOf = (containerId: string): string | undefined => {
    const sandbox = sandboxes.get(containerId);
    return sandbox === undefined ? undefined : sandboxPath(join(execRoot, 'netns'), sandbox.id);
  };
  const isAlive = (containerId: string): boolean => {
    const path = pathOf(containerId);
    const pid = pidOf(containerId) ?? 0;
    // The number may be another process's by now: that one is in another network.
    return path !== undefined && pid > 0 && isSameFile(path, `/proc/${pid}/ns/net`);
  };
  const names = new NameServers({
    syscall,
    netlink,
    watcher,
    records: records.collection('network-names'),
    directory: directoryOf(new NetworkTable(records), isAlive),
  });
  for (const containerId of names.known()) {
    const path = isAlive(containerId) ? pathOf(containerId) : undefined;
    try {
      if (path === undefined) names.stop(containerId);
      else names.serve(containerId, path);
    } catch {
      names.stop(containerId);
    }
  }
  await lookAround(() => {
    for (const containerId of names.known()) if (!isAlive(containerId)) names.stop(containerId);
    return names.known().length > 0 && existsSync(execRoot);
  });
  names.close();
}

function isSameFile(one: string, other: string): boolean {
  try {
    return statSync(one).ino === statSync(other).ino;
  } catch {
    return false;
  }
}
