import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { Readable, type Writable } from 'node:stream';
import { EngineError, ProcessError, errorMessage } from '../errors/index.ts';
import { checkExpansion, type ExpansionLimits } from './expansion.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const magics: readonly [Compression, readonly number[]][] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** Bytes needed to tell. */
export const MAGIC_BYTES = 6;

/** Tells a stream's compression by its first bytes. A zstd skippable frame counts as zstd. */
export function detectCompression(head: Uint8Array): Compression {
  for (const [compression, magic] of magics) {
    if (magic.every((byte, index) => head[index] === byte)) return compression;
  }
  const skippable = head[0] !== undefined && (head[0] & 0xf0) === 0x50;
  if (skippable && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return 'zstd';
  return 'none';
}

/**
 * Decompresses a stream by its magic: gzip and zstd in this process (on the thread pool), bzip2 and xz by the programs
 * of those names, anything else as it is.
 * @throws {EngineError} `data-loss` for a broken stream; `invalid-parameter` for one that expands beyond the limits;
 *   `not-implemented` when bzip2 or xz is not installed.
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  options: { chunkBytes?: number; limits?: ExpansionLimits } = {},
): AsyncGenerator<Buffer, void, void> {
  const { head, rest, taken } = await peek(input, MAGIC_BYTES);
  const compression = detectCompression(head);
  let bytes = 0;
  const checked = (chunk: Buffer): Buffer => {
    bytes += chunk.length;
    checkExpansion(options.limits ?? {}, bytes, taken());
    return chunk;
  };
  if (compression === 'none') {
    for await (const chunk of rest) yield checked(chunk);
    return;
  }
  const { writable, output } = decompressor(compression, options.chunkBytes ?? 256 * 1024);
  const source = Readable.from(rest, { objectMode: false });
  let inputError: unknown;
  source.on('error', (error) => {
    inputError = error;
    writable.destroy(error);
  });
  // A decompressor that ends early reports why by itself.
  writable.on('error', () => {});
  source.pipe(writable);
  try {
    for await (const chunk of output) yield checked(chunk);
    if (inputError !== undefined) throw inputError;
  } catch (error) {
    if (inputError !== undefined) throw inputError;
    if (error instanceof EngineError && error.kind !== 'internal') throw error;
    throw new EngineError('data-loss', `Cannot decompress ${compression} stream: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    source.destroy();
    writable.destroy();
  }
}

interface Decompressor {
  writable: Writable;
  output: AsyncIterable<Buffer>;
}

function decompressor(compression: Exclude<Compression, 'none'>, chunkBytes: number): Decompressor {
  // With room for several chunks the pool's thread goes on inflating while the reader works on what it has.
  const options = { chunkSize: chunkBytes, readableHighWaterMark: 8 * chunkBytes };
  switch (compression) {
    case 'gzip': {
      const stream = createGunzip(options);
      return { writable: stream, output: stream };
    }
    case 'zstd': {
      const stream = createZstdDecompress(options);
      return { writable: stream, output: stream };
    }
    default:
      return program(compression);
  }
}

/** bzip2 and xz are rare (`import` only), so a child process is good enough. */
function program(name: 'bzip2' | 'xz'): Decompressor {
  const path = [`/usr/bin/${name}`, `/bin/${name}`].find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new EngineError(
      'not-implemented',
      `Cannot decompress ${name}: the program ${name} is not installed`,
    );
  }
  const child = spawn(path, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4096);
  });
  const exited = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new ProcessError([name, '-dc'], code, signal, stderr));
    });
  });
  exited.catch(() => {});
  const output = async function* (): AsyncGenerator<Buffer, void, void> {
    try {
      for await (const chunk of child.stdout) yield chunk as Buffer;
      await exited;
    } finally {
      child.kill();
    }
  };
  return { writable: child.stdin, output: output() };
}

/** Reads the first `count` bytes and gives them back in front of the rest; `taken` counts the bytes read so far. */
async function peek(
  input: AsyncIterable<Uint8Array>,
  count: number,
): Promise<{ head: Buffer; rest: AsyncGenerator<Buffer, void, void>; taken: () => number }> {
  const iterator = input[Symbol.asyncIterator]();
  const parts: Buffer[] = [];
  let bytes = 0;
  while (bytes < count) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    bytes += value.length;
  }
  const first = Buffer.concat(parts);
  const rest = async function* (): AsyncGenerator<Buffer, void, void> {
    try {
      if (first.length > 0) yield first;
      for (;;) {
        const { done, value } = await iterator.next();
        if (done === true) return;
        bytes += value.length;
        yield Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      }
    } finally {
      await iterator.return?.();
    }
  };
  return { head: first.subarray(0, count), rest: rest(), taken: () => bytes };
}
