import type { LogFile } from './log-files.ts';
import { endsLine } from './record.ts';

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/**
 * Where the last `lines` lines begin: which file (index, oldest first) and at which byte. Reads from the end, no more than
 * these lines take. A line is what ends with a full record; parts at the very end, of a line not finished yet, count as one.
 */
export async function findTail(
  files: readonly LogFile[],
  lines: number,
): Promise<{ file: number; offset: number }> {
  let found = 0;
  let isLastRecord = true;
  for (let index = files.length - 1; index >= 0; index--) {
    const file = files[index];
    if (file === undefined) break;
    const { size } = await file.handle.stat();
    if (lines === 0) return { file: index, offset: size };
    // Bytes from `start` on that have not been looked at: the beginning of a record that an earlier block completes.
    let carry = Buffer.alloc(0);
    for (let start = size; start > 0;) {
      const length = Math.min(BLOCK_BYTES, start);
      start -= length;
      const block = Buffer.allocUnsafe(length + carry.length);
      await readFully(file, block.subarray(0, length), start);
      carry.copy(block, length);
      let end = block.lastIndexOf(NEWLINE) + 1;
      if (end === 0) {
        carry = block;
        continue;
      }
      while (end > 0) {
        const previous = end < 2 ? -1 : block.lastIndexOf(NEWLINE, end - 2);
        // The first record of the block may have begun before it.
        if (previous < 0 && start > 0) break;
        const begin = previous + 1;
        if (endsLine(block, begin) || isLastRecord) {
          if (found === lines) return { file: index, offset: start + end };
          found++;
        }
        isLastRecord = false;
        end = begin;
      }
      carry = block.subarray(0, end);
    }
  }
  return { file: 0, offset: 0 };
}

async function readFully(file: LogFile, into: Buffer, position: number): Promise<void> {
  for (let at = 0; at < into.length;) {
    const { bytesRead } = await file.handle.read(into, at, into.length - at, position + at);
    // Truncated by somebody: nothing more is there.
    if (bytesRead === 0) {
      into.fill(NEWLINE, at);
      return;
    }
    at += bytesRead;
  }
}
