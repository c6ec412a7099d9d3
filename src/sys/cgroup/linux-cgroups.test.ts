import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
  rmdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { SyscallError } from '../../errors/index.ts';
import { LinuxCgroups } from './linux-cgroups.ts';

/** A hybrid in a directory, whose v2 tree holds these controllers; mounts are acted out by its mountinfo. */
function hybrid(context: TestContext, controllers: string, refused = '') {
  const root = mkdtempSync(join(tmpdir(), 'coracle-cgroup-'));
  context.after(() => rmSync(root, { recursive: true }));
  const mountinfoPath = join(root, 'mountinfo');
  const controllersFile = join(root, 'unified', 'cgroup.controllers');
  mkdirSync(join(root, 'unified'));
  mkdirSync(join(root, 'memory'));
  writeFileSync(controllersFile, `${controllers}\n`);
  writeFileSync(
    mountinfoPath,
    `32 31 0:29 / ${root}/memory rw - cgroup cgroup rw,memory\n41 31 0:38 / ${root}/unified rw - cgroup2 cgroup2 rw\n`,
  );
  const calls: string[] = [];
  const syscall = {
    mount: (source: string | null, target: string, type: string | null, _: number, data: string | null) => {
      calls.push(`mount ${source} ${target.slice(root.length)} ${type} ${data}`);
      if (data === refused) throw new SyscallError('mount', 'EBUSY', target);
      appendFileSync(
        mountinfoPath,
        `42 31 0:4${calls.length} / ${target} rw - ${type} ${source} rw,${data}\n`,
      );
      const left = readFileSync(controllersFile, 'utf8')
        .trim()
        .split(' ')
        .filter((name) => name !== data);
      writeFileSync(controllersFile, `${left.join(' ')}\n`);
    },
    unmount: (target: string) => {
      calls.push(`unmount ${target.slice(root.length)}`);
      const kept = readFileSync(mountinfoPath, 'utf8')
        .split('\n')
        .filter((line) => !line.includes(` ${target} `));
      writeFileSync(mountinfoPath, kept.join('\n'));
    },
    kill: () => assert.fail(),
  };
  const countsPath = join(root, 'cgroups');
  const membershipPath = join(root, 'membership');
  const paths = { root, mountinfoPath, countsPath, membershipPath };
  const make = () => new LinuxCgroups({ syscall, ...paths, driver: 'cgroupfs' });
  return { ...paths, calls, make };
}

test('LinuxCgroups.ensureUsable() mounts what v2 holds as v1, once, and restore() undoes it', async (context) => {
  const { root, calls, countsPath, make } = hybrid(context, 'hugetlb misc');
  const cgroups = make();
  assert.equal(cgroups.setup.mode, 'hybrid');
  assert.equal(cgroups.setup.version, 1);
  cgroups.ensureUsable();
  cgroups.ensureUsable();
  assert.deepEqual(calls, ['mount coracle /hugetlb cgroup hugetlb', 'mount coracle /misc cgroup misc']);
  assert.match(cgroups.setup.notes.join('\n'), /hugetlb moved from v2 to v1/);

  // Another container's cgroup keeps the hierarchy.
  mkdirSync(join(root, 'misc', 'someone'));
  // An engine that was killed left the mounts: the next one knows them.
  const next = make();
  writeFileSync(countsPath, 'hugetlb\t10\t2\t1\n');
  const restored = next.restore();
  assert.deepEqual(calls.slice(2), [], 'the kernel still holds a removed cgroup');
  writeFileSync(countsPath, 'hugetlb\t10\t1\t1\n');
  await restored;
  assert.deepEqual(calls.slice(2), ['unmount /hugetlb']);
  assert.ok(!existsSync(join(root, 'hugetlb')));
  assert.ok(existsSync(join(root, 'memory')), 'mounted by the system');
});

test('LinuxCgroups.ensureUsable() says what it could not mount, and does not try again', (context) => {
  const { root, calls, make } = hybrid(context, 'hugetlb', 'hugetlb');
  const cgroups = make();
  cgroups.ensureUsable();
  cgroups.ensureUsable();
  assert.equal(calls.length, 1);
  assert.match(cgroups.setup.notes.join('\n'), /cannot mount cgroup controller hugetlb as v1: .*EBUSY/);
  assert.ok(!existsSync(join(root, 'hugetlb')));
});

