import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { isCpuListWithin, readMachineFacts, type MachineFacts } from './machine-facts.ts';

function factsOf(cgroupVersion: 1 | 2, files: Record<string, string>): MachineFacts {
  const cgroupRoot = mkdtempSync(join(tmpdir(), 'coracle-facts-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(cgroupRoot, path)), { recursive: true });
      writeFileSync(join(cgroupRoot, path), text);
    }
    return readMachineFacts({
      cgroupVersion,
      cgroupDriver: 'cgroupfs',
      boundingCapabilities: [],
      cgroupRoot,
    });
  } finally {
    rmSync(cgroupRoot, { recursive: true });
  }
}

test('readMachineFacts() goes by the files of cgroup v1', () => {
  const facts = factsOf(1, {
    'memory/memory.limit_in_bytes': '',
    'memory/memory.swappiness': '',
    'cpu/cpu.shares': '',
    'cpuset/cpuset.cpus': '0-1\n',
    'pids/tasks': '',
  });
  const { memory, memorySwappiness, swap, oomKillDisable, pids, cpuShares, cpuQuota, cpusetCpus } = facts;
  assert.deepEqual(
    { memory, memorySwappiness, swap, oomKillDisable, pids, cpuShares, cpuQuota, cpusetCpus },
    {
      memory: true,
      memorySwappiness: true,
      swap: false,
      oomKillDisable: false,
      pids: true,
      cpuShares: true,
      cpuQuota: false,
      cpusetCpus: '0-1',
    },
  );
});

test('readMachineFacts() goes by the controllers of cgroup v2', () => {
  const facts = factsOf(2, {
    'cgroup.controllers': 'cpuset cpu io memory\n',
    'cpuset.cpus.effective': '0-3\n',
  });
  const { memory, memorySwappiness, oomKillDisable, pids, cpuQuota, blkioThrottle, cpusetCpus } = facts;
  assert.deepEqual(
    { memory, memorySwappiness, oomKillDisable, pids, cpuQuota, blkioThrottle, cpusetCpus },
    {
      memory: true,
      memorySwappiness: false,
      oomKillDisable: false,
      pids: false,
      cpuQuota: true,
      blkioThrottle: true,
      cpusetCpus: '0-3',
    },
  );
});

test('isCpuListWithin() compares lists of processors', () => {
  assert.ok(isCpuListWithin('0,2-3', '0-3'));
  assert.ok(!isCpuListWithin('0-4', '0-3'));
  assert.throws(() => isCpuListWithin('3-1', '0-3'), RangeError);
});
