import { mkdtempSync, rmSync } from 'node:fs';
import { mapTar, memberAgain, packTree } from '../../archive/index.ts';
import type { BuilderParts } from '../parts.ts';
import { viewTree } from '../ops/tree-view.ts';

/**
 * All files of an image as one tar, names sorted.
 * @param directory where it may be mounted meanwhile
 * @param epochSeconds no time is later than this
 * @throws {EngineError} `not-found`
 */
export async function* imageFiles(
  parts: Pick<BuilderParts, 'images' | 'snapshotter' | 'syscall'>,
  name: string,
  options: { directory: string; epochSeconds?: number; signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const image = parts.images.get(name);
  const place = mkdtempSync(`${options.directory}/files-`);
  try {
    const view = viewTree(image.chainId, `${place}/view`, parts);
    try {
      const tar = packTree(parts.syscall, view.path);
      const { epochSeconds } = options;
      const chunks = epochSeconds === undefined ? tar : notAfter(tar, epochSeconds);
      for await (const chunk of chunks) {
        options.signal?.throwIfAborted();
        yield chunk;
      }
    } finally {
      view.close();
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** The same tar with later times set back to `epochSeconds`. */
export function notAfter(tar: AsyncIterable<Uint8Array>, epochSeconds: number): AsyncIterable<Uint8Array> {
  return mapTar(tar, (entry) => {
    const member = memberAgain(entry);
    const isLater =
      entry.mtimeSeconds > epochSeconds || (entry.mtimeSeconds === epochSeconds && entry.mtimeNanos > 0);
    return [isLater ? { ...member, mtimeSeconds: epochSeconds, mtimeNanos: 0 } : member];
  });
}
