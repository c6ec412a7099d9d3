import { pipeline } from 'node:stream';
import { constants, createZstdCompress } from 'node:zlib';

/**
 * Compresses a stream to one zstd frame on the thread pool. Equal bytes give equal output.
 * @param level zstd's, 1 to 22
 */
export function zstd(input: AsyncIterable<Uint8Array>, level = 3): AsyncIterable<Buffer> {
  const compressor = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  // An error of the input destroys the compressor, whose reader gets it.
  pipeline(input, compressor, () => undefined);
  return compressor;
}
