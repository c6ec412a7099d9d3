export {
  chainIds,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
  type ChainId,
  type DiffId,
  type Digest,
} from './digest.ts';
export * from './oci-image.ts';
export {
  configPlatform,
  fittingPlatforms,
  formatPlatform,
  hostPlatform,
  isSamePlatform,
  parsePlatform,
  platformNotFound,
  platformRank,
} from './platforms.ts';
export type * from './container.ts';
export { emptyContainerConfig, emptyHostConfig } from './empty-config.ts';
export type * from './network.ts';
export type * from './volume.ts';
export type * from './event.ts';
export type * from './oci-runtime.ts';
export {
  familiarName,
  familiarReference,
  formatReference,
  parseAnyReference,
  parseReference,
  repositoryName,
  withDefaultTag,
  withTag,
  type AnyReference,
  type Reference,
} from './reference.ts';
