import { rm, stat } from 'node:fs/promises';
import { ChangeWatcher } from './change-watcher.ts';
import type { ContainerLogs, LogEntry, LogReadOptions } from './container-log.ts';
import { closeAll, fileSize, logPaths, openLogFiles, rotate, type LogFile } from './log-files.ts';
import { RecordParser } from './record.ts';
import { findTail } from './tail.ts';

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Container logs in the files that conmon writes. */
export class FileContainerLogs implements ContainerLogs {
  readonly #rotating = new Set<string>();

  async *read(
    path: string,
    options: LogReadOptions,
    ended: () => Promise<unknown>,
  ): AsyncGenerator<LogEntry[], void, undefined> {
    const { tail, follow, signal, untilNs } = options;
    const parser = new RecordParser(options);
    // Before anything is read, so that no change after is missed.
    using watcher = follow ? new ChangeWatcher(path) : undefined;
    let over = false;
    const end = (): void => {
      over = true;
      watcher?.notify();
    };
    if (follow) ended().then(end, end);
    const wake = (): void => watcher?.notify();
    signal?.addEventListener('abort', wake);

    const untilTimer =
      follow && untilNs !== undefined
        ? setTimeout(end, Math.max(0, Number(untilNs / 1_000_000n) - Date.now()) + 1).unref()
        : undefined;

    let files = await openLogFiles(path);
    let current: LogFile | undefined;
    try {
      const start = tail === undefined || tail < 0 ? undefined : await findTail(files, tail);
      const skipped = files.splice(0, start?.file ?? 0);
      await closeAll(skipped);
      let offset = start?.offset ?? 0;
      current = files.shift();
      for (;;) {
        // Looked up before reading: what was true then has been read in full after.
        const last = over || !follow;
        const younger = current !== undefined && follow && (await isReplaced(path, current));
        if (current !== undefined) {
          for await (const { bytes, next } of readRecords(current, offset)) {
            offset = next;
            const entries = parser.parse(bytes);
            if (signal?.aborted === true) return;
            if (entries.length > 0) yield entries;
            if (parser.pastUntil) return;
          }
          if (signal?.aborted === true) return;
        }
        if (files.length === 0 && (younger || (current === undefined && follow))) {
          files = await openLogFiles(path, current?.inode);
        }
        const next = files.shift();
        if (next !== undefined) {
          const done = current;
          current = next;
          offset = 0;
          await done?.handle.close();
        } else {
          if (last) return;
          await watcher?.changed();
          if (signal?.aborted === true) return;
        }
      }
    } finally {
      clearTimeout(untilTimer);
      signal?.removeEventListener('abort', wake);
      await closeAll(current === undefined ? files : [current, ...files]);
    }
  }

  async rotateIfNeeded(
    path: string,
    limits: { maxSizeBytes: number; maxFiles: number },
    reopen: () => Promise<void>,
  ): Promise<boolean> {
    if (limits.maxSizeBytes <= 0 || this.#rotating.has(path) || fileSize(path) <= limits.maxSizeBytes) {
      return false;
    }
    this.#rotating.add(path);
    try {
      await rotate(path, limits.maxFiles, reopen);
    } finally {
      this.#rotating.delete(path);
    }
    return true;
  }

  async remove(path: string): Promise<void> {
    await Promise.all(logPaths(path).map((file) => rm(file, { force: true })));
  }

  sizeBytes(path: string): number {
    return logPaths(path).reduce((sum, file) => sum + fileSize(file), 0);
  }
}

/** True when another file has the log's name by now: conmon closed this one before it made that. */
async function isReplaced(path: string, current: LogFile): Promise<boolean> {
  try {
    return (await stat(path, { bigint: true })).ino !== current.inode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Whole records from `offset` to the present end, block by block; `next` is where the following one begins. */
async function* readRecords(
  file: LogFile,
  offset: number,
): AsyncGenerator<{ bytes: Buffer; next: number }, void, undefined> {
  for (let blockBytes = BLOCK_BYTES; ;) {
    const { size } = await file.handle.stat();
    if (size <= offset) return;
    // A fresh one each time, since entries keep pointing into it, and none larger than what is there to read.
    const block = Buffer.allocUnsafeSlow(Math.min(blockBytes, size - offset));
    const { bytesRead } = await file.handle.read(block, 0, block.length, offset);
    const length = bytesRead === 0 ? 0 : block.lastIndexOf(NEWLINE, bytesRead - 1) + 1;
    if (length === 0) {
      // Less than a record: the rest is not written yet, or does not fit.
      if (bytesRead < blockBytes) return;
      blockBytes *= 2;
      continue;
    }
    blockBytes = BLOCK_BYTES;
    offset += length;
    yield { bytes: block.subarray(0, length), next: offset };
  }
}
