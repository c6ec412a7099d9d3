import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, statSync, utimesSync } from 'node:fs';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EngineError } from '../../errors/index.ts';
import { openUrl } from '../context/http.ts';
import type { CopySource } from './copy-sources.ts';

/**
 * Fetches a URL of ADD into a directory: mode 0600, the time that the server tells.
 * @param checksum `sha256:<hex>`, or '' for any content
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export async function download(
  url: string,
  directory: string,
  options: { checksum: string; needsName: boolean; signal: AbortSignal },
): Promise<{ source: CopySource; digest: string }> {
  const failed = (why: string, cause?: unknown): EngineError =>
    new EngineError('invalid-parameter', `ADD failed: ${why}`, cause === undefined ? {} : { cause });
  const response = await openUrl(url, options.signal, failed);
  const name = posix.basename(decodeURIComponent(new URL(url).pathname));
  if (options.needsName && (name === '' || name === '.' || name === '..' || name.includes('/'))) {
    throw failed(`cannot determine filename for source ${url}`);
  }
  mkdirSync(directory, { recursive: true });
  const path = `${directory}/file`;
  const hash = createHash('sha256');
  const body = Readable.fromWeb(response.body);
  await pipeline(
    body,
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(path, { mode: 0o600 }),
  );
  const digest = `sha256:${hash.digest('hex')}`;
  if (options.checksum !== '' && options.checksum !== digest) {
    throw failed(`digest mismatch ${digest}: ${options.checksum}`);
  }
  const modified = Date.parse(response.headers.get('last-modified') ?? '');
  const seconds = Number.isNaN(modified) ? 0 : modified / 1000;
  utimesSync(path, seconds, seconds);
  return { source: { path, name, shown: name, stat: statSync(path) }, digest };
}
