import { EngineError } from '../../errors/index.ts';
import type { Tree } from '../../images/index.ts';
import { isDigest, type DiffId, type Digest } from '../../spec/index.ts';
import type { CacheRecord } from '../solver/cache.ts';

/** What others keep of a build: which layers there are, and by what each step's are found. As BuildKit's CacheConfig. */
export interface CacheConfig {
  /** Each on the one with the index `parent`, -1 for none. */
  layers: { blob: Digest; parent: number }[];
  records: ConfigRecord[];
}

/** A step; the last three members are ours, and of no meaning to BuildKit. */
export interface ConfigRecord {
  /** The key, as a digest. */
  digest: string;
  /** Indexes of the top layers. */
  layers: { layer: number; createdAt: string }[];
  ownLayers: number;
  source: string;
  description: string;
}

/** What a build knows of its steps, by key. */
export type KnownSteps = ReadonlyMap<string, { tree: Tree; record: CacheRecord }>;

/** What a build leaves to know. */
export interface KnownBuild {
  steps: KnownSteps;
  /** Of what was built, bottom first. */
  layers: readonly DiffId[];
}

/** A step that others know. */
export interface FoundStep {
  key: string;
  /** Index of the top layer. */
  layer: number;
  record: Pick<CacheRecord, 'ownLayers' | 'source' | 'description' | 'createdAtMs'>;
}

/** More is a mistake, or meant to do harm. */
const MAX_RECORDS = 10_000;
const MAX_LAYERS = 10_000;
const MAX_DEPTH = 500;

/** @param layerOf index of a tree's top layer; undefined for a tree that is left out */
export function configRecords(
  steps: KnownSteps,
  layerOf: (tree: Tree) => number | undefined,
): ConfigRecord[] {
  const sorted = [...steps].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sorted.flatMap(([key, { tree, record }]): ConfigRecord[] => {
    const layer = layerOf(tree);
    if (layer === undefined || layer < 0) return [];
    const { ownLayers, source, description, createdAtMs } = record;
    const createdAt = new Date(createdAtMs).toISOString();
    return [{ digest: `sha256:${key}`, layers: [{ layer, createdAt }], ownLayers, source, description }];
  });
}

/** The same for the same steps. @param blobOf what a layer is kept as */
export function cacheConfig(steps: KnownSteps, blobOf: (diffId: DiffId) => Digest | undefined): CacheConfig {
  const layers: CacheConfig['layers'] = [];
  const known = new Map<string, number>();
  const records = configRecords(steps, (tree) => {
    let parent = -1;
    for (const { diffId } of tree.layers) {
      const blob = blobOf(diffId);
      if (blob === undefined) return undefined;
      const name = `${parent} ${blob}`;
      const index = known.get(name) ?? layers.push({ blob, parent }) - 1;
      known.set(name, index);
      parent = index;
    }
    return parent;
  });
  return { layers, records };
}

/** Reads records; those that make no sense here, BuildKit's own too, are left out. @param layers how many there are */
export function readRecords(value: unknown, layers: number): FoundStep[] {
  if (!Array.isArray(value)) return [];
  if (value.length > MAX_RECORDS) throw bad(`it has more than ${MAX_RECORDS} records`);
  return (value as unknown[]).flatMap((given): FoundStep[] => {
    const [digest, ownLayers] = [member(given, 'digest'), member(given, 'ownLayers')];
    const results = member(given, 'layers');
    const result: unknown = Array.isArray(results) ? results[0] : undefined;
    const layer = member(result, 'layer');
    const createdAtMs = Date.parse(String(member(result, 'createdAt')));
    if (typeof digest !== 'string' || !isDigest(digest) || Number.isNaN(createdAtMs)) return [];
    if (!isIndex(layer, layers) || !isIndex(ownLayers, layer + 2)) return [];
    const [source, description] = [textOf(member(given, 'source')), textOf(member(given, 'description'))];
    const record = { ownLayers, source, description, createdAtMs };
    return [{ key: digest.slice('sha256:'.length), layer, record }];
  });
}

/**
 * Reads a configuration.
 * @throws {EngineError} `invalid-parameter` for layers in a circle, ones that are not there, and too much of anything
 */
export function readCacheConfig(value: unknown): { layers: CacheConfig['layers']; steps: FoundStep[] } {
  const given = member(value, 'layers') ?? [];
  if (!Array.isArray(given)) throw bad('it has no list of layers');
  if (given.length > MAX_LAYERS) throw bad(`it has more than ${MAX_LAYERS} layers`);
  const layers = (given as unknown[]).map((layer) => {
    const blob = member(layer, 'blob');
    // Go leaves out a 0.
    const parent = member(layer, 'parent') ?? 0;
    if (typeof blob !== 'string' || !isDigest(blob)) throw bad('a layer has no digest');
    if (parent !== -1 && !isIndex(parent, given.length))
      throw bad(`invalid layer index ${JSON.stringify(parent)}`);
    return { blob, parent };
  });
  checkDepth(layers);
  return { layers, steps: readRecords(member(value, 'records'), layers.length) };
}

/** Indexes of a layer and those below it, bottom first. */
export function layerChain(layers: CacheConfig['layers'], top: number): number[] {
  const chain: number[] = [];
  for (let at = top; at !== -1; at = layers[at]?.parent ?? -1) chain.unshift(at);
  return chain;
}

function checkDepth(layers: CacheConfig['layers']): void {
  const depths = new Map([[-1, 0]]);
  for (const top of layers.keys()) {
    const above: number[] = [];
    let at = top;
    for (; !depths.has(at); at = layers[at]?.parent ?? -1) {
      if (above.includes(at)) throw bad('invalid looping layer');
      above.unshift(at);
      if (above.length > MAX_DEPTH) throw bad(`more than ${MAX_DEPTH} layers lie on each other`);
    }
    let depth = depths.get(at) ?? 0;
    for (const layer of above) depths.set(layer, (depth += 1));
    if (depth > MAX_DEPTH) throw bad(`more than ${MAX_DEPTH} layers lie on each other`);
  }
}

function bad(why: string): EngineError {
  return new EngineError('invalid-parameter', `Cannot read build cache: ${why}`);
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isIndex(value: unknown, below: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < below;
}