test('LinuxCgroups.ensureUsable() mounts again what another engine unmounted too early', (context) => {
  const { root, calls, membershipPath, make } = hybrid(context, '');
  const cgroups = make();
  writeFileSync(join(root, 'memory', 'cgroup.procs'), '');
  writeFileSync(membershipPath, '9:hugetlb:/\n4:memory:/a\n1:name=systemd:/\n0::/\n');
  cgroups.ensureUsable();
  assert.deepEqual(calls, ['mount coracle /hugetlb cgroup hugetlb']);
});

test('LinuxCgroups.ensureUsable() does nothing when v2 holds nothing', (context) => {
  const { calls, make } = hybrid(context, '');
  make().ensureUsable();
  assert.deepEqual(calls, []);
});

test('LinuxCgroups.stats() reads v1 and v2 files, and 0 for no limit', (context) => {
  const { root, make } = hybrid(context, '');
  mkdirSync(join(root, 'memory', 'a'));
  mkdirSync(join(root, 'memory', 'a', 'nested'));
  for (const path of ['a', 'a/nested']) {
    writeFileSync(join(root, 'memory', path, 'cgroup.procs'), '7\n');
    writeFileSync(join(root, 'memory', path, 'memory.oom_control'), 'under_oom 0\noom_kill 2\n');
  }
  writeFileSync(join(root, 'memory', 'a', 'memory.usage_in_bytes'), '4096\n');
  writeFileSync(join(root, 'memory', 'a', 'memory.limit_in_bytes'), '9223372036854771712\n');
  assert.deepEqual(make().stats('/a'), {
    memoryUsageBytes: 4096,
    memoryLimitBytes: 0,
    oomKills: 4,
    pidsCurrent: 0,
    cpuUsageNanos: 0n,
  });
  assert.deepEqual(make().processes('/a'), [7]);

  writeFileSync(join(root, 'mountinfo'), `30 23 0:26 / ${root} rw - cgroup2 cgroup2 rw\n`);
  mkdirSync(join(root, 'b'));
  writeFileSync(join(root, 'b', 'cgroup.procs'), '8\n9\n');
  writeFileSync(join(root, 'b', 'memory.current'), '8192\n');
  writeFileSync(join(root, 'b', 'memory.max'), 'max\n');
  writeFileSync(join(root, 'b', 'memory.events'), 'low 0\noom 3\noom_kill 1\n');
  writeFileSync(join(root, 'b', 'pids.current'), '2\n');
  writeFileSync(join(root, 'b', 'cpu.stat'), 'usage_usec 15\nuser_usec 10\n');
  const unified = make();
  assert.equal(unified.setup.mode, 'unified');
  assert.deepEqual(unified.stats('/b'), {
    memoryUsageBytes: 8192,
    memoryLimitBytes: 0,
    oomKills: 1,
    pidsCurrent: 2,
    cpuUsageNanos: 15_000n,
  });
  assert.deepEqual(unified.processes('/b'), [8, 9]);
});

test('LinuxCgroups.oomKillsAround() tells a kill from the slice when the scope is gone', (context) => {
  const { root, make } = hybrid(context, '');
  writeFileSync(join(root, 'mountinfo'), `30 23 0:26 / ${root} rw - cgroup2 cgroup2 rw\n`);
  const scope = join(root, 'system.slice', 'coracle-a.scope');
  mkdirSync(scope, { recursive: true });
  const slice = join(root, 'system.slice', 'memory.events');
  writeFileSync(slice, 'oom_kill 5\n');
  const cgroups = make();
  cgroups.watchOomKills('system.slice:coracle:a');
  writeFileSync(slice, 'oom_kill 6\n');
  assert.equal(cgroups.oomKillsAround('system.slice:coracle:a'), false, 'a scope that is there knows better');
  writeFileSync(slice, 'oom_kill 7\n');
  rmdirSync(scope);
  assert.equal(cgroups.oomKillsAround('system.slice:coracle:a'), true);
  assert.equal(cgroups.oomKillsAround('system.slice:coracle:a'), false, 'each kill is told once');
});
