import type { Image, Tree } from '../../images/index.ts';
import { isDigest, type ImageConfig } from '../../spec/index.ts';
import type { CacheRecord } from './cache.ts';

/** Where BuildKit, too, puts what a build knew into the image's configuration. */
const MEMBER = 'moby.buildkit.cache.v0';

/** Records that an image may bring; more is a mistake. */
const MAX_RECORDS = 10_000;

type WithCache = ImageConfig & { [MEMBER]?: unknown };

/** BuildKit's CacheConfig, as far as it is used here. */
interface CacheConfig {
  layers: { blob?: string; parent: number }[];
  records: InlineRecord[];
}

interface InlineRecord {
  /** The key, as a digest. */
  digest: string;
  /** `layer`: index of the top layer, -1 for a tree without layers. */
  results: { layer: number; createdAt: string }[];
  ownLayers: number;
  source: string;
  description: string;
}

/** What an image brings for a key: its lowest `layers` layers. */
export interface ImportedStep {
  image: Image;
  layers: number;
  record: Pick<CacheRecord, 'ownLayers' | 'source' | 'description' | 'createdAtMs'>;
}

/** The configuration with records of those steps whose trees are the lower layers of the image. */
export function withInlineCache(
  config: ImageConfig,
  diffIds: readonly string[],
  steps: ReadonlyMap<string, { tree: Tree; record: CacheRecord }>,
): ImageConfig {
  const records = [...steps].flatMap(([key, { tree, record }]): InlineRecord[] => {
    if (!tree.layers.every(({ diffId }, index) => diffIds[index] === diffId)) return [];
    const { ownLayers, source, description, createdAtMs } = record;
    const createdAt = new Date(createdAtMs).toISOString();
    return [
      {
        digest: `sha256:${key}`,
        results: [{ layer: tree.layers.length - 1, createdAt }],
        ownLayers,
        source,
        description,
      },
    ];
  });
  const layers = diffIds.map((blob, index) => ({ blob, parent: index - 1 }));
  const cache: CacheConfig = { layers, records };
  const given: WithCache = {
    ...config,
    [MEMBER]: Buffer.from(JSON.stringify(cache)).toString('base64'),
  };
  return given;
}

/** A configuration for an image made from one that had records: they are not of the new one. */
export function withoutInlineCache(config: ImageConfig): ImageConfig {
  const { [MEMBER]: dropped, ...rest }: WithCache = config;
  void dropped;
  return rest;
}

/** What an image brings, by key; nothing when it has no records or ones that make no sense. */
export function inlineCache(image: Image): Map<string, ImportedStep> {
  const steps = new Map<string, ImportedStep>();
  const text = (image.config as WithCache)[MEMBER];
  if (typeof text !== 'string') return steps;
  let cache: unknown;
  try {
    cache = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
  } catch {
    return steps;
  }
  const records = member(cache, 'records');
  if (!Array.isArray(records) || records.length > MAX_RECORDS) return steps;
  const count = image.config.rootfs.diff_ids.length;
  for (const record of records as unknown[]) {
    const [digest, ownLayers] = [member(record, 'digest'), member(record, 'ownLayers')];
    const result = (member(record, 'results') as unknown[] | undefined)?.[0];
    const layer = member(result, 'layer');
    const createdAtMs = Date.parse(String(member(result, 'createdAt')));
    if (typeof digest !== 'string' || !isDigest(digest) || Number.isNaN(createdAtMs)) continue;
    if (!isIndex(layer, -1, count) || !isIndex(ownLayers, 0, layer + 2)) continue;
    const [source, description] = [member(record, 'source'), member(record, 'description')];
    steps.set(digest.slice('sha256:'.length), {
      image,
      layers: layer + 1,
      record: { ownLayers, source: textOf(source), description: textOf(description), createdAtMs },
    });
  }
  return steps;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isIndex(value: unknown, from: number, below: number): value is number {
  return Number.isInteger(value) && (value as number) >= from && (value as number) < below;
}
