import type { ImageConfig } from '../../spec/index.ts';
import { configRecords, readRecords, type FoundStep, type KnownSteps } from './cache-config.ts';

/** Where BuildKit, too, puts what a build knew into the image's configuration. */
const MEMBER = 'moby.buildkit.cache.v0';

type WithCache = ImageConfig & { [MEMBER]?: unknown };

/** The configuration with records of those steps whose trees are the lower layers of the image. */
export function withInlineCache(
  config: ImageConfig,
  diffIds: readonly string[],
  steps: KnownSteps,
): ImageConfig {
  const records = configRecords(steps, ({ layers }) =>
    layers.every(({ diffId }, index) => diffIds[index] === diffId) ? layers.length - 1 : undefined,
  );
  const given: WithCache = {
    ...config,
    [MEMBER]: Buffer.from(JSON.stringify(records)).toString('base64'),
  };
  return given;
}

/** A configuration for an image made from one that had records: they are not of the new one. */
export function withoutInlineCache(config: ImageConfig): ImageConfig {
  const { [MEMBER]: dropped, ...rest }: WithCache = config;
  void dropped;
  return rest;
}

/** The steps that an image brings; none when it has no records or ones that make no sense. */
export function inlineSteps(config: ImageConfig): FoundStep[] {
  const text = (config as WithCache)[MEMBER];
  if (typeof text !== 'string') return [];
  try {
    const records: unknown = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
    return readRecords(records, config.rootfs.diff_ids.length);
  } catch {
    return [];
  }
}
