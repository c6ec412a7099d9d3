import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { linuxSyscall, mountFlags } from '../../src/sys/index.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';

describe('LinuxSyscall', { skip }, () => {
  const sys = linuxSyscall();
  let root: string;
  before(() => {
    root = mkdtempSync('/var/tmp/coracle-sys-test-');
  });
  after(() => rmSync(root, { recursive: true, force: true }));
  const ownNamespace = (): string => readlinkSync('/proc/thread-self/ns/net');

  test('Syscall.inNetworkNamespace() comes back, nested and after an error', () => {
    const home = ownNamespace();
    const [one, two] = [join(root, 'ns1'), join(root, 'ns2')];
    sys.createNetworkNamespace(one);
    sys.createNetworkNamespace(two);
    try {
      assert.equal(ownNamespace(), home);
      sys.inNetworkNamespace(one, () => {
        const inside = ownNamespace();
        assert.notEqual(inside, home);
        assert.notEqual(sys.inNetworkNamespace(two, ownNamespace), inside);
        assert.equal(ownNamespace(), inside);
        // `lo` is up: its address is there.
        assert.match(readFileSync('/proc/thread-self/net/if_inet6', 'utf8'), / lo$/m);
      });
      assert.throws(() =>
        sys.inNetworkNamespace(one, () => {
          throw new Error('body');
        }),
      );
      assert.throws(() => sys.inNetworkNamespace(one, () => Promise.resolve()), /asynchronous/);
      assert.equal(ownNamespace(), home);
      assert.throws(() => sys.createNetworkNamespace(one), { code: 'EEXIST' });
      assert.throws(() => sys.inNetworkNamespace(join(root, 'none'), () => 0), { code: 'ENOENT' });
    } finally {
      for (const path of [one, two, two]) sys.removeNetworkNamespace(path);
    }
    assert.equal(existsSync(one), false);
  });

  test('Syscall.mountOverlay() mounts 150 layers with long names', () => {
    const layers = Array.from({ length: 150 }, (_none, index) => join(root, `${index}`.padStart(80, 'l')));
    for (const [index, layer] of layers.entries()) {
      mkdirSync(layer);
      writeFileSync(join(layer, `file${index}`), '');
      writeFileSync(join(layer, 'top'), String(index));
    }
    const [upperDir, workDir, target] = ['upper', 'work', 'merged'].map((name) => join(root, name)) as [
      string,
      string,
      string,
    ];
    for (const path of [upperDir, workDir, target]) mkdirSync(path);
    sys.mountOverlay({ target, lowerDirs: layers, upperDir, workDir });
    try {
      assert.equal(readdirSync(target).length, 151);
      assert.equal(readFileSync(join(target, 'top'), 'utf8'), '0');
      writeFileSync(join(target, 'new'), 'x');
    } finally {
      sys.unmount(target);
    }
    assert.deepEqual(readdirSync(upperDir), ['new']);
    assert.throws(() => sys.unmount(target), { code: 'EINVAL' });
  });

  test('Syscall.mount() refuses text with a NUL', () => {
    assert.throws(() => sys.mount('tmpfs', `${root}\0x`, 'tmpfs', mountFlags.nodev, null), {
      code: 'EINVAL',
    });
  });

  test('Syscall.openInRoot() stays below the root', () => {
    const inside = join(root, 'in');
    mkdirSync(join(inside, 'etc'), { recursive: true });
    writeFileSync(join(inside, 'etc/passwd'), 'inside');
    symlinkSync('/etc', join(inside, 'absolute'));
    symlinkSync('../../../../../etc', join(inside, 'relative'));
    symlinkSync('/proc/self/root', join(inside, 'magic'));
    for (const path of ['etc/passwd', '/etc/passwd', 'absolute/passwd', 'relative/passwd', '../etc/passwd']) {
      const fd = sys.openInRoot(inside, path, 0);
      const bytes = Buffer.alloc(100);
      assert.equal(bytes.toString('utf8', 0, readSync(fd, bytes)), 'inside', path);
      closeSync(fd);
    }
    assert.throws(() => sys.openInRoot(inside, 'magic/etc/passwd', 0), { code: 'ENOENT' });
  });

  test('Syscall sets owners, times, attributes and devices without following links', () => {
    const link = join(root, 'link');
    symlinkSync('/nowhere', link);
    sys.lchown(link, 1234, 5678);
    sys.lutimes(link, -1n, 1_500_000_000_123_456_789n);
    const status = lstatSync(link, { bigint: true });
    assert.deepEqual([status.uid, status.gid, status.mtimeNs], [1234n, 5678n, 1_500_000_000_123_456_789n]);
    sys.lsetxattr(link, 'trusted.coracle', Buffer.from([0, 1, 2]));
    assert.deepEqual(sys.lgetxattr(link, 'trusted.coracle'), Buffer.from([0, 1, 2]));
    assert.equal(sys.lgetxattr(link, 'trusted.none'), undefined);
    assert.ok(sys.llistxattr(link).includes('trusted.coracle'));
    const file = join(root, 'large');
    writeFileSync(file, '');
    sys.lsetxattr(file, 'trusted.large', Buffer.alloc(2000, 7));
    assert.equal(sys.lgetxattr(file, 'trusted.large')?.length, 2000);
    const device = join(root, 'device');
    sys.mknod(device, 0o20600, 511, 70_000);
    const { rdev } = lstatSync(device, { bigint: true });
    assert.deepEqual([(rdev >> 8n) & 0xfffn, (rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)], [511n, 70_000n]);
  });

  test('Syscall.pidfdOpen() and kill() name a process that is not there', () => {
    assert.throws(() => sys.pidfdOpen(4_194_303), { code: 'ESRCH' });
    assert.throws(() => sys.kill(4_194_303, 0), { code: 'ESRCH' });
    const fd = sys.pidfdOpen(process.pid);
    sys.pidfdSendSignal(fd, 0);
    sys.close(fd);
    assert.ok(sys.getrlimit(7).hard >= sys.getrlimit(7).soft);
    assert.ok(sys.statfs('/proc').type === 0x9fa0);
  });
});
