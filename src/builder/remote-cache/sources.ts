import { createReadStream, lstatSync, readFileSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { FetchLayer } from '../../images/index.ts';
import { downloadBlob, type Repository } from '../../registry/index.ts';
import { digestHex, digestOf, isDigest, mediaTypes, type Descriptor } from '../../spec/index.ts';
import { realPathIn } from '../ops/real-path.ts';
import type { Document } from './cache-manifest.ts';

/** As much as is read into memory of what names layers. */
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

/** Where others keep a cache, or an image with one. Whatever it gives has the digest that it was asked for by. */
export interface CacheSource {
  /** What the name that it was made for stands for. @throws {EngineError} `not-found` */
  manifest(signal: AbortSignal): Promise<Document>;
  /** One that an index names. */
  child(descriptor: Descriptor, signal: AbortSignal): Promise<Document>;
  /** A configuration. */
  bytes(descriptor: Descriptor, signal: AbortSignal): Promise<Buffer>;
  /** A layer. */
  fetch: FetchLayer;
}

export function registrySource(repository: Repository): CacheSource {
  const { tag = 'latest', digest } = repository.reference;
  return {
    manifest: (signal) => repository.manifest(digest ?? tag, signal),
    child: (descriptor, signal) => repository.manifest(descriptor.digest, signal),
    bytes: (descriptor, signal) => repository.blobBytes(descriptor, signal),
    fetch: async (blob, to) => void (await downloadBlob(repository, blob, to)),
  };
}

/**
 * A directory with OCI's layout, of which nothing is believed: links lead nowhere out of it.
 * @param place.digest of the manifest, in place of what the index names by `tag`
 */
export function directorySource(place: { directory: string; tag: string; digest?: string }): CacheSource {
  const { directory } = place;
  const file = (path: string): { path: string; size: number } => {
    const real = `${directory}/${realPathIn(directory, path)}`;
    const stat = lstatSync(real, { throwIfNoEntry: false });
    if (stat?.isFile() === true) return { path: real, size: stat.size };
    throw new EngineError('not-found', `there is no ${path}`);
  };
  const blobFile = ({ digest }: Pick<Descriptor, 'digest'>): ReturnType<typeof file> =>
    file(`blobs/sha256/${digestHex(digest)}`);
  const read = ({ path, size }: ReturnType<typeof file>): Buffer => {
    if (size > MAX_DOCUMENT_BYTES) throw new EngineError('invalid-parameter', `${path} is too large`);
    return readFileSync(path);
  };
  const readBlob = (descriptor: Descriptor): Buffer => {
    const bytes = read(blobFile(descriptor));
    if (digestOf(bytes) === descriptor.digest) return bytes;
    throw new EngineError('data-loss', `blob ${descriptor.digest} has another digest`);
  };
  return {
    async manifest() {
      const digest = place.digest ?? taggedDigest(read(file('index.json')), place.tag);
      if (!isDigest(digest)) throw new EngineError('not-found', `no digest found for tag ${place.tag}`);
      const bytes = readBlob({ mediaType: '', digest, size: 0 });
      const mediaType = mediaTypeOf(bytes);
      return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
    },
    child: async (descriptor) => ({ descriptor, bytes: readBlob(descriptor) }),
    bytes: async (descriptor) => readBlob(descriptor),
    async fetch(blob, { content, commit, signal }) {
      const { path } = blobFile(blob);
      const { digest: expected, size: expectedSizeBytes } = blob;
      await using writer = await content.ingest({ expected, expectedSizeBytes, signal });
      for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
        await writer.write(chunk as Buffer);
      }
      await commit(writer);
    },
  };
}

function taggedDigest(bytes: Buffer, tag: string): string {
  const index = JSON.parse(bytes.toString('utf8')) as {
    manifests?: { digest?: string; annotations?: Record<string, string> }[];
  } | null;
  const found = index?.manifests?.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag,
  );
  return String(found?.digest);
}

/** What the document says of itself, or what it looks like. */
function mediaTypeOf(bytes: Buffer): string {
  const value = JSON.parse(bytes.toString('utf8')) as { mediaType?: unknown; manifests?: unknown } | null;
  if (typeof value?.mediaType === 'string') return value.mediaType;
  return value?.manifests === undefined ? mediaTypes.ociManifest : mediaTypes.ociIndex;
}
