import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildExecProcess, buildSpec, capabilitiesInMask } from '../../src/containers/oci-spec/index.ts';
import { specInput } from '../../src/containers/oci-spec/test-input.ts';
import { copyTree } from '../../src/containers/mounts/copy-tree.ts';
import { mountOf, readHostMounts } from '../../src/containers/mounts/propagation.ts';
import { bindOptions } from '../../src/containers/mounts/runtime-options.ts';
import { LinuxCgroups, linuxSyscall, mountFlags } from '../../src/sys/index.ts';

const defaultMask = '00000000a80425fb';
const name = `coracle-spec-test-${randomBytes(4).toString('hex')}`;
const syscall = linuxSyscall();
const bounding = /^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
const runtimes = ['crun', 'runc'].map((runtime) => ({
  runtime,
  path: ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin']
    .map((directory) => join(directory, runtime))
    .find((path) => existsSync(path)),
}));

function reasonToSkip(runtimePath: string | undefined): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/bin/busybox')) return 'needs busybox-static';
  return runtimePath === undefined ? 'the runtime is not installed' : false;
}

let directory: string;
let root: string;
let cgroups: LinuxCgroups;

before(() => {
  if (reasonToSkip('') !== false) return;
  cgroups = new LinuxCgroups({ syscall });
  cgroups.ensureUsable();
  directory = mkdtempSync('/var/tmp/coracle-spec-test-');
  chmodSync(directory, 0o755);
  root = join(directory, 'root');
  for (const path of ['bin', 'etc', 'tmp', 'root', 'home']) mkdirSync(join(root, path), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of 'sh cat id ls grep mount ulimit env sleep touch hostname unshare stat'.split(' '))
    symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:\napp:x:1000:1000::/home:\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nwheel:x:10:root\nvideo:x:44:app\n');
});

after(async () => {
  if (directory === undefined) return;
  rmSync(directory, { recursive: true, force: true });
  await cgroups.remove(`/${name}`);
  await cgroups.restore();
});

