import type { Descriptor, Platform } from '../spec/index.ts';
import type { Repository } from './repository.ts';

/** The platforms of a manifest: an index's entries, or what the configuration says. */
export async function platformsOf(
  repository: Repository,
  bytes: Buffer,
  signal?: AbortSignal,
): Promise<Platform[]> {
  const document = JSON.parse(bytes.toString('utf8')) as {
    manifests?: { platform?: Platform }[];
    config?: Descriptor;
  };
  if (Array.isArray(document.manifests)) {
    return document.manifests.flatMap((entry) => (entry?.platform === undefined ? [] : [entry.platform]));
  }
  if (document.config === undefined) return [];
  const config = await repository.blobBytes(document.config, signal);
  const {
    architecture,
    os,
    variant,
    'os.version': version,
    'os.features': features,
  } = JSON.parse(config.toString('utf8')) as Partial<Platform>;
  if (typeof architecture !== 'string' || typeof os !== 'string') return [];
  return [
    {
      architecture,
      os,
      ...(typeof version === 'string' ? { 'os.version': version } : {}),
      ...(Array.isArray(features) ? { 'os.features': features } : {}),
      ...(typeof variant === 'string' ? { variant } : {}),
    },
  ];
}
