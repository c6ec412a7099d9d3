import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { LayoutWriter, writeTar, type TarSource } from '../../archive/index.ts';
import type { PackedLayers } from '../../images/index.ts';
import { uploadBlob, type BlobUpload, type Repository } from '../../registry/index.ts';
import { digestHex, mediaTypes, type Descriptor, type Digest } from '../../spec/index.ts';
import type { BuildRequest } from '../builder.ts';
import type { BuilderParts } from '../parts.ts';
import type { BuildTrace, TracedStep } from '../progress/trace.ts';
import { Slots } from '../solver/jobs.ts';
import { cacheConfig, type KnownBuild, type KnownSteps } from './cache-config.ts';
import { encodeCache, type EncodedCache } from './cache-manifest.ts';
import { cacheExports, type CacheExport } from './options.ts';

/** A cache with the files of its layers. */
type PackedCache = EncodedCache & Pick<PackedLayers, 'file'>;

/**
 * Writes what builds know to where the request wants it. What was written is removed again when that fails or is cancelled;
 * what a registry got and no manifest names, it removes itself.
 * @param options.builds one for each platform
 * @throws {EngineError} unless the export says that the build does not depend on it
 */
export async function exportCaches(
  parts: BuilderParts,
  request: BuildRequest,
  options: { builds: readonly KnownBuild[]; trace: BuildTrace; signal: AbortSignal },
): Promise<void> {
  const { builds, trace, signal } = options;
  for (const wanted of cacheExports(request.cacheTo)) {
    const to = wanted.place.kind === 'local' ? 'client directory' : 'registry';
    const steps = new Map(builds.flatMap((build) => [...stepsOf(build, wanted)]));
    try {
      await trace.during(`exporting cache to ${to}`, (step) =>
        exportCache(parts, request, { wanted, steps, step, signal }),
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!wanted.ignoresErrors) throw error;
    }
  }
}

/** All, or those that led to the files of the image. */
function stepsOf({ steps, layers: built }: KnownBuild, { isWhole }: CacheExport): KnownSteps {
  if (isWhole) return steps;
  const isBelow = (layers: readonly { diffId: string }[]): boolean =>
    layers.every(({ diffId }, index) => built[index] === diffId);
  return new Map([...steps].filter(([, { tree }]) => isBelow(tree.layers)));
}

async function exportCache(
  { images, registries }: BuilderParts,
  { credentials: credentialsOf, receiveCache }: BuildRequest,
  options: { wanted: CacheExport; steps: KnownSteps; step: TracedStep; signal: AbortSignal },
): Promise<void> {
  const { wanted, steps, step, signal } = options;
  const kept = [...steps.values()].map(({ tree }) => tree);
  await using packed = await images.trees.pack(kept, wanted.form, signal);
  const config = cacheConfig(steps, (diffId) => packed.blobs.get(diffId)?.digest);
  if (config.layers.length === 0) {
    step.status('skipping cache export for empty result', { current: 0, done: true });
    return;
  }
  const cache: PackedCache = {
    ...encodeCache(config, packed, wanted),
    file: (digest) => packed.file(digest),
  };
  const { place } = wanted;
  if (place.kind === 'registry') {
    const credentials = credentialsOf?.(place.reference.domain);
    const repository = registries.repository(place.reference, {
      actions: 'pull,push',
      ...(credentials === undefined ? {} : { credentials }),
    });
    await pushCache(repository, cache, { signal, step, slots: new Slots(registries.maxConcurrentUploads) });
  } else if (receiveCache !== undefined) {
    await receiveCache(place.directory, layoutTar(cache, place.tag), signal);
  } else await writeCache(place, cache, { signal, step });
}

async function pushCache(
  repository: Repository,
  cache: PackedCache,
  { signal, step, slots }: { signal: AbortSignal; step: TracedStep; slots: Slots },
): Promise<void> {
  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  const push = async (
    what: string,
    { digest, size }: Descriptor,
    opener: () => Promise<BlobUpload['open']>,
  ): Promise<void> => {
    const id = `${what} ${digest}`;
    step.status(id, { current: 0, total: size });
    if (!(await repository.hasBlob(digest, stop))) {
      const onProgress = (current: number): void => step.status(id, { current, total: size });
      const open = await opener();
      await uploadBlob(repository, { digest, sizeBytes: size, open }, stop, onProgress);
    }
    step.status(id, { current: size, total: size, done: true });
  };
  const pushed = cache.layers.map((blob) =>
    slots
      .use(stop, () =>
        push('writing layer', blob, async () => {
          const path = await cache.file(blob.digest);
          return (start) => createReadStream(path, { start });
        }),
      )
      .catch((error: unknown) => failure.abort(error)),
  );
  await Promise.all(pushed);
  stop.throwIfAborted();
  await push(
    'writing config',
    cache.config.descriptor,
    async () => (start) => Readable.from([cache.config.bytes.subarray(start)]),
  );
  const { descriptor, bytes } = cache.manifest;
  const { tag = 'latest' } = repository.reference;
  await repository.putManifest(tag, descriptor.mediaType, bytes, signal);
  step.status(`writing cache image manifest ${descriptor.digest}`, { current: 0, done: true });
}

async function writeCache(
  { directory, tag }: { directory: string; tag: string },
  cache: PackedCache,
  { signal, step }: { signal: AbortSignal; step: TracedStep },
): Promise<void> {
  using layout = new LayoutWriter(directory);
  for (const { digest, size } of cache.layers) {
    if (!layout.has(digest)) await layout.put(digest, createReadStream(await cache.file(digest), { signal }));
    step.status(`writing layer ${digest}`, { current: size, total: size, done: true });
  }
  for (const { descriptor, bytes } of [cache.config, cache.manifest])
    await layout.put(descriptor.digest, [bytes]);
  signal.throwIfAborted();
  layout.commit(tag, cache.manifest.descriptor);
}

/** A cache as the tar of an image layout; its index, which names the manifest, comes last. */
function layoutTar(cache: PackedCache, tag: string): AsyncIterable<Uint8Array> {
  const blobPath = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;
  const file = (path: string, bytes: Buffer): TarSource => {
    return { path, type: 'file', mode: 0o644, sizeBytes: bytes.length, body: [bytes] };
  };
  const members = async function* (): AsyncGenerator<TarSource> {
    yield file('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    for (const { digest, size: sizeBytes } of cache.layers) {
      const body = createReadStream(await cache.file(digest));
      yield { path: blobPath(digest), type: 'file', mode: 0o644, sizeBytes, body };
    }
    for (const { descriptor, bytes } of [cache.config, cache.manifest]) {
      yield file(blobPath(descriptor.digest), bytes);
    }
    const annotations = { 'org.opencontainers.image.ref.name': tag };
    const manifests = [{ ...cache.manifest.descriptor, annotations }];
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
    yield file('index.json', Buffer.from(JSON.stringify(index)));
  };
  return writeTar(members());
}
