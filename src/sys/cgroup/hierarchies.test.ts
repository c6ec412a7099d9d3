import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../errors/index.ts';
import { parseHierarchies } from './hierarchies.ts';

const hybrid = `23 1 254:0 / / rw - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:39 / /sys/fs/cgroup/hugetlb rw,relatime - cgroup coracle rw,hugetlb
43 31 0:40 / /srv/elsewhere rw,relatime - cgroup cgroup rw,pids
`;

test('parseHierarchies() reads v1 and v2 trees of a hybrid, each once', () => {
  assert.deepEqual(parseHierarchies(hybrid, '/sys/fs/cgroup'), [
    {
      mountPoint: '/sys/fs/cgroup/cpu,cpuacct',
      controllers: ['cpu', 'cpuacct'],
      version: 1,
      source: 'cgroup',
    },
    { mountPoint: '/sys/fs/cgroup/systemd', controllers: ['name=systemd'], version: 1, source: 'cgroup' },
    { mountPoint: '/sys/fs/cgroup/unified', controllers: [], version: 2, source: 'cgroup2' },
    { mountPoint: '/sys/fs/cgroup/hugetlb', controllers: ['hugetlb'], version: 1, source: 'coracle' },
  ]);
});

test('parseHierarchies() reads the unified tree', () => {
  const text = '30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate';
  assert.deepEqual(parseHierarchies(text, '/sys/fs/cgroup'), [
    { mountPoint: '/sys/fs/cgroup', controllers: [], version: 2, source: 'cgroup2' },
  ]);
});

test('parseHierarchies() says when nothing is mounted', () => {
  assert.throws(
    () => parseHierarchies('', '/sys/fs/cgroup'),
    (error) => isKind(error, 'unavailable'),
  );
});
