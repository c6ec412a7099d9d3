import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../../errors/index.ts';
import type { OverlayMount } from '../syscall.ts';
import { open } from './libc.ts';

const O_PATH = 0o10000000;
/** mount(2) takes one page of options, its final NUL included. */
const optionBytesMax = 4095;

/**
 * The option text of overlayfs. `index`, `metacopy` and `redirect_dir` are off whatever the kernel's defaults are: with
 * them an upper directory would say something else to a reader of its files than to the kernel.
 */
export function overlayOptions(options: OverlayMount): string {
  const parts = ['index=off', 'metacopy=off', 'redirect_dir=off'];
  parts.unshift(`lowerdir=${options.lowerDirs.map((path) => escape(path, true)).join(':')}`);
  if (options.upperDir !== undefined) parts.push(`upperdir=${escape(options.upperDir, false)}`);
  if (options.workDir !== undefined) parts.push(`workdir=${escape(options.workDir, false)}`);
  if (options.isVolatile === true) parts.push('volatile');
  return parts.join(',');
}

/**
 * Calls back with option text that fits into a page: when the plain paths are too long, each lower directory is held
 * open and named `/proc/self/fd/<n>`, which leaves room for more than 200 layers on every kernel (`lowerdir+` of the
 * new mount API is there only since Linux 6.7, and its strings end at 256 bytes).
 */
export function withFittingOptions(options: OverlayMount, mount: (data: string) => void): void {
  const plain = overlayOptions(options);
  if (Buffer.byteLength(plain) <= optionBytesMax) return mount(plain);
  const held: number[] = [];
  try {
    for (const path of options.lowerDirs) held.push(open(path, O_PATH | constants.O_DIRECTORY));
    const short = overlayOptions({ ...options, lowerDirs: held.map((fd) => `/proc/self/fd/${fd}`) });
    if (Buffer.byteLength(short) > optionBytesMax) {
      throw new SyscallError('mount', 'E2BIG', options.target, `too many layers (${held.length})`);
    }
    mount(short);
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

function escape(path: string, isList: boolean): string {
  const escaped = path.replaceAll('\\', '\\\\').replaceAll(',', '\\,');
  return isList ? escaped.replaceAll(':', '\\:') : escaped;
}
