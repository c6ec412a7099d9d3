import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownProcsFile } from './warm-cgroup-moves.ts';

test('ownProcsFile() finds our cgroup in v1, v2 and hybrid trees', () => {
  const all = (): boolean => true;
  assert.equal(ownProcsFile('0::/user.slice/a\n', all), '/sys/fs/cgroup/user.slice/a/cgroup.procs');
  assert.equal(ownProcsFile('4:cpu,cpuacct:/x\n0::/\n', all), '/sys/fs/cgroup/cpu,cpuacct/x/cgroup.procs');
  assert.equal(ownProcsFile('1:name=systemd:/x\n', all), '/sys/fs/cgroup/systemd/x/cgroup.procs');
  const hybrid = (path: string): boolean => path.startsWith('/sys/fs/cgroup/unified/');
  assert.equal(ownProcsFile('4:cpu:/x\n0::/y\n', hybrid), '/sys/fs/cgroup/unified/y/cgroup.procs');
  assert.equal(ownProcsFile('', all), undefined);
});
