import { EngineError } from '../../errors/index.ts';
import {
  isIndex,
  parseImageConfig,
  parseIndexEntries,
  parseManifest,
  type Image,
  type RemoteLayer,
  type Tree,
} from '../../images/index.ts';
import { fittingPlatforms, type Platform } from '../../spec/index.ts';
import type { CacheRecord } from '../solver/cache.ts';
import type { BuildSession } from '../solver/session.ts';
import { layerChain, readCacheConfig, type FoundStep } from './cache-config.ts';
import { readCacheManifest, type Document } from './cache-manifest.ts';
import { inlineSteps } from './inline-cache.ts';
import { placeName, type CacheImport } from './options.ts';
import { directorySource, registrySource, type CacheSource } from './sources.ts';

/** What a cache elsewhere knows of a step. */
export interface ImportedStep {
  /** The cache, for people. */
  from: string;
  record: Pick<CacheRecord, 'ownLayers' | 'source' | 'description' | 'createdAtMs'>;
  /** Its files, fetched when they are not here. @throws {EngineError} when they are not what the cache says */
  tree: (signal: AbortSignal) => Promise<Tree>;
}

/**
 * Looks what a cache knows, by key; layers are fetched when a step needs them. An image that is here counts instead of what has
 * its name in the registry, unless newer ones are to be looked for.
 * @param platform of the image, where there are several
 */
export async function importCache(
  session: BuildSession,
  from: CacheImport,
  platform: Platform,
): Promise<ReadonlyMap<string, ImportedStep>> {
  const { images } = session.services.parts;
  const name = placeName(from.place);
  const isHere = from.place.kind === 'registry' && images.has(name, platform);
  if (isHere && session.request.pull !== true) {
    return imageSteps(session, images.get(name, platform), from.name);
  }
  const source = sourceOf(session, from);
  const { signal } = session;
  let top = await source.manifest(signal);
  const cache = readCacheManifest(top);
  if (cache !== undefined) {
    const config = await source.bytes(cache.config, signal);
    const { layers, steps } = readCacheConfig(JSON.parse(config.toString('utf8')));
    return remoteSteps(session, { from: from.name, source, steps }, (step) =>
      layerChain(layers, step.layer).map((index) => cache.layers.get(layers[index]?.blob ?? '')),
    );
  }
  if (isIndex(top.descriptor)) top = await chooseImage(source, top, platform, signal);
  const { config, layers } = parseManifest(top.bytes, top.descriptor.digest);
  const image = parseImageConfig(await source.bytes(config, signal));
  const diffIds = image.rootfs.diff_ids;
  return remoteSteps(session, { from: from.name, source, steps: inlineSteps(image) }, (step) =>
    diffIds.slice(0, step.layer + 1).map((diffId, index) => layers[index] && { diffId, blob: layers[index] }),
  );
}

function sourceOf(session: BuildSession, { place }: CacheImport): CacheSource {
  const { parts } = session.services;
  if (place.kind === 'local') {
    return directorySource({ ...place, directory: session.cacheDirectory(place.directory) });
  }
  const credentials = session.request.credentials?.(place.reference.domain);
  const options = credentials === undefined ? {} : { credentials };
  return registrySource(parts.registries.repository(place.reference, options));
}

async function chooseImage(
  source: CacheSource,
  { descriptor, bytes }: Document,
  platform: Platform,
  signal: AbortSignal,
): Promise<Document> {
  const [best] = fittingPlatforms(parseIndexEntries(bytes, descriptor.digest), platform);
  if (best === undefined) throw new EngineError('not-found', 'there is no image of this platform');
  return await source.child(best, signal);
}

function imageSteps(session: BuildSession, image: Image, from: string): Map<string, ImportedStep> {
  const { trees } = session.services.parts.images;
  return new Map(
    inlineSteps(image.config).map(({ key, layer, record }) => [
      key,
      { from, record, tree: () => trees.keep(image, layer + 1) },
    ]),
  );
}

/** @param chainOf layers of a step, bottom first; undefined for one that is not there */
function remoteSteps(
  session: BuildSession,
  { from, source, steps }: { from: string; source: CacheSource; steps: readonly FoundStep[] },
  chainOf: (step: FoundStep) => (RemoteLayer | undefined)[],
): Map<string, ImportedStep> {
  const { trees } = session.services.parts.images;
  return new Map(
    steps.map((step) => [
      step.key,
      {
        from,
        record: step.record,
        async tree(signal) {
          const layers = chainOf(step).map((layer) => {
            if (layer !== undefined) return layer;
            throw new EngineError('not-found', `a layer of ${step.record.description} is not there`);
          });
          if (step.record.ownLayers <= layers.length) return await trees.fetch(layers, source.fetch, signal);
          throw new EngineError('invalid-parameter', 'a step has more layers than there are');
        },
      },
    ]),
  );
}
