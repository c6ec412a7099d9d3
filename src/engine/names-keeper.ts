/**
 * A program: `names-keeper <data root> <exec root>` answers containers' names while no engine does. An engine leaves it
 * behind when it ends, and the next one ends it; see NamesKeeper.
 */
import { keepNames, nameCollections } from '../network/index.ts';
import { memoryRecords, openRecords } from '../records/index.ts';
import { createNetlink, createWatcher, linuxSyscall } from '../sys/index.ts';

const [dataRoot = '', execRoot = ''] = process.argv.slice(2);
const records = memoryRecords();
const pids = new Map<string, number>();
{
  using stored = openRecords(`${dataRoot}/records.db`);
  for (const name of nameCollections) {
    const copy = records.collection(name);
    for (const [key, value] of stored.collection(name).entries()) copy.put(key, value);
  }
  for (const [id, { state }] of stored.collection<{ state: { pid: number } }>('containers').entries())
    pids.set(id, state.pid);
}
const syscall = linuxSyscall();
const [netlink, watcher] = [createNetlink(syscall), createWatcher()];
await keepNames({ syscall, netlink, watcher, records, execRoot, pidOf: (id) => pids.get(id) });
netlink.close();
watcher.close();
