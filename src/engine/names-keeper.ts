/**
 * A program: `names-keeper <data root> <exec root>` answers containers' names, and hands on what comes to published ports
 * of IPv6, while no engine does. An engine leaves it behind when it ends, and the next one ends it; see NamesKeeper.
 */
import { keepNames, keepPorts, nameCollections, portCollections } from '../network/index.ts';
import { memoryRecords, openRecords } from '../records/index.ts';
import { createNetlink, createWatcher, linuxSyscall } from '../sys/index.ts';

const [dataRoot = '', execRoot = ''] = process.argv.slice(2);
const records = memoryRecords();
const processes = new Map<string, { pid: number; monitorPid: number }>();
{
  using stored = openRecords(`${dataRoot}/records.db`);
  for (const name of new Set([...nameCollections, ...portCollections])) {
    const copy = records.collection(name);
    for (const [key, value] of stored.collection(name).entries()) copy.put(key, value);
  }
  const containers = stored.collection<{ state: { pid: number; monitorPid: number } }>('containers');
  for (const [id, { state }] of containers.entries()) processes.set(id, state);
}
const syscall = linuxSyscall();
const [netlink, watcher] = [createNetlink(syscall), createWatcher()];
await Promise.all([
  keepPorts({ syscall, records, execRoot, monitorOf: (id) => processes.get(id)?.monitorPid }),
  keepNames({ syscall, netlink, watcher, records, execRoot, pidOf: (id) => processes.get(id)?.pid }),
]);
netlink.close();
watcher.close();
