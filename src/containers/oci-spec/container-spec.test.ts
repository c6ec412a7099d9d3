import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { HostConfig, RuntimeSpec } from '../../spec/index.ts';
import type { SpecInput } from './build-spec.ts';
import { defaultCapabilities, knownCapabilities } from './capabilities.ts';
import { buildSpec } from './container-spec.ts';
import { runtimeResources } from './resources.ts';
import { emptyHostConfig, specInput } from './test-input.ts';

const root = mkdtempSync(join(tmpdir(), 'coracle-spec-'));
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'etc'));
writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:\napp:x:1000:1000::/srv:\n');
writeFileSync(join(root, 'etc/group'), 'root:x:0:\nvideo:x:44:app\n');

const build = (changes?: Parameters<typeof specInput>[1]): RuntimeSpec =>
  buildSpec(specInput(root, changes)).spec;
const ofHost = (hostConfig: Partial<HostConfig>, rest: Partial<SpecInput> = {}): RuntimeSpec =>
  build({ hostConfig, ...(rest as object) });
const mountAt = (spec: RuntimeSpec, path: string) => spec.mounts.find((mount) => mount.destination === path);

test('buildSpec() of a plain container', () => {
  const spec = build();
  assert.deepEqual(spec.process, {
    terminal: false,
    user: { uid: 0, gid: 0, additionalGids: [0] },
    args: ['echo', 'hi'],
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOSTNAME=box', 'HOME=/root'],
    cwd: '/',
    capabilities: {
      bounding: defaultCapabilities,
      effective: defaultCapabilities,
      permitted: defaultCapabilities,
      inheritable: [],
      ambient: [],
    },
    noNewPrivileges: false,
    oomScoreAdj: 0,
  });
  assert.deepEqual(spec.root, { path: root, readonly: false });
  assert.equal(spec.hostname, 'box');
  assert.deepEqual(
    spec.mounts.map((mount) => [mount.destination, mount.type, mount.options?.join()]),
    [
      ['/proc', 'proc', 'nosuid,noexec,nodev'],
      ['/dev', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k'],
      ['/dev/pts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5'],
      ['/sys', 'sysfs', 'nosuid,noexec,nodev,ro'],
      ['/sys/fs/cgroup', 'cgroup', 'ro,nosuid,noexec,nodev'],
      ['/dev/mqueue', 'mqueue', 'nosuid,noexec,nodev'],
      ['/dev/shm', 'tmpfs', 'nosuid,noexec,nodev,mode=1777,size=67108864'],
    ],
  );
  assert.deepEqual(
    spec.linux.namespaces.map(({ type }) => type),
    ['mount', 'network', 'uts', 'pid', 'ipc'],
  );
  assert.ok(spec.linux.seccomp);
  assert.ok(spec.linux.maskedPaths?.includes('/proc/keys'));
  assert.deepEqual(spec.linux.devices, []);
  assert.deepEqual(Object.keys(spec.linux.resources), ['devices']);
});

test('buildSpec() puts the environment of a terminal and the user together', () => {
  const { process } = build({
    config: { Tty: true, User: 'app', Env: ['PATH=/x', 'A=1', 'HOSTNAME'], WorkingDir: '/srv/dir' },
    hostConfig: { ConsoleSize: [24, 80] },
  });
  assert.deepEqual(process.env, ['PATH=/x', 'TERM=xterm', 'A=1', 'HOME=/srv']);
  assert.deepEqual(process.consoleSize, { height: 24, width: 80 });
  assert.deepEqual(process.user, { uid: 1000, gid: 1000, additionalGids: [1000, 44] });
  assert.equal(process.cwd, '/srv/dir');
  assert.ok(existsSync(join(root, 'srv/dir')));
});

test('buildSpec() makes the working directory inside the root', () => {
  symlinkSync('/', join(root, 'up'));
  build({ config: { WorkingDir: '/up/../../inside' } });
  assert.ok(existsSync(join(root, 'inside')));
  assert.throws(() => build({ config: { WorkingDir: '/etc/passwd/x' } }), {
    message: 'Cannot mkdir: /etc/passwd/x is not a directory',
  });
  assert.throws(() => build({ config: { WorkingDir: '/etc/passwd' } }), {
    message: 'Cannot mkdir: /etc/passwd is not a directory',
  });
});

test('buildSpec() runs an init in a process namespace of its own', () => {
  const spec = build({ initPath: '/usr/bin/tini' });
  assert.deepEqual(spec.process.args, ['/sbin/docker-init', '--', 'echo', 'hi']);
  assert.deepEqual(mountAt(spec, '/sbin/docker-init')?.options, ['bind', 'ro']);
  const shared = build({ initPath: '/usr/bin/tini', hostConfig: { PidMode: 'host' } });
  assert.deepEqual(shared.process.args, ['echo', 'hi']);
});

const namespaceCases: [Partial<HostConfig>, Partial<SpecInput>, string[]][] = [
  [{ PidMode: 'host' }, {}, ['mount', 'network', 'uts', 'ipc']],
  [{ IpcMode: 'host' }, {}, ['mount', 'network', 'uts', 'pid']],
  [{ UTSMode: 'host' }, {}, ['mount', 'network', 'pid', 'ipc']],
  [{ NetworkMode: 'host' }, {}, ['mount', 'uts', 'pid', 'ipc']],
  [{ CgroupnsMode: 'private' }, {}, ['mount', 'network', 'uts', 'pid', 'ipc', 'cgroup']],
  [{}, { cgroupVersion: 2 }, ['mount', 'network', 'uts', 'pid', 'ipc', 'cgroup']],
  [{ CgroupnsMode: 'host' }, { cgroupVersion: 2 }, ['mount', 'network', 'uts', 'pid', 'ipc']],
  [
    { PidMode: 'container:x' },
    { namespacePaths: { pid: '/proc/1/ns/pid', network: '/run/n' } },
    ['mount', 'network=/run/n', 'uts', 'pid=/proc/1/ns/pid', 'ipc'],
  ],
];
for (const [hostConfig, rest, expected] of namespaceCases)
  test(`buildSpec() namespaces of ${JSON.stringify({ ...hostConfig, ...rest })}`, () => {
    const { namespaces } = ofHost(hostConfig, rest).linux;
    assert.deepEqual(
      namespaces.map(({ type, path }) => (path === undefined ? type : `${type}=${path}`)),
      expected,
    );
  });

test('buildSpec() leaves the names of a shared UTS namespace alone', () => {
  assert.equal(ofHost({ UTSMode: 'host' }).hostname, undefined);
  assert.equal(build({ config: { Domainname: 'd.example' } }).domainname, 'd.example');
});

test('buildSpec() of a privileged container', () => {
  const bounding = knownCapabilities.filter((name) => name !== 'CAP_SYS_RESOURCE');
  const spec = ofHost({ Privileged: true }, { boundingCapabilities: bounding });
  assert.deepEqual(spec.process.capabilities?.bounding, bounding);
  assert.equal(spec.linux.seccomp, undefined);
  assert.equal(spec.linux.maskedPaths, undefined);
  assert.equal(spec.linux.readonlyPaths, undefined);
  assert.ok(!mountAt(spec, '/sys')?.options?.includes('ro'));
  assert.ok(!mountAt(spec, '/sys/fs/cgroup')?.options?.includes('ro'));
  assert.deepEqual(spec.linux.resources.devices, [{ allow: true, access: 'rwm' }]);
  assert.ok(spec.linux.devices.some((device) => device.path === '/dev/null'));
  assert.ok(!spec.linux.devices.some((device) => /^\/dev\/(pts|shm|console)/.test(device.path)));
});

const resourceCases: [Partial<HostConfig>, object][] = [
  [
    { Memory: 1e7, MemorySwap: 2e7, MemoryReservation: 8e6, MemorySwappiness: 10, OomKillDisable: true },
    { memory: { limit: 1e7, swap: 2e7, reservation: 8e6, swappiness: 10, disableOOMKiller: true } },
  ],
  [{ MemorySwap: -1, MemorySwappiness: -1, OomKillDisable: false }, {}],
  [{ NanoCpus: 15e8 }, { cpu: { period: 100000, quota: 150000 } }],
  [
    { CpuShares: 512, CpuPeriod: 50000, CpuQuota: 25000, CpusetCpus: '0', CpusetMems: '0' },
    { cpu: { shares: 512, period: 50000, quota: 25000, cpus: '0', mems: '0' } },
  ],
  [
    { CpuRealtimePeriod: 1000000, CpuRealtimeRuntime: 950000 },
    { cpu: { realtimePeriod: 1000000, realtimeRuntime: 950000 } },
  ],
  [{ PidsLimit: 7 }, { pids: { limit: 7 } }],
  [{ PidsLimit: 0 }, {}],
  [{ PidsLimit: -1 }, {}],
  [
    {
      BlkioWeight: 100,
      BlkioWeightDevice: [{ Path: '/dev/null', Weight: 200 }],
      BlkioDeviceWriteIOps: [{ Path: '/dev/zero', Rate: 9 }],
    },
    {
      blockIO: {
        weight: 100,
        weightDevice: [{ major: 1, minor: 3, weight: 200 }],
        throttleWriteIOPSDevice: [{ major: 1, minor: 5, rate: 9 }],
      },
    },
  ],
];
for (const [hostConfig, expected] of resourceCases)
  test(`buildSpec() resources of ${JSON.stringify(hostConfig)}`, () => {
    const { devices: _, ...resources } = ofHost(hostConfig).linux.resources;
    assert.deepEqual(resources, expected);
  });

test('runtimeResources() lifts the limit on processes of a running container', () => {
  assert.deepEqual(runtimeResources(emptyHostConfig({ PidsLimit: -1 })), { pids: { limit: 4194304 } });
});

test('buildSpec() devices: one, renamed, a directory, rules', () => {
  const map = (PathOnHost: string, PathInContainer: string, CgroupPermissions: string) =>
    ofHost({ Devices: [{ PathOnHost, PathInContainer, CgroupPermissions }] }).linux;
  const one = map('/dev/zero', '/dev/nought', 'r');
  assert.equal(one.devices.length, 1);
  const [device] = one.devices;
  assert.deepEqual(
    [device?.type, device?.path, device?.major, device?.minor, device?.fileMode],
    ['c', '/dev/nought', 1, 5, 0o666],
  );
  assert.deepEqual(one.resources.devices?.at(-1), {
    allow: true,
    type: 'c',
    major: 1,
    minor: 5,
    access: 'r',
  });
  const rules = ofHost({ DeviceCgroupRules: ['c 42:* rw', 'b *:* m', 'a 1:2 r'] }).linux.resources.devices;
  assert.deepEqual(rules?.slice(-3), [
    { allow: true, type: 'c', major: 42, access: 'rw' },
    { allow: true, type: 'b', access: 'm' },
    { allow: true, type: 'a', major: 1, minor: 2, access: 'r' },
  ]);
  assert.throws(() => map('/nope', '/nope', 'rwm'), {
    message:
      'error gathering device information while adding custom device "/nope": no such file or directory',
  });
  assert.throws(() => map(root, '/x', 'rwm'), {
    message: `error gathering device information while adding custom device "${root}": not a device node`,
  });
});

test('buildSpec() refuses device requests as Docker without a driver', () => {
  assert.throws(
    () => ofHost({ DeviceRequests: [{ Driver: '', Count: -1, Capabilities: [['gpu']], Options: {} }] }),
    { message: 'could not select device driver "" with capabilities: [[gpu]]' },
  );
});

test('buildSpec() ulimits: own before the daemon, unlimited exact to the last digit', () => {
  const { process } = ofHost(
    { Ulimits: [{ Name: 'nofile', Soft: 10, Hard: -1 }] },
    {
      daemonDefaults: {
        shmSizeBytes: 1,
        noNewPrivileges: true,
        ulimits: [
          { Name: 'nofile', Soft: 1, Hard: 1 },
          { Name: 'core', Soft: 0, Hard: 0 },
        ],
      },
    },
  );
  assert.equal(
    JSON.stringify(process.rlimits),
    '[{"type":"RLIMIT_NOFILE","soft":10,"hard":18446744073709551615},{"type":"RLIMIT_CORE","soft":0,"hard":0}]',
  );
  assert.equal(process.noNewPrivileges, true);
});

test('buildSpec() sysctls: the defaults of an own network, the user over them', () => {
  assert.equal(build().linux.sysctl?.['net.ipv4.ip_unprivileged_port_start'], '0');
  assert.equal(
    ofHost({ Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '9' } }).linux.sysctl?.[
      'net.ipv4.ip_unprivileged_port_start'
    ],
    '9',
  );
  assert.equal(ofHost({ NetworkMode: 'host' }).linux.sysctl, undefined);
  assert.equal(ofHost({ NetworkMode: 'container:x' }).linux.sysctl, undefined);
});

