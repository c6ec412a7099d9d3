export { pathBytes, type SparseSegment, type TarEntryType, type TarHeader } from './tar/header.ts';
export { TarParser, type TarHandler } from './tar/parser.ts';
export { readTar, type TarEntry } from './tar/reader.ts';
export { TAR_END, encodeHeader, tarPadding, writeTar, type TarMember, type TarSource } from './tar/writer.ts';
export { decompress, detectCompression, MAGIC_BYTES, type Compression } from './compression.ts';