for (const { runtime, path } of runtimes)
  describe(`specs run by ${runtime}`, { skip: reasonToSkip(path) }, () => {
    let count = 0;

    /** Runs a shell script in a container made from the spec; what it printed, its exit status. */
    function run(
      script: string,
      changes: NonNullable<Parameters<typeof specInput>[1]> = {},
    ): { output: string; status: number | null } {
      const id = `${name}-${runtime}-${++count}`;
      const bundle = join(directory, id);
      mkdirSync(bundle);
      const { spec } = buildSpec(
        specInput(root, {
          id,
          entrypointAndCommand: ['sh', '-c', script],
          cgroupsPath: `/${name}/${id}`,
          cgroupVersion: cgroups.setup.version,
          boundingCapabilities: capabilitiesInMask(bounding),
          ...changes,
        }),
      );
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
      const result = spawnSync(
        path as string,
        ['--root', join(directory, 'state'), 'run', '-b', bundle, id],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
          encoding: 'utf8',
          timeout: 20_000,
        },
      );
      return { output: `${result.stdout}${result.stderr}`.trim(), status: result.status };
    }

    const lines = (script: string, changes?: Parameters<typeof run>[1]): string[] =>
      run(script, changes).output.split('\n');

    test('capabilities, seccomp and no-new-privileges of a plain container', () => {
      assert.deepEqual(lines('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status'), [
        'CapInh:\t0000000000000000',
        `CapPrm:\t${defaultMask}`,
        `CapEff:\t${defaultMask}`,
        `CapBnd:\t${defaultMask}`,
        'CapAmb:\t0000000000000000',
        'NoNewPrivs:\t0',
        'Seccomp:\t2',
      ]);
    });

    test('a user other than root has the bounding set alone, its groups, and its home', () => {
      const changes = { config: { User: 'app' }, hostConfig: { GroupAdd: ['10'] } };
      assert.deepEqual(lines('grep -E "^Cap" /proc/self/status; id; echo $HOME', changes), [
        'CapInh:\t0000000000000000',
        'CapPrm:\t0000000000000000',
        'CapEff:\t0000000000000000',
        `CapBnd:\t${defaultMask}`,
        'CapAmb:\t0000000000000000',
        'uid=1000(app) gid=1000 groups=10(wheel),44(video),1000',
        '/home',
      ]);
    });

    test('privileged has what the engine has, all devices, /sys to write to, and no filter', () => {
      const [capabilities, seccomp, ...rest] = lines(
        'grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; grep -cE " /proc/(keys|sys) " /proc/mounts; grep " /sys " /proc/mounts; ls /dev/kmsg',
        { hostConfig: { Privileged: true } },
      );
      assert.equal(capabilities, `CapEff:\t${bounding}`);
      assert.equal(seccomp, 'Seccomp:\t0');
      assert.equal(rest[0], '0');
      assert.match(rest[1] ?? '', /^sysfs \/sys sysfs rw,/);
      assert.equal(rest[2], '/dev/kmsg');
    });

    test('all capabilities added are those of the engine; all dropped leave none', () => {
      const mask = (hostConfig: object): string =>
        run('grep CapEff /proc/self/status', { hostConfig }).output.slice('CapEff:\t'.length);
      assert.equal(mask({ CapAdd: ['ALL'] }), bounding);
      assert.equal(mask({ CapDrop: ['ALL'] }), '0000000000000000');
      assert.equal(mask({ CapDrop: ['ALL'], CapAdd: ['NET_ADMIN'] }), '0000000000001000');
    });

    test('the file systems of a plain container', () => {
      const mounts = lines('cat /proc/mounts').map((line) => {
        const [, path = '', type = '', options = ''] = line.split(' ');
        return { path, type, options: options.split(',') };
      });
      const expected: [string, string, string[]][] = [
        ['/proc', 'proc', ['rw', 'nosuid', 'nodev', 'noexec']],
        ['/dev', 'tmpfs', ['rw', 'nosuid', 'size=65536k', 'mode=755']],
        ['/dev/pts', 'devpts', ['rw', 'nosuid', 'noexec', 'gid=5', 'mode=620', 'ptmxmode=666']],
        ['/sys', 'sysfs', ['ro', 'nosuid', 'nodev', 'noexec']],
        ['/dev/mqueue', 'mqueue', ['rw', 'nosuid', 'nodev', 'noexec']],
        ['/dev/shm', 'tmpfs', ['rw', 'nosuid', 'nodev', 'noexec', 'size=65536k']],
        ['/proc/sys', 'proc', ['ro']],
        ['/sys/firmware', 'tmpfs', ['ro']],
      ];
      for (const [place, type, options] of expected) {
        const found = mounts.findLast((mount) => mount.path === place);
        assert.equal(found?.type, type, place);
        assert.deepEqual(
          options.filter((option) => !found?.options.includes(option)),
          [],
          place,
        );
      }
      const cgroup = mounts.filter((mount) => mount.type.startsWith('cgroup'));
      assert.ok(cgroup.length > 0);
      for (const mount of cgroup) assert.ok(mount.options.includes('ro'), mount.path);
    });

    test('masked paths hide, read-only paths refuse', () => {
      // What is written is what was there, should it not be refused.
      const script = `
        cat /proc/keys /proc/timer_list; ls -A /proc/acpi /sys/firmware 2>/dev/null | grep -v : | grep .
        old=$(cat /proc/sys/kernel/core_pattern); echo "$old" 2>/dev/null >/proc/sys/kernel/core_pattern || echo refused`;
      assert.deepEqual(lines(script), ['refused']);
      assert.match(
        run('grep -c . /proc/timer_list', { hostConfig: { MaskedPaths: [], ReadonlyPaths: [] } }).output,
        /^[1-9]\d*$/,
      );
    });

    test('devices: the default ones, no others may be opened, a mapped one with its permissions', () => {
      assert.deepEqual(
        lines('cd /dev; for f in *; do [ -c $f ] && [ ! -L $f ] && echo $f; done').filter(
          (device) => device !== 'console',
        ),
        ['full', 'null', 'random', 'tty', 'urandom', 'zero'],
      );
      assert.match(
        run('busybox mknod /tmp/mem c 1 1 && cat /tmp/mem; busybox rm /tmp/mem').output,
        /not permitted/i,
      );
      const Devices = [
        { PathOnHost: '/dev/zero', PathInContainer: '/dev/nought', CgroupPermissions: 'r' },
        { PathOnHost: '/dev/kmsg', PathInContainer: '/dev/kmsg', CgroupPermissions: 'r' },
      ];
      assert.deepEqual(
        lines('stat -c %t,%T,%A /dev/nought; echo 2>/dev/null x >/dev/kmsg || echo refused', {
          hostConfig: { Devices },
        }),
        ['1,5,crw-rw-rw-', 'refused'],
      );
    });

    test('ulimits, oom score, host name, environment, working directory', () => {
      const output = lines('ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; hostname; pwd; env', {
        config: { WorkingDir: '/new/dir', Env: ['A=b'] },
        hostConfig: { Ulimits: [{ Name: 'nofile', Soft: 64, Hard: 128 }], OomScoreAdj: 500 },
      });
      assert.deepEqual(output.slice(0, 5), ['64', '128', '500', 'box', '/new/dir']);
      for (const variable of ['A=b', 'HOME=/root', 'HOSTNAME=box'])
        assert.ok(output.includes(variable), variable);
    });

    test('an unlimited ulimit stays unlimited', () => {
      assert.equal(
        run('ulimit -f', { hostConfig: { Ulimits: [{ Name: 'fsize', Soft: -1, Hard: -1 }] } }).output,
        'unlimited',
      );
    });

    test('seccomp refuses what the policy does not name, unless it is off', () => {
      assert.match(run('unshare -U true').output, /not permitted/i);
      assert.equal(
        run('grep Seccomp: /proc/self/status', { hostConfig: { SecurityOpt: ['seccomp=unconfined'] } })
          .output,
        'Seccomp:\t0',
      );
      const profile = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['sethostname', 'mkdir'], action: 'SCMP_ACT_ERRNO' }],
      };
      assert.match(
        run('busybox mkdir /tmp/x', { hostConfig: { SecurityOpt: [`seccomp=${JSON.stringify(profile)}`] } })
          .output,
        /not permitted/i,
      );
    });

    test('a read-only root refuses, /dev and tmpfs take what is written', () => {
      const mounts = [{ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] }];
      assert.deepEqual(
        lines('touch /x 2>/dev/null || echo refused; touch /tmp/x /dev/x /dev/shm/x && echo written', {
          hostConfig: { ReadonlyRootfs: true },
          mounts,
        }),
        ['refused', 'written'],
      );
    });

    test('namespaces: own ones, or those of the host', () => {
      const link = (type: string, hostConfig: object): string =>
        run(`busybox readlink /proc/self/ns/${type}`, { hostConfig }).output;
      const ours = (type: string): string =>
        spawnSync('readlink', [`/proc/self/ns/${type}`])
          .stdout.toString()
          .trim();
      for (const [type, mode] of [
        ['pid', { PidMode: 'host' }],
        ['ipc', { IpcMode: 'host' }],
        ['uts', { UTSMode: 'host' }],
        ['net', { NetworkMode: 'host' }],
        ['cgroup', { CgroupnsMode: 'host' }],
      ] as const) {
        assert.notEqual(link(type, { CgroupnsMode: 'private' }), ours(type), type);
        assert.equal(link(type, mode), ours(type), type);
      }
    });

    test('sysctls of the network namespace', () => {
      assert.deepEqual(
        lines(
          'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shmmni',
          { hostConfig: { Sysctls: { 'kernel.shmmni': '99' } } },
        ).map((line) => line.replace(/\s+/g, ' ')),
        ['0', '0 2147483647', '99'],
      );
    });

    test('limits reach the cgroup', () => {
      const version = cgroups.setup.version;
      const script =
        version === 2
          ? 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max'
          : 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us';
      assert.deepEqual(lines(script, { hostConfig: { Memory: 2 ** 25, PidsLimit: 33, NanoCpus: 5e8 } }), [
        '33554432',
        '33',
        version === 2 ? '50000 100000' : '50000',
      ]);
    });

    test('no limit on processes when zero or less is asked', () => {
      assert.equal(run('echo ran', { hostConfig: { PidsLimit: -1 } }).output, 'ran');
    });

    test(
      'an init is the first process',
      { skip: existsSync('/usr/bin/tini-static') ? false : 'needs tini-static' },
      () => {
        assert.match(
          run('cat /proc/1/cmdline | busybox tr "\\0" " "; echo', { initPath: '/usr/bin/tini-static' })
            .output,
          /^\/sbin\/docker-init -- sh -c/,
        );
      },
    );

    test('read-only binds are so to the last mount below', () => {
      const source = join(directory, `${runtime}-ro`);
      mkdirSync(join(source, 'below'), { recursive: true });
      syscall.mount('tmpfs', join(source, 'below'), 'tmpfs', mountFlags.nodev, null);
      try {
        const bind = (writable: boolean) => [
          {
            destination: '/m',
            type: 'bind',
            source,
            options: bindOptions({
              writable,
              propagation: 'rprivate',
              nonRecursive: false,
              readOnlyRecursion: 'if-possible',
              sourceOptions: [],
              sourceIsDirectory: true,
            }),
          },
        ];
        const script = 'touch /m/x && echo top; touch /m/below/x && echo below';
        assert.match(run(script, { mounts: bind(true) }).output, /^top\nbelow$/);
        assert.match(run(script, { mounts: bind(false) }).output, /^touch.*Read-only.*\ntouch.*Read-only/);
      } finally {
        syscall.unmount(join(source, 'below'));
      }
    });

    test('a bind of a file is read-only', () => {
      const source = join(directory, `${runtime}-file`);
      writeFileSync(source, 'content');
      const options = bindOptions({
        writable: false,
        propagation: '',
        nonRecursive: false,
        readOnlyRecursion: 'if-possible',
        sourceOptions: [],
        sourceIsDirectory: false,
      });
      const mounts = [{ destination: '/file', type: 'bind', source, options }];
      assert.deepEqual(lines('cat /file; echo; echo x 2>/dev/null >/file || echo refused', { mounts }), [
        'content',
        'refused',
      ]);
    });

    test("a bind keeps what the host's mount forbids", () => {
      const source = join(directory, `${runtime}-locked`);
      mkdirSync(source);
      const { nosuid, nodev, noexec, bind, remount, readOnly } = mountFlags;
      const flags = nosuid | nodev | noexec;
      syscall.mount('tmpfs', source, 'tmpfs', flags, null);
      try {
        // Read-only as a mount, not as a file system.
        syscall.mount('none', source, null, bind | remount | readOnly | flags, null);
        const options = bindOptions({
          writable: true,
          propagation: '',
          nonRecursive: false,
          readOnlyRecursion: 'if-possible',
          sourceOptions: mountOf(source, readHostMounts()).options,
          sourceIsDirectory: true,
        });
        const mounts = [{ destination: '/m', type: 'bind', source, options }];
        assert.match(
          run('grep " /m " /proc/mounts', { mounts }).output,
          /^tmpfs \/m tmpfs ro,nosuid,nodev,noexec,/,
        );
      } finally {
        syscall.unmount(source);
      }
    });

    test('no descriptor of ours is inherited', () => {
      assert.deepEqual(lines('ls /proc/self/fd | grep -vE "^[012]$" | busybox wc -l'), ['1']);
    });

    test('exec: another user, privileged', () => {
      const id = `${name}-${runtime}-exec`;
      const bundle = join(directory, id);
      mkdirSync(bundle);
      const { spec } = buildSpec(
        specInput(root, {
          id,
          entrypointAndCommand: ['sleep', '30'],
          cgroupsPath: `/${name}/${id}`,
          cgroupVersion: cgroups.setup.version,
          boundingCapabilities: capabilitiesInMask(bounding),
        }),
      );
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
      const call = (...args: string[]) =>
        spawnSync(path as string, ['--root', join(directory, 'state'), ...args], {
          stdio: ['ignore', 'pipe', 'pipe'],
          encoding: 'utf8',
          timeout: 20_000,
        });
      // With its output to files: a detached container would keep our pipes open.
      const made = spawnSync(
        path as string,
        ['--root', join(directory, 'state'), 'run', '-d', '-b', bundle, id],
        { stdio: 'ignore' },
      );
      assert.equal(made.status, 0);
      try {
        const exec = (command: string[], user: string, privileged: boolean): string => {
          const file = join(bundle, 'process.json');
          writeFileSync(
            file,
            JSON.stringify(
              buildExecProcess({
                base: spec.process,
                containerConfig: specInput(root).config,
                rootPath: root,
                command,
                tty: false,
                env: ['X=1'],
                user,
                workingDir: '/tmp',
                privileged,
                containerPrivileged: false,
                boundingCapabilities: capabilitiesInMask(bounding),
              }),
            ),
          );
          const result = call('exec', '--process', file, id);
          return `${result.stdout}${result.stderr}`.trim();
        };
        assert.equal(
          exec(['sh', '-c', 'id; pwd; echo $X $HOME'], 'app', false),
          'uid=1000(app) gid=1000 groups=44(video),1000\n/tmp\n1 /home',
        );
        assert.equal(exec(['grep', 'CapEff', '/proc/self/status'], '', true), `CapEff:\t${bounding}`);
        assert.equal(exec(['grep', 'CapEff', '/proc/self/status'], '', false), `CapEff:\t${defaultMask}`);
      } finally {
        call('delete', '--force', id);
      }
    });
  });

