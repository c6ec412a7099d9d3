import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostConfig } from '../../spec/index.ts';
import { emptyConfig, emptyHostConfig, machineFacts } from './test-input.ts';
import type { MachineFacts } from './machine-facts.ts';
import { verifyContainerSettings } from './verify-settings.ts';
import { verifyResources } from './verify-resources.ts';

const MiB = 2 ** 20;

const refused: [Partial<HostConfig>, string][] = [
  [{ Memory: 1 }, 'Minimum memory limit allowed is 6MB'],
  [{ Memory: 6 * MiB - 1 }, 'Minimum memory limit allowed is 6MB'],
  [
    { Memory: 8 * MiB, MemorySwap: 7 * MiB },
    'Minimum memoryswap limit should be larger than memory limit, see usage',
  ],
  [{ MemorySwap: 8 * MiB }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
  [{ MemorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
  [{ MemoryReservation: 1 }, 'Minimum memory reservation allowed is 6MB'],
  [
    { Memory: 8 * MiB, MemoryReservation: 9 * MiB },
    'Minimum memory limit can not be less than memory reservation limit, see usage',
  ],
  [{ NanoCpus: 1e9, CpuPeriod: 1000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
  [{ NanoCpus: 1e9, CpuQuota: 1000 }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
  [{ NanoCpus: 5e9 }, 'Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available'],
  [{ NanoCpus: -1 }, 'Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available'],
  [{ CpuShares: -1 }, 'invalid CPU shares (-1): value must be a positive integer'],
  [
    { CpuPeriod: 999 },
    'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
  ],
  [
    { CpuPeriod: 1000001 },
    'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
  ],
  [{ CpuQuota: 999 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
  [
    { CpuRealtimePeriod: 1, CpuRealtimeRuntime: 2 },
    'cpu real-time runtime cannot be higher than cpu real-time period',
  ],
  [{ CpusetCpus: '7' }, 'Requested CPUs are not available - requested 7, available: 0-3'],
  [{ CpusetCpus: '0-4' }, 'Requested CPUs are not available - requested 0-4, available: 0-3'],
  [{ CpusetMems: '1' }, 'Requested memory nodes are not available - requested 1, available: 0'],
  [{ CpusetCpus: 'x' }, 'Invalid value x for cpuset cpus: invalid list of processors: x'],
  [
    { CpusetCpus: '0-99999999' },
    'Invalid value 0-99999999 for cpuset cpus: invalid list of processors: 0-99999999',
  ],
  [{ BlkioWeight: 5 }, 'Range of blkio weight is from 10 to 1000'],
  [{ BlkioWeight: 1001 }, 'Range of blkio weight is from 10 to 1000'],
  [
    { IOMaximumIOps: 1 },
    'Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps',
  ],
  [{ CapAdd: ['foo'] }, 'invalid CapAdd: unknown capability: "CAP_FOO"'],
  [{ CapDrop: ['foo'] }, 'invalid CapDrop: unknown capability: "CAP_FOO"'],
  [{ SecurityOpt: ['foo'] }, 'invalid --security-opt 1: "foo"'],
  [{ SecurityOpt: ['foo=bar'] }, 'invalid --security-opt 2: "foo=bar"'],
  [{ SecurityOpt: ['no-new-privileges=maybe'] }, 'invalid --security-opt 2: "no-new-privileges=maybe"'],
  [
    { StorageOpt: { size: '1g' } },
    "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
  ],
  [{ DeviceCgroupRules: ['x 1:1 rwm'] }, "invalid device cgroup rule format: 'x 1:1 rwm'"],
  [
    { Annotations: { '': 'x' } },
    'invalid Annotations: the empty string is not permitted as an annotation key',
  ],
  [{ NetworkMode: 'container:' }, 'invalid network mode: invalid container format container:<name|id>'],
  [{ NetworkMode: 'container:x', Dns: ['1.1.1.1'] }, 'conflicting options: dns and the network mode'],
  [
    { NetworkMode: 'container:x', PublishAllPorts: true },
    'conflicting options: port publishing and the container type network mode',
  ],
];
for (const [changes, message] of refused)
  test(`verifyContainerSettings() refuses ${JSON.stringify(changes)}`, () => {
    assert.throws(() => verifyContainerSettings(emptyConfig(), emptyHostConfig(changes), machineFacts()), {
      kind: 'invalid-parameter',
      message,
    });
  });

const discarded: [Partial<MachineFacts>, Partial<HostConfig>, string, Partial<HostConfig>][] = [
  [
    { memory: false },
    { Memory: 8 * MiB, MemorySwap: 16 * MiB },
    'Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    { Memory: 0, MemorySwap: -1 },
  ],
  [
    { swap: false },
    { Memory: 8 * MiB, MemorySwap: 16 * MiB },
    'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    { Memory: 8 * MiB, MemorySwap: -1 },
  ],
  [
    { oomKillDisable: false },
    { OomKillDisable: true },
    'Your kernel does not support OomKillDisable. OomKillDisable discarded.',
    { OomKillDisable: null },
  ],
  [
    {},
    { OomKillDisable: true },
    'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    { OomKillDisable: true },
  ],
  [
    { pids: false },
    { PidsLimit: 5 },
    'Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.',
    { PidsLimit: null },
  ],
  [
    { blkioWeight: false },
    { BlkioWeight: 5 },
    'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
    { BlkioWeight: 0 },
  ],
  [
    { blkioThrottle: false },
    { BlkioDeviceReadBps: [{ Path: '/dev/null', Rate: 1 }] },
    'Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.',
    { BlkioDeviceReadBps: [] },
  ],
  [
    { ipv4Forwarding: false },
    { NetworkMode: 'bridge' },
    'IPv4 forwarding is disabled. Networking will not work.',
    {},
  ],
];
for (const [facts, changes, warning, left] of discarded)
  test(`verifyContainerSettings() warns of ${JSON.stringify(changes)} on ${JSON.stringify(facts)}`, () => {
    const hostConfig = emptyHostConfig(changes);
    assert.deepEqual(verifyContainerSettings(emptyConfig(), hostConfig, machineFacts(facts)), [warning]);
    for (const [name, value] of Object.entries(left))
      assert.deepEqual(hostConfig[name as keyof HostConfig], value);
  });

test('verifyContainerSettings() writes the masked paths into the configuration, unless privileged', () => {
  const plain = emptyHostConfig();
  verifyContainerSettings(emptyConfig(), plain, machineFacts());
  assert.ok(plain.MaskedPaths?.includes('/proc/kcore'));
  assert.ok(plain.ReadonlyPaths?.includes('/proc/sys'));
  const open = emptyHostConfig({ MaskedPaths: [], ReadonlyPaths: [] });
  verifyContainerSettings(emptyConfig(), open, machineFacts());
  assert.deepEqual([open.MaskedPaths, open.ReadonlyPaths], [[], []]);
  const privileged = emptyHostConfig({ Privileged: true });
  verifyContainerSettings(emptyConfig(), privileged, machineFacts());
  assert.equal(privileged.MaskedPaths, null);
});

test('verifyContainerSettings() refuses a host name with a shared UTS namespace', () => {
  assert.throws(
    () =>
      verifyContainerSettings(
        emptyConfig({ Hostname: 'h' }),
        emptyHostConfig({ UTSMode: 'host' }),
        machineFacts(),
      ),
    { message: 'conflicting options: hostname and the UTS mode' },
  );
});

test('verifyContainerSettings() wants a slice for a parent under systemd', () => {
  const verify = (CgroupParent: string) =>
    verifyContainerSettings(
      emptyConfig(),
      emptyHostConfig({ CgroupParent }),
      machineFacts({ cgroupDriver: 'systemd' }),
    );
  assert.throws(() => verify('/x'), /should be a valid slice/);
  assert.deepEqual(verify('x.slice'), []);
});

test('verifyResources() takes swap alone in an update', () => {
  assert.deepEqual(verifyResources(emptyHostConfig({ MemorySwap: 8 * MiB }), machineFacts(), true), []);
});
