import { mountFlags } from '../sys/index.ts';

/** mount(2)'s flags by the words of mount(8): set, or cleared. */
const words: Readonly<Record<string, { set?: number; clear?: number }>> = {
  defaults: {},
  async: { clear: 16 },
  atime: { clear: mountFlags.noatime },
  bind: { set: mountFlags.bind },
  rbind: { set: mountFlags.bind | mountFlags.recursive },
  dev: { clear: mountFlags.nodev },
  diratime: { clear: 2048 },
  dirsync: { set: 128 },
  exec: { clear: mountFlags.noexec },
  mand: { set: 64 },
  noatime: { set: mountFlags.noatime },
  nodev: { set: mountFlags.nodev },
  nodiratime: { set: 2048 },
  noexec: { set: mountFlags.noexec },
  nomand: { clear: 64 },
  norelatime: { clear: mountFlags.relatime },
  nostrictatime: { clear: 1 << 24 },
  nosuid: { set: mountFlags.nosuid },
  private: { set: mountFlags.private },
  rprivate: { set: mountFlags.private | mountFlags.recursive },
  relatime: { set: mountFlags.relatime },
  remount: { set: mountFlags.remount },
  ro: { set: mountFlags.readOnly },
  rw: { clear: mountFlags.readOnly },
  shared: { set: mountFlags.shared },
  rshared: { set: mountFlags.shared | mountFlags.recursive },
  slave: { set: mountFlags.slave },
  rslave: { set: mountFlags.slave | mountFlags.recursive },
  strictatime: { set: 1 << 24 },
  suid: { clear: mountFlags.nosuid },
  sync: { set: 16 },
};

const propagation = mountFlags.shared | mountFlags.private | mountFlags.slave;

export interface MountCall {
  flags: number;
  /** Of its own call, as the kernel wants it: it changes how a mount that exists propagates. */
  propagation: number;
  /** What the file system itself understands. */
  data: string;
}

/** Takes mount(8)'s `-o` apart for mount(2). */
export function parseMountOptions(options: string): MountCall {
  let flags = 0;
  const data: string[] = [];
  for (const option of options.split(',')) {
    if (option === '') continue;
    const word = words[option];
    if (word === undefined) data.push(option);
    else flags = (flags & ~(word.clear ?? 0)) | (word.set ?? 0);
  }
  const spreads = (flags & propagation) === 0 ? 0 : flags & (propagation | mountFlags.recursive);
  return { flags: flags & ~propagation, propagation: spreads, data: data.join(',') };
}
