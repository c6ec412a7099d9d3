export { pathBytes, type SparseSegment, type TarEntryType, type TarHeader } from './tar/header.ts';
export { plainHeader } from './tar/plain-header.ts';
export { TarParser, type TarHandler } from './tar/parser.ts';
export { readTar, type TarEntry } from './tar/reader.ts';
export { mapTar, memberAgain } from './tar/map-tar.ts';
export { TAR_END, encodeHeader, tarPadding, writeTar, type TarMember, type TarSource } from './tar/writer.ts';
export { decompress, detectCompression, MAGIC_BYTES, type Compression } from './compression.ts';
export { checkExpansion, type ExpansionLimits } from './expansion.ts';
export { Growth } from './growth.ts';
export { gzip } from './gzip.ts';
export { zstd } from './zstd.ts';
export { LayoutWriter } from './layout-writer.ts';
export { LayerUnpacker, type LayerUnpackerOptions } from './layer-unpacker.ts';
export {
  MAX_ENTRIES,
  unpackLayer,
  type UnpackLimits,
  type UnpackRequest,
  type UnpackResult,
} from './unpack/unpack-layer.ts';
export { removeTree } from './unpack/remove-tree.ts';
export { treeChanges, type ChangesOptions, type TreeChange } from './pack/changes.ts';
export { packChanges, packFile, packTree, packTreeChanges } from './pack/pack.ts';
export type { PackOptions } from './pack/tree-packer.ts';
export { ownedLocation, type Location } from './unpack/location.ts';
export {
  baseOf,
  hostPath,
  joinRelative,
  parentOf,
  readNames,
  toHostPath,
  type HostPath,
} from './unpack/names.ts';
export type { KnownFile } from './unpack/content-digest.ts';
export { ReusingWriter } from './unpack/reusing-writer.ts';
export { TreeWriter, isWhiteout, type TreeWriterOptions } from './unpack/tree-writer.ts';
export type { Owner } from './unpack/attributes.ts';
export { IgnoreRules, parseIgnoreFile } from './dockerignore.ts';
export { Glob } from './glob.ts';