const refusedSysctls: [Partial<HostConfig>, string][] = [
  [
    { NetworkMode: 'host', Sysctls: { 'net.ipv4.ip_forward': '1' } },
    'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
  ],
  [
    { IpcMode: 'host', Sysctls: { 'kernel.msgmax': '1' } },
    'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace',
  ],
  [{ Sysctls: { 'vm.swappiness': '1' } }, 'sysctl "vm.swappiness" is not in a separate kernel namespace'],
];
for (const [hostConfig, message] of refusedSysctls)
  test(`buildSpec() refuses ${JSON.stringify(hostConfig)}`, () => {
    assert.throws(() => ofHost(hostConfig), {
      message: `failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ${message}: unknown`,
    });
  });

test('buildSpec() security options', () => {
  assert.equal(ofHost({ SecurityOpt: ['seccomp=unconfined'] }).linux.seccomp, undefined);
  assert.deepEqual(ofHost({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'] }).linux.seccomp, {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [],
  });
  assert.ok(ofHost({ SecurityOpt: ['seccomp=builtin'], Privileged: true }).linux.seccomp);
  assert.ok(ofHost({ SecurityOpt: ['no-new-privileges'] }).process.noNewPrivileges);
  assert.ok(!ofHost({ SecurityOpt: ['no-new-privileges:false'] }).process.noNewPrivileges);
  assert.ok(
    !mountAt(ofHost({ SecurityOpt: ['writable-cgroups'] }), '/sys/fs/cgroup')?.options?.includes('ro'),
  );
  ofHost({ SecurityOpt: ['apparmor=unconfined', 'label=disable', 'label:type:x', 'disable'] });
});

test('buildSpec() takes masked and read-only paths as they are given', () => {
  const { linux } = ofHost({ MaskedPaths: [], ReadonlyPaths: ['/proc/sys'] });
  assert.equal(linux.maskedPaths, undefined);
  assert.deepEqual(linux.readonlyPaths, ['/proc/sys']);
});

test("buildSpec() gives the user's mounts their places", () => {
  const bind = (destination: string, options = ['rbind']) => ({
    destination,
    type: 'bind',
    source: '/x',
    options,
  });
  const places = (spec: RuntimeSpec): string[] => spec.mounts.map((mount) => mount.destination);
  assert.equal(mountAt(build({ mounts: [bind('/dev/shm')] }), '/dev/shm')?.type, 'bind');
  const ownDev = places(build({ mounts: [bind('/dev')] }));
  assert.ok(!ownDev.includes('/dev/pts') && !ownDev.includes('/dev/shm'));
  assert.ok(!places(ofHost({ IpcMode: 'none' })).includes('/dev/shm'));
  assert.equal(build({ mounts: [bind('/a', ['rbind', 'rshared'])] }).linux.rootfsPropagation, 'shared');
  assert.equal(build({ mounts: [bind('/a', ['rbind', 'rslave'])] }).linux.rootfsPropagation, 'rslave');
  assert.equal(build({ mounts: [bind('/a')] }).linux.rootfsPropagation, undefined);
});

test('buildSpec() keeps a read-only root read-only under /sys even when privileged', () => {
  assert.ok(mountAt(ofHost({ ReadonlyRootfs: true }), '/sys')?.options?.includes('ro'));
  assert.equal(ofHost({ ReadonlyRootfs: true }).root.readonly, true);
});
