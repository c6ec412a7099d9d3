import { existsSync } from 'node:fs';
import type { Records } from '../records/index.ts';
import type { Syscall } from '../sys/index.ts';
import { isConfined } from './confinement.ts';
import { lookAround } from './look-around.ts';
import { NetworkTable } from './network-table.ts';
import { descriptorsOf, PortProxies, proxyTarget, type PublishedRecord } from './ports/index.ts';

/** Collections of the records that ports are handed on by. */
export const portCollections: readonly string[] = ['networks', 'network-ports'];

/**
 * Hands on what comes to published ports of IPv6 in place of an engine that is dead, on the same sockets. A port is free
 * as soon as the container has ended that it leads into.
 * @param parts.records a copy: the next engine wants the database for itself
 * @param parts.monitorOf the process that holds a container's sockets
 * @returns when no container is left that needs it
 */
export async function keepPorts(parts: {
  syscall: Pick<Syscall, 'copyDescriptor'>;
  records: Records;
  execRoot: string;
  monitorOf: (containerId: string) => number | undefined;
}): Promise<void> {
  const { records, monitorOf } = parts;
  const table = new NetworkTable(records);
  const published = new Map(records.collection<PublishedRecord>('network-ports').entries());
  const proxies = new PortProxies({
    syscall: parts.syscall,
    targetOf: (containerId, port, client) =>
      isConfined(table, client) ? undefined : proxyTarget(published.get(containerId), port),
    onFailure: () => {},
  });
  for (const [containerId, { proxied = [] }] of published)
    proxies.resume(containerId, proxied, monitorOf(containerId) ?? 0);
  const isHeld = (containerId: string): boolean => {
    const held = descriptorsOf(monitorOf(containerId) ?? 0);
    return (published.get(containerId)?.proxied ?? []).some(({ socket }) => held.has(socket));
  };
  await lookAround(() => {
    const hasRoot = existsSync(parts.execRoot);
    for (const containerId of proxies.containers())
      if (!hasRoot || !isHeld(containerId)) proxies.close(containerId);
    return proxies.containers().length > 0;
  });
}
