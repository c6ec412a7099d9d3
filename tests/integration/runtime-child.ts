/** An engine's stand-in for runtime-conmon.test.ts: starts what it is told, says so, and waits to be killed. */
import { readFileSync } from 'node:fs';
import { ConmonRuntime, type RuntimeCreate, type RuntimeExec } from '../../src/runtime/index.ts';
import { createSpawner, createWatcher, LinuxCgroups, linuxSyscall } from '../../src/sys/index.ts';

const order = JSON.parse(readFileSync(0, 'utf8')) as {
  execRoot: string;
  create: RuntimeCreate[];
  exec: RuntimeExec[];
};
const syscall = linuxSyscall();
const cgroups = new LinuxCgroups({ syscall });
const runtime = new ConmonRuntime({
  syscall,
  spawner: createSpawner(),
  watcher: createWatcher(),
  cgroups,
  execRoot: order.execRoot,
  cgroupDriver: cgroups.setup.driver,
});
for (const request of order.create) {
  await runtime.create(request);
  await runtime.start(request.id);
}
for (const request of order.exec) await runtime.exec(request);
console.log('ready');
setInterval(() => {}, 60_000);
