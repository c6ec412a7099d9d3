import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { LinuxCgroups } from '../../src/sys/cgroup/index.ts';
import { readHierarchies } from '../../src/sys/cgroup/hierarchies.ts';

const root = '/sys/fs/cgroup';
const privileged = process.getuid?.() === 0 ? false : 'needs root';
const syscall = {
  mount: () => assert.fail('nothing is to be mounted here'),
  unmount: () => assert.fail('nothing is to be unmounted here'),
  kill: (pid: number, signal: number) => void process.kill(pid, signal),
};

/** Puts a process into the cgroup in every hierarchy, as an OCI runtime does. */
function enter(pid: number, directory: string): void {
  for (const { mountPoint } of readHierarchies(root)) {
    const path = `${mountPoint}/${directory}`;
    mkdirSync(path, { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const parent = directory.split('/')[0] ?? '';
      for (const [from, to] of [
        [mountPoint, `${mountPoint}/${parent}`],
        [`${mountPoint}/${parent}`, path],
      ]) {
        if (existsSync(`${to}/${file}`) && mountPoint.endsWith('cpuset')) {
          writeFileSync(`${to}/${file}`, readFileSync(`${from}/${file}`));
        }
      }
    }
    writeFileSync(`${path}/cgroup.procs`, String(pid));
  }
}

test(
  'LinuxCgroups.remove() kills what is inside and removes every hierarchy',
  { skip: privileged },
  async () => {
    const cgroups = new LinuxCgroups({ syscall, driver: 'cgroupfs' });
    const parent = `coracle-test-${process.pid}`;
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    const exited = once(child, 'exit');
    enter(child.pid ?? 0, `${parent}/abc`);

    assert.deepEqual(cgroups.processes(`/${parent}/abc`), [child.pid]);
    assert.deepEqual(cgroups.children(`/${parent}`), ['abc']);
    const stats = cgroups.stats(`/${parent}/abc`);
    assert.equal(stats.oomKills, 0);
    assert.equal(stats.memoryLimitBytes, 0);
    assert.equal(typeof stats.cpuUsageNanos, 'bigint');

    await cgroups.remove(`/${parent}/abc`);
    assert.deepEqual((await exited)[1], 'SIGKILL');
    assert.deepEqual(cgroups.children(`/${parent}`), []);
    assert.deepEqual(cgroups.processes(`/${parent}/abc`), []);
    await cgroups.remove(`/${parent}/abc`);
    for (const { mountPoint } of readHierarchies(root)) assert.ok(!existsSync(`${mountPoint}/${parent}/abc`));

    await cgroups.restore();
    for (const { mountPoint } of readHierarchies(root)) assert.ok(!existsSync(`${mountPoint}/${parent}`));
  },
);

test('LinuxCgroups.oomKills() counts what the OOM killer took', { skip: privileged }, async () => {
  const cgroups = new LinuxCgroups({ syscall, driver: 'cgroupfs' });
  const parent = `coracle-test-oom-${process.pid}`;
  const memory = readHierarchies(root).find(({ controllers, version }) =>
    version === 2 ? cgroups.setup.version === 2 : controllers.includes('memory'),
  );
  assert.ok(memory);
  const script = 'read go; exec tail /dev/zero';
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
  const exited = once(child, 'exit');
  try {
    enter(child.pid ?? 0, `${parent}/abc`);
    const limit = cgroups.setup.version === 2 ? 'memory.max' : 'memory.limit_in_bytes';
    writeFileSync(`${memory.mountPoint}/${parent}/abc/${limit}`, String(16 << 20));
    assert.equal(cgroups.stats(`/${parent}/abc`).memoryLimitBytes, 16 << 20);
    child.stdin?.write('go\n');
    await exited;
    assert.equal(cgroups.oomKills(`/${parent}/abc`), 1);
  } finally {
    child.kill('SIGKILL');
    await cgroups.remove(`/${parent}/abc`);
    await cgroups.restore();
  }
});