test(
  'copyTree() keeps owners, modes, times, attributes, links and devices',
  { skip: reasonToSkip('') },
  async () => {
    const from = join(directory, 'from');
    const to = join(directory, 'to');
    mkdirSync(join(from, 'sub'), { recursive: true });
    mkdirSync(to);
    writeFileSync(join(from, 'sub/file'), 'text');
    chownSync(join(from, 'sub/file'), 1000, 44);
    chmodSync(join(from, 'sub/file'), 0o4751);
    syscall.lsetxattr(join(from, 'sub/file'), 'user.note', Buffer.from('kept'));
    linkSync(join(from, 'sub/file'), join(from, 'again'));
    symlinkSync('/nowhere', join(from, 'link'));
    syscall.lchown(join(from, 'link'), 7, 8);
    syscall.mknod(join(from, 'null'), 0o020640, 1, 3);
    syscall.mknod(join(from, 'fifo'), 0o010600, 0, 0);
    chownSync(join(from, 'sub'), 5, 6);
    chmodSync(join(from, 'sub'), 0o1770);
    for (const path of ['sub/file', 'link', 'sub', ''])
      syscall.lutimes(join(from, path), 1_000_000_000_123_456_789n, 1_100_000_000_987_654_321n);
    chownSync(from, 1000, 1000);
    await copyTree(from, to, syscall);
    for (const path of ['', 'sub', 'sub/file', 'again', 'link', 'null', 'fifo']) {
      const a = lstatSync(join(from, path), { bigint: true });
      const b = lstatSync(join(to, path), { bigint: true });
      for (const member of ['mode', 'uid', 'gid', 'mtimeNs', 'rdev', 'nlink'] as const)
        assert.equal(b[member], a[member], `${member} of /${path}`);
    }
    assert.equal(statSync(join(to, 'again')).ino, statSync(join(to, 'sub/file')).ino);
    assert.equal(readFileSync(join(to, 'sub/file'), 'utf8'), 'text');
    assert.equal(syscall.lgetxattr(join(to, 'sub/file'), 'user.note')?.toString(), 'kept');
  },
);
