import { constants, lstatSync, readlinkSync, symlinkSync, type BigIntStats } from 'node:fs';
import { chmod, copyFile, link, lstat, mkdir, readdir } from 'node:fs/promises';
import { EngineError, SyscallError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';

type CopyCalls = Pick<Syscall, 'lchown' | 'mknod' | 'lutimes' | 'lsetxattr' | 'lgetxattr' | 'llistxattr'>;

/**
 * Copies what is in `source`, and the directory's own attributes, into the existing directory `destination`: owners,
 * modes, times, extended attributes, links and hard links, devices, pipes and sockets. Links are never followed.
 * `source` must not change meanwhile.
 */
export async function copyTree(source: string, destination: string, syscall: CopyCalls): Promise<void> {
  const linked = new Map<string, string>();
  await copyDirectory(source, destination, true);

  async function copyDirectory(from: string, to: string, isRoot: boolean): Promise<void> {
    if (!isRoot) await mkdir(to, { mode: 0o700 });
    for (const bytes of await readdir(from, { encoding: 'buffer' })) {
      const name = bytes.toString();
      if (!Buffer.from(name).equals(bytes))
        throw new EngineError('not-implemented', `Cannot copy ${from}/${name}: its name is not UTF-8`);
      await copyEntry(`${from}/${name}`, `${to}/${name}`);
    }
    // Last: what is written into a directory changes its times, and a mode may forbid writing.
    // With the slash the root's attributes are read even through a descriptor's link in /proc.
    await copyAttributes(isRoot ? `${from}/` : from, to);
  }

  async function copyEntry(from: string, to: string): Promise<void> {
    const stat = await lstat(from, { bigint: true });
    if (stat.isDirectory()) return copyDirectory(from, to, false);
    if (stat.nlink > 1n) {
      const key = `${stat.dev}:${stat.ino}`;
      const first = linked.get(key);
      if (first !== undefined) return link(first, to);
      linked.set(key, to);
    }
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from, { encoding: 'buffer' }), to);
    else if (stat.isFile()) await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    else makeNode(stat, to);
    await copyAttributes(from, to, stat);
  }

  function makeNode(stat: BigIntStats, to: string): void {
    const major = Number(((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & 0xfffff000n));
    const minor = Number((stat.rdev & 0xffn) | ((stat.rdev >> 12n) & 0xffffff00n));
    syscall.mknod(to, Number(stat.mode), major, minor);
  }

  async function copyAttributes(
    from: string,
    to: string,
    stat: BigIntStats = lstatSync(from, { bigint: true }),
  ): Promise<void> {
    // chown(2) clears set-uid bits and file capabilities, so it comes before mode and attributes.
    syscall.lchown(to, Number(stat.uid), Number(stat.gid));
    if (!stat.isSymbolicLink()) await chmod(to, Number(stat.mode & 0o7777n));
    copyExtendedAttributes(from, to);
    syscall.lutimes(to, stat.atimeNs, stat.mtimeNs);
  }

  function copyExtendedAttributes(from: string, to: string): void {
    try {
      for (const name of syscall.llistxattr(from)) {
        // Overlayfs' own: they mean nothing outside of its layers.
        if (name.startsWith('trusted.overlay.')) continue;
        const value = syscall.lgetxattr(from, name);
        if (value !== undefined) syscall.lsetxattr(to, name, value);
      }
    } catch (error) {
      // A file system without extended attributes holds the files all the same.
      if (!(error instanceof SyscallError && ['ENOTSUP', 'EOPNOTSUPP'].includes(error.errno))) throw error;
    }
  }
}
